//! Sessions: families of refresh tokens.
//!
//! Invariant: a session moves forward only, one generation at a time, and is valid only for the password version that
//! it is bound to. A token of a replaced generation ends the session, since it may have been stolen; only the token
//! that was replaced last is still accepted, within [`GRACE`].

use async_recursion::async_recursion as boxed;
use domain::account::Account;
use domain::error::Error;
use domain::id::{SessionId, UserId};
use domain::limits::REFRESHES;
use domain::session::{GRACE, RefreshToken, SESSION_LIFE, Session, session_ended};
use domain::time::{Timestamp, millis};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::accounts::{self, Registered};
use crate::client::Store;
use crate::database::query_prefixed;
use crate::item::{Item, Key, from_item, full_at, text};
use crate::transact::Commit;
use crate::write::Write;
use crate::{partition, profiles};

/// Sessions that one transaction deletes.
const DELETIONS_AT_ONCE: usize = 100;

pub(crate) fn key(user: &UserId, session: &SessionId) -> Key {
    Key { pk: partition::of_user(user), sk: format!("F#{session}") }
}

/// The attributes of a session, without its key.
#[derive(Serialize, Deserialize)]
struct Stored {
    generation: u64,
    #[serde(with = "millis")]
    rotated_at: Timestamp,
    /// The version of the password that the session is bound to.
    password_version: u64,
    expires: i64,
}

/// Whether a session is bound to a password version.
pub(crate) fn rests_on(session: &Item, password_version: u64) -> bool {
    from_item::<Stored>(session).is_ok_and(|stored| stored.password_version == password_version)
}

/// The keys of the items that tell which of these sessions of a user have ended; none without a session.
pub(crate) fn keys_of<'a>(user: &UserId, sessions: impl Iterator<Item = &'a SessionId>) -> Vec<Key> {
    let mut keys: Vec<Key> = sessions.map(|session| key(user, session)).collect();
    if !keys.is_empty() {
        keys.push(accounts::key(user));
    }
    keys
}

/// Whether a session has not ended, by the items of [`keys_of`].
pub(crate) fn is_live(user: &UserId, session: &SessionId, items: &[Item], now: Timestamp) -> bool {
    let find = |key: Key| items.iter().find(|item| key.is_of(item));
    let session = find(key(user, session)).map(from_item::<Stored>);
    let account = find(accounts::key(user)).map(from_item::<Account>);
    match (session, account) {
        (Some(Ok(session)), Some(Ok(account))) => {
            session.expires >= now.seconds() && session.password_version == account.password_version
        }
        _ => false,
    }
}

/// Keeps a session valid when the password of a version is replaced: binds it to the next version.
pub(crate) fn keep(user: &UserId, session: &SessionId, password_version: u64) -> Write {
    Write::update(key(user, session))
        .set("password_version", &(password_version + 1))
        .if_still("password_version", Some(&password_version))
}

impl Store {
    /// Begins a session of a user whose password was verified against `account`.
    ///
    /// # Errors
    /// `NotAuthenticated` if the account was deleted or its password has changed since.
    #[boxed]
    pub async fn begin_session(&self, user: &UserId, account: &Account) -> Result<Session, Error> {
        let now = self.clock.now();
        let session = Session { user: user.clone(), id: SessionId::random(), generation: 0, rotated_at: now };
        let stored = Stored {
            generation: session.generation,
            rotated_at: now,
            password_version: account.password_version,
            expires: now.seconds() + SESSION_LIFE,
        };
        let begin = Write::put(key(user, &session.id), &stored)?;
        let password = accounts::check(user, account.password_version);
        match self.commit(vec![begin, password].into(), Instant::now()).await? {
            Commit::Done(()) => Ok(session),
            Commit::Refused(_) => Err(Error::NotAuthenticated("The password has just been changed.")),
        }
    }

    /// Moves a session to its next generation. If the token's generation was replaced within [`GRACE`], returns the one
    /// that replaced it.
    ///
    /// # Errors
    /// `NotAuthenticated` if the session has ended, or ends now because the token was reused; `RateLimited` after too
    /// many refreshes.
    #[boxed]
    pub async fn refresh(&self, token: &RefreshToken) -> Result<(Session, Registered), Error> {
        let began = Instant::now();
        let RefreshToken { user, session: id, generation } = token;
        loop {
            let keys = vec![key(user, id), accounts::key(user), profiles::key(user)];
            let items = self.get_all(keys).await?;
            let item = items.iter().find(|item| key(user, id).is_of(item)).ok_or_else(session_ended)?;
            let (bucket_full_at, stored) = (full_at(item, &REFRESHES), from_item::<Stored>(item)?);
            let registered = accounts::registered(user, &items)?.ok_or_else(session_ended)?;
            let now = self.clock.now();
            if stored.expires < now.seconds()
                || stored.password_version != registered.account.password_version
            {
                return Err(session_ended());
            }
            let session = |generation, rotated_at| Session {
                user: user.clone(),
                id: id.clone(),
                generation,
                rotated_at,
            };
            if stored.generation == *generation {
                let next = Write::update(key(user, id))
                    .set("generation", &(generation + 1))
                    .set("rotated_at", &now)
                    .set("expires", &(now.seconds() + SESSION_LIFE))
                    .if_still("generation", Some(generation))
                    .if_still("password_version", Some(&stored.password_version));
                let next = self.limit(next, &REFRESHES, bucket_full_at)?;
                let password = accounts::check(user, stored.password_version);
                if let Commit::Done(()) = self.commit(vec![next, password].into(), began).await? {
                    return Ok((session(generation + 1, now), registered));
                }
            } else if stored.generation == generation + 1
                && now.millis() - stored.rotated_at.millis() <= GRACE
            {
                return Ok((session(stored.generation, stored.rotated_at), registered));
            } else {
                // Two clients hold tokens of this session, and nothing tells which of them is the user's.
                tracing::warn!(%user, session = %id, "a refresh token was reused: ending its session");
                self.end_session(user, id).await?;
                return Err(session_ended());
            }
        }
    }

    /// Ends a session. Ending it again changes nothing.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn end_session(&self, user: &UserId, session: &SessionId) -> Result<(), Error> {
        self.remove(key(user, session)).await
    }

    /// Ends all sessions of a user.
    pub(crate) async fn end_sessions(&self, user: &UserId) -> Result<(), Error> {
        let query = query_prefixed(&partition::of_user(user), "F#");
        let query = query.consistent_read(true).projection_expression("pk, sk");
        let (items, _) = self.query_up_to(query, usize::MAX).await?;
        for chunk in items.chunks(DELETIONS_AT_ONCE) {
            let deletions = chunk.iter().map(|item| {
                Ok(Write::delete(Key {
                    pk: text(item, "pk")?.into_owned(),
                    sk: text(item, "sk")?.into_owned(),
                }))
            });
            let deletions: Vec<Write> = deletions.collect::<Result<_, Error>>()?;
            self.commit(deletions.into(), Instant::now()).await?;
        }
        Ok(())
    }
}
