//! Inbox rows, the number of a user's visible rows, and unread counts.
//!
//! Invariant: a row has `activity` exactly while it is visible, and `TOTALS` counts the visible rows. Both change in
//! one transaction, so the total is exact. `n > 0` exactly while the row is in the sparse index "unread".

use async_recursion::async_recursion as boxed;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::conversation::Row;
use domain::delivery::{Delivery, OutgoingEvent};
use domain::error::Error;
use domain::event::Event;
use domain::id::{ConversationId, Stamp, UserId};
use domain::name::{Name, Picture};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::client::Store;
use crate::item::{Attribute, Item, Key, Write, from_item, suffix};
use crate::partition;
use crate::transact::Commit;

/// The index that orders a user's visible rows by latest activity.
pub(crate) const ACTIVITY: &str = "activity";
/// The sparse index of a user's rows with unread messages.
pub(crate) const UNREAD: &str = "unread";
/// The constant sort key of index "unread": a key that changed with the count would cost two writes.
pub(crate) const UNREAD_MARK: &str = "U";

/// The row attribute that holds [`Row::latest_event`].
pub(crate) const LATEST_EVENT: &str = "told";

pub(crate) fn key(user: &UserId, conversation: &ConversationId) -> Key {
    Key { pk: partition::of_user(user), sk: format!("C#{conversation}") }
}

/// The partition key of a user's items, as an attribute.
pub(crate) fn partition_of(user: &UserId) -> AttributeValue {
    partition::of_user(user).attribute()
}

pub(crate) fn totals_key(user: &UserId) -> Key {
    Key { pk: partition::of_user(user), sk: "TOTALS".into() }
}

/// Adds `change` to the number of a user's visible rows.
pub(crate) fn count_rows(user: &UserId, change: i64) -> Write {
    Write::update(totals_key(user)).add("rows", change)
}

/// Writes the differences between two versions of a row, under the conditions of [`unless_changed`].
pub(crate) fn replace(key: Key, before: &Row, after: &Row) -> Write {
    let mut write = unless_changed(Write::update(key), before).set("n", &after.unread);
    write = if after.unread > 0 { write.set("unread", UNREAD_MARK) } else { write.remove("unread") };
    for (name, was, is) in [
        ("head", before.head, after.head),
        ("activity", before.activity, after.activity),
        ("last_id", before.last_id, after.last_id),
        (LATEST_EVENT, before.latest_event, after.latest_event),
    ] {
        if was != is {
            write = write.set_or_remove(name, is.as_ref());
        }
    }
    for (name, was, is) in
        [("seq", before.seq, after.seq), ("people", before.participant_count, after.participant_count)]
    {
        if was != is {
            write = write.set(name, &is);
        }
    }
    if before.once_large != after.once_large {
        write = write.set("once_large", &after.once_large);
    }
    if before.last_text != after.last_text {
        write = write.set_or_remove("last_text", after.last_text.as_ref());
    }
    if before.last_mine != after.last_mine {
        write = write.set("last_mine", &after.last_mine);
    }
    if before.name != after.name {
        write = write.set_or_remove("name", after.name.as_ref());
    }
    if before.picture != after.picture {
        write = write.set_or_remove("picture", after.picture.as_ref());
    }
    write
}

/// Condition: the row exists, and its messages, visibility, watermark, unread count and latest event are as read.
pub(crate) fn unless_changed(write: Write, row: &Row) -> Write {
    write
        .if_present("pk")
        .if_still("head", row.head.as_ref())
        .if_still("activity", row.activity.as_ref())
        .if_still("last_id", row.last_id.as_ref())
        .if_still("read", row.read.as_ref())
        .if_still("cleared", row.cleared.as_ref())
        .if_still(LATEST_EVENT, row.latest_event.as_ref())
        .if_still_number("n", row.unread)
}

