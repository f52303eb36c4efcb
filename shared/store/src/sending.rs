//! Sending: the message, every participant's row and event, and the send key in one transaction.
//!
//! Invariant: an id is made anew only after a definite cancellation, and always above the one before, so no late
//! arrival of an older attempt can commit beside it. The rows are first taken to be visible, which costs nothing;
//! what the refusal says of them decides the next attempt.
//!
//! In a conversation of more than 24 the message is committed with an entry of its log; `fan_out.rs` does the rest.

use async_recursion::async_recursion as boxed;
use domain::caller::Caller;
use domain::conversation::{MAX_COUNTED_READERS, Meta, Row, SMALL};
use domain::delivery::{Delivery, OutgoingEvent};
use domain::error::Error;
use domain::event::Event;
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::limits;
use domain::message::{Content, Destination, Draft, Message, ReadState};
use domain::user::Profile;
use observe::meter;
use observe::metrics::Metric;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::change_log::{self, Change};
use crate::client::Store;
use crate::item::{Item, Key, Write, from_item, full_at};
use crate::participants::{self, Group};
use crate::transact::{Commit, Refusals, Transaction};
use crate::{inbox, messages, partition, profiles};

/// Seconds that a send key is kept: a day, and an hour for clocks that differ.
const KEY_LIFE: i64 = 25 * 3600;

pub(crate) fn key(conversation: &ConversationId, sender: &UserId, client_id: &str) -> Key {
    Key { pk: partition::of_conversation(conversation), sk: format!("K#{sender}#{client_id}") }
}

/// What the item of a send key holds beside its key.
#[derive(Serialize, Deserialize)]
struct StoredKey {
    message: Stamp,
    expires: i64,
}

/// How a send ended.
#[derive(Debug)]
pub enum Sent {
    /// The message was sent; nobody has read it, and this is to be pushed.
    New(Message, ReadState, Delivery),
    /// It had been sent before, under the same client id.
    Duplicate(Message),
}

/// What is known of a participant's row.
#[derive(Clone)]
enum RowState {
    /// It is in the inbox, or so we hope.
    Visible,
    /// It is there and hidden.
    Hidden(Box<Row>),
    /// There is none, and so there is none of the other's.
    Missing,
}

/// A participant, in whose row and queue the message is put.
struct Recipient {
    user: UserId,
    row_state: RowState,
}

impl Recipient {
    fn of(user: &UserId) -> Self {
        Self { user: user.clone(), row_state: RowState::Visible }
    }

    fn is_visible(&self) -> bool {
        matches!(self.row_state, RowState::Visible)
    }
}

/// What a write of the transaction is about, so that a refusal can be understood.
#[derive(Clone, Copy, Default, PartialEq)]
enum WriteTarget {
    Message,
    /// The row of one of the recipients.
    Row(usize),
    /// The sender's row of a large conversation, which the fan-out writes.
    Membership,
    Meta,
    Totals,
    Key,
    Reply,
    #[default]
    Other,
}

/// What a refusal teaches.
enum NextStep {
    /// Another attempt may do.
    TryAgain,
    /// An attempt whose answer was lost had committed.
    Committed,
    /// The same client id was sent before, with this message.
    SentBefore(Box<Message>),
}

