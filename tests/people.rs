//! Users: profiles, how profile changes reach others, and the user search.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use harness::{Actor, TABLE, World};
use serde_json::{Value, json};

const ME: &str = "/api/users/me";

/// Creates a user with this full name.
async fn named(world: &World, id: &str, name: &str) -> Actor {
    let actor = world.user(id).await;
    actor.patch(ME, &json!({"full_name": name})).await.expect(200);
    actor
}

/// Returns the ids that a search finds, in its order.
async fn found(actor: &Actor, query: &str) -> Vec<String> {
    let query = query.bytes().fold(String::new(), |query, byte| query + &format!("%{byte:02x}"));
    let pages = actor.pages(&format!("/api/users?q={query}")).await;
    pages.concat().iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn others_see_a_profile_without_its_email_address() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    let seen = alice.get("/api/users/bob").await.expect(200);
    let mut fields: Vec<_> = seen.data().as_object().unwrap().keys().cloned().collect();
    fields.sort();
    assert_eq!(fields, ["avatar_url", "created_at", "custom", "full_name", "id", "username"]);
    assert_eq!((&seen.data()["id"], &seen.data()["full_name"]), (&json!("bob"), &json!("Bob")));
    alice.get("/api/users/nobody").await.refused(404, "not_found");
    alice.get("/api/users/no%20body").await.refused(400, "invalid_request");
    world.anonymous().get("/api/users/bob").await.refused(401, "not_authenticated");
}

#[tokio::test]
async fn a_change_affects_only_the_given_fields() {
    let world = World::new().await;
    let ada = world.registered("ada").await.actor;
    let picture = "https://a.example/ada.png";
    let shown = |answer: &harness::Answer| {
        [&answer.data()["full_name"], &answer.data()["avatar_url"], &answer.data()["username"]]
            .map(Clone::clone)
    };
    let answer = ada.patch(ME, &json!({"avatar_url": picture})).await.expect(200);
    assert_eq!(shown(&answer), [json!("ada Example"), json!(picture), json!("ada")]);
    let answer = ada.patch(ME, &json!({"full_name": "Ada"})).await.expect(200);
    assert_eq!(shown(&answer), [json!("Ada"), json!(picture), json!("ada")]);
    let answer = ada.patch(ME, &json!({})).await.expect(200);
    assert_eq!(shown(&answer), [json!("Ada"), json!(picture), json!("ada")]);
    let answer = ada.patch(ME, &json!({"avatar_url": null})).await.expect(200);
    assert_eq!(shown(&answer), [json!("Ada"), Value::Null, json!("ada")]);
    assert_eq!(ada.get(ME).await.data(), answer.data());
    for (field, bad) in [
        ("full_name", json!("")),
        ("full_name", Value::Null),
        ("full_name", json!("x".repeat(101))),
        ("avatar_url", json!("cat.png")),
        ("avatar_url", json!("javascript:alert(1)")),
        ("avatar_url", json!(format!("https://a.example/{}", "x".repeat(500)))),
        ("username", json!("other")),
        ("email", json!("a@b")),
    ] {
        let answer = ada.patch(ME, &json!({field: bad})).await;
        answer.refused(400, "invalid_request");
        assert_eq!(answer.json["errors"][0]["field"], field);
    }
    world.stranger("new").patch(ME, &json!({"full_name": "Newcomer"})).await.expect(200);
    assert_eq!(ada.get("/api/users/new").await.expect(200).data()["full_name"], "Newcomer");
}

#[tokio::test]
async fn custom_data_of_a_user_comes_back_as_it_was() {
    let world = World::new().await;
    let (ada, bob) = (world.registered("ada").await.actor, world.user("bob").await);
    ada.send("bob", "hello").await.expect(201);
    let custom = json!({"pronouns": "she", "score": 0.1, "deep": {"list": [1, null]}});
    let before = bob.row(&ada.id).await;
    let answer = ada.patch(ME, &json!({"custom": custom})).await.expect(200);
    assert_eq!(answer.data()["custom"], custom);
    assert_eq!(bob.get(&format!("/api/users/{}", ada.id)).await.expect(200).data()["custom"], custom);
    assert_eq!(bob.get("/api/users?q=ada").await.expect(200).list()[0]["custom"], custom);
    assert_eq!(bob.row(&ada.id).await, before);
    ada.patch(ME, &json!({"full_name": "Ada"})).await.expect(200);
    assert_eq!(ada.get(ME).await.expect(200).data()["custom"], custom);
    for wrong in [json!([]), json!("text"), json!({"text": "x".repeat(1_024)})] {
        ada.patch(ME, &json!({"custom": wrong})).await.refused(400, "invalid_request");
    }
    let answer = ada.patch(ME, &json!({"custom": null})).await.expect(200);
    assert_eq!(answer.data()["custom"], Value::Null);
}

