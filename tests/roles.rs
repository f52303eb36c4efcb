//! Whether a function's role in AWS lets it do what it seldom does. Every call of every test is compared with the roles
//! (`harness/roles.rs`); here are those that no other test makes, and what the comparison itself rests on.

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

/// What a role allows to Lambda itself, which writes logs, reads the stream and keeps what was given up (AWS Lambda
/// Developer Guide, "Process DynamoDB records with Lambda").
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
/// So often something is done until all of its pushes have come through: they may take too long and be dropped.
const ATTEMPTS: u32 = 20;

#[test]
fn lambda_may_do_what_it_does_for_each_function_and_no_more() {
    for function in functions().iter().map(|function| resource(function)) {
        let its = allowed().into_iter().filter(|allowed| allowed.function == function);
        let its = its.map(|Permission { action, on, .. }| (action, on));
        let found: BTreeSet<_> =
            its.filter(|(action, on)| FOR_LAMBDA.contains(&(action.as_str(), on.as_str()))).collect();
        // Only the stream's functions have more than their logs.
        let count = if functions::STREAM.map(resource).contains(&function) { 7 } else { 2 };
        let wanted = FOR_LAMBDA[..count].iter().map(|(action, on)| ((*action).to_owned(), (*on).to_owned()));
        assert_eq!(found, wanted.collect(), "{function}");
    }
}

/// Does something in the name of a function.
async fn as_function(name: &'static str, act: impl Future) {
    let act = async {
        meter::serve_as(name);
        act.await;
    };
    Meter::default().watch(act).await;
}

#[tokio::test]
#[should_panic(expected = "infra/template.yaml: Nobody may not dynamodb:GetItem on !GetAtt Table.Arn")]
async fn what_no_role_allows_fails() {
    let world = World::new().await;
    as_function(NOBODY, world.app.store.warm_up()).await;
}