/// Applies changes of a group or room, under the API's field names, to a row.
pub(crate) fn apply(row: &mut Row, changes: &Map<String, Value>) {
    let text = |field: &str| changes.get(field).and_then(Value::as_str).map(ToOwned::to_owned);
    if let Some(name) = text("name").and_then(|name| Name::try_from(name).ok()) {
        row.name = Some(name);
    }
    if changes.contains_key("photo_url") {
        row.picture = text("photo_url").and_then(|url| Picture::try_from(url).ok());
    }
}

/// The conversation of a row's item.
pub(crate) fn conversation_of(item: &Item) -> Result<ConversationId, Error> {
    suffix(item, "sk", "C#")?.parse().map_err(Error::internal)
}

fn read_row(item: Item) -> Result<(ConversationId, Row), Error> {
    Ok((conversation_of(&item)?, from_item(item)?))
}

/// The position at which a page of the inbox ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InboxPosition {
    activity: Stamp,
    conversation: ConversationId,
}

/// A page of the inbox.
pub struct InboxPage {
    /// The rows, most recently active first.
    pub rows: Vec<(ConversationId, Row)>,
    /// The position of the next page; `None` at the end.
    pub next: Option<InboxPosition>,
    /// The number of all visible rows.
    pub total: u64,
}

/// A user's unread counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "UnreadCount")]
pub struct Unread {
    /// Unread messages in all conversations.
    pub unread_count: u64,
    /// Conversations with unread messages.
    pub conversations: u64,
}

#[derive(Deserialize)]
struct Totals {
    /// Missing where the item holds only buckets of rate limits.
    #[serde(default)]
    rows: u64,
}

#[derive(Deserialize)]
struct UnreadEntry {
    n: u64,
}

