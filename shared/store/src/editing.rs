//! Editing messages.
//!
//! Most edits read no row of another participant. Only one that changes whom the message mentions reads the rows of these
//! users, whose counts of mentions it changes.

use std::collections::{BTreeSet, HashMap, HashSet};

use async_recursion::async_recursion as boxed;
use domain::content::Edit;
use domain::conversation::Row;
use domain::delivery::OutgoingEvent;
use domain::error::Error;
use domain::event::{Event, Unread};
use domain::id::{MessageId, Stamp, UserId};
use domain::limits;
use domain::message::Message;

use crate::attempts::Attempts;
use crate::change_log::{Change, MentionChange};
use crate::changing::{ChangeTarget, ChangeTransaction, Changed, MessageToChange, with_mention};
use crate::client::Store;
use crate::item::{from_item, full_at};
use crate::mentions::{Known, check_mention_all};
use crate::messages::Counted;
use crate::transact::{Commit, Refusals, Transaction};
use crate::write::Write;
use crate::{archives, inbox, profiles, queue};

/// An edit in progress, and what its refusals have revealed about the participants' rows.
struct Editing<'a> {
    store: &'a Store,
    caller: &'a UserId,
    id: &'a MessageId,
    /// When the caller's bucket of writes is full again.
    full_at: Option<i64>,
    /// Participants whose rows show another message.
    showing_another: HashSet<UserId>,
    /// Participants who have deleted the conversation since the message was sent, and so receive no event.
    cleared: HashSet<UserId>,
    /// The stamp that the id of the next event must exceed.
    floor: Option<Stamp>,
}

impl Store {
    /// Changes a message's text, mentions and custom data. What is as before changes nothing.
    ///
    /// # Errors
    /// `NotAParticipant`, `NotFound`, `NotTheSender`, `NotAuthenticated` if the caller's account was deleted, `Blocked`
    /// if either user of a direct conversation has blocked the other, `Conflict` if the message is deleted, `Invalid` if the text is empty or too long, `RateLimited`.
    #[boxed]
    pub async fn edit_message(&self, caller: &UserId, id: &MessageId, edit: &Edit) -> Result<Changed, Error> {
        let mut attempts = Attempts::new(&self.turns, &id.conversation);
        let (showing_another, cleared) = Default::default();
        let mut editing =
            Editing { store: self, caller, id, full_at: None, showing_another, cleared, floor: None };
        loop {
            let subject = self.message_to_change(caller, id).await?;
            let message = &subject.stored.message;
            if message.sender != *caller {
                return Err(Error::NotTheSender);
            }
            if subject.row.owner_deleted {
                return Err(profiles::account_deleted());
            }
            if subject.row.is_blocked() {
                return Err(Error::Blocked);
            }
            if message.is_deleted() {
                return Err(Error::Conflict("The message was deleted."));
            }
            let edited = message.edited(edit, self.clock.now())?;
            if edited.content == message.content {
                return Ok(subject.unchanged());
            }
            let group = subject.group.as_ref();
            if edited.content.mentions != message.content.mentions {
                let known = group.map_or(Known::Direct(message), Known::Group);
                self.check_mentions(&id.conversation, &edited.content, known).await?;
            }
            if edited.content.mention_all && !message.content.mention_all {
                check_mention_all(group, subject.row.admin)?;
            }
            let counted = self.recounted_mentions(&subject, &edited).await?;
            let (transaction, events) = editing.build(&subject, &edited, &counted)?;
            match self.commit_and_publish(transaction, events, attempts.began()).await? {
                Commit::Done(delivery) => return Ok(subject.changed_to(edited, delivery)),
                Commit::Refused(refusals) => editing.handle_refusals(refusals)?,
            }
            attempts.refused().await?;
        }
    }
}

impl Store {
    /// Reads the rows whose counts of mentions an edit changes, in a conversation of up to 24. Returns each as it is, and
    /// as it will be.
    async fn recounted_mentions(
        &self,
        subject: &MessageToChange,
        edited: &Message,
    ) -> Result<HashMap<UserId, (Row, Row)>, Error> {
        let id = subject.id();
        let change = MentionChange::between(&subject.stored.message, edited);
        let mut recounted = HashMap::new();
        if subject.is_large() || change.is_none() {
            return Ok(recounted);
        }
        let concerned = |user: &UserId| change.concerns(user) && *user != edited.sender;
        for (user, row) in self.rows_of_audience(subject, &edited.sender).await? {
            if !concerned(&user) || !row.counts(id.stamp) || subject.stored.is_hidden_by(&user) {
                continue;
            }
            let after = match (subject.stored.message.mentions(&user), edited.mentions(&user)) {
                (false, true) => with_mention(row.clone(), id.stamp),
                (true, false) => self.without_mention(row.clone(), &user, id).await?,
                _ => continue,
            };
            recounted.insert(user, (row, after));
        }
        Ok(recounted)
    }
}