#[tokio::test]
async fn profile_changes_are_limited() {
    let world = World::new().await.with_limits();
    let ada = world.user("ada").await;
    for n in 0..20 {
        ada.patch(ME, &json!({"full_name": format!("Ada {n}")})).await.expect(200);
    }
    ada.patch(ME, &json!({"full_name": "Ada"})).await.refused(429, "rate_limited");
}

#[tokio::test]
async fn a_new_name_reaches_the_inboxes_of_others() {
    let world = World::new().await;
    let (bob, carol) = (world.user("bob").await, world.user("carol").await);
    let ada = world.registered("ada").await.actor;
    ada.send("bob", "hello").await.expect(201);
    carol.block(&ada.id).await.expect(200);
    for n in 0..3 {
        let name = format!("Ada {n}");
        world.wire.lose_answers(1);
        ada.patch(ME, &json!({"full_name": name})).await.expect(200);
        assert_eq!(bob.row(&ada.id).await.unwrap()["other_user_name"], name);
        assert_eq!(carol.get("/api/messages/blocked-users").await.list()[0]["name"], name);
    }
    let picture = "https://a.example/ada.png";
    ada.patch(ME, &json!({"avatar_url": picture})).await.expect(200);
    assert_eq!(bob.row(&ada.id).await.unwrap()["photo_url"], picture);
    ada.patch(ME, &json!({"avatar_url": null})).await.expect(200);
    assert_eq!(bob.row(&ada.id).await.unwrap()["photo_url"], Value::Null);
}

/// Creates `count` users with the ids `peer-N`.
async fn peers(world: &World, count: usize) -> Vec<Actor> {
    let ids: Vec<_> = (0..count).map(|n| format!("peer-{n}")).collect();
    join_all(ids.iter().map(|id| world.user(id))).await
}

/// Asserts that all peers see the profile's name.
async fn assert_peers_see_the_name(ada: &Actor, peers: &[Actor]) {
    let name = ada.get(ME).await.expect(200).data()["full_name"].clone();
    for peer in peers {
        assert_eq!(peer.row(&ada.id).await.unwrap()["other_user_name"], name);
    }
    assert_eq!(found(&peers[0], name.as_str().unwrap()).await, [ada.id.as_str()]);
}

#[tokio::test]
async fn concurrent_changes_end_with_the_same_name_everywhere() {
    let world = World::new().await;
    let ada = world.registered("ada").await.actor;
    let peers = peers(&world, 6).await;
    for peer in &peers {
        peer.send(&ada.id, "hello").await.expect(201);
    }
    world.wire.delay_commits(Duration::from_millis(20), 5);
    for round in 0..3 {
        let names: Vec<_> = (0..4).map(|n| json!({"full_name": format!("Ada {round}{n}")})).collect();
        for answer in join_all(names.iter().map(|name| ada.patch(ME, name))).await {
            answer.expect(200);
        }
        assert_peers_see_the_name(&ada, &peers).await;
    }
}

#[tokio::test]
async fn a_row_created_during_a_name_change_shows_the_new_name() {
    let world = World::new().await;
    let ada = world.registered("ada").await.actor;
    let peers = peers(&world, 16).await;
    world.wire.delay_commits(Duration::from_millis(20), 5);
    // Ada sends to half of the peers, and the others send to her. Both create rows.
    let change = json!({"full_name": "Countess"});
    let rows = peers.iter().enumerate().map(|(n, peer)| {
        let ada = &ada;
        async move {
            match n % 2 {
                0 => peer.send(&ada.id, "hello").await.expect(201),
                _ => ada.send(&peer.id, "hello").await.expect(201),
            }
        }
    });
    let (changed, _) = tokio::join!(ada.patch(ME, &change), join_all(rows));
    changed.expect(200);
    assert_peers_see_the_name(&ada, &peers).await;
}