#[tokio::test]
async fn a_function_looks_at_the_table_when_it_starts() {
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

/// Does something until it has forgotten a socket of a user, which is gone. `prepare` comes before there is that socket.
async fn forgets<P>(world: &World, user: &str, prepare: impl AsyncFn(u32) -> P, act: impl AsyncFn(P)) {
    let user = user.parse().unwrap();
    // One that has just been opened would not be forgotten.
    let opened = world.with_clock_off_by(-60_000);
    for attempt in 0..ATTEMPTS {
        let prepared = prepare(attempt).await;
        opened.app.store.add_socket(&user, "gone", days_from_now(1)).await.unwrap();
        act(prepared).await;
        if world.app.store.sockets(&user).await.unwrap().is_empty() {
            return;
        }
    }
    panic!("{user}'s socket is still there");
}

#[tokio::test]
async fn functions_of_messages_forget_sockets_that_are_gone() {
    let world = World::new().await.whose_sockets_are_gone();
    let (alice, bob) = world.two().await;
    let first = alice.send("bob", "hello").await.expect(201);
    let conversation = first.conversation();
    let sent = async |_| alice.send("bob", "hello").await.expect(201).id();
    forgets(&world, "bob", async |_| (), async |()| drop(alice.send("bob", "hello").await.expect(201))).await;
    forgets(&world, "bob", sent, async |id| drop(alice.edit(&id, "hello!").await.expect(200))).await;
    forgets(&world, "bob", sent, async |id| drop(alice.unsend(&id).await.expect(200))).await;
    forgets(&world, "alice", sent, async |id| drop(bob.mark(&id).await.expect(200))).await;
    forgets(&world, "alice", sent, async |_| {
        drop(bob.get("/api/messages/conversation/alice").await.expect(200));
    })
    .await;
    let typing = json!({"conversation_id": conversation, "is_typing": true});
    let types = async |()| drop(alice.post("/api/typing", &typing).await.expect(200));
    forgets(&world, "bob", async |_| (), types).await;
}

#[tokio::test]
async fn functions_of_people_forget_sockets_that_are_gone() {
    let world = World::new().await.whose_sockets_are_gone();
    let (alice, bob) = world.two().await;
    alice.send("bob", "hello").await.expect(201);
    let status = async |n| json!({"status": if n % 2 == 0 { "away" } else { "online" }});
    let shows = async |status| drop(alice.json("PUT", "/api/presence", &status).await.expect(200));
    forgets(&world, "bob", status, shows).await;
    forgets(&world, "bob", async |_| (), async |()| drop(alice.group("Trip", &["bob"]).await)).await;
    let room = async |n| alice.room(&format!("Room {n}")).await;
    forgets(&world, "alice", room, async |room| drop(bob.join(&room).await.expect(200))).await;
    // Whoever deletes their account leaves their groups.
    let account = async |n| {
        let carol = world.registered(&format!("carol{n}")).await.actor;
        alice.group("Trip", &["bob", &carol.id]).await;
        carol
    };
    let password = json!({"password": harness::PASSWORD});
    let deletes = async |carol: harness::Actor| {
        drop(carol.json("DELETE", "/api/users/me", &password).await.expect(200));
    };
    forgets(&world, "bob", account, deletes).await;
}

#[tokio::test]
async fn functions_of_sockets_forget_sockets_that_are_gone() {
    let world = World::new().await.whose_sockets_are_gone();
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
    // With what is answered to, which is looked at in the same transaction.
    let frame = json!({"action": "send", "recipient_id": "bob", "message_text": "hi", "reply_to": id});
    let mut said = event.clone();
    said.body = Some(frame.to_string());
    let functions = socket_functions(&world.app);
    let is_there = async |_| drop((functions.connect)(event.clone()).await.unwrap());
    forgets(&world, "bob", async |_| (), async |()| drop((functions.connect)(event.clone()).await.unwrap()))
        .await;
    forgets(&world, "bob", async |_| (), async |()| drop((functions.message)(said.clone()).await.unwrap()))
        .await;
    let leaves = async |()| drop((functions.disconnect)(event.clone()).await.unwrap());
    forgets(&world, "bob", is_there, leaves).await;
}

#[tokio::test]
async fn the_fan_out_forgets_sockets_that_are_gone() {
    let world = World::new().await.whose_sockets_are_gone();
    let (crowd, group) = world.group_of(26).await;
    world.fan_out(&group).await;
    let said = async |_| drop(crowd[0].say(&group, "hello").await.expect(201));
    let key = json!({"pk": {"S": format!("C#{group}")}, "sk": {"S": format!("{}1", store::LOG)}});
    let event = json!({"Records": [{
        "eventID": "1", "eventName": "INSERT", "awsRegion": "us-east-1",
        "dynamodb": {"ApproximateCreationDateTime": 0, "SequenceNumber": "1", "SizeBytes": 0, "Keys": key},
    }]});
    let wakes = async |()| {
        let answer = stream_function(&world.app)(serde_json::from_value(event.clone()).unwrap()).await;
        assert!(answer.unwrap().batch_item_failures.is_empty());
    };
    forgets(&world, &crowd[1].id, said, wakes).await;
}

/// What is called and not allowed fails where it is called, unless that is where nobody looks; what is allowed and not
/// called is found only here.
#[test]
#[ignore = "needs the calls of all other tests: `make test` runs it after them"]
fn each_permission_is_used() {
    let for_lambda =
        |allowed: &Permission| FOR_LAMBDA.contains(&(allowed.action.as_str(), allowed.on.as_str()));
    let allowed: BTreeSet<_> = allowed().into_iter().filter(|allowed| !for_lambda(allowed)).collect();
    let called: BTreeSet<_> = called().into_iter().filter(|call| call.function != NOBODY).collect();
    let superfluous: Vec<_> = allowed.difference(&called).collect();
    assert!(superfluous.is_empty(), "infra/template.yaml allows what no test has seen: {superfluous:#?}");
    let missing: Vec<_> = called.difference(&allowed).collect();
    assert!(missing.is_empty(), "infra/template.yaml does not allow: {missing:#?}");
}
