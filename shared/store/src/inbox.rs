//! Inbox rows, and the numbers of a user's rows in the inbox, in the archive and pinned.
//!
//! Invariant: a row has `activity` exactly while it is visible, and `TOTALS` counts the visible rows of each list. Both
//! change in one transaction, so the totals are exact. `n > 0` exactly while the row is in the sparse index "counts".

use async_recursion::async_recursion as boxed;
use domain::conversation::Row;
use domain::delivery::{Delivery, OutgoingEvent};
use domain::error::Error;
use domain::event::Event;
use domain::id::{ConversationId, ConversationKind, UserId};
use domain::message::Message;
use domain::name::{Name, Picture};
use domain::settings::{InboxList, MAX_PINNED};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::client::Store;
use crate::database::query_prefixed;
use crate::item::{Item, Key, from_item, suffix};
use crate::messages::Counted;
use crate::partition;
use crate::transact::Commit;
use crate::write::Write;

/// The index that orders a user's visible rows by their place in the inbox.
pub(crate) const INBOX: &str = "inbox";
/// The sparse index of a user's rows with unread messages.
pub(crate) const COUNTS: &str = "counts";
/// The sort key of index "counts": a key that changed with the count would cost two writes.
pub(crate) const UNREAD_MARK: &str = "U";
/// The sort key of archived rows in index "counts".
const ARCHIVED_MARK: &str = "A";

/// The attributes that a row loses when its owner removes it from the inbox.
const ENDING_WITH_THE_ROW: [&str; 15] = [
    "activity",
    "place",
    "place_until",
    "place_before",
    "mark",
    "mute",
    "level",
    "unread",
    "unread_from",
    "mn",
    "first_mention",
    "last_id",
    "last_text",
    "last_kind",
    "last_mine",
];

/// The row attribute that holds [`Row::latest_event`].
pub(crate) const LATEST_EVENT: &str = "told";

pub(crate) fn key(user: &UserId, conversation: &ConversationId) -> Key {
    Key { pk: partition::of_user(user), sk: format!("C#{conversation}") }
}

pub(crate) fn totals_key(user: &UserId) -> Key {
    Key { pk: partition::of_user(user), sk: "TOTALS".into() }
}

/// Adds `change` to the number of rows in a user's inbox.
pub(crate) fn count_rows(user: &UserId, change: i64) -> Write {
    Write::update(totals_key(user)).add("rows", change)
}

/// Updates the numbers of a user's rows after one row has moved between the lists of the inbox, or appeared, or
/// disappeared; `None` if they stay. At most [`MAX_PINNED`] rows can be pinned.
pub(crate) fn recount(user: &UserId, before: Option<InboxList>, after: Option<InboxList>) -> Option<Write> {
    let difference = |counts: fn(InboxList) -> bool| {
        i64::from(after.is_some_and(counts)) - i64::from(before.is_some_and(counts))
    };
    let mut write = Write::update(totals_key(user));
    let changes = [
        ("rows", difference(|list| list != InboxList::Archived)),
        ("archived", difference(|list| list == InboxList::Archived)),
        ("pins", difference(|list| list == InboxList::Pinned)),
    ];
    for (name, change) in changes.into_iter().filter(|(_, change)| *change != 0) {
        write = write.add(name, change);
        if name == "pins" && change > 0 {
            write = write.if_below(name, &MAX_PINNED);
        }
    }
    changes.iter().any(|(_, change)| *change != 0).then_some(write)
}

/// The key of a row in index "counts", while it has unread messages.
pub(crate) fn mark_of(row: &Row) -> &'static str {
    if row.is_archived() { ARCHIVED_MARK } else { UNREAD_MARK }
}

/// The beginning of the sort keys of rows of one type of conversation.
pub(crate) fn prefix_of(kind: ConversationKind) -> String {
    format!("C#{}", kind.letter())
}

