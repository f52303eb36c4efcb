//! The issuer's keys over time: rotation, fetching, and caching while the issuer is down.

use std::time::Duration;

use futures_util::future::join_all;

use super::*;

/// Just longer than the pause between two fetches.
const COOL_DOWN: Duration = Duration::from_secs(31);
/// Just longer than that pause while there are no keys.
const COOL_DOWN_WITHOUT: Duration = Duration::from_secs(6);
/// Just longer than fetched keys count as fresh.
const FRESH: Duration = Duration::from_secs(601);

fn advance(world: &World, by: Duration) {
    world.app.verifier.age_keys(by);
}

#[tokio::test]
async fn a_new_key_is_fetched_once_a_token_names_it() {
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    let issuer = Issuer::of(&[&old]).await;
    let world = trusting(&issuer).await;
    assert_accepted(&world, &old.token(&valid())).await;
    issuer.publish(&[&old, &new]);
    // It is too soon to fetch again.
    assert_refused(&world, &new.token(&valid())).await;
    advance(&world, COOL_DOWN);
    assert_accepted(&world, &new.token(&valid())).await;
    assert_accepted(&world, &old.token(&valid())).await;
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn a_withdrawn_key_is_accepted_for_at_most_ten_minutes() {
    let (old, new) = (Signer::rsa("old"), Signer::other_rsa("new"));
    let issuer = Issuer::of(&[&old]).await;
    let world = trusting(&issuer).await;
    assert_accepted(&world, &old.token(&valid())).await;
    issuer.publish(&[&new]);
    advance(&world, COOL_DOWN);
    assert_accepted(&world, &old.token(&valid())).await;
    advance(&world, FRESH);
    assert_refused(&world, &old.token(&valid())).await;
    assert_accepted(&world, &new.token(&valid())).await;
    // An issuer may withdraw all its keys.
    issuer.publish(&[]);
    advance(&world, FRESH);
    assert_refused(&world, &new.token(&valid())).await;
}

#[tokio::test]
async fn a_token_without_a_key_id_may_use_any_key_of_its_algorithm() {
    let [rsa, ec, ed] = Signer::each();
    let another = Signer::ec("another");
    let issuer = Issuer::of(&[&rsa, &ec, &another, &ed]).await;
    let world = trusting(&issuer).await;
    for signer in [&rsa, &ec, &another, &ed] {
        assert_accepted(&world, &signer.with_header(&json!({"kid": null}), &valid())).await;
    }
    let rotated = Signer::ec("rotated");
    let token = rotated.with_header(&json!({"kid": null}), &valid());
    assert_refused(&world, &token).await;
    issuer.publish(&[&rsa, &rotated]);
    advance(&world, COOL_DOWN);
    assert_accepted(&world, &token).await;
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn unknown_keys_cause_few_fetches() {
    let signer = Signer::ec("known");
    let issuer = Issuer::of(&[&signer]).await;
    let world = trusting(&issuer).await;
    for round in 1..=3 {
        for made_up in 0..20 {
            let token = Signer { kid: format!("{round} {made_up}"), ..signer.clone() }.token(&valid());
            assert_refused(&world, &token).await;
        }
        let many =
            (0..20).map(|made_up| Signer { kid: format!("{made_up}"), ..signer.clone() }.token(&valid()));
        let many: Vec<String> = many.collect();
        join_all(many.iter().map(|token| assert_refused(&world, token))).await;
        assert_eq!(issuer.fetches(), round);
        advance(&world, COOL_DOWN);
    }
    // Tokens that cannot be the issuer's cause no fetch.
    let bad = [
        "a.b.c".to_owned(),
        crate::tokens::signed(&valid()),
        Signer::other_rsa("known").with_header(&json!({"alg": "RS512"}), &valid()),
        signer.with_header(&json!({"kid": "other", "crit": ["x"], "x": 1}), &valid()),
    ];
    for token in &bad {
        assert_refused(&world, token).await;
    }
    // Nor does a forged signature of a known key.
    let mut forged = signer.token(&valid());
    forged.truncate(forged.len() - 4);
    assert_refused(&world, &forged).await;
    assert_eq!(issuer.fetches(), 3);
    assert_accepted(&world, &signer.token(&valid())).await;
}

#[tokio::test]
async fn concurrent_calls_cause_one_fetch() {
    let signer = Signer::ed("one");
    let issuer = Issuer::of(&[&signer]).await;
    let world = trusting(&issuer).await;
    let token = signer.token(&valid());
    join_all((0..100).map(|_| assert_accepted(&world, &token))).await;
    assert_eq!(issuer.fetches(), 1);
    advance(&world, FRESH);
    join_all((0..100).map(|_| assert_accepted(&world, &token))).await;
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn old_keys_are_used_while_new_ones_are_fetched() {
    let signer = Signer::ed("one");
    let issuer = Issuer::of(&[&signer]).await;
    let world = trusting(&issuer).await;
    let token = signer.token(&valid());
    assert_accepted(&world, &token).await;
    advance(&world, FRESH);
    issuer.hold(true);
    let others = async {
        issuer.wait_for_fetches(2).await;
        join_all((0..10).map(|_| assert_accepted(&world, &token))).await;
    };
    tokio::select! {
        () = assert_accepted(&world, &token) => panic!("the issuer has not answered"),
        () = others => {}
    }
    issuer.hold(false);
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn a_fetch_continues_when_its_caller_has_gone() {
    let signer = Signer::ec("one");
    let issuer = Issuer::of(&[&signer]).await;
    let world = trusting(&issuer).await;
    let token = signer.token(&valid());
    issuer.hold(true);
    tokio::select! {
        _ = call(&world, &token) => panic!("the issuer has not answered"),
        () = issuer.wait_for_fetches(1) => {}
    }
    let next = assert_accepted(&world, &token);
    let release = async { issuer.hold(false) };
    tokio::join!(next, release);
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn old_keys_are_used_while_the_issuer_is_down() {
    let signer = Signer::ec("one");
    let issuer = Issuer::of(&[&signer]).await;
    let world = trusting(&issuer).await;
    let token = signer.token(&valid());
    assert_accepted(&world, &token).await;
    issuer.answers(500, "");
    for round in 2..=4 {
        advance(&world, FRESH);
        for _ in 0..10 {
            assert_accepted(&world, &token).await;
            assert_refused(&world, &Signer::ec("unknown").token(&valid())).await;
        }
        assert_eq!(issuer.fetches(), round);
    }
    let new = Signer::ec("new");
    issuer.publish(&[&new]);
    advance(&world, COOL_DOWN);
    assert_accepted(&world, &new.token(&valid())).await;
    assert_refused(&world, &token).await;
}

#[tokio::test]
async fn without_any_keys_tokens_get_503_and_not_401() {
    let signer = Signer::ec("one");
    let issuer = Issuer::of(&[&signer]).await;
    issuer.answers(503, "");
    let world = trusting(&issuer).await;
    let token = signer.token(&valid());
    join_all((0..20).map(|_| assert_unavailable(&world, &token))).await;
    assert_unavailable(&world, &token).await;
    assert_eq!(issuer.fetches(), 1);
    // Tokens that cannot be the issuer's are refused all the same.
    assert_refused(&world, "garbage").await;
    assert_refused(&world, &crate::tokens::signed(&valid())).await;
    issuer.publish(&[&signer]);
    assert_unavailable(&world, &token).await;
    advance(&world, COOL_DOWN_WITHOUT);
    assert_accepted(&world, &token).await;
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn tokens_of_the_shared_secret_need_no_issuer() {
    let issuer = Issuer::of(&[]).await;
    issuer.answers(503, "");
    let world = World::new().await.trusting(|settings| settings.jwks_url = Some(issuer.url.parse().unwrap()));
    assert_accepted(&world, &crate::tokens::signed(&valid())).await;
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn only_key_sets_at_the_url_within_the_size_limit_are_accepted() {
    let signer = Signer::ec("one");
    let keys = json!({"keys": [signer.jwk()]}).to_string();
    let issuer = Issuer::of(&[&signer]).await;
    let world = trusting(&issuer).await;
    let padded = |length: usize| keys.clone() + &" ".repeat(length - keys.len());
    for (status, body) in [
        (204, String::new()),
        (301, keys.clone()),
        (302, keys.clone()),
        (307, keys.clone()),
        (404, keys.clone()),
        (200, "<html>".to_owned()),
        (200, json!([signer.jwk()]).to_string()),
        (200, padded(256 * 1024 + 1)),
    ] {
        issuer.answers(status, &body);
        assert_unavailable(&world, &signer.token(&valid())).await;
        advance(&world, COOL_DOWN_WITHOUT);
    }
    assert_eq!((issuer.fetches(), issuer.followed_redirects()), (8, 0));
    issuer.answers(200, &padded(256 * 1024));
    assert_accepted(&world, &signer.token(&valid())).await;
}

#[tokio::test]
async fn an_issuer_that_hangs_or_is_gone_counts_as_down() {
    let signer = Signer::ec("one");
    let issuer = Issuer::of(&[&signer]).await;
    issuer.hold(true);
    assert_unavailable(&trusting(&issuer).await, &signer.token(&valid())).await;
    let unreachable = World::new().await.trusting(|settings| {
        // A port on which no server listens any more.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        settings.jwks_url = Some(format!("http://127.0.0.1:{port}/keys").parse().unwrap());
    });
    assert_unavailable(&unreachable, &signer.token(&valid())).await;
}
