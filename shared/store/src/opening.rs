//! Opening a direct conversation before its first message.

use async_recursion::async_recursion as boxed;
use domain::caller::Caller;
use domain::conversation::{ConversationView, Row};
use domain::delivery::{Delivery, OutgoingEvent};
use domain::error::Error;
use domain::event::Event;
use domain::id::{ConversationId, UserId};
use domain::limits;
use tokio::time::Instant;

use crate::client::Store;
use crate::item::{Write, full_at};
use crate::transact::{Commit, Transaction};
use crate::{inbox, profiles};

/// A conversation that was opened: its id, the caller's row, and whether it is new.
pub struct Opened {
    /// Which.
    pub conversation: ConversationId,
    /// The caller's row.
    pub row: Row,
    /// Whether it was not there before.
    pub is_new: bool,
    /// What is to be pushed.
    pub delivery: Delivery,
}

impl Opened {
    /// The caller's row as the inbox shows it.
    #[must_use]
    pub fn shown(&self) -> ConversationView {
        self.row.shown(&self.conversation)
    }
}

/// What a write of an opened conversation is about.
#[derive(Clone, Default, PartialEq)]
enum Target {
    /// The caller's totals, which hold the bucket of new conversations.
    Totals,
    #[default]
    Other,
}

impl Store {
    /// Opens the direct conversation with a user: it shows in the caller's inbox, and in the other's with the first
    /// message. One that is there is given as it is.
    ///
    /// # Errors
    /// `NotFound` for an unknown user, `Blocked` where a block stands and it is not in the inbox, `Invalid` with oneself,
    /// `RateLimited`.
    #[boxed]
    pub async fn open_direct(&self, caller: &Caller, peer: &UserId) -> Result<Opened, Error> {
        if *peer == caller.user {
            return Err(Error::field("participant_ids", "You cannot write to yourself."));
        }
        let began = Instant::now();
        let conversation = ConversationId::direct(&caller.user, peer);
        let mut bucket_full_at = None;
        loop {
            let both = [&caller.user, peer];
            let (row, profiles) =
                tokio::try_join!(self.row(&caller.user, &conversation), self.profiles(&both))?;
            if let Some(row) = row.as_ref().filter(|row| row.activity.is_some()) {
                let (row, delivery) = (row.clone(), Delivery::default());
                return Ok(Opened { conversation, row, is_new: false, delivery });
            }
            let find = |user: &UserId| profiles.iter().find(|(id, _)| id == user).map(|(_, found)| found);
            let theirs = find(peer).ok_or(Error::NotFound("There is no such user."))?;
            let Some(mine) = find(&caller.user) else {
                self.ensure_user(caller).await?;
                continue;
            };
            if row.as_ref().is_some_and(Row::is_blocked) {
                return Err(Error::Blocked);
            }
            let before = row.clone();
            let at = self.clock.stamp_above(before.as_ref().and_then(Row::event_floor));
            let new = || Row::between(peer, theirs);
            let row = Row { activity: Some(at), latest_event: Some(at.plus(1)), ..row.unwrap_or_else(new) };
            let count = inbox::count_rows(&caller.user, 1);
            let mut transaction = Transaction::new();
            transaction.add(Target::Totals, self.limit(count, &limits::CONVERSATIONS, bucket_full_at)?);
            if let Some(before) = &before {
                let shown = Write::update(inbox::key(&caller.user, &conversation))
                    .set("activity", &at)
                    .set(inbox::LATEST_EVENT, &at.plus(1))
                    .if_present("pk")
                    .if_missing("activity")
                    .if_still("head", before.head.as_ref())
                    .if_missing("blocked_by_me")
                    .if_missing("blocked_by_peer");
                transaction.add(Target::Other, shown);
            } else {
                let hidden = Row::between(&caller.user, mine);
                transaction.add_all(
                    Target::Other,
                    [
                        Write::put(inbox::key(&caller.user, &conversation), &row)?.if_missing("pk"),
                        Write::put(inbox::key(peer, &conversation), &hidden)?.if_missing("pk"),
                        profiles::check(&caller.user, mine),
                        profiles::check(peer, theirs),
                    ],
                );
            }
            let event =
                Event::ConversationCreated { conversation: conversation.clone(), row: Box::new(row.clone()) };
            let events = vec![OutgoingEvent::new(caller.user.clone(), at.plus(1), event)];
            match self.commit_and_publish(transaction, events, began).await? {
                Commit::Done(delivery) => {
                    return Ok(Opened { conversation, row, is_new: before.is_none(), delivery });
                }
                Commit::Refused(refusals) => {
                    let totals = refusals.into_iter().find(|(target, _)| *target == Target::Totals);
                    let totals = totals.and_then(|(_, item)| item);
                    bucket_full_at = totals.and_then(|item| full_at(&item, &limits::CONVERSATIONS));
                }
            }
        }
    }
}
