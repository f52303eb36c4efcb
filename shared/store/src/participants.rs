//! Groups and rooms: what their participants have in common, and who they are.
//!
//! Invariant: every change raises `seq` and `head` of `META` in its own transaction, and one of the participants
//! `members`, too. Who commits under the `members` they have read tells exactly those who take part.

use domain::conversation::{Meta, Participant, Row, SMALL};
use domain::error::Error;
use domain::event::Event;
use domain::id::{ConversationId, Stamp, UserId};
use serde_json::Value;

use crate::client::Store;
use crate::item::{Item, Key, Write, from_item, suffix, text};
use crate::partition;

/// Reads all participants.
pub(crate) const ALL: usize = usize::MAX;

pub(crate) fn meta_key(conversation: &ConversationId) -> Key {
    Key { pk: partition::of_conversation(conversation), sk: "META".into() }
}

pub(crate) fn key(conversation: &ConversationId, user: &UserId) -> Key {
    Key { pk: partition::of_conversation(conversation), sk: format!("P#{user}") }
}

/// A group or room as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) meta: Meta,
    /// In the order of their ids; no more of them than were asked for.
    pub(crate) participants: Vec<(UserId, Participant)>,
    /// Whether these are all.
    pub(crate) is_complete: bool,
}

impl Group {
    pub(crate) fn find(&self, user: &UserId) -> Option<&Participant> {
        self.participants.iter().find(|(id, _)| id == user).map(|(_, participant)| participant)
    }

    pub(crate) fn is_large(&self) -> bool {
        self.meta.large_since.is_some()
    }

    /// Refuses whoever is not an admin.
    pub(crate) fn require_admin(actor: Option<&Participant>) -> Result<(), Error> {
        match actor {
            None => Err(Error::NotAParticipant),
            Some(participant) if participant.admin => Ok(()),
            Some(_) => Err(Error::NotAnAdmin),
        }
    }

    /// The change of a conversation's participants to so many.
    pub(crate) fn recount(&self, conversation: &ConversationId, latest_event: Stamp, people: u64) -> Write {
        let meta = self.change(conversation, latest_event).set("people", &people).add("members", 1);
        // Now that there are more than 24, this and every later change is logged.
        if people > SMALL as u64 && !self.is_large() { meta.set("large", &(self.meta.seq + 1)) } else { meta }
    }

    /// The row of someone who joins with the next change, which leaves so many participants.
    pub(crate) fn new_row(&self, at: Stamp, participant_count: u64) -> Row {
        Row { participant_count, seq: self.meta.seq + 1, ..self.meta.new_row(at) }
    }

    /// Raises what every change raises, on the condition that `seq` is as it was read.
    pub(crate) fn change(&self, conversation: &ConversationId, latest_event: Stamp) -> Write {
        Write::update(meta_key(conversation))
            .set("head", &latest_event)
            .add("seq", 1)
            .if_still("seq", Some(&self.meta.seq))
            .if_missing("deleted")
    }
}

/// The event of changes, by the names of the API.
pub(crate) fn changed(
    conversation: &ConversationId,
    changes: impl IntoIterator<Item = (&'static str, Value)>,
    version: u64,
) -> Event {
    let changes = changes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Event::ConversationUpdated { conversation: conversation.clone(), changes, version }
}

/// Whose part an item is.
pub(crate) fn user_of(item: &Item) -> Result<UserId, Error> {
    suffix(item, "sk", "P#")?.parse().map_err(Error::internal)
}

fn read_participant(item: Item) -> Result<(UserId, Participant), Error> {
    Ok((user_of(&item)?, from_item(item)?))
}

impl Store {
    /// A group or room with up to `limit` participants; `None` where there is none, or no longer.
    pub(crate) async fn group(
        &self,
        conversation: &ConversationId,
        limit: usize,
        consistent: bool,
    ) -> Result<Option<Group>, Error> {
        let group = self.group_even_deleted(conversation, limit, consistent).await?;
        Ok(group.filter(|group| !group.meta.deleted))
    }

    /// The same, though it be deleted.
    pub(crate) async fn group_even_deleted(
        &self,
        conversation: &ConversationId,
        limit: usize,
        consistent: bool,
    ) -> Result<Option<Group>, Error> {
        // What the conversation is sorts just before who takes part.
        let query = self
            .between(&partition::of_conversation(conversation), "META", "P#~")
            .consistent_read(consistent);
        // One more than is wanted tells whether these are all: a query that has found just enough cannot say.
        let (mut items, _) = self.query_up_to(query, limit.saturating_add(2)).await?;
        if items.is_empty() || text(&items[0], "sk")? != "META" {
            return Ok(None);
        }
        let others = items.split_off(1);
        let Some(meta) = items.pop().map(from_item).transpose()? else { return Ok(None) };
        let is_complete = others.len() <= limit;
        let participants = others.into_iter().take(limit).map(read_participant).collect::<Result<_, _>>()?;
        Ok(Some(Group { meta, participants, is_complete }))
    }

    /// Someone's part in a group or room, as it stands.
    pub(crate) async fn participant(
        &self,
        conversation: &ConversationId,
        user: &UserId,
    ) -> Result<Option<Participant>, Error> {
        let item = self.get(key(conversation, user), true).await?;
        item.map(from_item).transpose()
    }

    /// Refuses direct conversations: their participants stay, and they have no admins. Strangers do not learn that the
    /// conversation exists.
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

    /// Someone's part, no older than the group that was read: what commits under the group's `seq` may rest on it.
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

    /// Up to `limit` participants after one, in the order of their ids; and whether there may be more.
    pub(crate) async fn participants_after(
        &self,
        conversation: &ConversationId,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<(Vec<(UserId, Participant)>, bool), Error> {
        let start = after.map(|user| key(conversation, user).attributes());
        let query = self.prefixed(&partition::of_conversation(conversation), "P#").consistent_read(true);
        let (items, more) = self.query_up_to(query.set_exclusive_start_key(start), limit).await?;
        Ok((items.into_iter().map(read_participant).collect::<Result<_, _>>()?, more))
    }

    /// What the participants of a group or room have in common, as it stands.
    pub(crate) async fn meta(&self, conversation: &ConversationId) -> Result<Option<Meta>, Error> {
        let item = self.get(meta_key(conversation), true).await?;
        Ok(item.map(from_item).transpose()?.filter(|meta: &Meta| !meta.deleted))
    }
}
