//! The stored data of notifications: the possible receivers of a message, the newest message that each user was notified
//! of, and the users who are active at the moment.
//!
//! Invariant: a user is notified of a message at most once. Before a notification is sent, a conditional write records
//! its message in the user's item of the conversation, so a second worker, or a repeated record of the stream, is refused.
//!
//! Invariant: a user who is active is in the list of those who wait, until they report that they are inactive, or 60 s
//! have passed. Deleting the entry creates a stream record, which invokes `notify` again.

use std::collections::BTreeSet;

use async_recursion::async_recursion as boxed;
use domain::conversation::Row;
use domain::error::Error;
use domain::id::{ConversationId, ConversationKind, MessageId, Stamp, UserId};
use domain::message::Message;
use domain::notification::leads_to;
use domain::presence::Presence;
use domain::settings::NotifyLevel;
use domain::time::Timestamp;
use domain::web_push::Subscription;
use futures_util::future::try_join_all;
use serde::Deserialize;
use tokio::time::Instant;

use crate::client::Store;
use crate::database::{query_between, query_prefixed};
use crate::item::{Attribute, Item, Key, from_item, suffix};
use crate::messages::{self, StoredMessage};
use crate::write::Write;
use crate::{inbox, partition, presences, subscriptions};

/// The partition of the list of users who are active and wait for notifications.
const WAITING_LIST: &str = "WAITING";
/// The prefix of the sort keys in that list: the removal of such an item wakes `notify`.
pub const WAITING_USER: &str = "H#";
/// The prefix of the sort keys of room users who are notified of every message. It sorts outside `META` to `P#`, which one
/// query reads as the group.
const LISTENER: &str = "B#";
/// Seconds for which it is remembered up to which message a user was notified: longer than the stream keeps its records.
const NOTED_LIFE: i64 = 3 * 24 * 3600;
/// Seconds after which an item of the list expires, if nothing removes it in time.
const WAITING_LIFE: i64 = 3600;
/// How many of a conversation's newest messages are checked when a user stops being active.
const LOOKED_AT: usize = 50;
/// How many users are removed from the list concurrently.
const REMOVALS: usize = 16;

/// Up to which message of a conversation a user was notified.
pub(crate) fn key(user: &UserId, conversation: &ConversationId) -> Key {
    Key { pk: partition::of_user(user), sk: format!("N#{conversation}") }
}

/// A user in the list of those who wait.
pub(crate) fn waiting_key(user: &UserId) -> Key {
    Key { pk: WAITING_LIST.into(), sk: format!("{WAITING_USER}{user}") }
}

/// A user of a room who is notified of every message.
pub(crate) fn listener_key(room: &ConversationId, user: &UserId) -> Key {
    Key { pk: partition::of_conversation(room), sk: format!("{LISTENER}{user}") }
}

/// Records the level that a user of a room has chosen. Most users of a room are notified of mentions only, so the
/// others are found without reading all of them.
pub(crate) fn listen(room: &ConversationId, user: &UserId, level: NotifyLevel) -> Write {
    let key = listener_key(room, user);
    if level == NotifyLevel::All { Write::update(key).set("listens", &true) } else { Write::delete(key) }
}

/// The attributes of a user's item of a conversation, without its key.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Noted {
    /// The newest message that the user was notified of.
    notified: Option<Stamp>,
    /// The oldest message that came while the user was active.
    waiting: Option<Stamp>,
}

/// The reason for which a record of the stream invokes `notify`, by the key of its item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A new message.
    Message(MessageId),
    /// A user is active no more.
    Inactive(UserId),
}

impl Cause {
    /// The cause that an item with this key is; `None` for other items.
    #[must_use]
    pub fn of(pk: &str, sk: &str) -> Option<Self> {
        if let Some(user) = sk.strip_prefix(WAITING_USER) {
            return user.parse().ok().map(Self::Inactive);
        }
        let conversation = pk.strip_prefix("C#")?.parse().ok()?;
        let stamp = sk.strip_prefix(messages::MESSAGE)?.parse().ok()?;
        Some(Self::Message(MessageId { conversation, stamp }))
    }
}

/// Messages of a conversation that may lead to notifications, the newest first.
#[derive(Debug, Clone)]
pub struct Candidates(Vec<StoredMessage>);

impl Candidates {
    /// The users whom the messages name, each once: the recipients of direct messages, and those who are mentioned.
    #[must_use]
    pub fn named(&self) -> Vec<UserId> {
        let mut named = BTreeSet::new();
        for StoredMessage { message, .. } in &self.0 {
            named.extend(&message.recipient);
            named.extend(message.content.mentions.iter().filter(|user| message.mentions(user)));
        }
        named.into_iter().cloned().collect()
    }

