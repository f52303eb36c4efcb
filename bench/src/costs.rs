//! Computes what Tidings costs in AWS: each call, as metered, a month of 1,000 users in three usage patterns, and a month
//! in which nobody calls.
//!
//! The functions run in this process, on the embedded engine, which counts capacity units by DynamoDB's rules. Prices,
//! assumptions about Lambda, and the users' behaviour are in `infra/prices.json`.

use std::fmt::Write as _;
use std::fs;
use std::ops::{Add, Mul};
use std::path::Path;

use clap::Args;
use domain::id::MessageId;
use domain::time::Timestamp;
use harness::storage::{PUBLIC_URL, png, post_form};
use harness::{Answer, World, stream_event};
use observe::meter::{Meter, Reading};
use serde::Deserialize;
use serde_json::json;

use crate::failure::Failure;
use crate::report::say;

/// The lines that enclose the README's cost tables.
const BEGIN: &str = "<!-- made by `make costs` -->\n";
const END: &str = "<!-- end of what `make costs` makes -->\n";
/// A typical message, of 80 characters.
const TEXT: &str = "Shall we meet at the usual place at seven, or would half past be better for you?";
/// Number of users in the monthly costs.
const USERS: f64 = 1_000.0;
/// Milliseconds after which the sweep looks at what was sent.
const AFTER_THE_LIFE_OF_UPLOADS: i64 = 26 * 3_600_000;
/// Minutes between the pings of the TypeScript client: API Gateway closes a socket that is idle for 10 minutes.
const PING_MINUTES: f64 = 4.0;
/// Milliseconds between the polls that the TypeScript client makes beside its socket: each time as many as have passed
/// since the last event, but at least 10 s and at most 60 s.
const POLL_DELAYS_BESIDE_A_SOCKET: [f64; 5] = [10e3, 10e3, 20e3, 40e3, 60e3];

/// Compute what Tidings costs in AWS
#[derive(Debug, Args)]
pub(crate) struct Costs {
    /// Write the tables into the README
    #[arg(long, conflicts_with = "check")]
    write: bool,
    /// Fail if the tables in the README are out of date
    #[arg(long)]
    check: bool,
}

/// The contents of `infra/prices.json`.
#[derive(Debug, Deserialize)]
struct Sheet {
    region: String,
    date: String,
    prices: Prices,
    lambda: Lambda,
    idle: Idle,
    #[serde(rename = "use")]
    usage: Usage,
}

/// A price in US dollars.
#[derive(Debug, Deserialize)]
struct Price {
    usd: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prices {
    dynamodb_write_units_per_million: Price,
    dynamodb_read_units_per_million: Price,
    dynamodb_storage_per_gb_month: Price,
    dynamodb_recovery_per_gb_month: Price,
    s3_writes_per_million: Price,
    s3_reads_per_million: Price,
    s3_storage_per_gb_month: Price,
    http_api_calls_per_million: Price,
    websocket_messages_per_million: Price,
    websocket_minutes_per_million: Price,
    lambda_requests_per_million: Price,
    lambda_gb_second: Price,
    logs_per_gb: Price,
    transfer_out_per_gb: Price,
    alarm_metric_month: Price,
    dashboard_month: Price,
    custom_metric_month: Price,
    secret_month: Price,
}

/// Assumptions about functions in AWS, where nothing has been measured yet.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lambda {
    memory_mb: f64,
    /// The memory of functions that have a whole processor: the logins and the fan-out.
    processor_memory_mb: f64,
    own_ms: f64,
    login_ms: f64,
    database_call_ms: f64,
    bucket_call_ms: f64,
    /// The length of a log line, of which CloudWatch bills 26 bytes more than are written.
    log_bytes: f64,
    /// Bytes that the log line of a send has in addition.
    send_log_bytes: f64,
    /// Bytes that each log line has in addition if all metrics are published.
    more_log_bytes_of_full: f64,
}

/// The resources of an idle deployment that cost money, by the values of the template's parameter `Monitoring`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Idle {
    basic: Fixed,
    full: Fixed,
}

/// Numbers of what is billed by the month. A custom metric is billed only for the hours in which data arrives.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixed {
    secrets: f64,
    alarm_metrics: f64,
    dashboards: f64,
    custom_metrics: f64,
}

