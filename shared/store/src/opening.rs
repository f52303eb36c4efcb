//! Opening a direct conversation before its first message.

use async_recursion::async_recursion as boxed;
use domain::caller::Caller;
use domain::conversation::{ConversationView, Row};
use domain::delivery::{Delivery, OutgoingEvent};
use domain::error::Error;
use domain::event::Event;
use domain::id::{ConversationId, UserId};
use domain::limits;
use domain::settings::InboxPlace;
use tokio::time::Instant;

use crate::client::Store;
use crate::item::full_at;
use crate::transact::{Commit, Transaction, refused_item};
use crate::write::Write;
use crate::{inbox, profiles};

/// A conversation that was opened, created or joined.
pub struct Opened {
    /// The conversation's id.
    pub conversation: ConversationId,
    /// The caller's row.
    pub row: Row,
    /// Whether this call created it or, for a room, joined it.
    pub is_new: bool,
    /// The events to push.
    pub delivery: Delivery,
}

impl Opened {
    /// The caller's row as the API shows it.
    #[must_use]
    pub fn shown(&self) -> ConversationView {
        self.row.shown(&self.conversation)
    }
}

/// Identifies the writes of an opening in a refusal.
#[derive(Clone, Default, PartialEq)]
enum Target {
    /// The caller's `TOTALS`, which hold the bucket that limits new conversations.
    Totals,
    #[default]
    Other,
}

impl Store {
    /// Opens the direct conversation with a user. It appears in the caller's inbox now, and in the peer's with the
    /// first message. If it is already in the caller's inbox, nothing changes.
    ///
    /// # Errors
    /// `Invalid` if the peer is the caller, `NotFound` if there is no such user, `Blocked` if either user has blocked
    /// the other and the conversation is not in the caller's inbox, `NotAuthenticated` if the caller's account was
    /// deleted, `RateLimited`.
    #[boxed]
    pub async fn open_direct(&self, caller: &Caller, peer: &UserId) -> Result<Opened, Error> {
        if *peer == caller.user {
            return Err(Error::field("participant_ids", "You cannot write to yourself."));
        }
        let began = Instant::now();
        let conversation = ConversationId::direct(&caller.user, peer);
        let mut bucket_full_at = None;
        loop {
            let users = [&caller.user, peer];
            let (row, profiles) =
                tokio::try_join!(self.row(&caller.user, &conversation), self.profiles(&users))?;
            if let Some(row) = row.as_ref().filter(|row| row.activity.is_some()) {
                let (row, delivery) = (row.clone(), Delivery::default());
                return Ok(Opened { conversation, row, is_new: false, delivery });
            }
            let find = |user: &UserId| profiles.iter().find(|(id, _)| id == user).map(|(_, found)| found);
            let peer_profile = find(peer).ok_or(Error::NotFound("There is no such user."))?;
            let Some(own_profile) = find(&caller.user) else {
                self.ensure_user(caller).await?;
                continue;
            };
            if row.as_ref().is_some_and(Row::is_blocked) {
                return Err(Error::Blocked);
            }
            let before = row.clone();
            let at = self.clock.stamp_above(before.as_ref().and_then(Row::event_floor));
            let new = || Row::between(peer, peer_profile);
            let activity = Some(InboxPlace::active(at));
            let row = Row { activity, latest_event: Some(at.plus(1)), ..row.unwrap_or_else(new) };
            let count = inbox::count_rows(&caller.user, 1);
            let mut transaction = Transaction::new();
            transaction.add(Target::Totals, self.limit(count, &limits::CONVERSATIONS, bucket_full_at)?);
            if let Some(before) = &before {
                let show_row = Write::update(inbox::key(&caller.user, &conversation))
                    .set("activity", &at)
                    .set(inbox::LATEST_EVENT, &at.plus(1))
                    .if_present("pk")
                    .if_missing("activity")
                    .if_still("head", before.head.as_ref())
                    .if_missing("blocked_by_me")
                    .if_missing("blocked_by_peer");
                transaction.add(Target::Other, show_row);
            } else {
                let peer_row = Row::between(&caller.user, own_profile);
                transaction.add_all(
                    Target::Other,
                    [
                        Write::put(inbox::key(&caller.user, &conversation), &row)?.if_missing("pk"),
                        Write::put(inbox::key(peer, &conversation), &peer_row)?.if_missing("pk"),
                        profiles::check(&caller.user, own_profile),
                        profiles::check(peer, peer_profile),
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
                    let totals = refused_item(refusals, &Target::Totals);
                    bucket_full_at = totals.and_then(|item| full_at(&item, &limits::CONVERSATIONS));
                }
            }
        }
    }
}
