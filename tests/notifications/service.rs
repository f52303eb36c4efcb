//! A push service of the test, and the browser behind it: it verifies what it gets as RFC 8292 says, and decrypts it as
//! RFC 8291 says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use harness::live::PATIENCE;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

/// How a push service answers a push.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Status(u16),
    RetryAfter,
    Redirect(String),
    Hang,
}

/// A push that the service got.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    /// The last part of the endpoint's path.
    pub(crate) device: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Push {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// The text of the notification.
    pub(crate) fn text(&self) -> &str {
        self.body["notification"]["body"].as_str().unwrap()
    }
}

#[derive(Clone)]
pub(crate) struct PushService(Arc<Shared>);

struct Shared {
    port: u16,
    key: PrivateKey,
    replies: Mutex<VecDeque<Reply>>,
    got: Mutex<Vec<Push>>,
}

const SECRET: [u8; 16] = *b"browser's secret";

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive(key: &Prk, info: &[&[u8]], length: usize) -> Vec<u8> {
    let mut derived = vec![0; length];
    key.expand(info, Length(length)).unwrap().fill(&mut derived).unwrap();
    derived
}

impl PushService {
    /// Starts a service on a loopback port, which takes every push.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (replies, got) = Default::default();
        let service =
            Self(Arc::new(Shared { port, key: PrivateKey::generate(&ECDH_P256).unwrap(), replies, got }));
        let routes = Router::new().route("/push/{device}", any(take)).with_state(service.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        service
    }

    fn public(&self) -> Vec<u8> {
        self.0.key.compute_public_key().unwrap().as_ref().to_vec()
    }

    pub(crate) fn endpoint(&self, device: &str) -> String {
        format!("http://127.0.0.1:{}/push/{device}", self.0.port)
    }

    /// The subscription of a browser.
    pub(crate) fn subscription(&self, device: &str) -> Value {
        let keys =
            json!({"p256dh": URL_SAFE_NO_PAD.encode(self.public()), "auth": URL_SAFE_NO_PAD.encode(SECRET)});
        json!({"endpoint": self.endpoint(device), "keys": keys})
    }

    /// The next pushes get these answers, and those after them 201.
    pub(crate) fn replies(&self, replies: &[Reply]) {
        self.0.replies.lock().unwrap().extend(replies.iter().cloned());
    }

    /// Returns the pushes since the last call.
    pub(crate) fn take(&self) -> Vec<Push> {
        std::mem::take(&mut self.0.got.lock().unwrap())
    }

    /// Returns the next pushes, once there are this many.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Push> {
        let began = Instant::now();
        while self.0.got.lock().unwrap().len() < count {
            assert!(began.elapsed() < PATIENCE, "no push came");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.take()
    }

    /// Decrypts the body of a push.
    fn open(&self, body: &[u8]) -> Value {
        assert!(body.len() <= 4_096, "{} bytes", body.len());
        let (salt, rest) = body.split_at(16);
        let size = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let (theirs, sealed) = rest[5..].split_at(usize::from(rest[4]));
        assert!(theirs.len() == 65 && size >= sealed.len(), "one record");
        let sender = UnparsedPublicKey::new(&ECDH_P256, theirs);
        let shared = agree(&self.0.key, sender, "not on the curve", |shared| {
            let key = Salt::new(HKDF_SHA256, &SECRET).extract(shared);
            Ok(derive(&key, &[b"WebPush: info\0", &self.public(), theirs], 32))
        });
        let key = Salt::new(HKDF_SHA256, salt).extract(&shared.unwrap());
        let content_key = derive(&key, &[b"Content-Encoding: aes128gcm\0"], 16);
        let nonce = derive(&key, &[b"Content-Encoding: nonce\0"], 12);
        let mut text = sealed.to_vec();
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &content_key).unwrap());
        let nonce = Nonce::try_assume_unique_for_key(&nonce).unwrap();
        let text = key.open_in_place(nonce, Aad::empty(), &mut text).unwrap();
        let (end, text) = text.split_last().unwrap();
        assert!(*end == 2 && text.len() <= 2_000, "the last record, of {} bytes", text.len());
        serde_json::from_slice(text).unwrap()
    }

    /// Verifies that a push is signed, for this service, by the key that it names. Returns this key.
    fn verify(&self, headers: &HeaderMap) -> String {
        let authorization = headers["authorization"].to_str().unwrap();
        let (token, key) = authorization.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
        let mut rules = Validation::new(Algorithm::ES256);
        rules.set_audience(&[format!("http://127.0.0.1:{}", self.0.port)]);
        let point = URL_SAFE_NO_PAD.decode(key).unwrap();
        let claims = jsonwebtoken::decode::<Value>(token, &DecodingKey::from_ec_der(&point), &rules);
        let claims = claims.expect("a valid token").claims;
        assert_eq!(claims["sub"], "mailto:tests@example.com");
        let life = claims["exp"].as_i64().unwrap() - domain::id::Clock::default().now().seconds();
        assert!(life <= 24 * 3600, "{life} s");
        key.to_owned()
    }
}

async fn take(
    State(service): State<PushService>,
    Path(device): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    assert_eq!(headers["content-encoding"], "aes128gcm");
    assert_eq!(service.verify(&headers), crate::notifications::PUBLIC_KEY);
    let body = service.open(&body);
    service.0.got.lock().unwrap().push(Push { device, headers, body });
    let reply = service.0.replies.lock().unwrap().pop_front().unwrap_or(Reply::Status(201));
    match reply {
        Reply::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Reply::RetryAfter => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response(),
        Reply::Redirect(to) => (StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response(),
        Reply::Hang => std::future::pending().await,
    }
}