    /// Whether one of the messages mentions every participant.
    #[must_use]
    pub fn mention_all(&self) -> bool {
        self.0.iter().any(|stored| stored.message.content.mention_all)
    }

    /// The oldest message.
    #[must_use]
    pub fn oldest(&self) -> Option<MessageId> {
        self.0.last().map(|stored| stored.message.id.clone())
    }

    /// The newest message that leads to a notification of a user.
    fn newest_for(&self, user: &UserId, receiver: &Receiver, now: Timestamp) -> Option<&Message> {
        let leads = |stored: &&StoredMessage| {
            let message = &stored.message;
            receiver.notified < Some(message.id.stamp)
                && leads_to(message, stored.is_hidden_by(user), user, &receiver.row, now)
        };
        self.0.iter().find(leads).map(|stored| &stored.message)
    }
}

/// The stored data that decides whether a user is notified.
#[derive(Debug)]
pub struct Receiver {
    /// Their row of the conversation.
    pub row: Row,
    /// Their subscriptions.
    pub subscriptions: Vec<Subscription>,
    active_until: Option<Timestamp>,
    notified: Option<Stamp>,
}

/// Whether a user is to be notified.
#[derive(Debug)]
pub enum Decision {
    /// Not of any of the messages.
    No,
    /// Not now, because they are active until this time.
    Wait(Timestamp),
    /// Of this message.
    Notify(Box<Message>, Box<Receiver>),
}

