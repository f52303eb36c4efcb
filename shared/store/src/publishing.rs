//! Publishing: commits a change together with its events, and reads the sockets to push them to in parallel.

use domain::delivery::{Delivery, OutgoingEvent};
use domain::error::Error;
use domain::id::UserId;
use tokio::time::Instant;

use crate::client::Store;
use crate::queue;
use crate::transact::{Commit, Transaction};

impl Store {
    /// Commits a transaction together with its events, and reads the receivers' sockets in parallel.
    ///
    /// # Errors
    /// Those of [`Store::commit`].
    pub(crate) async fn commit_and_publish<T: Default>(
        &self,
        mut transaction: Transaction<T>,
        events: Vec<OutgoingEvent>,
        began: Instant,
    ) -> Result<Commit<T, Delivery>, Error> {
        for event in &events {
            transaction.add(T::default(), queue::enqueue(event)?);
        }
        let (commit, sockets) =
            tokio::join!(self.commit(transaction, began), self.receivers_sockets(&events));
        Ok(match commit? {
            Commit::Done(()) => Commit::Done(Delivery::new(events, sockets, &self.links)),
            Commit::Refused(refusals) => Commit::Refused(refusals),
        })
    }

    /// Returns the delivery of events that have already been committed.
    pub(crate) async fn delivery_of(&self, events: Vec<OutgoingEvent>) -> Delivery {
        let sockets = self.receivers_sockets(&events).await;
        Delivery::new(events, sockets, &self.links)
    }

    async fn receivers_sockets(
        &self,
        events: &[OutgoingEvent],
    ) -> Vec<(UserId, Vec<domain::delivery::Socket>)> {
        let users: Vec<&UserId> = events.iter().map(|event| &event.receiver).collect();
        self.sockets_of(&users).await
    }
}