/// How a user uses Tidings; per day unless the name says otherwise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Usage {
    days: f64,
    hours_online_a_day: f64,
    sessions_a_day: f64,
    messages_sent_a_day: f64,
    messages_received_a_day: f64,
    conversations_opened_a_day: f64,
    typing_signals_per_message: f64,
    peers_online: f64,
    header_bytes: f64,
    stored_bytes_per_message: f64,
    bytes_per_picture: f64,
}

/// Amounts of all billed resources.
#[derive(Debug, Clone, Copy, Default)]
struct Amounts {
    read_units: f64,
    write_units: f64,
    http_calls: f64,
    socket_messages: f64,
    socket_minutes: f64,
    functions: f64,
    gb_seconds: f64,
    logged_bytes: f64,
    sent_bytes: f64,
    bucket_reads: f64,
    bucket_writes: f64,
}

impl Add for Amounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            read_units: self.read_units + other.read_units,
            write_units: self.write_units + other.write_units,
            http_calls: self.http_calls + other.http_calls,
            socket_messages: self.socket_messages + other.socket_messages,
            socket_minutes: self.socket_minutes + other.socket_minutes,
            functions: self.functions + other.functions,
            gb_seconds: self.gb_seconds + other.gb_seconds,
            logged_bytes: self.logged_bytes + other.logged_bytes,
            sent_bytes: self.sent_bytes + other.sent_bytes,
            bucket_reads: self.bucket_reads + other.bucket_reads,
            bucket_writes: self.bucket_writes + other.bucket_writes,
        }
    }
}

impl Mul<Amounts> for f64 {
    type Output = Amounts;

    fn mul(self, one: Amounts) -> Amounts {
        Amounts {
            read_units: self * one.read_units,
            write_units: self * one.write_units,
            http_calls: self * one.http_calls,
            socket_messages: self * one.socket_messages,
            socket_minutes: self * one.socket_minutes,
            functions: self * one.functions,
            gb_seconds: self * one.gb_seconds,
            logged_bytes: self * one.logged_bytes,
            sent_bytes: self * one.sent_bytes,
            bucket_reads: self * one.bucket_reads,
            bucket_writes: self * one.bucket_writes,
        }
    }
}

/// A part of the costs of a month in which nobody calls.
type FixedCost = fn(&Prices, &Fixed) -> f64;

/// Costs in US dollars, by service.
#[derive(Debug, Clone, Copy)]
struct Dollars {
    database: f64,
    bucket: f64,
    gateway: f64,
    functions: f64,
    logs: f64,
    transfer: f64,
}

impl Dollars {
    fn total(self) -> f64 {
        self.database + self.bucket + self.gateway + self.functions + self.logs + self.transfer
    }
}

impl Prices {
    fn secrets(&self, fixed: &Fixed) -> f64 {
        fixed.secrets * self.secret_month.usd
    }

    fn alarms(&self, fixed: &Fixed) -> f64 {
        fixed.alarm_metrics * self.alarm_metric_month.usd
    }

    fn dashboards(&self, fixed: &Fixed) -> f64 {
        fixed.dashboards * self.dashboard_month.usd
    }

    /// The cost of a month in which nobody calls.
    fn idle(&self, fixed: &Fixed) -> f64 {
        self.secrets(fixed) + self.alarms(fixed) + self.dashboards(fixed)
    }

    /// The cost of a month of custom metrics, if data arrives in every hour.
    fn metrics(&self, fixed: &Fixed) -> f64 {
        fixed.custom_metrics * self.custom_metric_month.usd
    }

    /// Multiplies each amount by its price.
    fn cost(&self, amounts: Amounts) -> Dollars {
        let million = |price: &Price| price.usd / 1e6;
        let giga = |price: &Price| price.usd / 1e9;
        Dollars {
            database: amounts.read_units * million(&self.dynamodb_read_units_per_million)
                + amounts.write_units * million(&self.dynamodb_write_units_per_million),
            bucket: amounts.bucket_reads * million(&self.s3_reads_per_million)
                + amounts.bucket_writes * million(&self.s3_writes_per_million),
            gateway: amounts.http_calls * million(&self.http_api_calls_per_million)
                + amounts.socket_messages * million(&self.websocket_messages_per_million)
                + amounts.socket_minutes * million(&self.websocket_minutes_per_million),
            functions: amounts.functions * million(&self.lambda_requests_per_million)
                + amounts.gb_seconds * self.lambda_gb_second.usd,
            logs: amounts.logged_bytes * giga(&self.logs_per_gb),
            transfer: amounts.sent_bytes * giga(&self.transfer_out_per_gb),
        }
    }
}

