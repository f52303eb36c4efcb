//! Accounts: registering, logging in, refreshing tokens, changing passwords, and deleting accounts.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use futures_util::future::join_all;
use harness::live::Live;
use harness::wire::Faults;
use harness::{Actor, Answer, PASSWORD, TABLE, World};
use local::engine::Engine;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

const REGISTER: &str = "/api/auth/register";
const LOGIN: &str = "/api/auth/login";
const REFRESH: &str = "/api/auth/refresh";
const LOGOUT: &str = "/api/auth/logout";
const CHANGE: &str = "/api/auth/change-password";
const ME: &str = "/api/users/me";

fn account(username: &str, email: &str) -> Value {
    json!({"username": username, "email": email, "password": PASSWORD})
}

async fn refresh(world: &World, token: &str) -> Answer {
    world.anonymous().post(REFRESH, &json!({"refresh_token": token})).await
}

fn token_of(answer: &Answer) -> String {
    answer.data()["refresh_token"].as_str().expect("a token").to_owned()
}

async fn login(actor: &Actor, username: &str, password: &str) -> Answer {
    actor.post(LOGIN, &json!({"username": username, "password": password})).await
}

#[tokio::test]
async fn registered_users_can_log_in_by_username_or_email() {
    let world = World::new().await;
    let new =
        json!({"username": "Ada.L", "email": "Ada@x.example", "password": PASSWORD, "full_name": "Ada Löve"});
    let answer = world.anonymous().post(REGISTER, &new).await.expect(201);
    let user = answer.data().clone();
    assert_eq!(
        (&user["username"], &user["email"], &user["full_name"], &user["avatar_url"]),
        (&json!("Ada.L"), &json!("Ada@x.example"), &json!("Ada Löve"), &Value::Null)
    );
    assert_eq!(user["id"].as_str().unwrap().len(), 36, "the id is a random UUID");
    for name in [
        json!({"username": "ADA.l"}),
        json!({"email": "aDa@X.example"}),
        json!({"username": "ada@x.example"}),
    ] {
        let mut body = name.clone();
        body["password"] = PASSWORD.into();
        let answer = world.anonymous().post(LOGIN, &body).await.expect(200);
        let data = answer.data();
        assert_eq!((&data["token_type"], &data["user"]), (&json!("bearer"), &user));
        assert_lives_15_min(data);
        let me = world.anonymous().with_token(data["access_token"].as_str()).get(ME).await.expect(200);
        assert_eq!(me.data(), &user, "the token's claims do not change the profile");
    }
    let seen = world.user("bob").await.get(&format!("/api/users/{}", user["id"].as_str().unwrap())).await;
    assert_eq!(seen.expect(200).data().get("email"), None);
}

#[tokio::test]
async fn each_field_is_validated() {
    let world = World::new().await;
    let good = json!({"username": "ada", "email": "ada@x.example", "password": PASSWORD, "full_name": "Ada"});
    for (field, bad) in [
        ("username", json!("")),
        ("username", json!("a b")),
        ("username", json!("a@b")),
        ("username", json!("x".repeat(51))),
        ("username", json!(7)),
        ("username", Value::Null),
        ("email", json!("ada")),
        ("email", json!("a@b@c")),
        ("email", json!("a b@c")),
        ("email", json!(format!("{}@x", "a".repeat(254)))),
        ("password", json!("1234567")),
        ("password", json!("x".repeat(129))),
        ("password", json!(["12345678"])),
        ("full_name", json!("")),
        ("full_name", json!("x".repeat(101))),
        ("id", json!("root")),
    ] {
        let mut body = good.clone();
        body[field] = bad.clone();
        let answer = world.anonymous().post(REGISTER, &body).await;
        answer.refused(400, "invalid_request");
        assert_eq!(answer.json["errors"][0]["field"], field, "{bad}");
        assert!(!answer.json.to_string().contains(PASSWORD));
    }
    for field in ["username", "email", "password"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(field);
        let answer = world.anonymous().post(REGISTER, &body).await;
        answer.refused(400, "invalid_request");
        assert_eq!(answer.json["errors"][0]["field"], field);
    }
    for password in ["é".repeat(8), "𝕡".repeat(128)] {
        let mut body = account("a", "a@x");
        body["password"] = password.clone().into();
        body["username"] = format!("u{}", password.len()).into();
        body["email"] = format!("u{}@x", password.len()).into();
        world.anonymous().post(REGISTER, &body).await.expect(201);
        login(&world.anonymous(), &format!("u{}", password.len()), &password).await.expect(200);
    }
    for body in
        [json!({"password": PASSWORD}), json!({"username": "a", "email": "a@x", "password": PASSWORD})]
    {
        world.anonymous().post(LOGIN, &body).await.refused(400, "invalid_request");
    }
    for path in [REFRESH, LOGOUT] {
        world.anonymous().post(path, &json!({})).await.refused(400, "invalid_request");
        for bad in ["", "x", "a.b.c"] {
            world
                .anonymous()
                .post(path, &json!({"refresh_token": bad}))
                .await
                .refused(401, "not_authenticated");
        }
    }
}

