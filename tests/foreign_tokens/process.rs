//! The server as a process whose environment names a trusted issuer.

use std::process::Command;

use harness::process::{Server, binary, token as own_token};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;

use super::*;

/// Returns the status of a handshake.
async fn handshake(server: &Server, query: &str) -> u16 {
    let url = format!("{}/ws?{query}", server.url.replace("http://", "ws://"));
    match connect_async(url).await {
        Ok((_, answer)) => answer.status().as_u16(),
        Err(Error::Http(answer)) => answer.status().as_u16(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_an_external_issuer_opens_a_socket() {
    let (signer, stranger) = (Signer::ec("one"), Signer::ec("one"));
    let issuer = Issuer::of(&[&signer]).await;
    let folder = tempfile::tempdir().unwrap();
    let variables =
        [("TIDINGS_JWKS_URL", issuer.url.as_str()), ("TIDINGS_JWT_ISSUER", "https://issuer.example")];
    let server = Server::start_with(folder.path(), &["--quiet"], &variables);
    let good = claims(&json!({"iss": "https://issuer.example"}));
    assert_eq!(handshake(&server, &format!("token={}", signer.token(&good))).await, 101);
    for bad in [
        signer.token(&valid()),
        stranger.token(&good),
        own_token(folder.path(), "alice"),
        signer.token(&claims(&json!({"iss": "https://issuer.example", "exp": now() - 45}))),
    ] {
        assert_eq!(handshake(&server, &format!("token={bad}")).await, 401, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_down_causes_500_and_not_401() {
    let signer = Signer::ec("one");
    let issuer = Issuer::of(&[]).await;
    issuer.answers(500, "");
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &["--quiet"], &[("TIDINGS_JWKS_URL", &issuer.url)]);
    assert_eq!(handshake(&server, &format!("token={}", signer.token(&valid()))).await, 500);
    assert_eq!(handshake(&server, &format!("token={}", own_token(folder.path(), "alice"))).await, 101);
}

#[test]
fn an_unsafe_url_of_keys_is_an_error_at_startup() {
    let folder = tempfile::tempdir().unwrap();
    for bad in ["http://issuer.example/keys", "issuer.example", "/keys"] {
        let run = Command::new(binary())
            .args(["--port", "0", "--data-dir"])
            .arg(folder.path())
            .env("TIDINGS_JWKS_URL", bad)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success() && stderr.contains("TIDINGS_JWKS_URL"), "{stderr}");
    }
}
