//! Tokens of external issuers: which keys are accepted, for how long, and what happens while the issuer is down.

mod forged;
mod issuer;
mod keys;
mod process;

use harness::{Answer, SECRET, World};
use issuer::{Issuer, Signer, encoded};
use serde_json::{Value, json};

use crate::tokens::now;

/// Creates a world that trusts only this issuer.
async fn trusting(issuer: &Issuer) -> World {
    World::new().await.trusting(|settings| {
        settings.jwt_secret = None;
        settings.jwks_url = Some(issuer.url.parse().unwrap());
    })
}

fn valid() -> Value {
    json!({"sub": "alice", "exp": now() + 600})
}

/// Returns the valid claims with some of them changed.
fn claims(changes: &Value) -> Value {
    let mut claims = valid();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

async fn call(world: &World, token: &str) -> Answer {
    world.anonymous().with_token(Some(token)).get("/api/users/me").await
}

async fn assert_accepted(world: &World, token: &str) {
    assert_eq!(call(world, token).await.expect(200).data()["id"], "alice", "{token}");
}

async fn assert_refused(world: &World, token: &str) {
    let answer = call(world, token).await;
    assert_eq!(answer.status, 401, "{token}");
    answer.refused(401, "not_authenticated");
}

async fn assert_unavailable(world: &World, token: &str) {
    let answer = call(world, token).await;
    answer.refused(503, "unavailable");
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn tokens_of_each_algorithm_are_accepted() {
    let signers = Signer::each();
    let issuer = Issuer::of(&signers.each_ref()).await;
    let world = trusting(&issuer).await;
    world.trusting(|_| ()).user("bob").await;
    for signer in &signers {
        let claims = claims(&json!({"name": "Alice Example", "iss": "https://any.example", "aud": ["any"]}));
        let alice = world.anonymous().with_token(Some(&signer.token(&claims)));
        let me = alice.get("/api/users/me").await.expect(200);
        assert_eq!((&me.data()["id"], &me.data()["full_name"]), (&json!("alice"), &json!("Alice Example")));
        alice.send("bob", "hello").await.expect(201);
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn the_shared_secret_is_accepted_only_if_it_is_set() {
    let signer = Signer::ec("one");
    let issuer = Issuer::of(&[&signer]).await;
    let own = crate::tokens::signed(&valid());
    let issuer_only = trusting(&issuer).await;
    assert_refused(&issuer_only, &own).await;
    assert_accepted(&issuer_only, &signer.token(&valid())).await;
    let both = World::new().await.trusting(|settings| settings.jwks_url = Some(issuer.url.parse().unwrap()));
    assert_accepted(&both, &own).await;
    assert_accepted(&both, &signer.token(&valid())).await;
    assert_refused(&World::new().await, &signer.token(&valid())).await;
}

#[tokio::test]
async fn issuer_and_audience_are_enforced_if_set() {
    let signer = Signer::ed("one");
    let issuer = Issuer::of(&[&signer]).await;
    let (iss, aud) = ("https://issuer.example", "tidings");
    let world = World::new().await.trusting(|settings| {
        settings.jwks_url = Some(issuer.url.parse().unwrap());
        settings.jwt_issuer = Some(iss.to_owned());
        settings.jwt_audience = Some(aud.to_owned());
    });
    for changes in [
        json!({"iss": iss, "aud": aud}),
        json!({"iss": iss, "aud": [aud]}),
        json!({"iss": iss, "aud": ["other", aud]}),
    ] {
        assert_accepted(&world, &signer.token(&claims(&changes))).await;
        assert_accepted(&world, &crate::tokens::signed(&claims(&changes))).await;
    }
    for changes in [
        json!({}),
        json!({"iss": iss}),
        json!({"aud": aud}),
        json!({"iss": "https://issuer.example/", "aud": aud}),
        json!({"iss": "https://other.example", "aud": aud}),
        json!({"iss": [iss], "aud": aud}),
        json!({"iss": null, "aud": aud}),
        json!({"iss": iss, "aud": "tidings2"}),
        json!({"iss": iss, "aud": ["other"]}),
        json!({"iss": iss, "aud": []}),
        json!({"iss": iss, "aud": {"tidings": aud}}),
        json!({"iss": iss, "aud": null}),
    ] {
        assert_refused(&world, &signer.token(&claims(&changes))).await;
        assert_refused(&world, &crate::tokens::signed(&claims(&changes))).await;
    }
}

#[tokio::test]
async fn times_are_enforced_with_some_leeway() {
    let signer = Signer::ec("one");
    let issuer = Issuer::of(&[&signer]).await;
    let world = trusting(&issuer).await;
    for good in [json!({"exp": now() - 15}), json!({"nbf": now() + 15}), json!({"exp": 1e300})] {
        assert_accepted(&world, &signer.token(&claims(&good))).await;
    }
    for bad in [
        json!({"exp": now() - 45}),
        json!({"exp": -1}),
        json!({"exp": null}),
        json!({"exp": "2099-01-01"}),
        json!({"nbf": now() + 60}),
        json!({"nbf": "now"}),
        json!({"sub": "alice bob"}),
    ] {
        assert_refused(&world, &signer.token(&claims(&bad))).await;
    }
}