/// One operation and the resources that it uses.
#[derive(Debug, Clone)]
struct Call {
    name: &'static str,
    /// Sequential database calls.
    depth: f64,
    amounts: Amounts,
}

impl Sheet {
    /// Returns the amounts of one invocation, from its metered database calls.
    fn function(&self, depth: f64, read_units: f64, write_units: f64) -> Amounts {
        let millis = self.lambda.own_ms + depth * self.lambda.database_call_ms;
        let gb_seconds = millis / 1e3 * self.lambda.memory_mb / 1024.0;
        let logged_bytes = self.lambda.log_bytes;
        Amounts { read_units, write_units, functions: 1.0, gb_seconds, logged_bytes, ..Amounts::default() }
    }

    /// Returns the amounts of the same invocation with the memory that comes with a whole processor.
    fn with_processor(&self, amounts: Amounts) -> Amounts {
        let more = self.lambda.processor_memory_mb / self.lambda.memory_mb;
        Amounts { gb_seconds: amounts.gb_seconds * more, ..amounts }
    }

    /// Returns the call that an HTTP answer belongs to.
    fn http(&self, name: &'static str, answer: &Answer) -> Call {
        let depth = answer.cost("depth");
        let function = self.function(depth, answer.cost("rcu"), answer.cost("wcu"));
        let sent_bytes = self.usage.header_bytes + length(&answer.json.to_string());
        let more = if name.starts_with("send") { self.lambda.send_log_bytes } else { 0.0 };
        let logged_bytes = function.logged_bytes + more;
        Call { name, depth, amounts: Amounts { http_calls: 1.0, sent_bytes, logged_bytes, ..function } }
    }

    /// Returns the amounts of a function's calls to the bucket of files, which it makes one after another.
    fn bucket_calls(&self, calls: &[String]) -> Amounts {
        let mut amounts = Amounts::default();
        for call in calls {
            // S3 does not charge for `DELETE`.
            match call.split(' ').next() {
                Some("PUT") => amounts.bucket_writes += 1.0,
                Some("DELETE") => {}
                _ => amounts.bucket_reads += 1.0,
            }
            amounts.gb_seconds += self.lambda.bucket_call_ms / 1e3 * self.lambda.memory_mb / 1024.0;
        }
        amounts
    }

    /// Returns the call of an invocation that was not by HTTP.
    fn event(&self, name: &'static str, reading: Reading) -> Call {
        let depth = f64::from(reading.depth);
        Call { name, depth, amounts: self.function(depth, reading.rcu, reading.wcu) }
    }
}

#[expect(clippy::cast_precision_loss, reason = "texts are short")]
fn length(text: &str) -> f64 {
    text.len() as f64
}

/// All measurements.
struct Measured {
    send: Call,
    page: Call,
    inbox: Call,
    typing: Call,
    /// A poll without events, one with a message, and one that also records presence, as once a minute.
    idle_poll: Call,
    message_poll: Call,
    presence_poll: Call,
    open: Call,
    close: Call,
    /// An event pushed to a socket, and a ping with its pong.
    push: Call,
    ping: Call,
    /// All rows of the table, in order.
    all: Vec<Call>,
    /// The `poll_after_ms` of successive polls without events.
    poll_delays: Vec<f64>,
}

impl Costs {
    /// Measures and prints the costs, and writes or checks the README's tables.
    pub(crate) async fn run(&self) -> Result<(), Failure> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("there is no workspace")?;
        let sheet: Sheet = serde_json::from_slice(&fs::read(root.join("infra/prices.json"))?)?;
        let measured = Box::pin(measure(&sheet)).await?;
        let readme = root.join("README.md");
        let text = fs::read_to_string(&readme)?;
        let (before, rest) =
            text.split_once(BEGIN).ok_or("the README has no line where the cost tables begin")?;
        let (old, after) = rest.split_once(END).ok_or("the README has no line where the cost tables end")?;
        let new = sheet.tables(&measured);
        if self.check && old != new {
            return Err(
                format!("the README's costs are out of date: run `make costs`. Current:\n{new}").into()
            );
        }
        if self.write {
            fs::write(&readme, [before, BEGIN, &new, END, after].concat())?;
        }
        say(&sheet.details(&measured))
    }
}