/// Writes the differences between two versions of a row, under the conditions of [`unless_changed`].
pub(crate) fn replace(key: Key, before: &Row, after: &Row) -> Write {
    let mut write = count(unless_changed(Write::update(key), before), after, Counted::by(after));
    write = replace_place(write, before, after);
    for (name, was, is) in [
        ("head", before.head, after.head),
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
    if before.last_kind != after.last_kind {
        write = write.set_or_remove("last_kind", after.last_kind.as_ref());
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

/// Writes the differences between the places of two versions of a row.
pub(crate) fn replace_place(mut write: Write, before: &Row, after: &Row) -> Write {
    for (name, was, is) in [
        ("activity", &before.activity, &after.activity),
        ("place_before", &before.earlier_place, &after.earlier_place),
    ] {
        if was != is {
            write = write.set_or_remove(name, is.as_ref());
        }
    }
    let kept = |row: &Row| (row.kept_place.clone(), row.kept_until);
    if kept(before) == kept(after) { write } else { keep_place(write, after) }
}

/// Writes the place that a row keeps when a message arrives, and its key in index "counts" then.
pub(crate) fn keep_place(write: Write, row: &Row) -> Write {
    let write = write
        .set_or_remove("place", row.kept_place.as_ref())
        .set_or_remove("place_until", row.kept_until.as_ref());
    if row.is_archived() && row.kept_place.is_some() {
        write.set("mark", ARCHIVED_MARK)
    } else {
        write.remove("mark")
    }
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
        .if_still_number("mn", row.mentions)
}

/// Sets the unread counts of a row.
pub(crate) fn count(write: Write, row: &Row, counted: Counted) -> Write {
    let write =
        write.set("n", &counted.unread).set_or_remove("first_mention", counted.first_mention.as_ref());
    let mentions = Some(&counted.mentions).filter(|mentions| **mentions > 0);
    let write = write.set_or_remove("mn", mentions);
    if counted.unread > 0 { write.set("unread", mark_of(row)) } else { write.remove("unread") }
}

/// Sets the preview of a row's last message.
pub(crate) fn show(row: Write, last: &Message) -> Write {
    row.set("last_text", &last.preview()).set("last_kind", &last.kind())
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

pub(crate) fn read_row(item: &Item) -> Result<(ConversationId, Row), Error> {
    Ok((conversation_of(item)?, from_item(item)?))
}

/// The numbers of a user's rows.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Totals {
    /// Rows in the inbox, pinned ones included.
    pub(crate) rows: u64,
    pub(crate) archived: u64,
}

impl Store {
    /// Reads a user's row of a conversation, consistently; `None` if they have none.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn row(&self, user: &UserId, conversation: &ConversationId) -> Result<Option<Row>, Error> {
        let item = self.get(key(user, conversation), true).await?;
        item.as_ref().map(from_item).transpose()
    }

    /// Reads a user's row of a conversation with an eventually consistent read: half the price, but the row may be
    /// stale.
    pub(crate) async fn possibly_stale_row(
        &self,
        user: &UserId,
        conversation: &ConversationId,
    ) -> Result<Option<Row>, Error> {
        let item = self.get(key(user, conversation), false).await?;
        item.as_ref().map(from_item).transpose()
    }

    /// Reads all of a user's rows consistently, hidden ones included, ordered by conversation id. Only the attributes
    /// named below are filled in.
    pub(crate) async fn rows(&self, user: &UserId) -> Result<Vec<(ConversationId, Row)>, Error> {
        let query = query_prefixed(&partition::of_user(user), "C#")
            .consistent_read(true)
            .projection_expression("sk, peer, people, once_large, head, activity, cleared");
        self.query_all(query).await?.iter().map(read_row).collect()
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
        let query = query_prefixed(&partition::of_user(user), "C#")
            .consistent_read(true)
            .projection_expression("sk, peer")
            .set_exclusive_start_key(start);
        let (items, more) = self.query_up_to(query, limit).await?;
        let rows = items.iter().map(read_row).collect::<Result<Vec<_>, _>>()?;
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
            let mut hide = Write::update(key(user, conversation))
                .set("hidden_at", &event_id)
                .set_some("cleared", last.as_ref())
                .set("n", &0u64)
                .if_still("activity", row.activity.as_ref())
                .if_still("head", row.head.as_ref())
                .if_still(LATEST_EVENT, row.latest_event.as_ref());
            for attribute in ENDING_WITH_THE_ROW {
                hide = hide.remove(attribute);
            }
            let event = Event::ConversationDeleted { conversation: conversation.clone() };
            let events = vec![OutgoingEvent::new(user.clone(), event_id, event)];
            let mut writes = vec![hide];
            writes.extend(recount(user, row.list(), None));
            if let Commit::Done(delivery) = self.commit_and_publish(writes.into(), events, began).await? {
                return Ok(delivery);
            }
        }
    }
}
