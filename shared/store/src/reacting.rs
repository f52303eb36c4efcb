//! Reactions of users whom a message does not list: in a large conversation, each user's reactions to a message are an
//! item of their own, and the message counts them.
//!
//! Invariant: a user's item and the count of the message change in one transaction. So a count is exact, also if a
//! thousand users react at once: they only add to it. The change log learns of reactions from the table's stream.

use std::collections::HashMap;

use async_recursion::async_recursion as boxed;
use domain::error::Error;
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::message::Message;
use domain::reactions::{Emoji, Reaction};
use serde::{Deserialize, Serialize};

use crate::attempts::Attempts;
use crate::change_log::{self, Change, MentionChange, REACTION};
use crate::client::Store;
use crate::database::query_between;
use crate::item::{Item, Key, from_item, suffix};
use crate::partition;
use crate::transact::{Commit, Transaction};
use crate::write::Write;

/// The attributes of the item of a user's reactions to a message, without its key.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct OwnReactions {
    emoji: Vec<Emoji>,
    /// The message's `restored_version` when they were added: a deletion removes all earlier reactions.
    restored_version: u32,
    /// Rises with each change.
    version: u64,
}

impl OwnReactions {
    /// Marks the reactions of a message that are the user's although the message does not list the user.
    pub(crate) fn mark(&self, message: &mut Message) {
        let is_valid = self.restored_version == message.restored_version;
        for reaction in message.reactions.iter_mut().filter(|reaction| reaction.is_partial()) {
            reaction.is_own = is_valid && self.emoji.contains(&reaction.emoji);
        }
    }

    /// Replaces the item by one with or without an emoji, unless it has changed since it was read.
    pub(crate) fn replaced(
        &self,
        user: &UserId,
        message: &Message,
        emoji: &Emoji,
        add: bool,
    ) -> Result<Write, Error> {
        let restored_version = message.restored_version;
        let kept =
            self.emoji.iter().filter(|other| *other != emoji && self.restored_version == restored_version);
        let emoji = kept.chain(add.then_some(emoji)).cloned().collect();
        let after = Self { emoji, restored_version, version: self.version + 1 };
        Ok(Write::put(key(&message.id, user), &after)?.if_still_number("version", self.version))
    }
}

fn key(id: &MessageId, user: &UserId) -> Key {
    Key { pk: partition::of_conversation(&id.conversation), sk: format!("{REACTION}{}#{user}", id.stamp) }
}

/// The message and the user of an item of reactions.
fn names(item: &Item) -> Result<(Stamp, UserId), Error> {
    let suffix = suffix(item, "sk", REACTION)?;
    let (stamp, user) =
        suffix.split_once('#').ok_or_else(|| Error::internal("a key of reactions names no user"))?;
    Ok((stamp.parse().map_err(Error::internal)?, user.parse().map_err(Error::internal)?))
}

fn has_partial(message: &Message) -> bool {
    message.reactions.iter().any(Reaction::is_partial)
}

impl Store {
    /// Reads a user's reactions to a message, which it may have beside those that it lists.
    pub(crate) async fn own_reactions(&self, user: &UserId, id: &MessageId) -> Result<OwnReactions, Error> {
        if id.conversation.is_direct() {
            return Ok(OwnReactions::default());
        }
        let found = self.get(key(id, user), true).await?;
        Ok(found.as_ref().map(from_item).transpose()?.unwrap_or_default())
    }

    /// Marks the reader's own reactions in messages that do not list all users. Reads nothing if all do.
    pub(crate) async fn mark_own_reactions<'a>(
        &self,
        reader: &UserId,
        messages: impl Iterator<Item = &'a mut Message>,
    ) -> Result<(), Error> {
        let partial: Vec<&mut Message> = messages.filter(|message| has_partial(message)).collect();
        let keys = partial.iter().map(|message| key(&message.id, reader)).collect();
        let mut own = HashMap::new();
        for item in self.items_by_keys(keys, true).await? {
            let conversation: ConversationId = suffix(&item, "pk", "C#")?.parse().map_err(Error::internal)?;
            let id = MessageId { conversation, stamp: names(&item)?.0 };
            own.insert(id, from_item::<OwnReactions>(&item)?);
        }
        for message in partial {
            if let Some(own) = own.get(&message.id) {
                own.mark(message);
            }
        }
        Ok(())
    }

    /// Reads the reactions of some users, whose ids follow one another in the list of participants, to a message that does not list all of them.
    pub(crate) async fn reactions_of(
        &self,
        users: &[UserId],
        message: &Message,
    ) -> Result<HashMap<UserId, OwnReactions>, Error> {
        let (Some(first), Some(last)) = (users.iter().min(), users.iter().max()) else {
            return Ok(HashMap::new());
        };
        if !has_partial(message) {
            return Ok(HashMap::new());
        }
        let (low, high) = (key(&message.id, first), key(&message.id, last));
        let query = query_between(&low.pk, &low.sk, &high.sk).consistent_read(true);
        let items = self.query_all(query).await?.into_iter();
        items.map(|item| Ok((names(&item)?.1, from_item(&item)?))).collect()
    }

    /// Appends the reactions to a message to the change log of its large conversation, which the fan-out then publishes:
    /// once for all that have come since the last time, so that a crowd does not flood everyone's queue. Doing so again
    /// changes nothing.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn log_reactions(&self, id: &MessageId) -> Result<(), Error> {
        let mut attempts = Attempts::new(&self.turns, &id.conversation);
        loop {
            let (group, stored) =
                tokio::try_join!(self.group(&id.conversation, 0, true), self.stored_message(id))?;
            let (Some(group), Some(stored)) = (group, stored) else { return Ok(()) };
            if stored.message.is_deleted() || stored.notes.published >= stored.message.version {
                return Ok(());
            }
            let at = self.clock.stamp_above(Some(group.meta.latest_event));
            let change = Change::Edited { message: id.stamp, mentions_of: MentionChange::None };
            let entry = change_log::entry(&id.conversation, group.meta.seq + 1, &change, self.clock.now())?;
            let writes = vec![group.change(&id.conversation, at.plus(1)), entry, stored.published()];
            match self.commit(Transaction::from(writes), attempts.began()).await? {
                Commit::Done(()) => return Ok(()),
                Commit::Refused(_) => attempts.refused().await?,
            };
        }
    }
}