/// Makes and measures each call once.
async fn measure(sheet: &Sheet) -> Result<Measured, Failure> {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    for _ in 0..60 {
        alice.send("bob", TEXT).await.expect(201);
    }
    let plain = sheet.http("send", &alice.send("bob", TEXT).await.expect(201));
    let send =
        sheet.http("send with a `client_message_id`", &alice.send_once("bob", TEXT, "key").await.expect(201));
    let page = bob.get("/api/messages/conversation/alice").await.expect(200);
    let page = sheet.http("page of 50 messages, marked read", &page);
    let again = bob.get("/api/messages/conversation/alice").await.expect(200);
    let again = sheet.http("page of 50 messages", &again);
    let newest = alice.send("bob", TEXT).await.expect(201).id();
    let mark = sheet.http("mark the newest message read", &bob.mark(&newest).await.expect(200));
    let edit = sheet.http("edit", &alice.edit(&newest, "Half past.").await.expect(200));
    let delete = sheet.http("delete for everyone", &alice.unsend(&newest).await.expect(200));
    let find = bob.get("/api/messages/search?q=usual").await.expect(200);
    let search = sheet.http("search of 60 messages", &find);

    let hub = world.user("hub").await;
    for n in 0..50 {
        world.user(&format!("peer-{n}")).await.send("hub", TEXT).await.expect(201);
    }
    let inbox = sheet.http("inbox page of 50", &hub.get("/api/messages/inbox?limit=50").await.expect(200));
    let unread = sheet.http("unread count", &hub.get("/api/messages/unread-count").await.expect(200));
    let row = hub.row("peer-1").await.ok_or("there is no such row")?;
    let signal = json!({"conversation_id": row["conversation_id"], "is_typing": true});
    let typing = sheet.http("typing signal", &hub.post("/api/typing", &signal).await.expect(200));
    let away = hub.json("PUT", "/api/presence", &json!({"status": "away"})).await.expect(200);
    let status = sheet.http("set presence, published to 50 peers", &away);

    let (presence_poll, idle_poll, message_poll, poll_delays) = polls(sheet, &world).await?;
    let [open, close] = socket(sheet, &world).await?;
    let event = message_poll.amounts.sent_bytes - idle_poll.amounts.sent_bytes;
    let push = Amounts { socket_messages: 1.0, sent_bytes: event, ..Amounts::default() };
    let push = Call { name: "event pushed to a socket", depth: 0.0, amounts: push };
    let ping = Amounts { socket_messages: 2.0, ..sheet.function(0.0, 0.0, 0.0) };
    let ping = Call { name: "ping of a socket", depth: 0.0, amounts: ping };

    let mut all = vec![plain, send.clone()];
    all.extend(groups(sheet).await);
    all.extend([again, page.clone(), mark, edit, delete, inbox.clone(), unread, search]);
    all.extend([idle_poll.clone(), message_poll.clone(), presence_poll.clone(), typing.clone(), status]);
    all.extend([open.clone(), close.clone(), push.clone(), ping.clone()]);
    all.extend(sessions(sheet, &world).await);
    all.extend(pictures(sheet).await?);
    all.extend(notifications(sheet, &world).await?);
    Ok(Measured {
        send,
        page,
        inbox,
        typing,
        idle_poll,
        message_poll,
        presence_poll,
        open,
        close,
        push,
        ping,
        all,
        poll_delays,
    })
}

/// Measures what `notify` does for a direct message: where its receiver has no subscription, and where it is pushed. Nobody
/// takes the push, which costs the same. In AWS one invocation serves up to 100 messages.
async fn notifications(sheet: &Sheet, world: &World) -> Result<[Call; 2], Failure> {
    let (sender, receiver) = (world.user("rings").await, world.user("sleeps").await);
    let decide = async |name: &'static str| -> Result<Call, Failure> {
        let id: MessageId = sender.send("sleeps", TEXT).await.expect(201).id().parse()?;
        let record = stream_event(&format!("C#{}", id.conversation), &format!("M#{}", id.stamp));
        let meter = Meter::default();
        meter.watch(notify::handle_after(world.app.clone(), record, 0)).await?;
        Ok(sheet.event(name, meter.read()))
    };
    let unsubscribed = decide("message whose receiver has no push subscription").await?;
    let keys = json!({
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    });
    let subscription = json!({"endpoint": "http://127.0.0.1:9/", "keys": keys});
    receiver.json("PUT", "/api/push/subscriptions", &subscription).await.expect(201);
    Ok([unsubscribed, decide("message that is pushed to its receiver").await?])
}

