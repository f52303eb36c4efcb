//! Tokens: which are accepted, and which user they identify.

use domain::id::Clock;
use harness::{Actor, Answer, SECRET, World};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// `{"alg":"none","typ":"JWT"}` and `{"alg":"RS256","typ":"JWT"}`, encoded as in a token.
const UNSIGNED: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
const RSA: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9";

/// Returns a token with any claims, and with a signature that the server accepts.
pub(crate) fn signed(claims: &Value) -> String {
    signed_by(Algorithm::HS256, SECRET, claims)
}

fn signed_by(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    match jsonwebtoken::encode(&Header::new(algorithm), claims, &key(secret)) {
        Ok(token) => token,
        Err(error) => unreachable!("an HMAC signs anything: {error}"),
    }
}

fn key(secret: &str) -> EncodingKey {
    // Without a provider the first use panics. Installing it a second time fails, which is harmless.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    EncodingKey::from_secret(secret.as_bytes())
}

/// Returns the current time, in seconds.
pub(crate) fn now() -> i64 {
    Clock::default().now().seconds()
}

fn valid() -> Value {
    json!({"sub": "alice", "exp": now() + 600})
}

/// Returns the valid claims with some of them changed; null removes one.
fn claims(changes: &Value) -> Value {
    let mut claims = valid();
    for (name, value) in changes.as_object().into_iter().flatten() {
        match value {
            Value::Null => claims.as_object_mut().and_then(|claims| claims.remove(name)),
            value => Some(std::mem::replace(&mut claims[name], value.clone())),
        };
    }
    claims
}

async fn me(world: &World, token: &str) -> Answer {
    world.anonymous().with_token(Some(token)).get("/api/users/me").await
}

async fn with_header(actor: &Actor, authorization: &str) -> Answer {
    actor.call("GET", "/api/users/me", &[("authorization", authorization)], "").await
}

#[tokio::test]
async fn a_token_identifies_the_caller() {
    let world = World::new().await;
    let answer = me(&world, &signed(&valid())).await.expect(200);
    assert_eq!(answer.data()["id"], "alice");
}

#[tokio::test]
async fn invalid_claims_are_refused() {
    let world = World::new().await;
    for changes in [
        json!({"exp": null}),
        json!({"exp": "soon"}),
        json!({"exp": now() - 45}),
        json!({"exp": 0}),
        json!({"nbf": now() + 60}),
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"sub": 7}),
        json!({"sub": ["alice"]}),
        json!({"sub": "alice bob"}),
        json!({"sub": "alice#bob"}),
        json!({"sub": "alice/bob"}),
        json!({"sub": "alicé"}),
        json!({"sub": "alice\n"}),
        json!({"sub": "a".repeat(129)}),
    ] {
        let answer = me(&world, &signed(&claims(&changes))).await;
        assert_eq!(answer.status, 401, "{changes}");
        answer.refused(401, "not_authenticated");
    }
}

#[tokio::test]
async fn valid_claims_are_accepted() {
    let world = World::new().await;
    for changes in [
        json!({"exp": now() - 15}),
        json!({"nbf": now() - 60}),
        json!({"nbf": now() + 15}),
        json!({"sub": "a".repeat(128)}),
        json!({"sub": "auth0|Az09_-.@:"}),
        json!({"iss": "https://someone.example", "aud": "something", "iat": now(), "more": {"x": 1}}),
    ] {
        assert_eq!(me(&world, &signed(&claims(&changes))).await.status, 200, "{changes}");
    }
}

#[tokio::test]
async fn times_are_checked_by_the_machines_clock() {
    let world = World::new().await;
    let token = |exp: i64| signed(&claims(&json!({"exp": now() + exp, "nbf": now() - 600})));
    assert_eq!(me(&world.with_clock_off_by(-60_000), &token(-45)).await.status, 200);
    assert_eq!(me(&world.with_clock_off_by(60_000), &token(15)).await.status, 401);
    assert_eq!(me(&world.with_clock_off_by(-900_000), &token(600)).await.status, 401);
}

