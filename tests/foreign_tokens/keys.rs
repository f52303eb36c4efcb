//! The issuer's keys over time: rotated, asked for, kept while nobody answers.

use std::time::Duration;

use futures_util::future::join_all;

use super::*;

/// Just longer than nothing is fetched after a fetch.
const COOL_DOWN: Duration = Duration::from_secs(31);
/// The same while there are no keys.
const COOL_DOWN_WITHOUT: Duration = Duration::from_secs(6);
/// Just longer than keys are taken to be current.
const FRESH: Duration = Duration::from_secs(601);

fn later(world: &World, by: Duration) {
    world.app.verifier.grow_older(by);
}

#[tokio::test]
async fn a_new_key_holds_once_a_token_names_it() {
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    let issuer = Issuer::of(&[&old]).await;
    let world = trusting(&issuer).await;
    holds(&world, &old.token(&valid())).await;
    issuer.publish(&[&old, &new]);
    // It is too soon to ask again.
    is_refused(&world, &new.token(&valid())).await;
    later(&world, COOL_DOWN);
    holds(&world, &new.token(&valid())).await;
    holds(&world, &old.token(&valid())).await;
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn a_key_that_is_withdrawn_holds_no_longer_than_ten_minutes() {
    let (old, new) = (Signer::rsa("old"), Signer::other_rsa("new"));
    let issuer = Issuer::of(&[&old]).await;
    let world = trusting(&issuer).await;
    holds(&world, &old.token(&valid())).await;
    issuer.publish(&[&new]);
    later(&world, COOL_DOWN);
    holds(&world, &old.token(&valid())).await;
    later(&world, FRESH);
    is_refused(&world, &old.token(&valid())).await;
    holds(&world, &new.token(&valid())).await;
    // An issuer may withdraw them all.
    issuer.publish(&[]);
    later(&world, FRESH);
    is_refused(&world, &new.token(&valid())).await;
}

#[tokio::test]
async fn a_token_that_names_no_key_may_be_of_any_of_its_algorithm() {
    let [rsa, ec, ed] = Signer::each();
    let another = Signer::ec("another");
    let issuer = Issuer::of(&[&rsa, &ec, &another, &ed]).await;
    let world = trusting(&issuer).await;
    for signer in [&rsa, &ec, &another, &ed] {
        holds(&world, &signer.with_header(&json!({"kid": null}), &valid())).await;
    }
    let rotated = Signer::ec("rotated");
    let token = rotated.with_header(&json!({"kid": null}), &valid());
    is_refused(&world, &token).await;
    issuer.publish(&[&rsa, &rotated]);
    later(&world, COOL_DOWN);
    holds(&world, &token).await;
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn unknown_keys_are_asked_for_once_in_a_while() {
    let signer = Signer::ec("known");
    let issuer = Issuer::of(&[&signer]).await;
    let world = trusting(&issuer).await;
    for round in 1..=3 {
        for made_up in 0..20 {
            let token = Signer { kid: format!("{round} {made_up}"), ..signer.clone() }.token(&valid());
            is_refused(&world, &token).await;
        }
        let many =
            (0..20).map(|made_up| Signer { kid: format!("{made_up}"), ..signer.clone() }.token(&valid()));
        let many: Vec<String> = many.collect();
        join_all(many.iter().map(|token| is_refused(&world, token))).await;
        assert_eq!(issuer.fetches(), round);
        later(&world, COOL_DOWN);
    }
    // What cannot be a token of the issuer asks for nothing.
    let bad = [
        "a.b.c".to_owned(),
        crate::tokens::signed(&valid()),
        Signer::other_rsa("known").with_header(&json!({"alg": "RS512"}), &valid()),
        signer.with_header(&json!({"kid": "other", "crit": ["x"], "x": 1}), &valid()),
    ];
    for token in &bad {
        is_refused(&world, token).await;
    }
    // Nor does a forged signature of a key that is known.
    let mut forged = signer.token(&valid());
    forged.truncate(forged.len() - 4);
    is_refused(&world, &forged).await;
    assert_eq!(issuer.fetches(), 3);
    holds(&world, &signer.token(&valid())).await;
}

#[tokio::test]
async fn many_who_come_at_once_ask_once() {
    let signer = Signer::ed("one");
    let issuer = Issuer::of(&[&signer]).await;
    let world = trusting(&issuer).await;
    let token = signer.token(&valid());
    join_all((0..100).map(|_| holds(&world, &token))).await;
    assert_eq!(issuer.fetches(), 1);
    later(&world, FRESH);
    join_all((0..100).map(|_| holds(&world, &token))).await;
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn old_keys_serve_while_new_ones_are_on_their_way() {
    let signer = Signer::ed("one");
    let issuer = Issuer::of(&[&signer]).await;
    let world = trusting(&issuer).await;
    let token = signer.token(&valid());
    holds(&world, &token).await;
    later(&world, FRESH);
    issuer.hold(true);
    let others = async {
        issuer.asked(2).await;
        join_all((0..10).map(|_| holds(&world, &token))).await;
    };
    tokio::select! {
        () = holds(&world, &token) => panic!("nobody has answered"),
        () = others => {}
    }
    issuer.hold(false);
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn who_goes_away_does_not_make_the_next_one_ask_again() {
    let signer = Signer::ec("one");
    let issuer = Issuer::of(&[&signer]).await;
    let world = trusting(&issuer).await;
    let token = signer.token(&valid());
    issuer.hold(true);
    tokio::select! {
        _ = call(&world, &token) => panic!("nobody has answered"),
        () = issuer.asked(1) => {}
    }
    let next = holds(&world, &token);
    let release = async { issuer.hold(false) };
    tokio::join!(next, release);
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn old_keys_serve_while_the_issuer_is_away() {
    let signer = Signer::ec("one");
    let issuer = Issuer::of(&[&signer]).await;
    let world = trusting(&issuer).await;
    let token = signer.token(&valid());
    holds(&world, &token).await;
    issuer.answers(500, "");
    for round in 2..=4 {
        later(&world, FRESH);
        for _ in 0..10 {
            holds(&world, &token).await;
            is_refused(&world, &Signer::ec("unknown").token(&valid())).await;
        }
        assert_eq!(issuer.fetches(), round);
    }
    let new = Signer::ec("new");
    issuer.publish(&[&new]);
    later(&world, COOL_DOWN);
    holds(&world, &new.token(&valid())).await;
    is_refused(&world, &token).await;
}

#[tokio::test]
async fn without_any_keys_nobody_is_told_that_their_token_is_bad() {
    let signer = Signer::ec("one");
    let issuer = Issuer::of(&[&signer]).await;
    issuer.answers(503, "");
    let world = trusting(&issuer).await;
    let token = signer.token(&valid());
    join_all((0..20).map(|_| is_unavailable(&world, &token))).await;
    is_unavailable(&world, &token).await;
    assert_eq!(issuer.fetches(), 1);
    // What is no token of the issuer's is bad all the same.
    is_refused(&world, "garbage").await;
    is_refused(&world, &crate::tokens::signed(&valid())).await;
    issuer.publish(&[&signer]);
    is_unavailable(&world, &token).await;
    later(&world, COOL_DOWN_WITHOUT);
    holds(&world, &token).await;
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn tokens_of_the_shared_secret_need_no_issuer() {
    let issuer = Issuer::of(&[]).await;
    issuer.answers(503, "");
    let world = World::new().await.trusting(|settings| settings.jwks_url = Some(issuer.url.parse().unwrap()));
    holds(&world, &crate::tokens::signed(&valid())).await;
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn only_a_key_set_of_that_place_and_size_is_taken() {
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
        is_unavailable(&world, &signer.token(&valid())).await;
        later(&world, COOL_DOWN_WITHOUT);
    }
    assert_eq!((issuer.fetches(), issuer.strays()), (8, 0));
    issuer.answers(200, &padded(256 * 1024));
    holds(&world, &signer.token(&valid())).await;
}

#[tokio::test]
async fn an_issuer_that_hangs_or_is_gone_counts_as_away() {
    let signer = Signer::ec("one");
    let issuer = Issuer::of(&[&signer]).await;
    issuer.hold(true);
    is_unavailable(&trusting(&issuer).await, &signer.token(&valid())).await;
    let nobody = World::new().await.trusting(|settings| {
        // The port of a server that is no more.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        settings.jwks_url = Some(format!("http://127.0.0.1:{port}/keys").parse().unwrap());
    });
    is_unavailable(&nobody, &signer.token(&valid())).await;
}