impl Store {
    /// Returns a page of a user's inbox, most recently active first. It begins after the position `after` and skips
    /// `offset` rows.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn inbox(
        &self,
        user: &UserId,
        after: Option<InboxPosition>,
        offset: usize,
        limit: usize,
    ) -> Result<InboxPage, Error> {
        let (rows, totals) = tokio::try_join!(
            self.rows_by_activity(user, after, offset + limit),
            self.get(totals_key(user), false)
        )?;
        let (items, more) = rows;
        let rows = items.into_iter().skip(offset).map(read_row).collect::<Result<Vec<_>, _>>()?;
        let end = rows.last().filter(|_| more);
        let next = end.and_then(|(conversation, row)| {
            Some(InboxPosition { activity: row.activity?, conversation: conversation.clone() })
        });
        let total = totals.map(from_item::<Totals>).transpose()?.map_or(0, |totals| totals.rows);
        Ok(InboxPage { rows, next, total })
    }

    /// Reads up to `count` rows from index "activity", and whether there may be more.
    async fn rows_by_activity(
        &self,
        user: &UserId,
        after: Option<InboxPosition>,
        count: usize,
    ) -> Result<(Vec<Item>, bool), Error> {
        let start = after.map(|position| {
            let mut start = key(user, &position.conversation).attributes();
            start.insert("activity".into(), position.activity.attribute());
            start
        });
        let query = self
            .db
            .query()
            .index_name(ACTIVITY)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", partition::of_user(user).attribute())
            .scan_index_forward(false)
            .set_exclusive_start_key(start);
        self.query_up_to(query, count).await
    }

    /// Returns a user's unread counts, summed over index "unread".
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn unread(&self, user: &UserId) -> Result<Unread, Error> {
        let query = self
            .db
            .query()
            .index_name(UNREAD)
            .projection_expression("n")
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", partition::of_user(user).attribute());
        let items = self.query_all(query).await?;
        let counts = items.into_iter().map(|item| Ok(from_item::<UnreadEntry>(item)?.n));
        let counts = counts.collect::<Result<Vec<_>, Error>>()?;
        Ok(Unread { unread_count: counts.iter().sum(), conversations: counts.len() as u64 })
    }

    /// Reads a user's row of a conversation, consistently; `None` if they have none.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn row(&self, user: &UserId, conversation: &ConversationId) -> Result<Option<Row>, Error> {
        let item = self.get(key(user, conversation), true).await?;
        item.map(from_item).transpose()
    }

    /// Reads a user's row of a conversation with an eventually consistent read: half the price, but the row may be
    /// stale.
    pub(crate) async fn possibly_stale_row(
        &self,
        user: &UserId,
        conversation: &ConversationId,
    ) -> Result<Option<Row>, Error> {
        let item = self.get(key(user, conversation), false).await?;
        item.map(from_item).transpose()
    }

    /// Reads all of a user's rows consistently, hidden ones included, ordered by conversation id. Only the attributes
    /// named below are filled in.
    pub(crate) async fn rows(&self, user: &UserId) -> Result<Vec<(ConversationId, Row)>, Error> {
        let query = self
            .prefixed(&partition::of_user(user), "C#")
            .consistent_read(true)
            .projection_expression("sk, peer, people, once_large, head, activity, cleared");
        self.query_all(query).await?.into_iter().map(read_row).collect()
    }

    /// Reads the next `limit` of a user's conversations after this one, consistently and ordered by id. Returns the direct
    /// ones, with the other user of each, and the last conversation of any kind if there may be more.
    pub(crate) async fn peers_after(
        &self,
        user: &UserId,
        after: Option<&ConversationId>,
        limit: usize,
    ) -> Result<(Vec<(ConversationId, UserId)>, Option<ConversationId>), Error> {
        let start = after.map(|conversation| key(user, conversation).attributes());
        let query = self
            .prefixed(&partition::of_user(user), "C#")
            .consistent_read(true)
            .projection_expression("sk, peer")
            .set_exclusive_start_key(start);
        let (items, more) = self.query_up_to(query, limit).await?;
        let rows = items.into_iter().map(read_row).collect::<Result<Vec<_>, _>>()?;
        let last = rows.last().filter(|_| more).map(|(conversation, _)| conversation.clone());
        let peers = rows.into_iter().filter_map(|(conversation, row)| Some((conversation, row.peer?)));
        Ok((peers.collect(), last))
    }

    /// Hides a conversation and its history up to now from one user.
    ///
    /// # Errors
    /// `NotAParticipant` if the user does not take part in it.
    #[boxed]
    pub async fn delete_conversation(
        &self,
        user: &UserId,
        conversation: &ConversationId,
    ) -> Result<Delivery, Error> {
        let began = Instant::now();
        loop {
            let meta =
                async { if conversation.is_direct() { Ok(None) } else { self.meta(conversation).await } };
            let (row, meta) = tokio::try_join!(self.row(user, conversation), meta)?;
            let row = row.ok_or(Error::NotAParticipant)?;
            if row.activity.is_none() {
                return Ok(Delivery::default());
            }
            // The row of a large conversation may lag behind: hide messages that are not fanned out yet as well.
            let last = row.head.max(meta.as_ref().and_then(|meta| meta.newest_message));
            let event_id = self.clock.stamp_above(row.event_floor().max(meta.map(|meta| meta.latest_event)));
            let hide = Write::update(key(user, conversation))
                .set("hidden_at", &event_id)
                .set_some("cleared", last.as_ref())
                .set("n", &0u64)
                .remove("activity")
                .remove("unread")
                .remove("last_id")
                .remove("last_text")
                .remove("last_mine")
                .if_present("activity")
                .if_still("head", row.head.as_ref())
                .if_still(LATEST_EVENT, row.latest_event.as_ref());
            let event = Event::ConversationDeleted { conversation: conversation.clone() };
            let events = vec![OutgoingEvent::new(user.clone(), event_id, event)];
            let writes = vec![hide, count_rows(user, -1)];
            if let Commit::Done(delivery) = self.commit_and_publish(writes.into(), events, began).await? {
                return Ok(delivery);
            }
        }
    }
}
