//! Measures the third table: groups, edits and logins.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::json;
use tokio::time::sleep;

use crate::client::{Client, User};
use crate::failure::Failure;
use crate::load::Load;
use crate::operations::Operation;
use crate::report::{self, Row, note, say};
use crate::seed;
use crate::server::Server;
use crate::text::Texts;
use crate::work::Work;

/// Participants of each small group.
const SIZES: [usize; 2] = [8, 24];
/// Participants of the large group.
const LARGE: usize = 1_000;
/// Messages sent to the large group one by one, each after the previous one has reached all participants.
const MESSAGES: usize = 10;
/// Messages sent to the large group without waiting for their fan-out.
const BURST: usize = 50;
/// Delay between two reads of an inbox.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Measures and prints the table.
pub(crate) async fn measure(server: &Server, time: Duration) -> Result<(), Failure> {
    let users = seed::users(server, (0..LARGE).map(|index| format!("member-{index}")).collect()).await?;
    let first = users.first().ok_or("there are no users")?.clone();
    say(&report::groups_head())?;
    for size in SIZES {
        let group = group(server, users.get(..size).ok_or("too few users")?).await?;
        let (sender, id) = (first.clone(), group.clone());
        let send = Operation::new(format!("send to a group of {size}"), move |index| {
            let (from, to, mut texts) = (sender.clone(), id.clone(), Texts::new(index));
            Work::Make(Box::new(move || from.send_to(&to, &texts.usual())))
        });
        crate::rows::rows(server, &send, &crate::rows::CLIENTS[..1], time).await?;
        let page = first.call(&Method::GET, &format!("/api/conversations/{group}/messages?limit=50"))?;
        let page = Operation::new(format!("page of 50, group of {size}"), move |_| Work::Get(page.clone()));
        crate::rows::rows(server, &page, &crate::rows::CLIENTS[..1], time).await?;
    }
    edits(server, &users, time).await?;
    logins(server, time).await?;
    large(server, &users).await
}

/// Creates a group of these users, with the first as its creator. Returns its id.
async fn group(server: &Server, users: &[User]) -> Result<String, Failure> {
    let (first, others) = users.split_first().ok_or("there are no users")?;
    let others: Vec<&String> = others.iter().map(|user| &user.id).collect();
    let body = json!({"type": "group", "name": "measured", "participant_ids": others});
    let call = first.post("/api/conversations", &body, StatusCode::CREATED)?;
    let group = Client::connect(server.address).await?.call(call).await?.json()?;
    Ok(group["data"]["conversation_id"].as_str().ok_or("a group without an id")?.to_owned())
}

/// Measures edits of a message in a direct conversation, each with a different text.
async fn edits(server: &Server, users: &[User], time: Duration) -> Result<(), Failure> {
    let [one, other, ..] = users else { return Err("too few users".into()) };
    let sent = Client::connect(server.address).await?.call(one.send(&other.id, "the first text")?).await?;
    let sent = sent.json()?;
    let path = format!("/api/messages/{}", sent["data"]["id"].as_str().ok_or("a message without an id")?);
    let one = one.clone();
    let edit = Operation::new("edit", move |_| {
        let (one, path, mut texts) = (one.clone(), path.clone(), Texts::new(3));
        Work::Make(Box::new(move || one.patch(&path, &json!({"message_text": texts.usual()}))))
    });
    crate::rows::rows(server, &edit, &crate::rows::CLIENTS[..1], time).await
}

/// Measures logins with the right password; most of the time goes into the hash.
async fn logins(server: &Server, time: Duration) -> Result<(), Failure> {
    let anonymous = User::new("nobody".to_owned(), "none")?;
    let (name, password) = ("measured", "correct horse battery");
    let account = json!({"username": name, "email": "measured@example.com", "password": password});
    let register = anonymous.post("/api/auth/register", &account, StatusCode::CREATED)?;
    Client::connect(server.address).await?.call(register).await?;
    let login = json!({"username": name, "password": password});
    let login = anonymous.post("/api/auth/login", &login, StatusCode::OK)?;
    let operation = Operation::new("login", move |_| Work::Get(login.clone()));
    crate::rows::rows(server, &operation, &crate::rows::CLIENTS[..2], time).await
}

/// Measures how long messages take to reach all participants of a group of 1,000.
async fn large(server: &Server, users: &[User]) -> Result<(), Failure> {
    note("creating a group of 1,000")?;
    let id = group(server, users).await?;
    let mut client = Client::connect(server.address).await?;
    let mut texts = Texts::new(5);
    let (mut times, mut sends) = (Vec::new(), Vec::new());
    let first = users.first().ok_or("there are no users")?;
    let began = Instant::now();
    for count in 1..=MESSAGES {
        let sent = Instant::now();
        sends.push(client.call(first.send_to(&id, &texts.usual())?).await?.took);
        wait_for_unread(&mut client, users, &id, count).await?;
        times.push(sent.elapsed());
    }
    let rate = |count: usize, took: Duration| -> Result<f64, Failure> {
        Ok(f64::from(u32::try_from(count)?) / took.as_secs_f64())
    };
    let per_second = rate(MESSAGES, began.elapsed())?;
    say(&Row { name: "send to a group of 1,000", clients: 1, load: Load::of(sends, per_second) }.to_string())?;
    say(
        &Row { name: "  until all 1,000 have it", clients: 1, load: Load::of(times, per_second) }.to_string()
    )?;

    let began = Instant::now();
    for _ in 0..BURST {
        client.call(first.send_to(&id, &texts.usual())?).await?;
    }
    wait_for_unread(&mut client, users, &id, MESSAGES + BURST).await?;
    let load = Load::of(vec![began.elapsed()], rate(BURST, began.elapsed())?);
    let name = format!("  until all have {BURST} at once");
    say(&Row { name: &name, clients: 1, load }.to_string())
}

/// Waits until the inbox rows of all but the sender show `count` unread messages. Starts with the last participant,
/// whom the fan-out reaches last, so that most polls go to that one.
async fn wait_for_unread(client: &mut Client, users: &[User], id: &str, count: usize) -> Result<(), Failure> {
    for user in users.iter().skip(1).rev() {
        loop {
            let inbox = client.call(user.call(&Method::GET, "/api/messages/inbox?limit=5")?).await?.json()?;
            let rows = inbox["data"].as_array().ok_or("an inbox without rows")?;
            let row = rows.iter().find(|row| row["conversation_id"] == id).ok_or("a missing row")?;
            if row["unread_count"] == count {
                break;
            }
            sleep(POLL_INTERVAL).await;
        }
    }
    Ok(())
}