impl Store {
    /// Sends a message.
    ///
    /// # Errors
    /// `NotFound` for an unknown recipient, `NotAParticipant` for another's conversation, `Blocked` where either has
    /// blocked the other, `Invalid` for oneself or an answer to a message that is not there; unless the
    /// same client id was sent before.
    #[boxed]
    pub async fn append_message(&self, caller: &Caller, draft: Draft) -> Result<Sent, Error> {
        let began = Instant::now();
        let conversation = match &draft.destination {
            Destination::User(peer) if *peer == caller.user => {
                return Err(Error::field("recipient_id", "You cannot write to yourself."));
            }
            Destination::User(peer) => ConversationId::direct(&caller.user, peer),
            Destination::Conversation(id) => id.clone(),
        };
        meter::note(&conversation);
        let to = draft.destination.clone();
        let content = draft.content_in(&conversation)?;
        let (peer, group) = match to {
            Destination::User(peer) => (Some(peer), None),
            Destination::Conversation(id) if id.is_direct() => {
                (self.row(&caller.user, &id).await?.ok_or(Error::NotAParticipant)?.peer, None)
            }
            Destination::Conversation(id) => (None, Some(self.group_of_sender(&caller.user, &id).await?)),
        };
        let mut sending = Sending {
            store: self,
            caller,
            peer,
            conversation,
            content,
            recipients: Vec::new(),
            group,
            floor: None,
            full_at: None,
            new_full_at: None,
            profiles: None,
        };
        sending.take_recipients();
        let sent = sending.run(began).await?;
        match &sent {
            Sent::New(message, ..) => {
                meter::note(&message.id);
                meter::count(Metric::MessagesSent);
            }
            Sent::Duplicate(message) => meter::note(&message.id),
        }
        Ok(sent)
    }

    /// A group or room with its participants, unless there are too many; for one of them.
    async fn group_of_sender(&self, sender: &UserId, conversation: &ConversationId) -> Result<Group, Error> {
        let group = self.group(conversation, SMALL, true).await?.ok_or(Error::NotAParticipant)?;
        // Of a large one the sender's row tells whether they take part.
        if group.is_large() || group.find(sender).is_some() { Ok(group) } else { Err(Error::NotAParticipant) }
    }
}

/// A send under way, and what its refusals have taught.
struct Sending<'a> {
    store: &'a Store,
    caller: &'a Caller,
    /// The other, in a direct conversation.
    peer: Option<UserId>,
    conversation: ConversationId,
    content: Content,
    recipients: Vec<Recipient>,
    /// A group or room.
    group: Option<Group>,
    /// The next id must be above this one.
    floor: Option<Stamp>,
    /// When the sender's buckets are full again: of sends, and of new conversations.
    full_at: Option<i64>,
    new_full_at: Option<i64>,
    /// The sender's and the recipient's, once rows have to be made.
    profiles: Option<(Option<Profile>, Profile)>,
}