/// Measures a picture that is uploaded and sent, one that is looked at, and the sweep of one.
async fn pictures(sheet: &Sheet) -> Result<[Call; 3], Failure> {
    let (world, files) = World::with_files().await;
    let (alice, _) = world.two().await;
    alice.send("bob", TEXT).await.expect(201);
    let picture = png(1_280, 960);
    // The limits are all that an upload writes. A send has none here, as in the other rows.
    let limited = world.with_storage(&files, |settings| settings.limited = true).stranger("alice");
    let asked = limited.ask("photo.png", "image/png", picture.len(), &json!({})).await.expect(201);
    post_form(&asked.data()["upload"], &[], &picture).await.expect(204);
    files.calls();
    let id = asked.data()["attachment_id"].as_str().ok_or("there is no id")?;
    let sent = alice.send_files_once("bob", &[id], "key").await.expect(201);
    let name = "send with a picture, with its upload";
    let (asking, sending) = (sheet.http(name, &asked), sheet.http(name, &sent));
    let upload = Amounts { bucket_writes: 1.0, ..Amounts::default() };
    let amounts = asking.amounts + upload + sending.amounts + sheet.bucket_calls(&files.calls());
    let with_picture = Call { name, depth: asking.depth + sending.depth, amounts };

    let url = sent.data()["attachments"][0]["url"].as_str().ok_or("there is no URL")?;
    let path = url.strip_prefix(PUBLIC_URL).ok_or("the URL is not public")?;
    let seen = sheet.http("picture seen, of 200 KB", &alice.anonymous().get(path).await.expect(302));
    let sent_bytes = sheet.usage.header_bytes + sheet.usage.bytes_per_picture;
    let load = Amounts { bucket_reads: 1.0, sent_bytes, ..Amounts::default() };
    let amounts = seen.amounts + load + sheet.bucket_calls(&files.calls());
    let seen = Call { amounts, ..seen };

    let (meter, later) = (Meter::default(), world.with_storage_off_by(&files, AFTER_THE_LIFE_OF_UPLOADS));
    meter.watch(sweep::handle(later.app, json!({}))).await?;
    // An invocation and a list serve many pictures.
    let calls: Vec<String> = files.calls().into_iter().filter(|call| !call.ends_with(' ')).collect();
    let reading = meter.read();
    let swept = Amounts { read_units: reading.rcu, ..sheet.bucket_calls(&calls) };
    let name = "sweep of a picture that was sent, a day later";
    Ok([with_picture, seen, Call { name, depth: f64::from(reading.depth), amounts: swept }])
}

/// Measures a login and a refresh of the session.
async fn sessions(sheet: &Sheet, world: &World) -> [Call; 2] {
    let account = world.registered("carol").await;
    let body = json!({"username": "carol", "password": harness::PASSWORD});
    let mut login = sheet.http("login", &world.anonymous().post("/api/auth/login", &body).await.expect(200));
    // The password is hashed while the function's whole memory is billed.
    login.amounts.gb_seconds += sheet.lambda.login_ms / 1e3 * sheet.lambda.memory_mb / 1024.0;
    login.amounts = sheet.with_processor(login.amounts);
    let body = json!({"refresh_token": account.refresh_token});
    let refreshed = world.anonymous().post("/api/auth/refresh", &body).await.expect(200);
    [login, sheet.http("refresh of a session", &refreshed)]
}

/// Measures polls of a user who follows the cursor: one that records presence, one without events, and one with a
/// message. Also returns the `poll_after_ms` of successive polls without events.
async fn polls(sheet: &Sheet, world: &World) -> Result<(Call, Call, Call, Vec<f64>), Failure> {
    let (reader, sender) = (world.user("waits").await, world.user("tells").await);
    let mut cursor = reader.get("/api/events").await.expect(200).data()["cursor"].clone();
    let mut next = async || -> Result<Answer, Failure> {
        let path = format!("/api/events?cursor={}", cursor.as_str().ok_or("there is no cursor")?);
        let answer = reader.get(&path).await.expect(200);
        cursor = answer.data()["cursor"].clone();
        Ok(answer)
    };
    let presence_poll = sheet.http("poll that records presence, once a minute", &next().await?);
    let mut idle_poll = None;
    let mut poll_delays = Vec::new();
    for _ in 0..30 {
        let answer = next().await?;
        poll_delays.push(answer.data()["poll_after_ms"].as_f64().ok_or("there is no poll_after_ms")?);
        // A poll writes presence if a new minute has begun meanwhile.
        if answer.cost("wcu") == 0.0 {
            idle_poll = Some(sheet.http("poll without events", &answer));
        }
    }
    sender.send("waits", TEXT).await.expect(201);
    let message_poll = sheet.http("poll with a message", &next().await?);
    Ok((presence_poll, idle_poll.ok_or("every poll records presence")?, message_poll, poll_delays))
}