impl Editing<'_> {
    /// Builds the writes and events of the edit from what is known of the participants' rows.
    fn build(
        &self,
        subject: &MessageToChange,
        edited: &Message,
        recounted: &HashMap<UserId, (Row, Row)>,
    ) -> Result<(ChangeTransaction, Vec<OutgoingEvent>), Error> {
        let at = self.store.clock.stamp_above(subject.event_floor().max(self.floor));
        let mut transaction = Transaction::new();
        transaction.add(ChangeTarget::Other, subject.stored.replaced(edited)?);
        let mark = archives::mark_of_edit(&subject.stored.message, edited, self.store.clock.now())?;
        transaction.add_all(ChangeTarget::Other, mark);
        let mentions_of = MentionChange::between(&subject.stored.message, edited);
        let change = Change::Edited { message: self.id.stamp, mentions_of };
        self.store.log_change(&mut transaction, subject, at, &change)?;
        let mut events = Vec::new();
        if !subject.is_large() {
            for user in subject.audience(self.caller) {
                if edited.recipient.is_some() && self.store.is_queued(self.id.stamp) {
                    let created = Event::MessageCreated { message: edited.clone(), uncounted: false };
                    let created = OutgoingEvent::new(user.clone(), self.id.stamp.plus(2), created);
                    transaction.add(ChangeTarget::Other, queue::enqueue(&created)?);
                }
                if !subject.stored.is_hidden_by(&user) && !self.cleared.contains(&user) {
                    let (message, reads) = (edited.clone(), subject.reads.clone());
                    let unread = recounted.get(&user).map(|(_, after)| Unread::of(after));
                    let event = Event::MessageUpdated { message, reads, unread };
                    events.push(OutgoingEvent::new(user, at.plus(1), event));
                }
            }
        }
        self.add_rows_of_others(&mut transaction, subject, edited, recounted, at);
        let own = self.own_row(subject, edited, at);
        let own = self.store.limit(own, &subject.limit(), self.full_at)?;
        transaction.add(ChangeTarget::Row(self.caller.clone()), own);
        Ok((transaction, events))
    }

    /// The participants whose rows are assumed to show the message. The rows of others are not read: most show the
    /// newest message, and a refusal corrects a wrong assumption.
    fn rows_showing_it(&self, subject: &MessageToChange) -> HashSet<UserId> {
        let mut showing: HashSet<UserId> = HashSet::new();
        if !subject.is_large() {
            showing.extend(subject.stored.notes.shown_by.iter().cloned());
            if subject.is_newest() {
                showing.extend(subject.audience(self.caller));
            }
        }
        showing.retain(|user| !self.showing_another.contains(user) && !self.cleared.contains(user));
        showing
    }

    fn add_rows_of_others(
        &self,
        transaction: &mut ChangeTransaction,
        subject: &MessageToChange,
        edited: &Message,
        recounted: &HashMap<UserId, (Row, Row)>,
        at: Stamp,
    ) {
        let showing = self.rows_showing_it(subject);
        // In a direct conversation, the event puts the text into the peer's queue. So it commits only if the peer still
        // sees the message, and raises their `latest_event`, so that a later deletion of the conversation gets a
        // higher event id.
        let peer = edited.other_than(self.caller).filter(|peer| !self.cleared.contains(*peer));
        let users: BTreeSet<&UserId> = showing.iter().chain(peer).chain(recounted.keys()).collect();
        for user in users.into_iter().filter(|user| *user != self.caller) {
            let row = Write::update(inbox::key(user, &self.id.conversation));
            let row = if showing.contains(user) {
                inbox::show(row, edited).if_still("last_id", Some(&self.id.stamp))
            } else {
                row.if_below("cleared", &self.id.stamp)
            };
            let row = match recounted.get(user) {
                Some((before, after)) => {
                    inbox::count(inbox::unless_changed(row, before), after, Counted::by(after))
                }
                None => row,
            };
            let event = at.plus(1);
            let row = match peer {
                Some(_) => row.set(inbox::LATEST_EVENT, &event).if_below(inbox::LATEST_EVENT, &event),
                None => row,
            };
            transaction.add(ChangeTarget::Row(user.clone()), row);
        }
    }

    fn own_row(&self, subject: &MessageToChange, edited: &Message, at: Stamp) -> Write {
        let row = Write::update(inbox::key(self.caller, &self.id.conversation))
            .if_present("pk")
            .if_missing("blocked_by_me")
            .if_missing("blocked_by_peer")
            .if_missing("owner_deleted")
            .if_still("last_id", subject.row.last_id.as_ref());
        let row = if subject.row.last_id == Some(self.id.stamp) {
            inbox::show(row, edited)
        } else {
            row.set("last_mine", &subject.row.last_mine)
        };
        if subject.group.is_none() {
            let known = subject.row.latest_event.as_ref();
            row.set(inbox::LATEST_EVENT, &at.plus(1)).if_still(inbox::LATEST_EVENT, known)
        } else {
            row
        }
    }

    fn handle_refusals(&mut self, refusals: Refusals<ChangeTarget>) -> Result<(), Error> {
        for (target, item) in refusals {
            match target {
                ChangeTarget::Row(user) if user == *self.caller => {
                    self.full_at = item.and_then(|item| full_at(&item, &limits::WRITES));
                }
                // The row shows another message or none, or its owner has deleted the conversation since.
                ChangeTarget::Row(user) => {
                    let row: Row = item.as_ref().map(from_item).transpose()?.unwrap_or_default();
                    self.floor = self.floor.max(row.latest_event);
                    if !row.shows(self.id.stamp) {
                        self.cleared.insert(user);
                    } else if row.last_id != Some(self.id.stamp) {
                        self.showing_another.insert(user);
                    }
                }
                ChangeTarget::Other => self.showing_another.clear(),
            }
        }
        Ok(())
    }
}
