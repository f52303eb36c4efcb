//! The base of the tests: a [`World`] with a real SDK client, a real engine and a [`wire`] between them that can inject
//! faults, and [`Actor`]s who call the functions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails if it cannot continue"
)]
#![allow(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "only tests call it"
)]

mod actor;
pub mod binaries;
pub mod build;
pub mod documents;
pub mod live;
pub mod printed;
pub mod process;
pub mod roles;
pub mod storage;
pub mod sync;
pub mod wire;

pub use actor::{Actor, Answer, PASSWORD, Registered, SECRET};

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use axum::Router;
use domain::error::Error;
use domain::id::Clock;
use domain::time::Timestamp;
use edge::app::{App, Parts, Settings};
use edge::page::CursorKey;
use futures_util::future::join_all;
use local::engine::Engine;
use local::lambda::Lambda;
use local::stream::{FAN_OUT, Function, Mapping, NOTIFY, Tail, follow};
use local::websocket::{Api, Gateway, Limits};
use serde_json::{Value, json};
use store::{Task, table};
use wire::Wire;

pub use wire::TABLE;

/// The private key that identifies the worlds to push services: that of RFC 8291, appendix A.
const VAPID_KEY: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";

/// A machine that runs the functions, and the database behind it. Several machines can share a database.
#[derive(Clone)]
pub struct World {
    /// The machine's app.
    pub app: App,
    /// The connection to the database, which can inject faults.
    pub wire: Wire,
    /// Where the functions run, if not in this process.
    pub lambda: Option<Lambda>,
    service: Router,
}

impl World {
    /// Creates a world with an empty database and no faults.
    pub async fn new() -> Self {
        Self::on(Engine::in_memory().expect("an engine in memory")).await
    }

    /// Creates a world on an existing engine.
    pub async fn on(engine: Engine) -> Self {
        let wire = Wire::to(engine);
        let client = aws_sdk_dynamodb::Client::from_conf(config(&wire).build());
        table::create_if_missing(&client, TABLE).await.expect("the table");
        let lambda = binaries::lambda(&wire, &settings());
        Self::machine(wire, Clock::default(), lambda)
    }

    /// Returns another machine on the same database, with a clock that is off by `millis` milliseconds.
    pub fn with_clock_off_by(&self, millis: i64) -> Self {
        Self::machine(self.wire.clone(), Clock::off_by(millis), None)
    }

    fn machine(wire: Wire, clock: Clock, lambda: Option<Lambda>) -> Self {
        // Functions look for sockets to push to, but find none unless a test adds some.
        let pushes = aws_sdk_apigatewaymanagement::config::Builder::new()
            .behavior_version(aws_sdk_apigatewaymanagement::config::BehaviorVersion::latest())
            .endpoint_url("http://sockets.invalid")
            .interceptor(roles::call_recorder());
        let app = App::new(config(&wire), Some(pushes), None, settings(), clock);
        Self::with(app, wire, lambda)
    }

    /// Creates a world on an existing engine whose files are in this storage.
    pub async fn on_files(engine: Engine, files: &storage::Files) -> Self {
        Self::on(engine).await.with_storage(files, |_| {})
    }

    /// Returns the same machine with its files in a storage, and with changed settings.
    pub fn with_storage(&self, files: &storage::Files, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = files.settings(settings());
        change(&mut settings);
        let lambda = self.lambda.as_ref().map(|_| binaries::start(&self.wire, &settings, &[]));
        let world = self.with_storage_and_clock(settings, Clock::default());
        Self::with(world.app, world.wire, lambda)
    }

    /// Returns the same machine with its files in a storage, and with a clock that is off by `millis` milliseconds.
    pub fn with_storage_off_by(&self, files: &storage::Files, millis: i64) -> Self {
        self.with_storage_and_clock(files.settings(settings()), Clock::off_by(millis))
    }

