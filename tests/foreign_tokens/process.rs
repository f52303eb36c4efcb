//! The server as a process that trusts an issuer, by its environment.

use std::process::Command;

use harness::process::{Server, binary, token as own_token};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;

use super::*;

/// The status of a handshake.
async fn opens(server: &Server, query: &str) -> u16 {
    let url = format!("{}/ws?{query}", server.url.replace("http://", "ws://"));
    match connect_async(url).await {
        Ok((_, answer)) => answer.status().as_u16(),
        Err(Error::Http(answer)) => answer.status().as_u16(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_from_elsewhere_opens_a_socket() {
    let (signer, stranger) = (Signer::ec("one"), Signer::ec("one"));
    let issuer = Issuer::of(&[&signer]).await;
    let folder = tempfile::tempdir().unwrap();
    let variables =
        [("TIDINGS_JWKS_URL", issuer.url.as_str()), ("TIDINGS_JWT_ISSUER", "https://issuer.example")];
    let server = Server::start_with(folder.path(), &["--quiet"], &variables);
    let good = claims(&json!({"iss": "https://issuer.example"}));
    assert_eq!(opens(&server, &format!("token={}", signer.token(&good))).await, 101);
    for bad in [
        signer.token(&valid()),
        stranger.token(&good),
        own_token(folder.path(), "alice"),
        signer.token(&claims(&json!({"iss": "https://issuer.example", "exp": now() - 45}))),
    ] {
        assert_eq!(opens(&server, &format!("token={bad}")).await, 401, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_away_is_a_fault_and_no_refusal() {
    let signer = Signer::ec("one");
    let issuer = Issuer::of(&[]).await;
    issuer.answers(500, "");
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &["--quiet"], &[("TIDINGS_JWKS_URL", &issuer.url)]);
    assert_eq!(opens(&server, &format!("token={}", signer.token(&valid()))).await, 500);
    assert_eq!(opens(&server, &format!("token={}", own_token(folder.path(), "alice"))).await, 101);
}

#[test]
fn an_unsafe_place_for_keys_is_said_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    for bad in ["http://issuer.example/keys", "issuer.example", "/keys"] {
        let run = Command::new(binary())
            .args(["--port", "0", "--data-dir"])
            .arg(folder.path())
            .env("TIDINGS_JWKS_URL", bad)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success() && said.contains("TIDINGS_JWKS_URL"), "{said}");
    }
}
