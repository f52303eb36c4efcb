//! Groups and rooms: what their participants have in common, and who they are.
//!
//! Invariant: every change raises `seq` and `head` of `META` in its own transaction, and one of the participants
//! `members`, too. Who commits under the `members` they have read tells exactly those who take part.

use super::Store;
use super::item::{Item, Key, Write, from_item, text};
use super::messages::partition;
use crate::conversation::{Meta, Participant};
use crate::error::Error;
use crate::id::{ConversationId, Stamp, UserId};

/// Reads all participants.
pub(super) const ALL: usize = usize::MAX - 2;

pub(super) fn meta_key(conversation: &ConversationId) -> Key {
    Key { pk: partition(conversation), sk: "META".into() }
}

pub(super) fn key(conversation: &ConversationId, user: &UserId) -> Key {
    Key { pk: partition(conversation), sk: format!("P#{user}") }
}

/// A group or room as it was read.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) meta: Meta,
    /// In the order of their ids; no more of them than were asked for.
    pub(super) people: Vec<(UserId, Participant)>,
    /// Whether these are all.
    pub(super) is_whole: bool,
}

impl Group {
    pub(super) fn find(&self, user: &UserId) -> Option<&Participant> {
        self.people.iter().find(|(id, _)| id == user).map(|(_, participant)| participant)
    }

    pub(super) fn is_large(&self) -> bool {
        self.meta.large.is_some()
    }

    /// Raises what every change raises, on the condition that `seq` is as it was read.
    pub(super) fn change(&self, conversation: &ConversationId, head: Stamp) -> Write {
        Write::update(meta_key(conversation))
            .set("head", &head)
            .add("seq", 1)
            .if_still("seq", Some(&self.meta.seq))
            .if_missing("deleted")
    }
}

/// Reads what the item of a conversation says.
pub(super) fn read_meta(item: &Item) -> Result<Meta, Error> {
    from_item(item)
}

/// Whose part an item is.
pub(super) fn user_of(item: &Item) -> Result<UserId, Error> {
    text(item, "sk")?.trim_start_matches("P#").parse().map_err(Error::internal)
}

impl Store {
    /// A group or room with up to `limit` participants; `None` where there is none, or no longer.
    pub(super) async fn group(
        &self,
        conversation: &ConversationId,
        limit: usize,
        consistent: bool,
    ) -> Result<Option<Group>, Error> {
        let group = self.group_even_deleted(conversation, limit, consistent).await?;
        Ok(group.filter(|group| !group.meta.deleted))
    }

    /// The same, though it be deleted.
    pub(super) async fn group_even_deleted(
        &self,
        conversation: &ConversationId,
        limit: usize,
        consistent: bool,
    ) -> Result<Option<Group>, Error> {
        // What the conversation is sorts just before who takes part.
        let query = self.between(&partition(conversation), "META", "P#~").consistent_read(consistent);
        // One more than is wanted tells whether these are all: a query that has found just enough cannot say.
        let (items, _) = self.query_up_to(query, limit.saturating_add(2)).await?;
        let Some((first, rest)) = items.split_first() else { return Ok(None) };
        if text(first, "sk")? != "META" {
            return Ok(None);
        }
        let meta = read_meta(first)?;
        let people = rest.iter().take(limit).map(|item| Ok((user_of(item)?, from_item(item)?)));
        let people = people.collect::<Result<Vec<_>, Error>>()?;
        Ok(Some(Group { meta, people, is_whole: rest.len() <= limit }))
    }

    /// Someone's part, no older than the group that was read: what commits under the group's `seq` may rest on it.
    pub(super) async fn part_in(
        &self,
        group: &Group,
        conversation: &ConversationId,
        user: &UserId,
    ) -> Result<Option<Participant>, Error> {
        if group.is_whole {
            return Ok(group.find(user).cloned());
        }
        self.participant(conversation, user).await
    }

    /// Up to `limit` participants after one, in the order of their ids; and whether there may be more.
    pub(super) async fn participants_after(
        &self,
        conversation: &ConversationId,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<(Vec<(UserId, Participant)>, bool), Error> {
        let start = after.map(|user| key(conversation, user).attributes());
        let query = self.prefixed(&partition(conversation), "P#").consistent_read(true);
        let (items, more) = self.query_up_to(query.set_exclusive_start_key(start), limit).await?;
        let people = items.iter().map(|item| Ok((user_of(item)?, from_item(item)?)));
        Ok((people.collect::<Result<_, Error>>()?, more))
    }

    /// What the participants of a group or room have in common, as it stands.
    pub(super) async fn meta(&self, conversation: &ConversationId) -> Result<Option<Meta>, Error> {
        let item = self.get(meta_key(conversation), true).await?;
        Ok(item.as_ref().map(read_meta).transpose()?.filter(|meta| !meta.deleted))
    }
}