    fn with_storage_and_clock(&self, settings: Settings, clock: Clock) -> Self {
        let pushes = aws_sdk_apigatewaymanagement::config::Builder::new()
            .behavior_version(aws_sdk_apigatewaymanagement::config::BehaviorVersion::latest())
            .endpoint_url("http://sockets.invalid")
            .interceptor(roles::call_recorder());
        let connector = Some(storage::Files::connector());
        let app = App::new(config(&self.wire), Some(pushes), connector, settings, clock);
        Self::with(app, self.wire.clone(), None)
    }

    /// Returns the same machine with its functions as processes, whatever the environment says.
    pub fn with_processes(&self) -> Self {
        let lambda = binaries::start(&self.wire, &settings(), &[]);
        Self::with(self.app.clone(), self.wire.clone(), Some(lambda))
    }

    /// Returns the same machine with its functions in `lambda`.
    pub fn with_lambda(&self, lambda: Lambda) -> Self {
        Self::with(self.app.clone(), self.wire.clone(), Some(lambda))
    }

    fn with(app: App, wire: Wire, lambda: Option<Lambda>) -> Self {
        let api =
            Api { id: String::new(), stage: String::new(), domain_name: String::new(), routes: Vec::new() };
        let sockets = Gateway::new(api, local::gateway::socket_functions(&app), Limits::default());
        let service = local::gateway::service(app.clone(), lambda.as_ref(), &sockets, &[], None);
        Self { app, wire, lambda, service }
    }

    /// Returns the same machine, whose polls wait `millis` milliseconds for late events.
    pub fn settling_after(&self, millis: i64) -> Self {
        self.with_app(|app| app.store = app.store.clone().settling_after(millis))
    }

    /// Returns the same machine with rate limits.
    pub fn with_limits(&self) -> Self {
        let app = self.app.with(|app| app.store = app.store.clone().limited(true));
        let settings = Settings { limited: true, ..settings() };
        self.with_settings(app, &settings)
    }

    /// Returns the same machine with changed settings for the verification of tokens, such as other issuers.
    pub fn trusting(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings();
        change(&mut settings);
        let verifier = Arc::new(settings.verifier(Clock::default()));
        self.with_app(|app| app.verifier = verifier)
    }

    /// Returns the same machine with other secrets for cursors: the first signs, and all of them verify.
    pub fn with_cursor_secrets(&self, secrets: &[&[u8]]) -> Self {
        let app = self.app.with(|app| app.cursors = Arc::new(CursorKey::derive(secrets)));
        let text = |secret: &&[u8]| std::str::from_utf8(secret).expect("a text").to_owned();
        let mut texts = secrets.iter().map(text);
        let secret = texts.next().expect("a secret");
        let settings = Settings { secret, previous_secret: texts.next(), ..settings() };
        self.with_settings(app, &settings)
    }

    /// Returns the same machine with another app, and with these settings in its functions' processes, if it has any.
    fn with_settings(&self, app: App, settings: &Settings) -> Self {
        let lambda = self.lambda.as_ref().map(|_| binaries::start(&self.wire, settings, &[]));
        Self::with(app, self.wire.clone(), lambda)
    }

    /// Invokes this machine's stream function for the table's stream, as the stack does. Reads of the stream itself
    /// have no faults.
    pub fn follow_stream(&self) -> Tail {
        let here = || local::gateway::stream_function(&self.app);
        self.follow_stream_with(self.lambda.as_ref().map_or_else(here, Lambda::stream_function))
    }

    /// Invokes a function of the test for the table's stream.
    pub fn follow_stream_with(&self, function: Function) -> Tail {
        follow(self.streams(), TABLE, FAN_OUT, function)
    }

    /// Notifies users of the table's new messages, as the stack does, but gathers records only for `window`.
    pub fn follow_stream_to_notify(&self, window: Duration) -> Tail {
        let here = || local::gateway::notify_function(&self.app);
        let function = self.lambda.as_ref().map_or_else(here, Lambda::notify_function);
        follow(self.streams(), TABLE, Mapping { window, ..NOTIFY }, function)
    }

