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
use crate::item::{from_item, full_at};
use crate::profiles::account_deleted;
use crate::write::Write;
use crate::{inbox, queue};

/// How long a typing signal lasts.
const LIFE: Duration = Duration::from_secs(6);

impl Store {
    /// Notifies the other participants that a user is typing, or has stopped. The signal is dropped in a direct
    /// conversation with a block and in conversations of more than 24.
    ///
    /// # Errors
    /// `NotAParticipant` if the user does not take part, `RateLimited`.
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
        let (row, group) = tokio::try_join!(self.typist_row(user, conversation), group)?;
        let row = row.ok_or(Error::NotAParticipant)?;
        if row.owner_deleted {
            return Err(account_deleted());
        }
        let others: Vec<UserId> = match group {
            Some(group) if group.is_complete => {
                group.participants.into_iter().map(|(id, _)| id).filter(|id| id != user).collect()
            }
            Some(_) => Vec::new(),
            None => row.peer.iter().filter(|_| !row.is_blocked()).cloned().collect(),
        };
        let life = i64::try_from(LIFE.as_millis()).unwrap_or_default();
        let until = Timestamp::from_millis(self.clock.now().millis() + life);
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
        Ok(Delivery::new(events, sockets.unwrap_or_default(), &self.links))
    }

    /// Returns the row of a user who is typing, after taking a token of the limit from it.
    async fn typist_row(&self, user: &UserId, conversation: &ConversationId) -> Result<Option<Row>, Error> {
        if !self.limited {
            return self.row(user, conversation).await;
        }
        let mut bucket_full_at = None;
        loop {
            let row = Write::update(inbox::key(user, conversation)).if_present("pk");
            match self.update_one(self.limit(row, &limits::TYPING, bucket_full_at)?).await? {
                Ok(item) => return from_item(&item).map(Some),
                Err(None) => return Ok(None),
                Err(Some(item)) => bucket_full_at = full_at(&item, &limits::TYPING),
            }
        }
    }
}
