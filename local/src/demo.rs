//! Eight people and what they write to one another, to try things with: always the same texts, up to now.
//!
//! It is made by the calls that functions make, and found again: an unfinished one is gone on with, and a store that
//! knows any of these people otherwise is left alone. While it is being made, the first of them is in a group that
//! says so.

mod dice;
mod languages;
mod room;
mod scene;
mod scenes;

use domain::account::{Account, EmailAddress, PasswordHash, Username};
use domain::caller::Caller;
use domain::error::{Error, Source};
use domain::id::{Clock, ConversationId, UserId};
use domain::name::Name;
use domain::user::Profile;
use edge::app::App;
use edge::auth;
use store::{NewGroup, Registered, Store};
use tokio::task::JoinSet;

use crate::secrets::days_from_now;

/// The people: id and name. Their usernames are their ids.
pub const PEOPLE: [(&str, &str); 8] = [
    ("alice", "Alice Sommer"),
    ("bob", "Bob Okafor"),
    ("carol", "Carol Núñez"),
    ("eleni", "Ελένη Παππά"),
    ("farah", "فرح خوري"),
    ("mei", "陈美玲"),
    ("priya", "प्रिया शर्मा"),
    ("yuki", "佐藤ゆき"),
];

/// Days that a token of theirs holds.
const DAYS: i64 = 30;

/// A token of one of them.
pub(crate) fn token(secret: &str, (id, name): (&str, &str)) -> Result<String, Source> {
    auth::sign(secret.as_bytes(), &id.parse()?, Some(name), days_from_now(DAYS)).map_err(Into::into)
}

/// The password of all of them.
pub const PASSWORD: &str = "try tidings";
/// Its hash.
const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$dGlkaW5ncyBkZW1vIHNhbHQ$gJssSJBq+/7e5zuXAZTE5tAwBZdvSREvDZ4rAHdJG4g";

/// The first person's group while the rest is being made: its name, and its client id.
const SIGN: (&str, &str) = ("The demo is being made …", "demo");
/// How long ago people came: an event is kept for seven days.
const ARRIVAL: i64 = 160 * 60 * 60_000;

/// Makes the people and their conversations, or what is missing of them, with so many messages in the lively room.
///
/// # Errors
/// Where the database is away.
pub async fn fill(app: &App, messages: usize) -> Result<(), Error> {
    let store = app.store.clone().limited(false).without_pushes();
    let first = caller(PEOPLE[0].0)?;
    let sign = ConversationId::group(&first.user, SIGN.1);
    if store.row(&first.user, &sign).await?.is_none() && !put_up_sign(&store, &first).await? {
        return Ok(());
    }
    for (id, name) in &PEOPLE[1..] {
        introduce(&store, id, name).await?;
    }
    let mut scenes = JoinSet::new();
    for scene in scenes::all().into_iter().chain(room::all(messages)) {
        let store = store.clone();
        scenes.spawn(async move { scene.play(&store).await });
    }
    while let Some(played) = scenes.join_next().await {
        played.map_err(Error::internal)??;
    }
    store.remove_participant(&first.user, &sign, &first.user).await?;
    Ok(())
}

/// Whether the store is ours to fill. Nobody else is introduced before the sign is up.
async fn put_up_sign(store: &Store, first: &Caller) -> Result<bool, Error> {
    for (id, _) in &PEOPLE[1..] {
        if store.profile(&user(id)?).await?.is_some() {
            return Ok(false);
        }
    }
    if store.inbox(&first.user, None, 0, 1).await?.total > 0 {
        return Ok(false);
    }
    introduce(store, PEOPLE[0].0, PEOPLE[0].1).await?;
    let (name, client_id) = (scene::named(SIGN.0)?, Some(SIGN.1.to_owned()));
    store.create_group(first, NewGroup { name, participants: Vec::new(), client_id }).await?;
    Ok(true)
}

/// Registers someone who is not there yet; without an account where another has taken the name.
async fn introduce(store: &Store, id: &str, name: &str) -> Result<(), Error> {
    let (user, store) = (user(id)?, ago(store, ARRIVAL));
    if store.profile(&user).await?.is_some() {
        return Ok(());
    }
    let account = Account {
        username: Username::try_from(id.to_owned()).map_err(Error::internal)?,
        email: EmailAddress::try_from(format!("{id}@example.com")).map_err(Error::internal)?,
        hash: PasswordHash(HASH.to_owned()),
        password_version: 1,
    };
    let profile = Profile {
        username: Some(account.username.clone()),
        email: Some(account.email.clone()),
        ..Profile::new(Name::shortened(name), None, store.now())
    };
    match store.register(&Registered { user, account, profile }).await {
        Err(Error::AlreadyExists(_)) => store.ensure_user(&caller(id)?).await.map(drop),
        done => done,
    }
}

/// One of them, as a caller.
fn caller(id: &str) -> Result<Caller, Error> {
    let name = PEOPLE.iter().find(|(known, _)| *known == id).and_then(|(_, name)| Name::shortened(name));
    Ok(Caller { user: user(id)?, name, picture: None, expires: Clock::default().now(), session: None })
}

fn user(id: &str) -> Result<UserId, Error> {
    id.parse().map_err(Error::internal)
}

/// The store as it was used so many milliseconds ago.
fn ago(store: &Store, millis: i64) -> Store {
    store.clone().with_clock(Clock::off_by(-millis))
}