    /// Returns an SDK client for the table's stream.
    pub fn streams(&self) -> aws_sdk_dynamodbstreams::Client {
        let config = aws_sdk_dynamodbstreams::config::Builder::new()
            .behavior_version(aws_sdk_dynamodbstreams::config::BehaviorVersion::latest())
            .allow_no_auth()
            .region(Region::new("us-east-1"))
            .endpoint_url("http://database.invalid")
            .http_client(self.wire.engine().http_client());
        aws_sdk_dynamodbstreams::Client::from_conf(config.build())
    }

    /// Returns the ARNs of the table's streams.
    pub async fn stream_arns(&self) -> Vec<String> {
        let listed = self.streams().list_streams().table_name(TABLE).send().await.expect("streams");
        listed.streams.unwrap_or_default().into_iter().filter_map(|stream| stream.stream_arn).collect()
    }

    /// Returns an SDK client for the table, for calls that the functions do not make.
    pub fn database(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::from_conf(config(&self.wire).build())
    }

    /// Returns the same machine with a changed app.
    pub fn with_app(&self, change: impl FnOnce(&mut Parts)) -> Self {
        Self::with(self.app.with(change), self.wire.clone(), None)
    }

    /// Registers a user with this username and [`PASSWORD`], and logs in.
    pub async fn registered(&self, username: &str) -> Registered {
        self.anonymous().register(username).await
    }

    /// Logs a user in.
    pub async fn login(&self, username: &str, password: &str) -> Registered {
        self.anonymous().login(username, password).await
    }

    /// Returns a user with a token whom the server has not seen yet.
    pub fn stranger(&self, id: &str) -> Actor {
        Actor::new(self.service.clone(), id)
    }

    /// Returns a user with a profile.
    pub async fn user(&self, id: &str) -> Actor {
        let actor = self.stranger(id);
        actor.get("/api/users/me").await.expect(200);
        actor
    }

    /// Returns two users with profiles: `alice` and `bob`.
    pub async fn two(&self) -> (Actor, Actor) {
        (self.user("alice").await, self.user("bob").await)
    }

    /// Returns a caller without a token.
    pub fn anonymous(&self) -> Actor {
        self.stranger("nobody").with_token(None)
    }

    /// Returns users with profiles.
    pub async fn users<const N: usize>(&self, ids: [&str; N]) -> [Actor; N] {
        for id in ids {
            self.user(id).await;
        }
        ids.map(|id| self.stranger(id))
    }

    /// Returns another machine on the same database, with a clock that stands still at this time, in milliseconds.
    pub fn with_clock_at(&self, millis: i64) -> Self {
        Self::machine(self.wire.clone(), Clock::frozen_at(Timestamp::from_millis(millis)), None)
    }

    /// Returns `count` users with profiles: p000, p001 and so on.
    pub async fn crowd(&self, count: usize) -> Vec<Actor> {
        let mut people = Vec::with_capacity(count);
        for from in (0..count).step_by(50) {
            let some = (from..count.min(from + 50)).map(async |n| self.user(&format!("p{n:03}")).await);
            people.extend(join_all(some).await);
        }
        people
    }

    /// Fans out the pending changes of a large conversation. Retries if the database is unavailable, as Lambda does.
    pub async fn fan_out(&self, conversation: &str) {
        let id = conversation.parse().expect("a conversation");
        for _ in 0..20 {
            let logged = self.log_reactions(conversation).await;
            match logged.and(fan_out::fan_out(&self.app, &id).await) {
                Err(Error::Unavailable(_)) => {}
                outcome => return outcome.expect("only the database may fail"),
            }
        }
        panic!("the fan-out does not succeed");
    }

    /// Logs the reactions in a large conversation, as the stream makes the fan-out do.
    async fn log_reactions(&self, conversation: &str) -> Result<(), Error> {
        let query = self.database().query().table_name(TABLE);
        let query = query.key_condition_expression("pk = :pk AND begins_with(sk, :sk)");
        let query = query.expression_attribute_values(":pk", AttributeValue::S(format!("C#{conversation}")));
        let query = query.expression_attribute_values(":sk", AttributeValue::S(store::REACTION.to_owned()));
        let found = query.send().await.map_err(|error| Error::Unavailable(error.into()))?;
        let key =
            |item: &HashMap<String, AttributeValue>, name: &str| item[name].as_s().expect("a text").clone();
        let tasks = found.items().iter().map(|item| Task::of(&key(item, "pk"), &key(item, "sk")));
        for task in tasks.collect::<BTreeSet<_>>() {
            if let Some(Task::Reactions(message)) = task {
                self.app.store.log_reactions(&message).await?;
            }
        }
        Ok(())
    }