/// Measures opening and closing a socket, by the store's calls that its functions make.
async fn socket(sheet: &Sheet, world: &World) -> Result<[Call; 2], Failure> {
    let (user, connection) = ("hub".parse()?, "a-socket");
    let (opening, closing) = (Meter::default(), Meter::default());
    let store = &world.app.store;
    let until = Timestamp::from_millis(store.now().millis() + 7_200_000);
    let open = async {
        store.add_socket(&user, connection, until, None).await?;
        store.publish_presence(&user).await
    };
    opening.watch(open).await?;
    let close = async {
        store.remove_sockets(&user, &[connection]).await?;
        store.record_disconnect(&user).await
    };
    closing.watch(close).await?;
    let mut open = sheet.event("open a socket, published to 50 peers", opening.read());
    // Add the authorizer's invocation, which makes no database calls.
    open.amounts = open.amounts + sheet.function(0.0, 0.0, 0.0);
    Ok([open, sheet.event("close a socket, published to 50 peers", closing.read())])
}

/// Measures sends to groups of 8 and 24, and to a group of 100 together with its fan-out.
async fn groups(sheet: &Sheet) -> Vec<Call> {
    let mut calls = Vec::new();
    for (name, people) in [("send to a group of 8", 8), ("send to a group of 24", 24)] {
        let world = World::new().await;
        let (members, group) = world.group_of(people).await;
        calls.push(sheet.http(name, &members[0].say(&group, TEXT).await.expect(201)));
    }
    let world = World::new().await;
    let (members, group) = world.group_of(100).await;
    world.fan_out(&group).await;
    let sent =
        sheet.http("send to a group of 100, with fan-out", &members[0].say(&group, TEXT).await.expect(201));
    let meter = Meter::default();
    meter.watch(world.fan_out(&group)).await;
    let Reading { calls: made, rcu, wcu, .. } = meter.read();
    // How many of these calls overlap varies between runs. Assume the worst case: all run one after another.
    let fan_out = sheet.with_processor(sheet.function(f64::from(made), rcu, wcu));
    calls.push(Call { amounts: sent.amounts + fan_out, ..sent });
    calls
}

/// A usage pattern and the resources that it takes for one user in a month.
struct UsagePattern {
    name: &'static str,
    /// Polls per day.
    polls: f64,
    amounts: Amounts,
}

impl Measured {
    /// Computes the three usage patterns.
    fn patterns(&self, usage: &Usage) -> [UsagePattern; 3] {
        let seconds = usage.hours_online_a_day * 3600.0;
        let messages = usage.messages_sent_a_day + usage.messages_received_a_day;
        let reading =
            usage.sessions_a_day * self.inbox.amounts + usage.conversations_opened_a_day * self.page.amounts;
        let signals = usage.messages_sent_a_day * usage.typing_signals_per_message;
        let sending = usage.messages_sent_a_day * self.send.amounts + signals * self.typing.amounts;
        let polling = |polls: f64| {
            // At most one poll per minute records presence.
            let presence = (seconds / 60.0).min(polls);
            let idle = (polls - messages - presence).max(0.0);
            messages * self.message_poll.amounts
                + presence * self.presence_poll.amounts
                + idle * self.idle_poll.amounts
        };
        let every_two = seconds / 2.0;
        let with_delays = |delays: &[f64]| messages * polls_within(delays, seconds / messages).max(1.0);
        let adaptive = with_delays(&self.poll_delays);
        let beside_a_socket = with_delays(&POLL_DELAYS_BESIDE_A_SOCKET);
        let by_frame = |call: &Call| Amounts { http_calls: 0.0, socket_messages: 2.0, ..call.amounts };
        let frames = usage.messages_sent_a_day * by_frame(&self.send) + signals * by_frame(&self.typing);
        // A sender's own sockets get the message, too. A read mark goes to the reader and to the other user.
        let pushes = usage.messages_received_a_day * (1.0 + usage.typing_signals_per_message)
            + usage.messages_sent_a_day
            + 2.0 * usage.conversations_opened_a_day
            + 2.0 * usage.sessions_a_day * usage.peers_online;
        let minutes = Amounts { socket_minutes: seconds / 60.0, ..Amounts::default() };
        let socket = usage.sessions_a_day * (self.open.amounts + self.close.amounts)
            + polling(beside_a_socket)
            + seconds / 60.0 / PING_MINUTES * self.ping.amounts
            + pushes * self.push.amounts
            + minutes;
        let pattern = |name, polls, amounts| UsagePattern { name, polls, amounts: usage.days * amounts };
        [
            pattern("polling every 2 s", every_two, reading + sending + polling(every_two)),
            pattern("polling after `poll_after_ms`", adaptive, reading + sending + polling(adaptive)),
            pattern("a socket", beside_a_socket, reading + frames + socket),
        ]
    }
}

