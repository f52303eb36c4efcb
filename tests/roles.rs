//! The functions' roles in AWS. `harness/roles.rs` compares each call of each test with the roles. The tests here make
//! the rare calls that no other test makes, and test the comparison itself.

use std::collections::BTreeSet;

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use domain::caller::Caller;
use edge::auth;
use edge::socket::context_of;
use harness::World;
use harness::roles::{Permission, allowed, called, resource};
use local::gateway::{socket_functions, stream_function};
use local::secrets::days_from_now;
use observe::meter::{self, Meter};
use serde_json::json;

use crate::structure::functions;

/// The permissions of Lambda itself, which writes logs, reads the stream and keeps batches that failed for good (AWS
/// Lambda Developer Guide, "Process DynamoDB records with Lambda").
const FOR_LAMBDA: [(&str, &str); 7] = [
    ("logs:CreateLogStream", "!GetAtt Logs.Arn"),
    ("logs:PutLogEvents", "!GetAtt Logs.Arn"),
    ("dynamodb:DescribeStream", "!GetAtt Table.StreamArn"),
    ("dynamodb:GetRecords", "!GetAtt Table.StreamArn"),
    ("dynamodb:GetShardIterator", "!GetAtt Table.StreamArn"),
    ("dynamodb:ListStreams", "!Sub \"${Table.Arn}/stream/*\""),
    ("sqs:SendMessage", "!GetAtt FanOutFailures.Arn"),
];
/// A function that the template does not have.
const NOBODY: &str = "Nobody";
/// How often an action is repeated until its pushes get through: a push that misses its deadline is dropped.
const ATTEMPTS: u32 = 20;

#[test]
fn each_role_allows_what_lambda_itself_needs_and_no_more() {
    for function in functions().iter().map(|function| resource(function)) {
        let permissions = allowed().into_iter().filter(|allowed| allowed.function == function);
        let permissions = permissions.map(|Permission { action, on, .. }| (action, on));
        let found: BTreeSet<_> =
            permissions.filter(|(action, on)| FOR_LAMBDA.contains(&(action.as_str(), on.as_str()))).collect();
        // Only the stream's functions need more than their logs. Notifications that failed for good are not kept.
        let count = match function.as_str() {
            "FanOut" => 7,
            "Notify" => 6,
            _ => 2,
        };
        let wanted = FOR_LAMBDA[..count].iter().map(|(action, on)| ((*action).to_owned(), (*on).to_owned()));
        assert_eq!(found, wanted.collect(), "{function}");
    }
}

/// Runs `act` as if it were a function.
async fn as_function(name: &'static str, act: impl Future) {
    let act = async {
        meter::serve_as(name);
        act.await;
    };
    Meter::default().watch(act).await;
}

#[tokio::test]
#[should_panic(expected = "infra/template.yaml: Nobody may not dynamodb:GetItem on !GetAtt Table.Arn")]
async fn a_call_that_no_role_allows_fails() {
    let world = World::new().await;
    as_function(NOBODY, world.app.store.warm_up()).await;
}

#[tokio::test]
async fn each_function_may_warm_up_its_client() {
    let world = World::new().await;
    for function in functions() {
        as_function(function.leak(), world.app.store.warm_up()).await;
    }
}

#[tokio::test]
async fn a_new_name_in_a_token_replaces_the_old_one_in_the_directory() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let id = alice.id.parse().unwrap();
    let token = auth::sign(harness::SECRET.as_bytes(), &id, Some("Somebody Else"), days_from_now(1)).unwrap();
    let alice = alice.with_token(Some(&token));
    alice.get("/api/events").await.expect(200);
    assert_eq!(alice.get("/api/users?q=alice").await.list(), &[] as &[serde_json::Value]);
    assert_eq!(alice.get("/api/users?q=somebody").await.list().len(), 1);
}

/// Repeats `act` until it deletes a gone socket of a user. `prepare` runs before the socket is stored.
async fn deletes_gone_socket<P>(
    world: &World,
    user: &str,
    prepare: impl AsyncFn(u32) -> P,
    act: impl AsyncFn(P),
) {
    let user = user.parse().unwrap();
    // A socket that was just opened would not be deleted.
    let opened = world.with_clock_off_by(-60_000);
    for attempt in 0..ATTEMPTS {
        let prepared = prepare(attempt).await;
        opened.app.store.add_socket(&user, "gone", days_from_now(1), None).await.unwrap();
        act(prepared).await;
        if world.app.store.sockets(&user).await.unwrap().is_empty() {
            return;
        }
    }
    panic!("{user}'s socket is still stored");
}

#[tokio::test]
async fn functions_for_messages_delete_gone_sockets() {
    let world = World::new().await.with_gone_sockets();
    let (alice, bob) = world.two().await;
    let first = alice.send("bob", "hello").await.expect(201);
    let conversation = first.conversation();
    let sent = async |_| alice.send("bob", "hello").await.expect(201).id();
    deletes_gone_socket(
        &world,
        "bob",
        async |_| (),
        async |()| drop(alice.send("bob", "hello").await.expect(201)),
    )
    .await;
    deletes_gone_socket(&world, "bob", sent, async |id| drop(alice.edit(&id, "hello!").await.expect(200)))
        .await;
    deletes_gone_socket(&world, "bob", sent, async |id| drop(alice.unsend(&id).await.expect(200))).await;
    deletes_gone_socket(&world, "alice", sent, async |id| drop(bob.mark(&id).await.expect(200))).await;
    deletes_gone_socket(&world, "alice", sent, async |_| {
        drop(bob.get("/api/messages/conversation/alice").await.expect(200));
    })
    .await;
    let typing = json!({"conversation_id": conversation, "is_typing": true});
    let set_typing = async |()| drop(alice.post("/api/typing", &typing).await.expect(200));
    deletes_gone_socket(&world, "bob", async |_| (), set_typing).await;
}