    /// Returns all items of the table, in the order of their keys.
    pub async fn items(&self) -> Vec<Value> {
        let mut items = Vec::new();
        let mut scan = json!({"TableName": TABLE});
        loop {
            let (_, page) = self.wire.engine().call("Scan", scan.to_string().as_bytes()).await;
            let page: Value = serde_json::from_slice(&page).expect("JSON");
            items.extend(page["Items"].as_array().expect("items").iter().cloned());
            if page["LastEvaluatedKey"].is_null() {
                break;
            }
            scan["ExclusiveStartKey"] = page["LastEvaluatedKey"].clone();
        }
        items.sort_by_key(|item| (item["pk"].to_string(), item["sk"].to_string()));
        items
    }

    /// Creates a world with these items in its table.
    pub async fn with_items(items: &[Value]) -> Self {
        let world = Self::new().await;
        for items in items.chunks(25) {
            let puts: Vec<Value> = items.iter().map(|item| json!({"PutRequest": {"Item": item}})).collect();
            let body = json!({"RequestItems": {TABLE: puts}}).to_string();
            let (status, answer) = world.wire.engine().call("BatchWriteItem", body.as_bytes()).await;
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
        }
        world
    }

    /// Creates a group of `people` users, with the first as its admin. Returns the users and the group's id.
    pub async fn group_of(&self, people: usize) -> (Vec<Actor>, String) {
        let crowd = self.crowd(people).await;
        let others: Vec<&str> = crowd[1..].iter().map(|actor| actor.id.as_str()).collect();
        let group = crowd[0].group("Everyone", &others).await;
        (crowd, group)
    }
}

/// Returns the default settings of a world.
pub fn settings() -> Settings {
    Settings {
        table: TABLE.to_owned(),
        jwt_secret: Some(SECRET.to_owned()),
        jwks_url: None,
        jwt_issuer: None,
        jwt_audience: None,
        secret: "a secret for cursors".to_owned(),
        previous_secret: None,
        push_endpoint: None,
        bucket: None,
        attachments: true,
        max_attachment_bytes: 100 * 1024 * 1024,
        public_url: storage::PUBLIC_URL.to_owned(),
        limited: false,
        registration: true,
        directory: true,
        trusted_proxies: Vec::new(),
        metered: true,
        vapid_key: Some(VAPID_KEY.to_owned()),
        vapid_subject: "mailto:tests@example.com".to_owned(),
        push_hosts: "127.0.0.1".parse().expect("a list of hosts"),
    }
}

fn config(wire: &Wire) -> Builder {
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .allow_no_auth()
        .region(Region::new("us-east-1"))
        .endpoint_url("http://database.invalid")
        .http_client(wire.http_client())
        .interceptor(roles::call_recorder())
}

/// The sequence number of the record of [`stream_event`].
pub const SEQUENCE_NUMBER: &str = "7";

/// Returns the event with which the table's stream tells a function of a new item.
pub fn stream_event(pk: &str, sk: &str) -> aws_lambda_events::dynamodb::Event {
    let record = json!({
        "awsRegion": "us-east-1", "eventID": "1", "eventName": "INSERT", "eventSource": "aws:dynamodb",
        "dynamodb": {
            "ApproximateCreationDateTime": 0, "SizeBytes": 1, "StreamViewType": "KEYS_ONLY",
            "SequenceNumber": SEQUENCE_NUMBER, "NewImage": {},
            "Keys": {"pk": {"S": pk}, "sk": {"S": sk}},
        },
    });
    serde_json::from_value(json!({"Records": [record]})).expect("an event")
}
