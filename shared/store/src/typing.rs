//! Typing signals: events that expire by themselves.

use std::time::Duration;

use async_recursion::async_recursion as boxed;
use domain::conversation::{Row, SMALL};
use domain::delivery::{Delivery, OutgoingEvent};
use domain::error::Error;
use domain::event::Event;
use domain::id::{ConversationId, UserId};
use domain::limits;
use domain::time::Timestamp;
use futures_util::future::try_join_all;
use observe::meter;

use crate::client::Store;
use crate::item::{Write, from_item, full_at};
use crate::{inbox, queue};

/// How long a typing signal holds.
const TYPING: Duration = Duration::from_secs(6);

impl Store {
    /// Tells the others of a conversation that someone types, or has stopped. Where a block stands, and in conversations of
    /// more than 24, nobody hears.
    ///
    /// # Errors
    /// `NotAParticipant` where the conversation is not theirs, `RateLimited`.
    #[boxed]
    pub async fn typing(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        is_typing: bool,
    ) -> Result<Delivery, Error> {
        meter::note(conversation);
        let group = async {
            if conversation.is_direct() { Ok(None) } else { self.group(conversation, SMALL, false).await }
        };
        let (row, group) = tokio::try_join!(self.note_typing(user, conversation), group)?;
        let row = row.ok_or(Error::NotAParticipant)?;
        let others: Vec<UserId> = match group {
            Some(group) if group.is_complete => {
                group.participants.into_iter().map(|(id, _)| id).filter(|id| id != user).collect()
            }
            Some(_) => Vec::new(),
            None => row.peer.iter().filter(|_| !row.is_blocked()).cloned().collect(),
        };
        let holds = i64::try_from(TYPING.as_millis()).unwrap_or_default();
        let until = Timestamp::from_millis(self.clock.now().millis() + holds);
        let stamp = self.clock.stamp();
        let event =
            Event::Typing { conversation: conversation.clone(), user: user.clone(), is_typing, until };
        let events: Vec<OutgoingEvent> =
            others.iter().map(|other| OutgoingEvent::new(other.clone(), stamp, event.clone())).collect();
        let puts = events.iter().map(|event| {
            let (key, body) = queue::item_of(event)?;
            Ok(async move { self.put(key, &body).await })
        });
        let puts = puts.collect::<Result<Vec<_>, Error>>()?;
        let receivers: Vec<&UserId> = others.iter().collect();
        let (put, sockets) = tokio::join!(try_join_all(puts), self.sockets_of(&receivers));
        put?;
        Ok(Delivery::new(events, sockets))
    }

    /// The row of someone who types, with a token taken from it where that is limited.
    async fn note_typing(&self, user: &UserId, conversation: &ConversationId) -> Result<Option<Row>, Error> {
        if !self.limited {
            return self.row(user, conversation).await;
        }
        let mut known = None;
        loop {
            let row = Write::update(inbox::key(user, conversation)).if_present("pk");
            match self.update_one(self.limit(row, &limits::TYPING, known)?).await? {
                Ok(item) => return from_item(item).map(Some),
                Err(None) => return Ok(None),
                Err(Some(item)) => known = full_at(&item, &limits::TYPING),
            }
        }
    }
}