#[tokio::test]
async fn the_next_read_completes_an_interrupted_change() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let ada = world.registered("ada").await.actor;
    ada.send("bob", "hello").await.expect(201);
    world.wire.away_after(1);
    ada.patch(ME, &json!({"full_name": "Ada"})).await.refused(503, "unavailable");
    world.wire.heal();
    assert_eq!(bob.row(&ada.id).await.unwrap()["other_user_name"], "ada Example");
    ada.get(ME).await.expect(200);
    assert_eq!(bob.row(&ada.id).await.unwrap()["other_user_name"], "Ada");
}

#[tokio::test]
async fn users_are_found_by_the_start_of_any_name() {
    let world = World::new().await;
    let ada = world.registered("countess_ada").await.actor;
    ada.patch(ME, &json!({"full_name": "Ada Löve-Lace"})).await.expect(200);
    let zoe = named(&world, "zoe", "Zoë VAN Dijk").await;
    let tokyo = named(&world, "tokyo", "東京 太郎").await;
    let gross = named(&world, "gross", "Jürgen Großmann").await;
    for (query, expected) in [
        ("count", vec![&ada]),
        ("COUNTESS_A", vec![&ada]),
        ("@countess", vec![&ada]),
        ("love", vec![&ada]),
        ("LÖVE-L", vec![&ada]),
        ("lace ada", vec![&ada]),
        ("zoe", vec![&zoe]),
        ("zo\u{308}e", vec![&zoe]),
        ("van  ZOË", vec![&zoe]),
        ("東", vec![&tokyo]),
        ("太郎", vec![&tokyo]),
        ("GROSSM", vec![&gross]),
        ("jurgen gros", vec![&gross]),
        ("京", vec![]),
        ("ess", vec![]),
        ("zoe ada", vec![]),
        ("example.com", vec![]),
    ] {
        let ids: Vec<_> = expected.iter().map(|actor| actor.id.clone()).collect();
        assert_eq!(found(&zoe, query).await, ids, "{query}");
    }
    for bad in ["", "?q=", "?q=%20", "?q=%23", "?q=a&limit=0", "?q=a&limit=101", "?q=a&cursor=x"] {
        zoe.get(&format!("/api/users{bad}")).await.refused(400, "invalid_request");
    }
    let long = "a".repeat(201);
    zoe.get(&format!("/api/users?q={long}")).await.refused(400, "invalid_request");
    world.anonymous().get("/api/users?q=ada").await.refused(401, "not_authenticated");
    // The words of the old name are no longer found.
    zoe.patch(ME, &json!({"full_name": "Chloë"})).await.expect(200);
    assert!(found(&ada, "dijk").await.is_empty());
    assert_eq!(found(&ada, "chloe").await, ["zoe"]);
    let shown = ada.get("/api/users?q=countess").await;
    assert_eq!(
        shown.list()[0],
        world.user("bob").await.get(&format!("/api/users/{}", ada.id)).await.data().clone()
    );
}

#[tokio::test]
async fn pages_repeat_no_user_and_cursors_are_valid_only_for_their_list() {
    let world = World::new().await;
    let hub = world.user("hub").await;
    // Two words of each name match the query.
    join_all((0..23).map(|n| {
        let world = world.clone();
        async move { drop(named(&world, &format!("u{n}"), &format!("Ann{n} Anna{n} Berg")).await) }
    }))
    .await;
    for path in ["/api/users?q=ann&limit=5", "/api/users?q=ann%20berg&limit=5"] {
        let pages = hub.pages(path).await;
        assert!(pages.iter().all(|page| page.len() <= 5));
        let mut ids: Vec<_> = pages.concat().iter().map(|user| user["id"].clone().to_string()).collect();
        assert_eq!(ids.len(), 23);
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 23);
        assert_eq!(hub.pages(path).await, pages, "the order is stable");
    }
    let first = hub.get("/api/users?q=ann&limit=5").await.expect(200);
    let cursor = first.json["next_cursor"].as_str().unwrap();
    hub.get(&format!("/api/users?q=berg&cursor={cursor}")).await.refused(400, "invalid_request");
    let other = world.user("other").await;
    other.get(&format!("/api/users?q=ann&cursor={cursor}")).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn users_created_by_a_message_or_a_block_are_found() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    world.stranger("sender").send("bob", "hello").await.expect(201);
    world.stranger("blocker").block("bob").await.expect(200);
    assert_eq!(found(&bob, "send").await, ["sender"]);
    assert_eq!(found(&bob, "block").await, ["blocker"]);
}

