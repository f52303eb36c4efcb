//! The third table: what groups, rooms, changes and logins take.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::json;
use tokio::time::sleep;

use crate::client::{Client, User};
use crate::load::Load;
use crate::operations::Operation;
use crate::report::{self, Row, note, say};
use crate::server::Server;
use crate::text::Texts;
use crate::work::Work;
use crate::{Failure, seed};

/// Participants of the groups.
const SIZES: [usize; 2] = [8, 24];
/// Participants of the large one.
const LARGE: usize = 1_000;
/// Messages that are brought to all of them, one after the other.
const MESSAGES: usize = 10;
/// And at once.
const BURST: usize = 50;
/// From one look to the next.
const LOOK: Duration = Duration::from_millis(5);

/// Measures all of it.
pub(crate) async fn measure(server: &Server, time: Duration) -> Result<(), Failure> {
    let people = seed::users(server, (0..LARGE).map(|index| format!("member-{index}")).collect()).await?;
    let first = people.first().ok_or("nobody")?.clone();
    say(&report::groups_head())?;
    for size in SIZES {
        let group = group(server, people.get(..size).ok_or("too few people")?).await?;
        let (one, id) = (first.clone(), group.clone());
        let send = Operation::new(format!("send to a group of {size}"), move |index| {
            let (from, to, mut texts) = (one.clone(), id.clone(), Texts::new(index));
            Work::Make(Box::new(move || Ok(from.send_to(&to, &texts.usual()))))
        });
        crate::rows(server, &send, &crate::CLIENTS[..1], time).await?;
        let page = first.call(Method::GET, &format!("/api/conversations/{group}/messages?limit=50"))?;
        let page = Operation::new(format!("page of 50, group of {size}"), move |_| Work::Get(page.clone()));
        crate::rows(server, &page, &crate::CLIENTS[..1], time).await?;
    }
    edits(server, &people, time).await?;
    logins(server, time).await?;
    large(server, &people).await
}

/// Makes a group of some, the first of whom is its creator; gives its id.
async fn group(server: &Server, people: &[User]) -> Result<String, Failure> {
    let (first, others) = people.split_first().ok_or("nobody")?;
    let others: Vec<&String> = others.iter().map(|user| &user.id).collect();
    let body = json!({"type": "group", "name": "measured", "participant_ids": others});
    let made = first.post("/api/conversations", &body, StatusCode::CREATED)?;
    let made = Client::connect(server.address).await?.call(made).await?.json()?;
    Ok(made["data"]["conversation_id"].as_str().ok_or("a group without an id")?.to_owned())
}

/// Edits of a message in a direct conversation, each another text.
async fn edits(server: &Server, people: &[User], time: Duration) -> Result<(), Failure> {
    let [one, other, ..] = people else { return Err("too few people".into()) };
    let sent = Client::connect(server.address).await?.call(one.send(&other.id, "the first text")).await?;
    let sent = sent.json()?;
    let path = format!("/api/messages/{}", sent["data"]["id"].as_str().ok_or("a message without an id")?);
    let one = one.clone();
    let edit = Operation::new("edit", move |_| {
        let (one, path, mut texts) = (one.clone(), path.clone(), Texts::new(3));
        Work::Make(Box::new(move || one.patch(&path, &json!({"message_text": texts.usual()}))))
    });
    crate::rows(server, &edit, &crate::CLIENTS[..1], time).await
}

/// Logins with a right password: most of it is the hash.
async fn logins(server: &Server, time: Duration) -> Result<(), Failure> {
    let nobody = User::new("nobody".to_owned(), "none")?;
    let (name, password) = ("measured", "correct horse battery");
    let account = json!({"username": name, "email": "measured@example.com", "password": password});
    let register = nobody.post("/api/auth/register", &account, StatusCode::CREATED)?;
    Client::connect(server.address).await?.call(register).await?;
    let login = json!({"username": name, "password": password});
    let login = nobody.post("/api/auth/login", &login, StatusCode::OK)?;
    let operation = Operation::new("login", move |_| Work::Get(login.clone()));
    crate::rows(server, &operation, &crate::CLIENTS[..2], time).await
}

/// How long messages take to the queues of a thousand.
async fn large(server: &Server, people: &[User]) -> Result<(), Failure> {
    note("making a group of 1,000")?;
    let id = group(server, people).await?;
    let mut client = Client::connect(server.address).await?;
    let mut texts = Texts::new(5);
    let (mut times, mut sends) = (Vec::new(), Vec::new());
    let first = people.first().ok_or("nobody")?;
    let began = Instant::now();
    for count in 1..=MESSAGES {
        let sent = Instant::now();
        sends.push(client.call(first.send_to(&id, &texts.usual())).await?.took);
        heard(&mut client, people, &id, count).await?;
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
        client.call(first.send_to(&id, &texts.usual())).await?;
    }
    heard(&mut client, people, &id, MESSAGES + BURST).await?;
    let load = Load::of(vec![began.elapsed()], rate(BURST, began.elapsed())?);
    let name = format!("  until all have {BURST} at once");
    say(&Row { name: &name, clients: 1, load }.to_string())
}

/// Waits until the rows of all but the sender count so many messages. The last to be told is asked most.
async fn heard(client: &mut Client, people: &[User], id: &str, count: usize) -> Result<(), Failure> {
    for user in people.iter().skip(1).rev() {
        loop {
            let inbox = client.call(user.call(Method::GET, "/api/messages/inbox?limit=5")?).await?.json()?;
            let rows = inbox["data"].as_array().ok_or("an inbox without rows")?;
            let row = rows.iter().find(|row| row["conversation_id"] == id).ok_or("a missing row")?;
            if row["unread_count"] == count {
                break;
            }
            sleep(LOOK).await;
        }
    }
    Ok(())
}
