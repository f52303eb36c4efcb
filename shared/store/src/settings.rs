//! A participant's own settings of a conversation.
//!
//! Invariant: a change commits only if the row has the list, the mute and the unread messages that the change assumes.
//! The first attempt assumes the usual state, instead of reading the row; a refusal returns the row as it is.

use async_recursion::async_recursion as boxed;
use domain::conversation::Row;
use domain::delivery::{Delivery, OutgoingEvent};
use domain::error::Error;
use domain::event::Event;
use domain::id::{ConversationId, ConversationKind, Stamp, UserId};
use domain::limits;
use domain::settings::{InboxList, InboxPlace, Mute, SettingsChange};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::client::Store;
use crate::item::{from_item, full_at};
use crate::transact::{Commit, Transaction};
use crate::write::Write;
use crate::{inbox, notifying};

/// Identifies the writes of a change in a refusal.
#[derive(Clone, Copy, Default, PartialEq)]
enum Target {
    Row,
    Totals,
    Listener,
    #[default]
    Other,
}

impl Store {
    /// Changes a user's settings of a conversation. Returns their row after the change, and the events to push to their
    /// own devices.
    ///
    /// # Errors
    /// `NotAParticipant` if the conversation is not in the user's inbox or archive, `Conflict` if 10 conversations are
    /// pinned already, `RateLimited`.
    #[boxed]
    pub async fn change_settings(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        change: &SettingsChange,
    ) -> Result<(Row, Delivery), Error> {
        let began = Instant::now();
        // The row is only shown, so it is enough to read it beside the change.
        let shown = self.possibly_stale_row(user, conversation);
        let (shown, (known, at, delivery)) =
            tokio::try_join!(shown, self.commit_settings(user, conversation, change, began))?;
        let row = known.or(shown).ok_or(Error::NotAParticipant)?;
        Ok((row.with_settings(change, at), delivery))
    }

    /// Commits a change. Also returns the row as it was before, if a refusal has shown it, and the id of the event.
    async fn commit_settings(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        change: &SettingsChange,
        began: Instant,
    ) -> Result<(Option<Row>, Stamp, Delivery), Error> {
        let (mut known, mut full): (Option<Row>, Option<i64>) = (None, None);
        loop {
            let at = self.clock.stamp_above(known.as_ref().and_then(Row::event_floor));
            let before = known.clone().unwrap_or_else(|| assumed(change, at));
            let after = before.with_settings(change, at);
            if known.is_some() && after == before {
                return Ok((known, at, Delivery::default()));
            }
            let row = Write::update(inbox::key(user, conversation))
                .set(inbox::LATEST_EVENT, &at)
                .if_below(inbox::LATEST_EVENT, &at)
                .if_below("head", &at);
            let row = set_fields(row, change, &after);
            let row = match known {
                Some(_) => move_known(row, &before, &after),
                None => move_assumed(row, change, &after),
            };
            let mut transaction = Transaction::new();
            transaction.add(Target::Row, self.limit(row, &limits::WRITES, full)?);
            if let Some(count) = inbox::recount(user, before.list(), after.list()) {
                transaction.add(Target::Totals, count);
            }
            if let (ConversationKind::Room, Some(level)) = (conversation.kind(), change.notify) {
                transaction.add(Target::Listener, notifying::listen(conversation, user, level));
            }
            let changes = changes(change, &after);
            let version = at.time().millis().unsigned_abs();
            let event = Event::ConversationUpdated { conversation: conversation.clone(), changes, version };
            let events = vec![OutgoingEvent::new(user.clone(), at, event)];
            let refusals = match self.commit_and_publish(transaction, events, began).await? {
                Commit::Done(delivery) => return Ok((known, at, delivery)),
                Commit::Refused(refusals) => refusals,
            };
            let refused = refusals.into_iter().find(|(target, _)| *target == Target::Row);
            let Some((_, item)) = refused else {
                return Err(Error::Conflict("At most 10 conversations can be pinned."));
            };
            let item = item.ok_or(Error::NotAParticipant)?;
            full = full_at(&item, &limits::WRITES);
            let row = from_item::<Row>(&item)?;
            known = Some(Some(row).filter(|row| row.activity.is_some()).ok_or(Error::NotAParticipant)?);
        }
    }
}

/// The list in which a row probably is when such a change is made.
fn assumed_list(change: &SettingsChange) -> InboxList {
    match (change.pinned, change.archived) {
        (Some(false), _) => InboxList::Pinned,
        (_, Some(false)) => InboxList::Archived,
        _ => InboxList::Active,
    }
}

/// The row that a change probably meets: it is not muted, everything is read, and the change is not made yet.
fn assumed(change: &SettingsChange, at: Stamp) -> Row {
    let place = match assumed_list(change) {
        InboxList::Pinned => InboxPlace::pinned(at.time()),
        InboxList::Archived => InboxPlace::archived(at),
        InboxList::Active => InboxPlace::active(at),
    };
    Row { activity: Some(place), ..Row::default() }
}

/// Sets the settings that the change names.
fn set_fields(mut row: Write, change: &SettingsChange, after: &Row) -> Write {
    if change.muted_until.is_some() {
        row = row.set_or_remove("mute", after.muted_until.as_ref());
    }
    row.set_some("level", change.notify.as_ref())
}

/// Moves a known row, on the condition that it has not changed.
fn move_known(row: Write, before: &Row, after: &Row) -> Write {
    let row = inbox::replace_place(row, before, after)
        .if_still("activity", before.activity.as_ref())
        .if_still("mute", before.muted_until.as_ref())
        .if_still_number("n", before.unread);
    if after.unread > 0 { row.set("unread", inbox::mark_of(after)) } else { row }
}

/// Moves a row that was not read, on the condition that it is as [`assumed`].
fn move_assumed(row: Write, change: &SettingsChange, after: &Row) -> Write {
    let (from, to) = (assumed_list(change), after.list().unwrap_or(InboxList::Active));
    if from == to {
        return row.if_between("activity", InboxList::bounds_of_inbox());
    }
    let row = row.if_between("activity", from.bounds());
    let row = if to == InboxList::Active {
        let row = row.set_to_first("activity", "last_id", "place_before");
        ["place", "place_until", "place_before", "mark"].into_iter().fold(row, Write::remove)
    } else {
        let row = row.set_to("place_before", "activity").set_some("activity", after.activity.as_ref());
        inbox::keep_place(row, after)
    };
    if from != InboxList::Archived && to != InboxList::Archived {
        return row;
    }
    // The row would need another key in the index of unread messages, and would keep its place if it were muted.
    let row = row.if_missing("unread");
    if change.muted_until.is_none() { row.if_missing("mute") } else { row }
}

/// Returns the changed settings, under their names in the API.
fn changes(change: &SettingsChange, after: &Row) -> Map<String, Value> {
    let mut mine = Map::new();
    if change.muted_until.is_some() {
        mine.insert("muted_until".to_owned(), json!(after.muted_until.map(Mute::ending)));
    }
    if let Some(notify) = change.notify {
        mine.insert("notify".to_owned(), json!(notify));
    }
    if change.pinned.is_some() || change.archived.is_some() {
        let pinned_at = after.activity.as_ref().and_then(InboxPlace::pinned_at);
        mine.insert("pinned_at".to_owned(), json!(pinned_at));
        mine.insert("is_archived".to_owned(), json!(after.is_archived()));
    }
    [("mine".to_owned(), mine.into())].into_iter().collect()
}
