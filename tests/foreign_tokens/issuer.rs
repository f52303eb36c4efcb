//! An issuer of tokens: keys that sign, and a server that publishes them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use harness::live::PATIENCE;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

pub(super) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key pair of one kind.
#[derive(Clone)]
pub(super) enum Pair {
    Rsa(Arc<RsaKeyPair>),
    Ec(Arc<EcdsaKeyPair>),
    Ed(Arc<Ed25519KeyPair>),
}

/// Two RSA keys for all tests, because generating them is slow.
static RSA: LazyLock<[Arc<RsaKeyPair>; 2]> =
    LazyLock::new(|| [(); 2].map(|()| Arc::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())));

/// A key pair with a key id.
#[derive(Clone)]
pub(super) struct Signer {
    pub(super) kid: String,
    pub(super) pair: Pair,
}

impl Signer {
    pub(super) fn rsa(kid: &str) -> Self {
        Self { kid: kid.to_owned(), pair: Pair::Rsa(RSA[0].clone()) }
    }

    pub(super) fn other_rsa(kid: &str) -> Self {
        Self { kid: kid.to_owned(), pair: Pair::Rsa(RSA[1].clone()) }
    }

    pub(super) fn ec(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { kid: kid.to_owned(), pair: Pair::Ec(Arc::new(pair)) }
    }

    pub(super) fn ed(kid: &str) -> Self {
        Self { kid: kid.to_owned(), pair: Pair::Ed(Arc::new(Ed25519KeyPair::generate().unwrap())) }
    }

    /// Returns one signer of each kind, each with its own key id.
    pub(super) fn each() -> [Self; 3] {
        [Self::rsa("rsa"), Self::ec("ec"), Self::ed("ed")]
    }

    pub(super) fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ec(_) => "ES256",
            Pair::Ed(_) => "EdDSA",
        }
    }

    /// Returns the public key as it is published.
    pub(super) fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                let [n, e] = [n, e].map(|number| encoded(number.big_endian_without_leading_zero()));
                json!({"kty": "RSA", "n": n, "e": e})
            }
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": encoded(&point[1..33]), "y": encoded(&point[33..])})
            }
            Pair::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": encoded(pair.public_key())}),
        };
        jwk["kid"] = self.kid.clone().into();
        jwk["use"] = "sig".into();
        jwk["alg"] = self.algorithm().into();
        jwk
    }

    /// Returns the raw signature of a message.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// Returns a correctly signed token with exactly this header and payload.
    pub(super) fn raw(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", encoded(header), encoded(payload));
        let signature = encoded(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// Returns a token with some members of its header changed; null removes one.
    pub(super) fn with_header(&self, changes: &Value, claims: &Value) -> String {
        let mut header = json!({"typ": "JWT", "alg": self.algorithm(), "kid": self.kid});
        for (name, value) in changes.as_object().unwrap() {
            header[name] = value.clone();
        }
        header.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        self.raw(&header.to_string(), &claims.to_string())
    }

    /// Returns a token as issuers create them.
    pub(super) fn token(&self, claims: &Value) -> String {
        self.with_header(&json!({}), claims)
    }
}

/// The answer of the server, and the number of its requests.
struct ServerState {
    answer: Mutex<(StatusCode, String)>,
    fetches: AtomicUsize,
    followed_redirects: AtomicUsize,
    is_held: watch::Sender<bool>,
    arrived: watch::Sender<usize>,
}

/// A server that publishes keys.
pub(super) struct Issuer {
    /// The URL of the keys.
    pub(super) url: String,
    state: Arc<ServerState>,
}

impl Issuer {
    /// Starts a server that publishes the keys of these signers.
    pub(super) async fn of(signers: &[&Signer]) -> Self {
        let state = Arc::new(ServerState {
            answer: Mutex::default(),
            fetches: AtomicUsize::new(0),
            followed_redirects: AtomicUsize::new(0),
            is_held: watch::Sender::new(false),
            arrived: watch::Sender::new(0),
        });
        let routes = Router::new().route("/keys", get(keys)).route("/elsewhere", get(redirected));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let service = routes.with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, service).await });
        let issuer = Self { url, state };
        issuer.publish(signers);
        issuer
    }

    /// Publishes the keys of these signers from now on.
    pub(super) fn publish(&self, signers: &[&Signer]) {
        let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
        self.answers(200, &json!({ "keys": keys }).to_string());
    }

    /// Answers with this status and body from now on. If it is a redirect, its target has the same body.
    pub(super) fn answers(&self, status: u16, body: &str) {
        *self.state.answer.lock().unwrap() = (StatusCode::from_u16(status).unwrap(), body.to_owned());
    }

    /// Holds back answers, or releases them.
    pub(super) fn hold(&self, is_held: bool) {
        self.state.is_held.send_replace(is_held);
    }

    /// Waits until `times` fetches have arrived.
    pub(super) async fn wait_for_fetches(&self, times: usize) {
        let mut arrived = self.state.arrived.subscribe();
        let reached = timeout(PATIENCE, arrived.wait_for(|count| *count >= times)).await;
        reached.expect("too few fetches arrived").unwrap();
    }

    /// Returns how often the keys were fetched.
    pub(super) fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::SeqCst)
    }

    /// Returns how often a redirect was followed.
    pub(super) fn followed_redirects(&self) -> usize {
        self.state.followed_redirects.load(Ordering::SeqCst)
    }
}

async fn keys(State(state): State<Arc<ServerState>>) -> Response {
    let count = state.fetches.fetch_add(1, Ordering::SeqCst) + 1;
    state.arrived.send_replace(count);
    let _ = state.is_held.subscribe().wait_for(|is_held| !is_held).await;
    let (status, body) = state.answer.lock().unwrap().clone();
    (status, [(header::LOCATION, "/elsewhere")], body).into_response()
}

async fn redirected(State(state): State<Arc<ServerState>>) -> Response {
    state.followed_redirects.fetch_add(1, Ordering::SeqCst);
    state.answer.lock().unwrap().1.clone().into_response()
}
