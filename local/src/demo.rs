//! Demo data: eight people and their conversations, with the same texts each time and times up to now.
//!
//! It is written by the store methods that the functions use. An interrupted demo is resumed at the next start; a store
//! that already has other data of these people is left alone. A group of the first person marks a demo as unfinished.

mod dice;
mod languages;
mod people;
mod room;
mod scene;
mod scenes;

use domain::account::{Account, EmailAddress, PasswordHash, Username};
use domain::caller::Caller;
use domain::error::{Error, Source};
use domain::id::ConversationId;
use domain::name::Name;
use domain::user::Profile;
use edge::app::App;
use edge::auth;
use store::{InboxFilter, NewGroup, Registered, Store};
use tokio::task::JoinSet;

use crate::secrets::days_from_now;

pub use self::people::PEOPLE;
use self::people::{ago, caller, user};

/// Lifetime of their tokens in days.
const TOKEN_DAYS: i64 = 30;

/// Signs a token for one of the people.
pub(crate) fn token(secret: &str, (id, name): (&str, &str)) -> Result<String, Source> {
    auth::sign(secret.as_bytes(), &id.parse()?, Some(name), days_from_now(TOKEN_DAYS)).map_err(Into::into)
}

/// The password of all demo accounts.
pub const PASSWORD: &str = "try tidings";
/// The hash of [`PASSWORD`].
const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$dGlkaW5ncyBkZW1vIHNhbHQ$gJssSJBq+/7e5zuXAZTE5tAwBZdvSREvDZ4rAHdJG4g";

/// The group that marks an unfinished demo: its name and its client id.
const MARKER: (&str, &str) = ("The demo is being created …", "demo");
/// How long ago the people registered, in milliseconds: less than the seven days for which events are kept.
const REGISTERED: i64 = 160 * 60 * 60_000;

/// Creates the people and their conversations, or the missing ones, with `messages` messages in the lively room.
///
/// # Errors
/// If the database is unavailable.
pub async fn fill(app: &App, messages: usize) -> Result<(), Error> {
    let store = app.store.clone().limited(false).without_pushes();
    let first = caller(PEOPLE[0].0)?;
    let marker = ConversationId::group(&first.user, MARKER.1);
    if store.row(&first.user, &marker).await?.is_none() && !create_marker(&store, &first).await? {
        return Ok(());
    }
    for (id, name) in &PEOPLE[1..] {
        register(&store, id, name).await?;
    }
    let mut scenes = JoinSet::new();
    for scene in scenes::all().into_iter().chain(room::all(messages)) {
        let store = store.clone();
        scenes.spawn(async move { scene.play(&store).await });
    }
    while let Some(played) = scenes.join_next().await {
        played.map_err(Error::internal)??;
    }
    store.remove_participant(&first.user, &marker, &first.user).await?;
    Ok(())
}

/// Creates the marker group and returns true, or returns false if the store has other data of the demo's people.
///
/// Invariant: the other people are registered only after this group exists, so that an unfinished demo is recognised.
async fn create_marker(store: &Store, first: &Caller) -> Result<bool, Error> {
    for (id, _) in &PEOPLE[1..] {
        if store.profile(&user(id)?).await?.is_some() {
            return Ok(false);
        }
    }
    if store.inbox(&first.user, InboxFilter::default(), None, 0, 1).await?.total > 0 {
        return Ok(false);
    }
    register(store, PEOPLE[0].0, PEOPLE[0].1).await?;
    let (name, client_id) = (scene::parse_name(MARKER.0)?, Some(MARKER.1.to_owned()));
    store.create_group(first, NewGroup { name, participants: Vec::new(), client_id }).await?;
    Ok(true)
}

/// Registers a person who does not exist yet. If another account has the username, creates only the user's profile.
async fn register(store: &Store, id: &str, name: &str) -> Result<(), Error> {
    let (user, store) = (user(id)?, ago(store, REGISTERED));
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