#[tokio::test]
async fn names_are_unique_in_any_spelling() {
    let world = World::new().await;
    let first = world.anonymous();
    first.post(REGISTER, &account("Ünal", "strasse@x.example")).await.expect(201);
    for (username, email) in [
        ("u\u{308}NAL", "b@x"),
        ("Ｕ\u{308}nal", "c@x"),
        ("other", "STRAßE@X.example"),
        ("Ünal", "strasse@x.example"),
    ] {
        first.post(REGISTER, &account(username, email)).await.refused(409, "already_exists");
    }
    first.post(REGISTER, &account("unal", "b@x")).await.expect(201);
    // The refused registration did not reserve the username.
    first.post(REGISTER, &account("other", "c@x")).await.expect(201);
}

#[tokio::test]
async fn of_concurrent_registrations_one_gets_the_name() {
    let world = World::new().await;
    world.wire.inject(Faults { conflict_per_item: 0.05, ..Faults::default() }, 7);
    let anonymous = world.anonymous();
    let tries = (0..16).map(|n| {
        let email = if n % 2 == 0 { "same@x.example".to_owned() } else { format!("{n}@x.example") };
        let new = account("same", &email);
        let anonymous = &anonymous;
        async move { anonymous.post(REGISTER, &new).await.status }
    });
    let mut statuses = join_all(tries).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![201], vec![409; 15]].concat());
}