impl Store {
    /// Reads the messages of a conversation between two, both included.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn candidates(
        &self,
        conversation: &ConversationId,
        (oldest, newest): (Stamp, Option<Stamp>),
    ) -> Result<Candidates, Error> {
        let below = newest.map(|newest| newest.plus(1));
        let Some((low, high)) = messages::between(Some(oldest.previous()), below) else {
            return Ok(Candidates(Vec::new()));
        };
        let query = query_between(&partition::of_conversation(conversation), &low, &high);
        let query = query.consistent_read(true).scan_index_forward(false);
        // Without an end, there may be very many. With one, they are those of a batch of the stream.
        let limit = if newest.is_some() { usize::MAX } else { LOOKED_AT };
        let (items, _) = self.query_up_to(query, limit).await?;
        Ok(Candidates(items.iter().map(messages::read_stored).collect::<Result<_, _>>()?))
    }

    /// Returns up to `limit` users of a group or room after one of them, who may be notified, and the user after whom to
    /// go on. In a room these are only those who are notified of every message, unless `everyone` is asked for.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn possible_receivers(
        &self,
        conversation: &ConversationId,
        everyone: bool,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<(Vec<UserId>, Option<UserId>), Error> {
        let (users, more) = if conversation.kind() == ConversationKind::Room && !everyone {
            let start = after.map(|user| listener_key(conversation, user).attributes());
            let query = query_prefixed(&partition::of_conversation(conversation), LISTENER);
            let query = query.set_exclusive_start_key(start).projection_expression("sk");
            let (items, more) = self.query_up_to(query, limit).await?;
            (items.iter().map(listener_of).collect::<Result<Vec<_>, _>>()?, more)
        } else {
            let (participants, more) = self.participants_after(conversation, after, limit).await?;
            (participants.into_iter().map(|(user, _)| user).collect(), more)
        };
        let next = users.last().filter(|_| more).cloned();
        Ok((users, next))
    }

    /// Decides whether a user with these subscriptions is to be notified of one of these messages, as everything is now.
    /// Removes subscriptions whose session has ended.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn decide(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        candidates: &Candidates,
        subscriptions: Vec<Subscription>,
    ) -> Result<Decision, Error> {
        let now = self.clock.now();
        let Some(receiver) = self.receiver(user, conversation, subscriptions, now).await? else {
            if conversation.kind() == ConversationKind::Room {
                self.stop_listening(user, conversation).await?;
            }
            return Ok(Decision::No);
        };
        let Some(message) = candidates.newest_for(user, &receiver, now) else { return Ok(Decision::No) };
        if let Some(until) = receiver.active_until.filter(|until| *until > now) {
            return Ok(Decision::Wait(until));
        }
        if receiver.subscriptions.is_empty() {
            return Ok(Decision::No);
        }
        Ok(Decision::Notify(Box::new(message.clone()), Box::new(receiver)))
    }

    /// Reads what decides whether a user is notified; `None` if they do not take part in the conversation.
    async fn receiver(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        subscriptions: Vec<Subscription>,
        now: Timestamp,
    ) -> Result<Option<Receiver>, Error> {
        let (row, noted, presence) =
            (inbox::key(user, conversation), key(user, conversation), presences::key(user));
        let mut keys = vec![row.clone(), noted.clone(), presence.clone()];
        keys.extend(subscriptions::session_keys(user, &subscriptions));
        let items = self.get_all(keys).await?;
        let find = |key: &Key| items.iter().find(|item| key.is_of(item)).cloned();
        let Some(row) = find(&row) else { return Ok(None) };
        let noted: Noted = find(&noted).as_ref().map(from_item).transpose()?.unwrap_or_default();
        let presence: Presence = find(&presence).as_ref().map(from_item).transpose()?.unwrap_or_default();
        let (live, ended) = subscriptions::split_by_session(user, subscriptions, &items, now);
        self.forget_subscriptions(user, &ended).await?;
        Ok(Some(Receiver {
            row: from_item(&row)?,
            subscriptions: live,
            active_until: presence.active_until.map(|until| until.0),
            notified: noted.notified,
        }))
    }

    /// Records that a user is notified of a message. Returns `false` if they were notified of it, or of a later one.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn claim_notification(&self, user: &UserId, message: &MessageId) -> Result<bool, Error> {
        let claim = Write::update(key(user, &message.conversation))
            .set("notified", &message.stamp)
            .set("expires", &(self.clock.now().seconds() + NOTED_LIFE))
            .remove("waiting")
            .if_below("notified", &message.stamp);
        Ok(self.update_one(claim).await?.is_ok())
    }

    /// Remembers that a user who is active until then has messages from this one on to be notified of.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn wait_to_notify(
        &self,
        user: &UserId,
        oldest: &MessageId,
        until: Timestamp,
    ) -> Result<(), Error> {
        let noted = Write::update(key(user, &oldest.conversation))
            .set_if_missing("waiting", Some(&oldest.stamp))
            .set("expires", &(self.clock.now().seconds() + NOTED_LIFE));
        self.update_one(noted).await.map(|_| ())?;
        let waiting = Write::update(waiting_key(user))
            .set("until", &until)
            .set("expires", &(until.seconds() + WAITING_LIFE));
        self.update_one(waiting).await.map(|_| ())
    }

    /// Returns the conversations in which a user has messages to be notified of, and the oldest of these.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn waiting_notifications(&self, user: &UserId) -> Result<Vec<(ConversationId, Stamp)>, Error> {
        let query = query_prefixed(&partition::of_user(user), "N#").consistent_read(true);
        let mut found = Vec::new();
        for item in self.query_all(query).await? {
            let conversation = suffix(&item, "sk", "N#")?.parse().map_err(Error::internal)?;
            if let Some(oldest) = from_item::<Noted>(&item)?.waiting {
                found.push((conversation, oldest));
            }
        }
        Ok(found)
    }

    /// Forgets that a user has messages from this one on to be notified of.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn stop_waiting(&self, user: &UserId, oldest: &MessageId) -> Result<(), Error> {
        let noted = Write::update(key(user, &oldest.conversation)).remove("waiting");
        self.update_one(noted.if_still("waiting", Some(&oldest.stamp))).await.map(|_| ())
    }

    /// Removes a user from the list of those who wait. If they are in it, that wakes `notify`.
    pub(crate) async fn remove_waiting_user(&self, user: &UserId) -> Result<(), Error> {
        self.remove(waiting_key(user)).await
    }

    /// Removes those users from the list whose time is over. Returns how many.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn remove_due_waiting_users(&self) -> Result<usize, Error> {
        let now = self.clock.now();
        let mut query = query_prefixed(WAITING_LIST, WAITING_USER)
            .filter_expression("#until <= :now")
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":now", now.attribute());
        let mut count = 0;
        loop {
            let (items, end) = self.query_once(query.clone(), usize::MAX).await?;
            count += items.len();
            for items in items.chunks(REMOVALS) {
                let mut removals = Vec::with_capacity(items.len());
                for item in items {
                    let user = suffix(item, "sk", WAITING_USER)?.parse().map_err(Error::internal)?;
                    let write = Write::delete(waiting_key(&user)).if_below("until", &(now.millis() + 1));
                    removals.push(self.commit(vec![write].into(), Instant::now()));
                }
                try_join_all(removals).await?;
            }
            match end {
                None => return Ok(count),
                end => query = query.set_exclusive_start_key(end),
            }
        }
    }

    /// Forgets that a user who does not take part in a room any more is notified of its messages.
    async fn stop_listening(&self, user: &UserId, room: &ConversationId) -> Result<(), Error> {
        let has_left = Write::check(inbox::key(user, room)).if_missing("pk");
        let forget = Write::delete(listener_key(room, user));
        self.commit(vec![has_left, forget].into(), Instant::now()).await.map(|_| ())
    }
}

fn listener_of(item: &Item) -> Result<UserId, Error> {
    suffix(item, "sk", LISTENER)?.parse().map_err(Error::internal)
}
