//! Opening a direct conversation before its first message.

use tokio::time::Instant;

use super::item::{Write, full_at};
use super::transact::{Commit, Verdict};
use super::{Opened, Store, inbox, profiles};
use crate::auth::Caller;
use crate::conversation::Row;
use crate::error::Error;
use crate::event::Event;
use crate::id::{ConversationId, UserId};
use crate::limits;
use crate::push::Delivery;

impl Store {
    /// Opens the direct conversation with a user: it shows in the caller's inbox, and in the other's with the first
    /// message. One that is there is given as it is.
    ///
    /// # Errors
    /// `NotFound` for an unknown user, `Blocked` where a block stands and it is not in the inbox, `Invalid` with oneself,
    /// `RateLimited`.
    pub async fn open_direct(&self, caller: &Caller, peer: &UserId) -> Result<Opened, Error> {
        if *peer == caller.user {
            return Err(Error::field("participant_ids", "You cannot write to yourself."));
        }
        let began = Instant::now();
        let conversation = ConversationId::direct(&caller.user, peer);
        let mut known = None;
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
                self.see_user(caller).await?;
                continue;
            };
            if row.as_ref().is_some_and(Row::is_blocked) {
                return Err(Error::Blocked);
            }
            let before = row.clone();
            let at = self.clock.stamp_above(before.as_ref().and_then(Row::told_up_to));
            let new = || Row::between(peer, theirs);
            let row = Row { activity: Some(at), told: Some(at.plus(1)), ..row.unwrap_or_else(new) };
            let count = inbox::count_rows(&caller.user, 1);
            let mut writes = vec![self.limit(count, &limits::CONVERSATIONS, known)?];
            if let Some(before) = &before {
                let shown = Write::update(inbox::key(&caller.user, &conversation));
                let shown = shown.set("activity", &at).set("told", &at.plus(1));
                let shown =
                    shown.if_present("pk").if_missing("activity").if_still("head", before.head.as_ref());
                writes.push(shown.if_missing("blocked_by_me").if_missing("blocked_by_peer"));
            } else {
                let hidden = Row::between(&caller.user, mine);
                writes.push(Write::put(inbox::key(&caller.user, &conversation), &row)?.if_missing("pk"));
                writes.push(Write::put(inbox::key(peer, &conversation), &hidden)?.if_missing("pk"));
                writes.push(profiles::check(&caller.user, mine));
                writes.push(profiles::check(peer, theirs));
            }
            let event =
                Event::ConversationCreated { conversation: conversation.clone(), row: Box::new(row.clone()) };
            let told = vec![(caller.user.clone(), at.plus(1), event)];
            match self.commit_and_tell(writes, told, began).await? {
                (Commit::Done, delivery) => {
                    return Ok(Opened { conversation, row, is_new: before.is_none(), delivery });
                }
                (Commit::Refused(verdicts), _) => {
                    if let Some(Verdict::Refused(Some(totals))) = verdicts.first() {
                        known = full_at(totals, &limits::CONVERSATIONS);
                    }
                }
            }
        }
    }
}