/// Returns the number of polls in the given time after an event. Each delay, in milliseconds, precedes a poll; the last
/// one repeats.
fn polls_within(delays: &[f64], seconds: f64) -> f64 {
    let (mut polls, mut left) = (0.0, seconds * 1e3);
    let longest = delays.last().copied().unwrap_or(1e3);
    for delay in delays.iter().copied().chain(std::iter::repeat(longest)) {
        left -= delay;
        if left < 0.0 {
            break;
        }
        polls += 1.0;
    }
    polls
}

/// Formats dollars with three digits, or to the cent below 1 dollar.
fn money(dollars: f64) -> String {
    match dollars {
        100.0.. => format!("{dollars:.0}"),
        10.0.. => format!("{dollars:.1}"),
        _ => format!("{dollars:.2}"),
    }
}

impl Sheet {
    /// Formats the README's tables.
    fn tables(&self, measured: &Measured) -> String {
        let mut text = String::from(
            "| call | sequential database calls | read units | write units | $ per million |\n| --- | --- | --- | --- | --- |\n",
        );
        for Call { name, depth, amounts } in &measured.all {
            let Amounts { read_units, write_units, .. } = amounts;
            let dollars = money(1e6 * self.prices.cost(*amounts).total());
            let _ = writeln!(text, "| {name} | {depth} | {read_units} | {write_units} | {dollars} |");
        }
        let usage = &self.usage;
        let _ = write!(
            text,
            "\nA month of 1,000 users, each of whom is online {} hours a day, sends {} messages and receives {}, and opens {}\n\
             conversations:\n\n| usage pattern | polls per user and day | $ a month, for all |\n| --- | --- | --- |\n",
            usage.hours_online_a_day,
            usage.messages_sent_a_day,
            usage.messages_received_a_day,
            usage.conversations_opened_a_day,
        );
        let prices = &self.prices;
        let fixed = prices.idle(&self.idle.basic) + prices.metrics(&self.idle.basic);
        for UsagePattern { name, polls, amounts } in measured.patterns(usage) {
            let dollars = money(USERS * prices.cost(amounts).total() + fixed);
            let _ = writeln!(text, "| {name} | {polls:.0} | {dollars} |");
        }
        text + &self.idle_table() + &self.assumptions()
    }

    /// Formats the costs of a month in which nobody calls.
    fn idle_table(&self) -> String {
        let (prices, Idle { basic, full }) = (&self.prices, &self.idle);
        let mut text = String::from(
            "\nA month in which nobody calls costs:\n\n| | `Monitoring=basic` | `Monitoring=full` |\n| --- | --- | --- |\n",
        );
        let rows: [(&str, FixedCost); 5] = [
            ("the secret", Prices::secrets),
            ("the alarms, if there is a topic", Prices::alarms),
            ("the dashboard", Prices::dashboards),
            ("together", Prices::idle),
            ("once somebody calls, also the metrics: up to", Prices::metrics),
        ];
        for (name, cost) in rows {
            let (basic, full) = (money(cost(prices, basic)), money(cost(prices, full)));
            let _ = writeln!(text, "| {name} | {basic} | {full} |");
        }
        text
    }