#[tokio::test]
async fn the_directory_can_be_switched_off() {
    let world = World::new().await;
    world.user("bob").await;
    let closed = world.with_app(|app| app.directory = false);
    closed.stranger("bob").get("/api/users?q=bob").await.refused(404, "not_found");
    closed.anonymous().get("/api/users").await.refused(404, "not_found");
    closed.stranger("bob").get("/api/users/bob").await.expect(200);
}

#[tokio::test]
async fn the_cost_of_a_search_does_not_depend_on_the_number_of_users() {
    let mut costs = Vec::new();
    for people in [50, 3_000] {
        let world = World::new().await;
        let hub = world.user("hub").await;
        for some in (0..people).collect::<Vec<_>>().chunks(50) {
            join_all(some.iter().map(|n| {
                let world = world.clone();
                async move { drop(world.user(&format!("person-{n:04}")).await) }
            }))
            .await;
        }
        let before = world.wire.calls().len();
        let answer = hub.get("/api/users?q=pers&limit=20").await.expect(200);
        assert_eq!(answer.list().len(), 20);
        costs.push(["calls", "depth", "rcu", "wcu"].map(|figure| answer.cost(figure).to_string()));
        assert_eq!(world.wire.calls()[before..], ["Query"]);
        assert!(!world.wire.calls().contains(&"Scan".to_owned()));
    }
    assert_eq!(costs[0], costs[1]);
}

/// Returns how many transactions a call makes.
async fn transactions(world: &World, call: impl Future<Output = harness::Answer>) -> usize {
    let before = world.wire.calls().len();
    call.await.expect(200);
    world.wire.calls()[before..].iter().filter(|call| *call == "TransactWriteItems").count()
}

#[tokio::test]
async fn copying_a_name_to_many_goes_on_where_it_stopped() {
    let world = World::new().await;
    let star = world.registered("star").await.actor;
    let crowd = world.crowd(150).await;
    let open = json!({"type": "direct", "participant_ids": [star.id]});
    for actor in &crowd {
        actor.post("/api/conversations", &open).await.expect(201);
    }
    let name = async |actor: &Actor| actor.row(&star.id).await.unwrap()["other_user_name"].clone();

    // One transaction changes the profile, 49 reach peers.
    world.wire.away_after(50);
    star.patch(ME, &json!({"full_name": "Nova"})).await.refused(503, "unavailable");
    world.wire.heal();
    let first = transactions(&world, star.get(ME)).await;
    assert!((80..=100).contains(&first), "a call waits for a bounded part: {first}");
    let second = transactions(&world, star.get(ME)).await;
    assert!(first + second <= 111, "{second} more");
    assert_eq!(transactions(&world, star.get(ME)).await, 0);
    for actor in &crowd {
        assert_eq!(name(actor).await, "Nova");
    }

    // The fan-out completes what the call leaves, again from where it stopped.
    assert_eq!(transactions(&world, star.patch(ME, &json!({"full_name": "Sun"}))).await, 101);
    let items = world.items().await;
    let handover =
        items.iter().rfind(|item| item["sk"]["S"].as_str().unwrap().starts_with("L#PROFILE")).unwrap();
    let event = || harness::stream_event(&format!("U#{}", star.id), handover["sk"]["S"].as_str().unwrap());
    let wake = async || fan_out::handle(world.app.clone(), event()).await.unwrap().batch_item_failures.len();
    world.wire.away_after(20);
    assert_eq!(wake().await, 1);
    world.wire.heal();
    assert_eq!((wake().await, wake().await), (0, 0));
    for actor in &crowd {
        assert_eq!(name(actor).await, "Sun");
    }

    // The deletion of the account waits for all of them.
    world.wire.away_after(50);
    let password = json!({"password": harness::PASSWORD});
    star.json("DELETE", ME, &password).await.refused(503, "unavailable");
    world.wire.heal();
    let rest = transactions(&world, star.json("DELETE", ME, &password)).await;
    assert!(rest <= 115, "{rest}");
    for actor in &crowd {
        assert_eq!(name(actor).await, "Deleted user");
    }
}