#[tokio::test]
async fn a_lost_answer_is_not_a_taken_name() {
    let world = World::new().await;
    world.wire.lose_answers(2);
    world.anonymous().post(REGISTER, &account("ada", "ada@x")).await.expect(201);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.db");
    let world = World::on(Engine::on_disk(&file).unwrap()).await;
    world.wire.restart_after_a_loss(Engine::on_disk(&file).unwrap());
    world.anonymous().post(REGISTER, &account("ada", "ada@x")).await.expect(201);
    // But a client that registers again is refused.
    world.anonymous().post(REGISTER, &account("ada", "ada@x")).await.refused(409, "already_exists");
    login(&world.anonymous(), "ada", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn an_unknown_user_and_a_wrong_password_look_the_same() {
    for limited in [false, true] {
        let world = World::new().await;
        world.registered("ada").await;
        let world = if limited { world.with_limits() } else { world };
        // The first call does what a function does only once.
        login(&world.anonymous(), "zoe", PASSWORD).await.refused(401, "not_authenticated");
        let mut seen = Vec::new();
        for (n, (name, password)) in
            [("ada", "wrong password"), ("eve", PASSWORD), ("no name", ""), ("a@b@c", "x")]
                .into_iter()
                .enumerate()
        {
            let before = world.wire.calls().len();
            // Each call comes from its own address, so that the buckets are alike.
            let from = world.anonymous().calling_from(&format!("192.0.2.{n}"));
            let answer = login(&from, name, password).await;
            answer.refused(401, "not_authenticated");
            seen.push((answer.json, world.wire.calls()[before..].to_vec()));
        }
        assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
        assert_eq!(seen[0].1.len(), if limited { 3 } else { 2 });
    }
}

/// `expires_in` counts whole seconds, and the next one may begin during a call.
fn assert_lives_15_min(tokens: &Value) {
    assert!([899, 900].contains(&tokens["expires_in"].as_i64().unwrap()), "{tokens}");
}

#[tokio::test]
async fn a_refresh_returns_new_tokens() {
    let world = World::new().await;
    let ada = world.registered("ada").await;
    let mut token = ada.refresh_token;
    for _ in 0..4 {
        let answer = refresh(&world, &token).await.expect(200);
        assert_eq!(answer.data()["token_type"], "bearer");
        assert_lives_15_min(answer.data());
        let access = answer.data()["access_token"].as_str().unwrap();
        world.anonymous().with_token(Some(access)).get(ME).await.expect(200);
        let next = token_of(&answer);
        assert_ne!(next, token);
        token = next;
    }
}

#[tokio::test]
async fn a_replaced_token_returns_the_same_pair_for_a_while() {
    let world = World::new().await;
    let ada = world.registered("ada").await;
    let pairs = join_all((0..8).map(|_| refresh(&world, &ada.refresh_token))).await;
    let pair =
        |answer: &Answer| (answer.data()["access_token"].clone(), answer.data()["refresh_token"].clone());
    let first = pair(&pairs[0]);
    assert!(pairs.iter().all(|answer| answer.status == 200 && pair(answer) == first), "{pairs:?}");
    let later = world.with_clock_off_by(25_000);
    assert_eq!(pair(&refresh(&later, &ada.refresh_token).await.expect(200)), first);
    world.wire.lose_answers(2);
    let next = refresh(&world, first.1.as_str().unwrap()).await.expect(200);
    // Its successor was used, so reusing the first token ends the session, however soon.
    refresh(&world, &ada.refresh_token).await.refused(401, "not_authenticated");
    refresh(&world, &token_of(&next)).await.refused(401, "not_authenticated");
}

#[tokio::test]
async fn reusing_a_token_later_ends_the_session() {
    let world = World::new().await;
    let ada = world.registered("ada").await;
    let other = world.login("ada", PASSWORD).await;
    let next = token_of(&refresh(&world, &ada.refresh_token).await.expect(200));
    let later = world.with_clock_off_by(32_000);
    refresh(&later, &ada.refresh_token).await.refused(401, "not_authenticated");
    for token in [&next, &ada.refresh_token] {
        refresh(&world, token).await.refused(401, "not_authenticated");
    }
    refresh(&world, &other.refresh_token).await.expect(200);
}

#[tokio::test]
async fn a_session_ends_after_thirty_idle_days() {
    let world = World::new().await;
    let ada = world.registered("ada").await;
    let day = 24 * 3600 * 1000;
    let next = refresh(&world.with_clock_off_by(29 * day), &ada.refresh_token).await.expect(200);
    let after = world.with_clock_off_by(58 * day);
    let next = refresh(&after, &token_of(&next)).await.expect(200);
    let after = world.with_clock_off_by(89 * day);
    refresh(&after, &token_of(&next)).await.refused(401, "not_authenticated");
}

#[tokio::test]
async fn refresh_tokens_are_valid_as_long_as_their_secret() {
    let world = World::new().await;
    let ada = world.registered("ada").await;
    let rotated = world.with_cursor_secrets(&[b"a new secret", b"a secret for cursors"]);
    let next = refresh(&rotated, &ada.refresh_token).await.expect(200);
    let later = world.with_cursor_secrets(&[b"a new secret"]);
    refresh(&later, &ada.refresh_token).await.refused(401, "not_authenticated");
    refresh(&later, &token_of(&next)).await.expect(200);
    // An altered token is refused.
    let mut altered = token_of(&next);
    let last = if altered.pop() == Some('A') { 'B' } else { 'A' };
    refresh(&world, &format!("{altered}{last}")).await.refused(401, "not_authenticated");
}

#[tokio::test]
async fn logging_out_ends_the_session() {
    let world = World::new().await;
    let ada = world.registered("ada").await;
    let other = world.login("ada", PASSWORD).await;
    for _ in 0..2 {
        world.anonymous().post(LOGOUT, &json!({"refresh_token": ada.refresh_token})).await.expect(200);
    }
    refresh(&world, &ada.refresh_token).await.refused(401, "not_authenticated");
    refresh(&world, &other.refresh_token).await.expect(200);
}

#[tokio::test]
async fn changing_the_password_ends_the_other_sessions() {
    let world = World::new().await;
    let ada = world.registered("ada").await;
    let other = world.login("ada", PASSWORD).await;
    let change = |current: &str, new: &str| json!({"current_password": current, "new_password": new});
    ada.actor.post(CHANGE, &change("wrong password", "another one")).await.refused(401, "not_authenticated");
    ada.actor.post(CHANGE, &change(PASSWORD, "short")).await.refused(400, "invalid_request");
    world.wire.lose_answers(1);
    ada.actor.post(CHANGE, &change(PASSWORD, "another one")).await.expect(200);
    refresh(&world, &other.refresh_token).await.refused(401, "not_authenticated");
    let next = refresh(&world, &ada.refresh_token).await.expect(200);
    login(&world.anonymous(), "ada", PASSWORD).await.refused(401, "not_authenticated");
    let again = world.login("ada", "another one").await;
    // The next change does not bring back sessions that have ended.
    world.anonymous().post(LOGOUT, &json!({"refresh_token": token_of(&next)})).await.expect(200);
    ada.actor.post(CHANGE, &change("another one", "a third one")).await.expect(200);
    for token in [token_of(&next), other.refresh_token, again.refresh_token] {
        refresh(&world, &token).await.refused(401, "not_authenticated");
    }
    let stranger = world.user("token-user").await;
    stranger.post(CHANGE, &change(PASSWORD, "another one")).await.refused(401, "not_authenticated");
    world.anonymous().post(CHANGE, &change(PASSWORD, "another one")).await.refused(401, "not_authenticated");
}

#[tokio::test]
async fn a_login_during_a_password_change_does_not_survive_it() {
    let world = World::new().await;
    let ada = world.registered("ada").await;
    world.wire.delay_commits(std::time::Duration::from_millis(60), 11);
    let mut passwords = (PASSWORD.to_owned(), "another one".to_owned());
    for _ in 0..4 {
        let change = json!({"current_password": passwords.0, "new_password": passwords.1});
        let anonymous = world.anonymous();
        let logins = join_all((0..4).map(|_| login(&anonymous, "ada", &passwords.0)));
        let (changed, logins) = tokio::join!(ada.actor.post(CHANGE, &change), logins);
        changed.expect(200);
        for answer in logins {
            if answer.status == 200 {
                refresh(&world, &token_of(&answer)).await.refused(401, "not_authenticated");
            } else {
                answer.refused(401, "not_authenticated");
            }
        }
        std::mem::swap(&mut passwords.0, &mut passwords.1);
    }
    refresh(&world, &ada.refresh_token).await.expect(200);
}

#[tokio::test]
async fn a_deleted_account_is_gone_and_its_messages_stay() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let ada = world.registered("ada").await;
    ada.actor.send("bob", "remember me").await.expect(201);
    assert_eq!(bob.row(&ada.actor.id).await.unwrap()["other_user_name"], "ada Example");
    ada.actor
        .json("DELETE", ME, &json!({"password": "wrong password"}))
        .await
        .refused(401, "not_authenticated");
    bob.json("DELETE", ME, &json!({"password": PASSWORD})).await.refused(401, "not_authenticated");
    world.wire.lose_answers(1);
    ada.actor.json("DELETE", ME, &json!({"password": PASSWORD})).await.expect(200);

    refresh(&world, &ada.refresh_token).await.refused(401, "not_authenticated");
    login(&world.anonymous(), "ada", PASSWORD).await.refused(401, "not_authenticated");
    bob.get(&format!("/api/users/{}", ada.actor.id)).await.refused(404, "not_found");
    assert!(bob.get("/api/users?q=ada").await.expect(200).list().is_empty());
    assert_eq!(bob.row(&ada.actor.id).await.unwrap()["other_user_name"], "Deleted user");
    assert_eq!(bob.page(&ada.actor.id).await[0]["message_text"], "remember me");

    // The access token stays valid for some minutes, but does not create the user again.
    for path in [ME, "/api/events"] {
        ada.actor.get(path).await.refused(401, "not_authenticated");
    }
    ada.actor.patch(ME, &json!({"full_name": "Ada"})).await.refused(401, "not_authenticated");
    world.user("carol").await;
    ada.actor.send("carol", "am I here?").await.refused(401, "not_authenticated");
    ada.actor.block("carol").await.refused(401, "not_authenticated");
    bob.get(&format!("/api/users/{}", ada.actor.id)).await.refused(404, "not_found");

    // The names are free again.
    let again = world.registered("ada").await;
    assert_ne!(again.actor.id, ada.actor.id);
}

#[tokio::test]
async fn a_message_to_a_deleted_account_is_404_also_in_a_conversation_that_exists() {
    let world = World::new().await;
    let (ann, bob) = (world.registered("ann").await.actor, world.user("bob").await);
    let first = bob.send_once(&ann.id, "hello", "key").await.expect(201);
    ann.send("bob", "hi").await.expect(201);
    ann.json("DELETE", ME, &json!({"password": PASSWORD})).await.expect(200);
    for hidden in [false, true] {
        bob.send(&ann.id, "are you there?").await.refused(404, "not_found");
        bob.say(&first.conversation(), "are you there?").await.refused(404, "not_found");
        if !hidden {
            assert_eq!(bob.row(&ann.id).await.unwrap()["unread_count"], 1);
            bob.forget(&first.conversation()).await.expect(200);
        }
    }
    assert_eq!(bob.send_once(&ann.id, "hello", "key").await.expect(200).id(), first.id(), "a retry");
    bob.unblock(&ann.id).await.expect(200);
    assert_eq!(bob.inbox().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_deleted_accounts_token_can_send_and_edit_nothing() {
    let world = World::new().await;
    let (ann, bob) = (world.registered("ann").await.actor, world.user("bob").await);
    let sent = ann.send_once("bob", "hello", "key").await.expect(201);
    let unread = bob.send(&ann.id, "hello").await.expect(201).id();
    // Another conversation, which only bob can see.
    let carol = world.user("carol").await;
    ann.send("carol", "hello").await.expect(201);
    ann.forget(ann.row("carol").await.unwrap()["conversation_id"].as_str().unwrap()).await.expect(200);
    ann.json("DELETE", ME, &json!({"password": PASSWORD})).await.expect(200);
    let refused = [
        ann.send("bob", "a ghost").await,
        ann.send_once("bob", "hello", "key").await,
        ann.say(&sent.conversation(), "a ghost").await,
        ann.send("carol", "a ghost").await,
        ann.edit(&sent.id(), "a ghost").await,
        ann.get(ME).await,
        ann.patch(ME, &json!({"full_name": "A Ghost"})).await,
        ann.get("/api/events").await,
        ann.block("bob").await,
        ann.post("/api/rooms", &json!({"name": "Haunted"})).await,
        ann.mark(&unread).await,
        ann.post("/api/typing", &json!({"conversation_id": sent.conversation(), "is_typing": true})).await,
        ann.json("PUT", "/api/presence", &json!({"status": "online"})).await,
    ];
    for answer in refused {
        answer.refused(401, "not_authenticated");
    }
    let page = bob.page(&ann.id).await;
    assert_eq!((page.len(), &page[1]["read"]), (2, &json!(false)));
    let presence = bob.get(&format!("/api/presence?user_ids={}", ann.id)).await.expect(200);
    let hidden = json!([{"user_id": ann.id, "status": "offline", "last_seen_at": null, "current_conversation_id": null}]);
    assert_eq!(presence.data(), &hidden);
    assert_eq!(carol.page(&ann.id).await.len(), 1);
}

#[tokio::test]
async fn deleting_an_account_leaves_its_groups_and_rooms() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let ada = world.registered("ada").await.actor;
    let new = json!({"type": "group", "name": "two of us", "participant_ids": ["bob"]});
    let group = ada.post("/api/conversations", &new).await.expect(201);
    let room = bob.post("/api/rooms", &json!({"name": "open"})).await.expect(201);
    let room = room.data()["conversation_id"].as_str().unwrap().to_owned();
    ada.post(&format!("/api/rooms/{room}/join"), &json!({})).await.expect(200);
    ada.json("DELETE", ME, &json!({"password": PASSWORD})).await.expect(200);
    for row in bob.inbox().await {
        let path = format!("/api/conversations/{}", row["conversation_id"].as_str().unwrap());
        let shown = bob.get(&path).await.expect(200);
        let people = shown.data()["participants"].as_array().unwrap();
        let people: Vec<_> = people.iter().map(|part| (&part["user_id"], &part["is_admin"])).collect();
        assert_eq!(people, [(&json!("bob"), &json!(true))]);
        assert_eq!(row["participant_count"], 1);
    }
    assert_eq!(bob.inbox().await.len(), 2);
    let group = group.data()["conversation_id"].as_str().unwrap();
    ada.get(&format!("/api/conversations/{group}")).await.refused(403, "not_a_participant");
}

#[tokio::test]
async fn an_interrupted_deletion_can_be_retried() {
    join_all((1..=4).map(async |commits| {
        let world = World::new().await;
        let bob = world.user("bob").await;
        let ada = world.registered("ada").await;
        ada.actor.send("bob", "remember me").await.expect(201);
        let body = json!({"password": PASSWORD});
        world.wire.away_after(commits);
        ada.actor.json("DELETE", ME, &body).await.refused(503, "unavailable");
        world.wire.heal();
        let again = ada.actor.json("DELETE", ME, &body).await;
        again.expect(200);
        assert_eq!(bob.row(&ada.actor.id).await.unwrap()["other_user_name"], "Deleted user", "{commits}");
        bob.get(&format!("/api/users/{}", ada.actor.id)).await.refused(404, "not_found");
        assert!(bob.get("/api/users?q=ada").await.expect(200).list().is_empty());
        world.registered("ada").await;
    }))
    .await;
}

/// Asserts that a login was refused by a limit that lets one more attempt through within 30 s.
#[track_caller]
fn assert_limited(answer: &Answer) {
    answer.refused(429, "rate_limited");
    let seconds: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=30).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn wrong_passwords_are_limited() {
    let world = World::new().await;
    let ada = world.registered("ada").await;
    let world = world.with_clock_at(world.app.store.now().millis()).with_limits();
    let from = |n: usize| world.anonymous().calling_from(&format!("192.0.2.{n}"));
    for name in ["ADA", "nobody"] {
        for _ in 0..10 {
            login(&from(1), name, "wrong password").await.refused(401, "not_authenticated");
        }
        assert_limited(&login(&from(1), name, PASSWORD).await);
        // From everywhere together, a hundred are possible.
        for n in 2..92 {
            login(&from(n), name, "wrong password").await.refused(401, "not_authenticated");
        }
        assert_limited(&login(&from(99), name, PASSWORD).await);
    }
    // An e-mail address is no way round.
    let by_email = json!({"email": "ada@example.com", "password": PASSWORD});
    assert_limited(&from(99).post(LOGIN, &by_email).await);
    let later = world.with_clock_off_by(31_000).with_limits();
    login(&later.anonymous(), "ada", PASSWORD).await.expect(200);
    let actor = world.stranger(&ada.actor.id);
    for _ in 0..10 {
        let body = json!({"password": "wrong password"});
        actor.json("DELETE", ME, &body).await.refused(401, "not_authenticated");
    }
    let change = json!({"current_password": PASSWORD, "new_password": "another one"});
    actor.post(CHANGE, &change).await.refused(429, "rate_limited");
}

#[tokio::test]
async fn wrong_passwords_do_not_lock_the_owner_out() {
    let world = World::new().await;
    let world = world.with_clock_at(world.app.store.now().millis()).with_limits();
    world.registered("ada").await;
    let from = |n: usize| world.anonymous().calling_from(&format!("192.0.2.{n}"));
    // Right logins are no failures.
    for _ in 0..25 {
        login(&from(200), "ada", PASSWORD).await.expect(200);
    }
    for n in 0..110 {
        login(&from(n / 10), "ada", "wrong password").await;
    }
    assert_limited(&login(&from(100), "ada", PASSWORD).await);
    login(&from(200), "ada", PASSWORD).await.expect(200);
    // Nor do those from the owner's own address.
    for _ in 0..15 {
        login(&from(200), "ada", "wrong password").await.refused(401, "not_authenticated");
    }
    login(&from(200), "ada", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn registrations_and_logins_are_limited_by_address() {
    let world = World::new().await;
    let world = world.with_clock_at(world.app.store.now().millis()).with_limits();
    let from = world.anonymous().calling_from("2001:db8:1:2::1");
    let tries = (0..12).map(|n| {
        let (from, new) = (&from, account(&format!("u{n}"), &format!("u{n}@x")));
        async move { from.post(REGISTER, &new).await }
    });
    let statuses: Vec<u16> = join_all(tries).await.into_iter().map(|answer: Answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 10, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 2, "{statuses:?}");
    // The same network and a header that anyone can set do not help; another network has its own limit.
    let neighbour = world.anonymous().calling_from("2001:db8:1:2:3:4:5:6");
    neighbour.post(REGISTER, &account("v", "v@x")).await.refused(429, "rate_limited");
    let headers = [("content-type", "application/json"), ("x-forwarded-for", "198.51.100.7")];
    let spoofed = from.call("POST", REGISTER, &headers, account("v", "v@x").to_string()).await;
    spoofed.refused(429, "rate_limited");
    let other_network = world.anonymous().calling_from("2001:db8:1:3::1");
    other_network.post(REGISTER, &account("v", "v@x")).await.expect(201);

    let from = world.anonymous().calling_from("198.51.100.7");
    let mut refused = 0;
    for n in 0..60 {
        let answer = login(&from, &format!("nobody{n}"), "wrong password").await;
        if answer.status == 429 {
            answer.refused(429, "rate_limited");
            refused += 1;
        }
    }
    assert!(refused > 0, "an address can try any number of names");
    login(&other_network, "v", PASSWORD).await.expect(200);
}

/// Registers over a connection from an address of this machine, and returns the status.
async fn register_over_tcp(live: &Live, from: &str, username: &str) -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    let mut stream = socket.connect(live.stack.address).await.unwrap();
    let body = account(username, &format!("{username}@x")).to_string();
    let head = format!(
        "POST {REGISTER} HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 192.0.2.{}\r\ncontent-type: application/json\r\n",
        username.len()
    );
    let length = body.len();
    let request = format!("{head}connection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn limits_apply_to_the_address_of_the_connection() {
    let live = Live::start().await;
    for n in 1..=10 {
        assert_eq!(register_over_tcp(&live, "127.0.0.2", &"a".repeat(n)).await, "201");
    }
    assert_eq!(register_over_tcp(&live, "127.0.0.2", &"a".repeat(11)).await, "429");
    assert_eq!(register_over_tcp(&live, "127.0.0.3", &"a".repeat(11)).await, "201");
    live.stack.stop().await;
}

#[tokio::test]
async fn refreshes_of_a_session_are_limited() {
    let world = World::new().await;
    let ada = world.registered("ada").await;
    let world = world.with_limits();
    let mut token = ada.refresh_token;
    for _ in 0..10 {
        token = token_of(&refresh(&world, &token).await.expect(200));
    }
    refresh(&world, &token).await.refused(429, "rate_limited");
    // The session has not ended.
    let later = world.with_clock_off_by(11_000).with_limits();
    refresh(&later, &token).await.expect(200);
}

#[tokio::test]
async fn registration_can_be_switched_off() {
    let world = World::new().await;
    world.registered("ada").await;
    let closed = world.with_app(|app| app.registration = false);
    closed.anonymous().post(REGISTER, &account("eve", "eve@x")).await.refused(404, "not_found");
    closed.anonymous().call("POST", REGISTER, &[], "").await.refused(404, "not_found");
    login(&closed.anonymous(), "ada", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn our_tokens_have_the_configured_issuer_and_audience() {
    let world = World::new().await;
    let (issuer, audience) = (Some("https://chat.example"), Some("chat"));
    let strict = world.trusting(|settings| {
        settings.jwt_issuer = issuer.map(str::to_owned);
        settings.jwt_audience = audience.map(str::to_owned);
    });
    let strict = strict.with_app(|app| {
        let signer = edge::auth::Signer::hs256(harness::SECRET.as_bytes(), issuer, audience);
        app.signer = Some(std::sync::Arc::new(signer));
    });
    let ada = strict.registered("ada").await;
    ada.actor.get(ME).await.expect(200);
    strict.stranger("bob").get(ME).await.refused(401, "not_authenticated");
}

#[tokio::test]
async fn logging_in_has_this_cost() {
    let world = World::new().await;
    world.registered("ada").await;
    let cost =
        |answer: &Answer| ["calls", "depth", "rcu", "wcu"].map(|figure| answer.cost(figure).to_string());
    let anonymous = world.anonymous();
    let logged_in = login(&anonymous, "ada", PASSWORD).await.expect(200);
    assert_eq!(cost(&logged_in), ["3", "3", "3", "4"]);
    assert_eq!(cost(&refresh(&world, &token_of(&logged_in)).await.expect(200)), ["2", "2", "3", "4"]);
    let limited = world.with_limits().anonymous();
    assert_eq!(cost(&login(&limited, "ada", PASSWORD).await.expect(200)), ["5", "3", "3", "16"]);
}

async fn register(world: &World, username: &str, email: &str) -> Answer {
    world.anonymous().post(REGISTER, &account(username, email)).await
}

#[tokio::test]
async fn names_that_look_like_a_taken_one_are_taken() {
    let world = World::new().await;
    register(&world, "alice1", "mail@x.example").await.expect(201);
    register(&world, "AIma", "second@x.example").await.expect(201);
    // Cyrillic letters, digits and capitals that look like another letter, letters that look like two.
    for username in ["\u{430}lice1", "\u{410}LICE1", "alicel", "AliceI", "Alma", "alma", "alrna"] {
        register(&world, username, "new@x.example").await.refused(409, "already_exists");
    }
    for email in ["m\u{430}il@x.example", "rnail@x.example", "mail@x.exarnple"] {
        register(&world, "newcomer", email).await.refused(409, "already_exists");
    }
    // Invisible characters are part of no name.
    for invisible in ["\u{3164}", "\u{200b}", "\u{34f}", "\u{fe0f}", "\u{ffa0}", "\u{ad}", "\u{202e}"] {
        let (username, email) = (format!("bob{invisible}"), format!("bob{invisible}@x.example"));
        register(&world, &username, "new@x.example").await.refused(400, "invalid_request");
        register(&world, invisible, "new@x.example").await.refused(400, "invalid_request");
        register(&world, "newcomer", &email).await.refused(400, "invalid_request");
    }
    register(&world, "alic\u{e9}1", "new@x.example").await.expect(201);
    // One signs in with the name itself, in any case, and not with one that looks like it.
    login(&world.anonymous(), "aiMA", PASSWORD).await.expect(200);
    for other in ["alma", "alrna", "rnail@x.example"] {
        login(&world.anonymous(), other, PASSWORD).await.refused(401, "not_authenticated");
    }
}

#[tokio::test]
async fn what_a_name_looks_like_is_free_again_after_the_account() {
    let world = World::new().await;
    let mary = world.registered("mary").await.actor;
    register(&world, "rnary", "new@x.example").await.refused(409, "already_exists");
    let body = json!({"password": PASSWORD}).to_string();
    mary.call("DELETE", ME, &[("content-type", "application/json")], body).await.expect(200);
    register(&world, "rnary", "new@x.example").await.expect(201);
}

#[tokio::test]
async fn accounts_older_than_reserved_forms_can_sign_in_and_leave() {
    let world = World::new().await;
    let mary = world.registered("mary").await.actor;
    let key = |name: &str| {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        [("pk".to_owned(), text(&format!("N#{name}"))), ("sk".to_owned(), text("GUARD"))].into()
    };
    for look in ["username#rnary", "email#rnary@exarnple.corn"] {
        let delete = world.database().delete_item().table_name(TABLE).set_key(Some(key(look)));
        let old = delete.return_values(ReturnValue::AllOld).send().await.unwrap();
        assert!(old.attributes.is_some(), "{look}");
    }
    world.registered("rnary").await;
    world.login("mary", PASSWORD).await;
    let body = json!({"password": PASSWORD}).to_string();
    mary.call("DELETE", ME, &[("content-type", "application/json")], body).await.expect(200);
    login(&world.anonymous(), "mary", PASSWORD).await.refused(401, "not_authenticated");
    world.login("rnary", PASSWORD).await;
}