#[tokio::test]
async fn a_push_in_the_process_deletes_gone_sockets() {
    let world = World::new().await.with_gone_sockets_in_process();
    let (alice, _) = world.two().await;
    let send = async |()| drop(alice.send("bob", "hello").await.expect(201));
    deletes_gone_socket(&world, "bob", async |_| (), send).await;
}

#[tokio::test]
async fn functions_for_users_delete_gone_sockets() {
    let world = World::new().await.with_gone_sockets();
    let (alice, bob) = world.two().await;
    alice.send("bob", "hello").await.expect(201);
    let status = async |n| json!({"status": if n % 2 == 0 { "away" } else { "online" }});
    let set_status = async |status| drop(alice.json("PUT", "/api/presence", &status).await.expect(200));
    deletes_gone_socket(&world, "bob", status, set_status).await;
    deletes_gone_socket(&world, "bob", async |_| (), async |()| drop(alice.group("Trip", &["bob"]).await))
        .await;
    let room = async |n| alice.room(&format!("Room {n}")).await;
    deletes_gone_socket(&world, "alice", room, async |room| drop(bob.join(&room).await.expect(200))).await;
    // Deleting an account leaves its groups.
    let account = async |n| {
        let carol = world.registered(&format!("carol{n}")).await.actor;
        alice.group("Trip", &["bob", &carol.id]).await;
        carol
    };
    let password = json!({"password": harness::PASSWORD});
    let delete_account = async |carol: harness::Actor| {
        drop(carol.json("DELETE", "/api/users/me", &password).await.expect(200));
    };
    deletes_gone_socket(&world, "bob", account, delete_account).await;
}

#[tokio::test]
async fn functions_for_sockets_delete_gone_sockets() {
    let world = World::new().await.with_gone_sockets();
    let (alice, _) = world.two().await;
    let id = alice.send("bob", "hello").await.expect(201).id();
    let caller = Caller {
        user: alice.id.parse().unwrap(),
        name: None,
        picture: None,
        expires: days_from_now(1),
        session: None,
    };
    let mut event = ApiGatewayWebsocketProxyRequest::default();
    event.request_context.connection_id = Some("hers".to_owned());
    event.request_context.authorizer.fields = serde_json::from_value(context_of(&caller).unwrap()).unwrap();
    // The frame is a reply: the same transaction checks the message that it replies to.
    let frame = json!({"action": "send", "recipient_id": "bob", "message_text": "hi", "reply_to": id});
    let mut message = event.clone();
    message.body = Some(frame.to_string());
    let functions = socket_functions(&world.app);
    let connect = async |_| drop((functions.connect)(event.clone()).await.unwrap());
    deletes_gone_socket(
        &world,
        "bob",
        async |_| (),
        async |()| drop((functions.connect)(event.clone()).await.unwrap()),
    )
    .await;
    deletes_gone_socket(
        &world,
        "bob",
        async |_| (),
        async |()| drop((functions.message)(message.clone()).await.unwrap()),
    )
    .await;
    let disconnect = async |()| drop((functions.disconnect)(event.clone()).await.unwrap());
    deletes_gone_socket(&world, "bob", connect, disconnect).await;
}

#[tokio::test]
async fn the_fan_out_deletes_gone_sockets() {
    let world = World::new().await.with_gone_sockets();
    let (crowd, group) = world.group_of(26).await;
    world.fan_out(&group).await;
    let send = async |_| drop(crowd[0].say(&group, "hello").await.expect(201));
    let key = json!({"pk": {"S": format!("C#{group}")}, "sk": {"S": format!("{}1", store::LOG)}});
    let event = json!({"Records": [{
        "eventID": "1", "eventName": "INSERT", "awsRegion": "us-east-1",
        "dynamodb": {"ApproximateCreationDateTime": 0, "SequenceNumber": "1", "SizeBytes": 0, "Keys": key},
    }]});
    let invoke = async |()| {
        let answer = stream_function(&world.app)(serde_json::from_value(event.clone()).unwrap()).await;
        assert!(answer.unwrap().batch_item_failures.is_empty());
    };
    deletes_gone_socket(&world, &crowd[1].id, send, invoke).await;
}

/// A call that is not allowed usually fails its own test. Only this test finds permissions that no call uses.
#[test]
#[ignore = "needs the calls of all other tests: `make test` runs it after them"]
fn each_permission_is_used() {
    let for_lambda =
        |allowed: &Permission| FOR_LAMBDA.contains(&(allowed.action.as_str(), allowed.on.as_str()));
    let allowed: BTreeSet<_> = allowed().into_iter().filter(|allowed| !for_lambda(allowed)).collect();
    let called: BTreeSet<_> = called().into_iter().filter(|call| call.function != NOBODY).collect();
    let superfluous: Vec<_> = allowed.difference(&called).collect();
    assert!(superfluous.is_empty(), "infra/template.yaml allows calls that no test makes: {superfluous:#?}");
    let missing: Vec<_> = called.difference(&allowed).collect();
    assert!(missing.is_empty(), "infra/template.yaml does not allow: {missing:#?}");
}