#[tokio::test]
async fn names_of_nothing_are_refused() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    for bad in [" ", "\t", "\u{200b}", "\u{3164}", "\u{2800}", "\u{202e}evil", "a\nb", "a\u{2066}b"] {
        alice.patch(ME, &json!({"full_name": bad})).await.refused(400, "invalid_request");
        let group = json!({"type": "group", "name": bad, "participant_ids": ["bob"]});
        alice.post("/api/conversations", &group).await.refused(400, "invalid_request");
    }
    for (sent, kept) in [(" Alice\u{3164}\r\n", "Alice"), ("Anna \u{2764}\u{fe0f}", "Anna \u{2764}\u{fe0f}")]
    {
        let answer = alice.patch(ME, &json!({"full_name": sent})).await.expect(200);
        assert_eq!(answer.data()["full_name"], kept);
    }
    let group = alice.group(" Lunch \u{200b}", &["bob"]).await;
    assert_eq!(alice.overview(&group).await["name"], "Lunch");
}

#[tokio::test]
async fn a_profile_from_before_the_rules_stays_readable() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    bob.send("alice", "hello").await.expect(201);
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let update = world.database().update_item().table_name(TABLE).key("pk", text("U#bob"));
    let update = update.key("sk", text("PROFILE")).update_expression("SET #name = :name");
    let update = update.expression_attribute_names("#name", "name");
    update.expression_attribute_values(":name", text("\u{202e}bob\n")).send().await.unwrap();
    bob.patch(ME, &json!({"full_name": "Bob"})).await.expect(200);
    assert_eq!(alice.get("/api/users/bob").await.expect(200).data()["full_name"], "Bob");
}

#[tokio::test]
async fn the_inbox_and_a_conversation_make_the_caller_known() {
    let world = World::new().await;
    let (alice, bob) = (world.stranger("alice"), world.stranger("bob"));
    let carol = world.user("carol").await;
    carol.send("alice", "hello?").await.refused(404, "not_found");
    alice.get("/api/messages/inbox").await.expect(200);
    bob.get("/api/messages/conversation/nobody").await.expect(200);
    for name in ["alice", "bob"] {
        carol.send(name, "hello").await.expect(201);
    }
    assert_eq!(alice.row("carol").await.unwrap()["other_user_name"], "Carol");
    // A user with a row is not looked up.
    let inbox = alice.get("/api/messages/inbox").await.expect(200);
    assert_eq!((inbox.cost("calls"), inbox.cost("wcu")), (2.0, 0.0));
}

#[tokio::test]
async fn every_row_has_a_name_of_the_other() {
    let world = World::new().await;
    let carol = world.user("carol").await;
    let id = "nameless".parse().unwrap();
    let token = edge::auth::sign(
        harness::SECRET.as_bytes(),
        &id,
        None,
        domain::time::Timestamp::from_millis(4_102_444_800_000),
    );
    let nameless = world.stranger("nameless").with_token(Some(&token.unwrap()));
    nameless.get("/api/users/me").await.expect(200);
    nameless.send("carol", "hello").await.expect(201);
    assert_eq!(carol.row("nameless").await.unwrap()["other_user_name"], "nameless");
    let group = carol.group("The group", &["nameless"]).await;
    assert_eq!(carol.row_of(&group).await.unwrap()["other_user_name"], "The group");
    for (kind, wanted) in [("group", vec!["The group"]), ("direct", vec!["nameless"]), ("room", vec![])] {
        let found = carol.get(&format!("/api/messages/inbox?type={kind}")).await.expect(200);
        let names: Vec<_> = found.list().iter().map(|row| row["other_user_name"].as_str().unwrap()).collect();
        assert_eq!(names, wanted);
    }
    carol.get("/api/messages/inbox?type=channel").await.refused(400, "invalid_request");
}