#[tokio::test]
async fn profiles_ignore_invalid_names_and_pictures_and_cut_long_names() {
    let world = World::new().await;
    for changes in [
        json!({"name": 7, "picture": ["https://a.example/cat.png"]}),
        json!({"name": "  ", "picture": "cat.png"}),
        json!({"picture": "javascript:alert(1)"}),
        json!({"picture": format!("https://a.example/{}", "x".repeat(500))}),
    ] {
        let profile = me(&world, &signed(&claims(&changes))).await.expect(200);
        assert_eq!(
            (&profile.data()["full_name"], &profile.data()["avatar_url"]),
            (&Value::Null, &Value::Null)
        );
    }
    let long = claims(&json!({"name": "é".repeat(150)}));
    let profile = me(&world, &signed(&long)).await.expect(200);
    assert_eq!(profile.data()["full_name"], "é".repeat(100));
}

#[tokio::test]
async fn only_our_signature_and_algorithm_are_accepted() {
    let world = World::new().await;
    let good = signed(&valid());
    let (head, signature) = good.rsplit_once('.').unwrap();
    let payload = head.split_once('.').unwrap().1;
    let confused = format!("{RSA}.{payload}");
    let as_rsa = jsonwebtoken::crypto::sign(confused.as_bytes(), &key(SECRET), Algorithm::HS256).unwrap();
    let mallory = signed(&claims(&json!({"sub": "mallory"})));
    let swapped = mallory.rsplit_once('.').unwrap().0;
    let bad = [
        format!("{UNSIGNED}.{payload}."),
        format!("{UNSIGNED}.{payload}.{signature}"),
        format!("{confused}.{as_rsa}"),
        format!("{confused}.{signature}"),
        signed_by(Algorithm::HS384, SECRET, &valid()),
        signed_by(Algorithm::HS512, SECRET, &valid()),
        signed_by(Algorithm::HS256, "another secret, which is long enough, too", &valid()),
        signed_by(Algorithm::HS256, "", &valid()),
        format!("{swapped}.{signature}"),
        head.to_owned(),
        format!("{head}."),
        format!("{good}.{signature}"),
        good[1..].to_owned(),
        good[..good.len() - 2].to_owned(),
    ];
    for token in bad {
        let answer = me(&world, &token).await;
        assert_eq!(answer.status, 401, "{token}");
        answer.refused(401, "not_authenticated");
    }
}

#[tokio::test]
async fn only_bearer_tokens_are_accepted() {
    let world = World::new().await;
    let (anonymous, token) = (world.anonymous(), signed(&valid()));
    anonymous.get("/api/users/me").await.refused(401, "not_authenticated");
    for bad in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer garbage".to_owned(),
        "Bearer a.b.c".to_owned(),
        "Bearer ü".to_owned(),
        "Basic YWxpY2U6c2VjcmV0".to_owned(),
        format!("Token {token}"),
        format!("Bearer{token}"),
        token.clone(),
    ] {
        let answer = with_header(&anonymous, &bad).await;
        assert_eq!(answer.status, 401, "{bad:?}");
        answer.refused(401, "not_authenticated");
    }
    for scheme in ["Bearer", "bearer", "BEARER"] {
        with_header(&anonymous, &format!("{scheme} {token}")).await.expect(200);
    }
    anonymous.get(&format!("/api/users/me?token={token}")).await.refused(401, "not_authenticated");
}

#[tokio::test]
async fn refusals_do_not_reveal_the_reason() {
    let world = World::new().await;
    let forged = signed_by(Algorithm::HS256, "another secret, which is long enough, too", &valid());
    let expired = signed(&claims(&json!({"exp": 0})));
    assert_eq!(me(&world, &expired).await.json, me(&world, &forged).await.json);
}
