//! Groups and rooms: the data that their participants share, and the participants.
//!
//! Invariant: every change raises `seq` and `head` of `META` in its own transaction, except reactions, read marks, pins
//! (up to 24 participants) and what users change for themselves alone. A change of participants also raises `members`.
//! So a transaction that is conditioned on the `members` it has read notifies exactly the users who take part when it
//! commits.

use domain::conversation::{Meta, Participant, Row, SMALL};
use domain::error::Error;
use domain::event::Event;
use domain::id::{ConversationId, Stamp, UserId};
use serde_json::Value;

use crate::client::Store;
use crate::database::{query_between, query_prefixed};
use crate::item::{Item, Key, from_item, suffix, text};
use crate::partition;
use crate::write::Write;

/// The `limit` that reads all participants.
pub(crate) const ALL: usize = usize::MAX;

pub(crate) fn meta_key(conversation: &ConversationId) -> Key {
    Key { pk: partition::of_conversation(conversation), sk: "META".into() }
}

pub(crate) fn key(conversation: &ConversationId, user: &UserId) -> Key {
    Key { pk: partition::of_conversation(conversation), sk: format!("P#{user}") }
}

/// A group or room, as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) meta: Meta,
    /// Ordered by id, up to the `limit` of the read.
    pub(crate) participants: Vec<(UserId, Participant)>,
    /// Whether `participants` contains all of them.
    pub(crate) is_complete: bool,
}

impl Group {
    pub(crate) fn find(&self, user: &UserId) -> Option<&Participant> {
        self.participants.iter().find(|(id, _)| id == user).map(|(_, participant)| participant)
    }

    pub(crate) fn is_large(&self) -> bool {
        self.meta.large_since.is_some()
    }

    /// Refuses everyone who is not an admin.
    pub(crate) fn require_admin(actor: Option<&Participant>) -> Result<(), Error> {
        match actor {
            None => Err(Error::NotAParticipant),
            Some(participant) if participant.admin => Ok(()),
            Some(_) => Err(Error::NotAnAdmin),
        }
    }

    /// A change of the participants, after which there are `people` of them.
    pub(crate) fn recount(&self, conversation: &ConversationId, latest_event: Stamp, people: u64) -> Write {
        let meta = self.change(conversation, latest_event).set("people", &people).add("members", 1);
        // The change that exceeds 24 participants, and every later one, goes into the change log.
        if people > SMALL as u64 && !self.is_large() { meta.set("large", &(self.meta.seq + 1)) } else { meta }
    }

    /// The row of a user who joins with the next change, after which there are `participant_count` participants.
    pub(crate) fn new_row(&self, at: Stamp, participant_count: u64) -> Row {
        Row {
            participant_count,
            seq: self.meta.seq + 1,
            once_large: self.is_large(),
            ..self.meta.new_row(at)
        }
    }

    /// The update of `META` that every change makes: raises `seq` and `head`, if `seq` is as it was read.
    pub(crate) fn change(&self, conversation: &ConversationId, latest_event: Stamp) -> Write {
        Write::update(meta_key(conversation))
            .set("head", &latest_event)
            .add("seq", 1)
            .if_still("seq", Some(&self.meta.seq))
            .if_missing("deleted")
    }
}

/// A `conversation.updated` event. The changes have the API's field names.
pub(crate) fn changed(
    conversation: &ConversationId,
    changes: impl IntoIterator<Item = (&'static str, Value)>,
    version: u64,
) -> Event {
    let changes = changes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Event::ConversationUpdated { conversation: conversation.clone(), changes, version }
}

/// Parses the user in a participant's sort key.
fn user_of(item: &Item) -> Result<UserId, Error> {
    suffix(item, "sk", "P#")?.parse().map_err(Error::internal)
}

/// Reads a participant, with their id.
pub(crate) fn read_participant(item: &Item) -> Result<(UserId, Participant), Error> {
    Ok((user_of(item)?, from_item(item)?))
}

impl Store {
    /// Returns a group or room with up to `limit` participants; `None` if it does not exist or was deleted.
    pub(crate) async fn group(
        &self,
        conversation: &ConversationId,
        limit: usize,
        consistent: bool,
    ) -> Result<Option<Group>, Error> {
        let group = self.group_even_deleted(conversation, limit, consistent).await?;
        Ok(group.filter(|group| !group.meta.deleted))
    }

    /// Like [`Store::group`], but also returns a deleted one.
    pub(crate) async fn group_even_deleted(
        &self,
        conversation: &ConversationId,
        limit: usize,
        consistent: bool,
    ) -> Result<Option<Group>, Error> {
        // `META` sorts just before the participants (`P#…`).
        let query = query_between(&partition::of_conversation(conversation), "META", "P#~")
            .consistent_read(consistent);
        // `META`, and one participant more than `limit`: a query that stops at its limit may or may not be at the end.
        let (mut items, _) = self.query_up_to(query, limit.saturating_add(2)).await?;
        if items.is_empty() || text(&items[0], "sk")? != "META" {
            return Ok(None);
        }
        let rest = items.split_off(1);
        let Some(meta) = items.pop().as_ref().map(from_item).transpose()? else { return Ok(None) };
        let is_complete = rest.len() <= limit;
        let participants = rest.iter().take(limit).map(read_participant).collect::<Result<_, _>>()?;
        Ok(Some(Group { meta, participants, is_complete }))
    }

    /// Returns a participant of a group or room as they are now; `None` if the user does not take part.
    pub(crate) async fn participant(
        &self,
        conversation: &ConversationId,
        user: &UserId,
    ) -> Result<Option<Participant>, Error> {
        let item = self.get(key(conversation, user), true).await?;
        item.as_ref().map(from_item).transpose()
    }

    /// Refuses direct conversations, which have no admins and whose participants never change. A caller who does not
    /// take part gets `NotAParticipant`, and so does not learn that the conversation exists.
    pub(crate) async fn not_direct(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
    ) -> Result<(), Error> {
        if !conversation.is_direct() {
            return Ok(());
        }
        self.row(caller, conversation).await?.ok_or(Error::NotAParticipant)?;
        Err(Error::NotAnAdmin)
    }

    /// Returns a participant who was read no earlier than the group: a transaction that is conditioned on the group's
    /// `seq` may rely on it.
    pub(crate) async fn part_in(
        &self,
        group: &Group,
        conversation: &ConversationId,
        user: &UserId,
    ) -> Result<Option<Participant>, Error> {
        if group.is_complete {
            return Ok(group.find(user).cloned());
        }
        self.participant(conversation, user).await
    }

    /// Returns up to `limit` participants after a user, ordered by id, and whether there may be more.
    pub(crate) async fn participants_after(
        &self,
        conversation: &ConversationId,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<(Vec<(UserId, Participant)>, bool), Error> {
        let start = after.map(|user| key(conversation, user).attributes());
        let query = query_prefixed(&partition::of_conversation(conversation), "P#").consistent_read(true);
        let (items, more) = self.query_up_to(query.set_exclusive_start_key(start), limit).await?;
        Ok((items.iter().map(read_participant).collect::<Result<_, _>>()?, more))
    }

    /// Returns `META` of a group or room as it is now; `None` if it does not exist or was deleted.
    pub(crate) async fn meta(&self, conversation: &ConversationId) -> Result<Option<Meta>, Error> {
        let item = self.get(meta_key(conversation), true).await?;
        Ok(item.as_ref().map(from_item).transpose()?.filter(|meta: &Meta| !meta.deleted))
    }
}