    /// Says what the tables include and assume.
    fn assumptions(&self) -> String {
        let Self { region, date, prices, lambda, usage, .. } = self;
        let per_gb = prices.dynamodb_storage_per_gb_month.usd + prices.dynamodb_recovery_per_gb_month.usd;
        format!(
            "\nThese are list prices in {region} of {date}, without free tiers. They include API Gateway, Lambda, logs and\n\
             transfer; the months of 1,000 users also include all of `Monitoring=basic`. With `Monitoring=full`, log lines are\n\
             {} bytes longer: ${} per million calls. A function is assumed to run for {} ms plus {} ms per sequential database\n\
             call and {} ms per call to S3; this has not been measured in AWS. Storing a million messages costs about ${} a\n\
             month, a million pictures of 200 KB ${}.\n\
             [infra/prices.json](infra/prices.json) has the prices and assumptions.\n",
            lambda.more_log_bytes_of_full,
            money(1e6 * lambda.more_log_bytes_of_full / 1e9 * prices.logs_per_gb.usd),
            lambda.own_ms,
            lambda.database_call_ms,
            lambda.bucket_call_ms,
            money(1e6 * usage.stored_bytes_per_message / 1e9 * per_gb),
            money(1e6 * usage.bytes_per_picture / 1e9 * prices.s3_storage_per_gb_month.usd),
        )
    }

    /// Formats all figures, with the formulas.
    fn details(&self, measured: &Measured) -> String {
        let Self { region, date, prices, lambda, usage, .. } = self;
        let mut text = format!(
            "prices of {region}, {date}: infra/prices.json\n\n\
             dollars = read units x {} / 1M + write units x {} / 1M          (database)\n        \
             + S3 reads x {} / 1M + S3 writes x {} / 1M                      (bucket)\n        \
             + HTTP calls x {} / 1M + socket messages x {} / 1M + socket minutes x {} / 1M   (gateway)\n        \
             + functions x {} / 1M + GB-seconds x {}             (functions)\n        \
             + bytes logged x {} / 1G                                        (logs)\n        \
             + bytes sent x {} / 1G                                         (transfer)\n\
             seconds of a function = {} ms + {} ms x sequential calls, at {} MB (a login: {} ms more, and at {} MB, like \
             the fan-out); {} bytes of log, {} more for a send\n\
             a month = days x (opened x page + sessions x inbox + sent x (send + signals x typing) + the pattern's own part):\n  \
             polling every 2 s: a poll every 2 s online; sent + received of them return a message, one a minute records presence\n  \
             polling after poll_after_ms: the polls that it allows between two messages, which arrive at equal intervals\n  \
             a socket: sends and typing as frames (2 socket messages, no HTTP call), a push for each message sent or\n  \
             received and each signal received, two for each conversation opened (its read marks), two per session from\n  \
             each online peer, the client's polls beside the socket, pings every {PING_MINUTES} minutes, minutes online\n\
             {usage:?}\n\n{:<42}{:>6}{:>7}{:>7}",
            prices.dynamodb_read_units_per_million.usd,
            prices.dynamodb_write_units_per_million.usd,
            prices.s3_reads_per_million.usd,
            prices.s3_writes_per_million.usd,
            prices.http_api_calls_per_million.usd,
            prices.websocket_messages_per_million.usd,
            prices.websocket_minutes_per_million.usd,
            prices.lambda_requests_per_million.usd,
            prices.lambda_gb_second.usd,
            prices.logs_per_gb.usd,
            prices.transfer_out_per_gb.usd,
            lambda.own_ms,
            lambda.database_call_ms,
            lambda.memory_mb,
            lambda.login_ms,
            lambda.processor_memory_mb,
            lambda.log_bytes,
            lambda.send_log_bytes,
            "dollars per million",
            "depth",
            "RCU",
            "WCU"
        );
        let parts = "database   bucket  gateway functions   logs transfer    total\n";
        let _ = writeln!(text, "  {}", parts.trim_end());
        for Call { name, depth, amounts } in &measured.all {
            let Amounts { read_units, write_units, .. } = amounts;
            let dollars = columns(self.prices.cost(1e6 * *amounts));
            let _ = writeln!(text, "{name:<42}{depth:>6}{read_units:>7}{write_units:>7}  {dollars}");
        }
        let _ = writeln!(text, "\n{:<62}  {}", "dollars a month for 1,000 users", parts.trim_end());
        for UsagePattern { name, amounts, .. } in measured.patterns(usage) {
            let _ = writeln!(text, "{name:<62}  {}", columns(prices.cost(USERS * amounts)));
        }
        text
    }
}

fn columns(dollars: Dollars) -> String {
    let Dollars { database, bucket, gateway, functions, logs, transfer } = dollars;
    let total = dollars.total();
    format!(
        "{database:>8.2} {bucket:>8.2} {gateway:>8.2} {functions:>9.2} {logs:>6.2} {transfer:>8.2} {total:>8.2}"
    )
}
