//! Publishing: commits a change together with its events, and reads the sockets to push them to in parallel.

use domain::delivery::{Delivery, OutgoingEvent, Socket};
use domain::error::Error;
use domain::id::UserId;
use tokio::time::Instant;

use crate::client::Store;
use crate::queue;
use crate::transact::{Commit, Transaction};

/// The sockets of some users. Those without sockets may be missing.
pub(crate) type UserSockets = Vec<(UserId, Vec<Socket>)>;

impl Store {
    /// Commits a transaction together with its events, and reads the receivers' sockets in parallel.
    ///
    /// # Errors
    /// Those of [`Store::commit`].
    pub(crate) async fn commit_and_publish<T: Default>(
        &self,
        transaction: Transaction<T>,
        events: Vec<OutgoingEvent>,
        began: Instant,
    ) -> Result<Commit<T, Delivery>, Error> {
        self.commit_and_publish_to(&mut None, transaction, events, began).await
    }

    /// Like [`Store::commit_and_publish`], with the receivers' sockets if they are known. If the transaction is refused,
    /// those that were read are left for the next attempt.
    ///
    /// # Errors
    /// Those of [`Store::commit`].
    pub(crate) async fn commit_and_publish_to<T: Default>(
        &self,
        sockets: &mut Option<UserSockets>,
        mut transaction: Transaction<T>,
        events: Vec<OutgoingEvent>,
        began: Instant,
    ) -> Result<Commit<T, Delivery>, Error> {
        for event in &events {
            transaction.add(T::default(), queue::enqueue(event)?);
        }
        let known = sockets.take();
        let is_known = known.is_some();
        let receivers_sockets = async {
            match known {
                Some(known) => Some(known),
                None => self.receivers_sockets(&events).await,
            }
        };
        let (commit, found) = tokio::join!(self.commit(transaction, began), receivers_sockets);
        Ok(match commit? {
            Commit::Done(()) => Commit::Done(Delivery::new(events, found.unwrap_or_default(), &self.links)),
            Commit::Refused(refusals) => {
                *sockets = found.filter(|_| !is_known);
                Commit::Refused(refusals)
            }
        })
    }

    /// Returns the delivery of events that have already been committed.
    pub(crate) async fn delivery_of(&self, events: Vec<OutgoingEvent>) -> Delivery {
        let sockets = self.receivers_sockets(&events).await.unwrap_or_default();
        Delivery::new(events, sockets, &self.links)
    }

    /// Reads the sockets of the events' receivers; `None` if that failed.
    async fn receivers_sockets(&self, events: &[OutgoingEvent]) -> Option<UserSockets> {
        let users: Vec<&UserId> = events.iter().map(|event| &event.receiver).collect();
        self.sockets_of(&users).await
    }
}