impl Sending<'_> {
    /// Those in whose rows and queues the message is put.
    fn take_recipients(&mut self) {
        self.recipients = match (&self.group, &self.peer) {
            (Some(group), _) if group.is_large() => Vec::new(),
            (Some(group), _) => group.participants.iter().map(|(user, _)| Recipient::of(user)).collect(),
            (None, peer) => [&self.caller.user].into_iter().chain(peer).map(Recipient::of).collect(),
        };
        self.floor = self.floor.max(self.group.as_ref().map(|group| group.meta.latest_event));
    }

    async fn run(mut self, began: Instant) -> Result<Sent, Error> {
        loop {
            let message = self.next_message();
            self.floor = Some(message.id.stamp);
            let transaction = match self.transaction(&message) {
                Ok(transaction) => transaction,
                Err(refusal) => return self.unless_sent_before(refusal).await,
            };
            let events = self.events(&message);
            match self.store.commit_and_publish(transaction, events, began).await? {
                Commit::Done(delivery) => return Ok(Sent::New(message, self.unread(), delivery)),
                Commit::Refused(refusals) => match self.handle_refusals(&message, refusals).await {
                    Ok(NextStep::TryAgain) => {}
                    Ok(NextStep::Committed) => {
                        let delivery = self.store.delivery_of(self.events(&message)).await;
                        return Ok(Sent::New(message, self.unread(), delivery));
                    }
                    Ok(NextStep::SentBefore(first)) => return Ok(Sent::Duplicate(*first)),
                    Err(refusal) => return self.unless_sent_before(refusal).await,
                },
            }
        }
    }

    fn unread(&self) -> ReadState {
        let uncounted =
            self.group.as_ref().is_some_and(|group| group.meta.participant_count > MAX_COUNTED_READERS);
        if uncounted { ReadState::UNCOUNTED } else { ReadState::UNREAD }
    }

    fn next_message(&self) -> Message {
        let stamp = self.store.clock.stamp_above(self.floor);
        Message {
            id: MessageId { conversation: self.conversation.clone(), stamp },
            sender: self.caller.user.clone(),
            recipient: self.peer.clone(),
            content: self.content.clone(),
            version: 1,
            edited_at: None,
            deleted_at: None,
        }
    }

    fn transaction(&self, message: &Message) -> Result<Transaction<WriteTarget>, Error> {
        let mut transaction = Transaction::new();
        transaction.add(WriteTarget::Message, messages::create(message)?);
        for (index, recipient) in self.recipients.iter().enumerate() {
            transaction.add(WriteTarget::Row(index), self.row(recipient, message)?);
            if !recipient.is_visible() {
                transaction.add(WriteTarget::Totals, self.count_row(recipient)?);
            }
        }
        if let Some(group) = &self.group {
            self.write_group(group, message, &mut transaction)?;
        }
        if let Some(client_id) = &self.content.client_message_id {
            let expires = message.id.stamp.time().seconds() + KEY_LIFE;
            let stored = StoredKey { message: message.id.stamp, expires };
            let key = key(&self.conversation, &self.caller.user, client_id);
            let write = Write::put(key, &stored)?.if_gone(self.store.clock.now());
            transaction.add(WriteTarget::Key, write);
        }
        if let Some(stamp) = self.content.reply_to {
            let answered = MessageId { conversation: self.conversation.clone(), stamp };
            transaction.add(WriteTarget::Reply, Write::check(messages::key(&answered)).if_present("pk"));
        }
        if let Some((mine, theirs)) = &self.profiles {
            let now = self.store.clock.now();
            let (_, writes) = profiles::known_or_created(self.caller, mine.as_ref(), now)?;
            transaction.add_all(WriteTarget::Other, writes);
            if let Some(peer) = &self.peer {
                transaction.add(WriteTarget::Other, profiles::check(peer, theirs));
            }
        }
        Ok(transaction)
    }

    /// Adds a message to the items of its group or room.
    fn write_group(
        &self,
        group: &Group,
        message: &Message,
        transaction: &mut Transaction<WriteTarget>,
    ) -> Result<(), Error> {
        let stamp = message.id.stamp;
        let meta = Write::update(participants::meta_key(&self.conversation))
            .set("last", &stamp)
            .set("head", &stamp.plus(2))
            .add("seq", 1)
            .if_missing("deleted");
        if !group.is_large() {
            let meta = meta.if_still("members", Some(&group.meta.membership)).if_below("head", &stamp);
            transaction.add(WriteTarget::Meta, meta);
            return Ok(());
        }
        let seq = group.meta.seq;
        transaction.add(WriteTarget::Meta, meta.if_still("seq", Some(&seq)));
        let change = Change::Sent { message: stamp };
        let entry = change_log::entry(&self.conversation, seq + 1, &change, self.store.clock.now())?;
        transaction.add(WriteTarget::Other, entry);
        let row = inbox::key(&self.caller.user, &self.conversation);
        let row = if self.store.limited {
            self.store.limit(Write::update(row), &limits::WRITES, self.full_at)?
        } else {
            Write::check(row)
        };
        transaction.add(WriteTarget::Membership, row.if_present("pk"));
        Ok(())
    }

    /// What everyone learns: of the message and, before it, of a row that appears with it.
    fn events(&self, message: &Message) -> Vec<OutgoingEvent> {
        // Just above the message's id: so a conversation's events, too, are in the order of their commits.
        let first = message.id.stamp.plus(1);
        let mut events = Vec::with_capacity(2 * self.recipients.len());
        for recipient in &self.recipients {
            if !recipient.is_visible() {
                let appearance = self.appearance(recipient, message);
                events.push(OutgoingEvent::new(recipient.user.clone(), first, appearance));
            }
            let event = Event::MessageCreated { message: message.clone(), uncounted: false };
            events.push(OutgoingEvent::new(recipient.user.clone(), first.plus(1), event));
        }
        events
    }

    /// Counts a row that appears; the sender's first message to someone opens a new conversation.
    fn count_row(&self, recipient: &Recipient) -> Result<Write, Error> {
        let count = inbox::count_rows(&recipient.user, 1);
        if matches!(recipient.row_state, RowState::Missing) && recipient.user == self.caller.user {
            return self.store.limit(count, &limits::CONVERSATIONS, self.new_full_at);
        }
        Ok(count)
    }

    /// Takes the message into a participant's row, which must be as it is taken to be.
    fn row(&self, recipient: &Recipient, message: &Message) -> Result<Write, Error> {
        let sends = recipient.user == self.caller.user;
        let stamp = message.id.stamp;
        let row = Write::update(inbox::key(&recipient.user, &self.conversation))
            .set("head", &stamp)
            .set("activity", &stamp)
            .set("last_id", &stamp)
            .set("last_text", &message.preview())
            .set("last_mine", &sends);
        let row = if self.group.is_none() {
            row.if_missing("blocked_by_me").if_missing("blocked_by_peer")
        } else {
            row
        };
        let row = if sends {
            self.store.limit(row, &limits::WRITES, self.full_at)?
        } else {
            row.add("n", 1).set("unread", inbox::UNREAD_MARK)
        };
        Ok(match &recipient.row_state {
            RowState::Visible => {
                row.if_present("activity").if_below("head", &stamp).if_below("hidden_at", &stamp)
            }
            RowState::Hidden(known) => row
                .if_missing("activity")
                .if_still("head", known.head.as_ref())
                .if_still("read", known.read.as_ref())
                .if_present("pk"),
            RowState::Missing => {
                let new = self.new_row(recipient);
                row.set_some("peer", new.peer.as_ref())
                    .set_some("name", new.name.as_ref())
                    .set_some("picture", new.picture.as_ref())
                    .set("name_version", &new.name_version)
                    .if_missing("pk")
            }
        })
    }

    /// A participant's row of a direct conversation before the first message, with the other's profile.
    fn new_row(&self, recipient: &Recipient) -> Row {
        let is_mine = recipient.user == self.caller.user;
        let peer = if is_mine { self.peer.as_ref() } else { Some(&self.caller.user) };
        let profile = self.profiles.as_ref().map(|(mine, theirs)| match mine {
            _ if is_mine => theirs.clone(),
            Some(mine) => mine.clone(),
            None => Profile::of(self.caller, self.store.clock.now()),
        });
        let row = Row { peer: peer.cloned(), ..Row::default() };
        profile.map_or(row.clone(), |profile| row.showing(&profile))
    }

    /// The event of a row that appears with the message: the row as it is after it.
    fn appearance(&self, recipient: &Recipient, message: &Message) -> Event {
        let sends = recipient.user == self.caller.user;
        let before = match &recipient.row_state {
            RowState::Hidden(row) => (**row).clone(),
            _ => self.new_row(recipient),
        };
        let row = before.with(message, sends);
        Event::ConversationCreated { conversation: self.conversation.clone(), row: Box::new(row) }
    }

    /// Learns from a refusal what the next attempt must be like, or that the message was sent, or cannot be.
    async fn handle_refusals(
        &mut self,
        message: &Message,
        refusals: Refusals<WriteTarget>,
    ) -> Result<NextStep, Error> {
        if let Some((_, Some(item))) = refusals.iter().find(|(target, _)| *target == WriteTarget::Message) {
            // An attempt whose answer was lost had committed; or another's message has this very id.
            let there = messages::read(item.clone())?;
            // It may have been edited since.
            if there.sender == message.sender && (there.version > 1 || there == *message) {
                return Ok(NextStep::Committed);
            }
        }
        let mut regrouped = false;
        for (target, item) in refusals {
            match target {
                WriteTarget::Row(index) => self.handle_refused_row(index, item)?,
                WriteTarget::Membership => {
                    let item = item.ok_or(Error::NotAParticipant)?;
                    self.full_at = full_at(&item, &limits::WRITES);
                }
                WriteTarget::Meta => regrouped = !self.handle_refused_meta(item)?,
                WriteTarget::Totals => {
                    self.new_full_at = item.and_then(|item| full_at(&item, &limits::CONVERSATIONS));
                }
                WriteTarget::Key => {
                    let item =
                        item.ok_or_else(|| Error::internal("a send key was refused without an item"))?;
                    return self
                        .first_message(&from_item::<StoredKey>(item)?)
                        .await
                        .map(|first| NextStep::SentBefore(Box::new(first)));
                }
                WriteTarget::Reply => {
                    return Err(Error::field("reply_to", "There is no such message to answer."));
                }
                // The profiles are read again below.
                WriteTarget::Message | WriteTarget::Other => {}
            }
        }
        if regrouped {
            self.group = Some(self.store.group_of_sender(&self.caller.user, &self.conversation).await?);
            self.take_recipients();
        }
        self.profiles = None;
        if let Some(peer) = &self.peer
            && self.recipients.iter().any(|recipient| matches!(recipient.row_state, RowState::Missing))
        {
            let found = self.store.profiles(&[&self.caller.user, peer]).await?;
            let find =
                |user: &UserId| found.iter().find(|(id, _)| id == user).map(|(_, profile)| profile.clone());
            let theirs = find(peer).ok_or(Error::NotFound("There is no such user."))?;
            self.profiles = Some((find(&self.caller.user), theirs));
        }
        Ok(NextStep::TryAgain)
    }

    /// Takes in how the conversation stands; `false` where its participants have to be read again.
    fn handle_refused_meta(&mut self, item: Option<Item>) -> Result<bool, Error> {
        let meta = item.map(from_item::<Meta>).transpose()?;
        let meta = meta.filter(|meta| !meta.deleted).ok_or(Error::NotAParticipant)?;
        let Some(group) = &mut self.group else { return Ok(true) };
        let is_same = group.meta.membership == meta.membership && group.meta.large_since == meta.large_since;
        self.floor = self.floor.max(Some(meta.latest_event));
        group.meta = meta;
        Ok(is_same)
    }

    fn handle_refused_row(&mut self, index: usize, item: Option<Item>) -> Result<(), Error> {
        let is_direct = self.group.is_none();
        let Some(recipient) = self.recipients.get_mut(index) else { return Ok(()) };
        let Some(item) = item else {
            // In a group they have left: the participants have changed, and META is refused as well.
            if is_direct {
                recipient.row_state = RowState::Missing;
            }
            return Ok(());
        };
        let bucket_full_at = full_at(&item, &limits::WRITES);
        let row: Row = from_item(item)?;
        if is_direct && row.is_blocked() {
            return Err(Error::Blocked);
        }
        if recipient.user == self.caller.user {
            self.full_at = bucket_full_at;
        }
        self.floor = self.floor.max(row.head).max(row.hidden_at);
        let is_visible = row.activity.is_some();
        recipient.row_state = if is_visible { RowState::Visible } else { RowState::Hidden(Box::new(row)) };
        Ok(())
    }

    /// The refusal, unless the same client id was sent before: a retry is answered as the first was.
    async fn unless_sent_before(&self, refusal: Error) -> Result<Sent, Error> {
        let Some(client_id) = &self.content.client_message_id else { return Err(refusal) };
        let found = self.store.get(key(&self.conversation, &self.caller.user, client_id), true).await?;
        match found.map(from_item::<StoredKey>).transpose()? {
            Some(stored) if stored.expires >= self.store.clock.now().seconds() => {
                self.first_message(&stored).await.map(Sent::Duplicate)
            }
            _ => Err(refusal),
        }
    }

    async fn first_message(&self, stored: &StoredKey) -> Result<Message, Error> {
        let id = MessageId { conversation: self.conversation.clone(), stamp: stored.message };
        let message = self.store.message(&id).await?;
        message.ok_or_else(|| Error::internal("a send key names a message that is not there"))
    }
}
