//! Sending: the message, every participant's row and event, and the send key in one transaction.
//!
//! Invariant: an id is made anew only after a definite cancellation, and always above the one before, so no late
//! arrival of an older attempt can commit beside it. The rows are first taken to be visible, which costs nothing;
//! what the refusal says of them decides the next attempt.
//!
//! In a conversation of more than 24 the message is committed with an entry of its log; `fan_out.rs` does the rest.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::fan_out::{self, Change};
use super::item::{Item, Key, Write, from_item, full_at};
use super::messages::{self, partition};
use super::participants::{self, Group};
use super::profiles;
use super::transact::{Commit, Verdict};
use super::{Store, Told, inbox};
use crate::auth::Caller;
use crate::conversation::{COUNTED_READERS, Row, SMALL};
use crate::error::Error;
use crate::event::Event;
use crate::id::{ConversationId, MessageId, Stamp, UserId};
use crate::limits;
use crate::message::{Address, Content, Draft, Message, ReadState};
use crate::meter;
use crate::metrics::Metric;
use crate::push::Delivery;
use crate::user::Profile;

/// Seconds that a send key is kept: a day, and an hour for clocks that differ.
const KEY_LIFE: i64 = 25 * 3600;

pub(super) fn key(conversation: &ConversationId, sender: &UserId, client_id: &str) -> Key {
    Key { pk: partition(conversation), sk: format!("K#{sender}#{client_id}") }
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
    Before(Message),
}

/// What is known of a participant's row.
#[derive(Clone)]
enum Standing {
    /// It is in the inbox, or so we hope.
    Visible,
    /// It is there and hidden.
    Hidden(Box<Row>),
    /// There is none, and so there is none of the other's.
    Missing,
}

/// A participant, in whose row and queue the message is put.
struct Side {
    user: UserId,
    standing: Standing,
}

impl Side {
    fn of(user: &UserId) -> Self {
        Self { user: user.clone(), standing: Standing::Visible }
    }

    fn is_visible(&self) -> bool {
        matches!(self.standing, Standing::Visible)
    }
}

/// What a write of the transaction is about, so that a refusal can be understood.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Message,
    /// The row of one of the sides.
    Row(usize),
    /// The sender's row of a large conversation, which the fan-out writes.
    Membership,
    Meta,
    Totals,
    Key,
    Reply,
    Other,
}

/// What a refusal teaches.
enum Lesson {
    /// Another attempt may do.
    Again,
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
    pub async fn append_message(&self, caller: &Caller, draft: Draft) -> Result<Sent, Error> {
        let began = Instant::now();
        let conversation = match &draft.to {
            Address::User(peer) if *peer == caller.user => {
                return Err(Error::field("recipient_id", "You cannot write to yourself."));
            }
            Address::User(peer) => ConversationId::direct(&caller.user, peer),
            Address::Conversation(id) => id.clone(),
        };
        meter::note(&conversation);
        let to = draft.to.clone();
        let content = draft.content_in(&conversation)?;
        let (peer, group) = match to {
            Address::User(peer) => (Some(peer), None),
            Address::Conversation(id) if id.is_direct() => {
                (self.row(&caller.user, &id).await?.ok_or(Error::NotAParticipant)?.peer, None)
            }
            Address::Conversation(id) => (None, Some(self.group_of_sender(&caller.user, &id).await?)),
        };
        let mut sending = Sending {
            store: self,
            caller,
            peer,
            conversation,
            content,
            sides: Vec::new(),
            group,
            floor: None,
            full_at: None,
            new_full_at: None,
            profiles: None,
        };
        sending.take_sides();
        let sent = sending.run(began).await?;
        match &sent {
            Sent::New(message, ..) => {
                meter::note(&message.id);
                meter::count(Metric::MessagesSent);
            }
            Sent::Before(message) => meter::note(&message.id),
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
    sides: Vec<Side>,
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
    fn take_sides(&mut self) {
        self.sides = match (&self.group, &self.peer) {
            (Some(group), _) if group.is_large() => Vec::new(),
            (Some(group), _) => group.people.iter().map(|(user, _)| Side::of(user)).collect(),
            (None, peer) => [&self.caller.user].into_iter().chain(peer).map(Side::of).collect(),
        };
        self.floor = self.floor.max(self.group.as_ref().map(|group| group.meta.head));
    }

    async fn run(mut self, began: Instant) -> Result<Sent, Error> {
        loop {
            let message = self.next_message();
            self.floor = Some(message.id.stamp);
            let writes = match self.writes(&message) {
                Ok(writes) => writes,
                Err(refusal) => return self.unless_sent_before(refusal).await,
            };
            let (parts, writes): (Vec<Part>, Vec<Write>) = writes.into_iter().unzip();
            let (commit, delivery) = self.store.commit_and_tell(writes, self.events(&message), began).await?;
            let verdicts = match commit {
                Commit::Done => return Ok(Sent::New(message, self.unread(), delivery)),
                Commit::Refused(verdicts) => verdicts,
            };
            let refused = parts.into_iter().zip(verdicts).filter_map(|(part, verdict)| match verdict {
                Verdict::Refused(item) => Some((part, item)),
                Verdict::Fine => None,
            });
            match self.learn(&message, refused.collect()).await {
                Ok(Lesson::Again) => {}
                Ok(Lesson::Committed) => return Ok(Sent::New(message, self.unread(), delivery)),
                Ok(Lesson::SentBefore(first)) => return Ok(Sent::Before(*first)),
                Err(refusal) => return self.unless_sent_before(refusal).await,
            }
        }
    }

    fn unread(&self) -> ReadState {
        let crowd = self.group.as_ref().is_some_and(|group| group.meta.people > COUNTED_READERS);
        if crowd { ReadState::UNCOUNTED } else { ReadState::UNREAD }
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

    fn writes(&self, message: &Message) -> Result<Vec<(Part, Write)>, Error> {
        let mut writes = vec![(Part::Message, messages::create(message)?)];
        for (index, side) in self.sides.iter().enumerate() {
            writes.push((Part::Row(index), self.row(side, message)?));
            if !side.is_visible() {
                writes.push((Part::Totals, self.count_row(side)?));
            }
        }
        if let Some(group) = &self.group {
            self.write_group(group, message, &mut writes)?;
        }
        if let Some(client_id) = &self.content.client_message_id {
            let expires = message.id.stamp.time().seconds() + KEY_LIFE;
            let stored = StoredKey { message: message.id.stamp, expires };
            let key = key(&self.conversation, &self.caller.user, client_id);
            writes.push((Part::Key, Write::put(key, &stored)?.if_gone(self.store.clock.now())));
        }
        if let Some(stamp) = self.content.reply_to {
            let answered = MessageId { conversation: self.conversation.clone(), stamp };
            writes.push((Part::Reply, Write::check(messages::key(&answered)).if_present("pk")));
        }
        if let Some((mine, theirs)) = &self.profiles {
            let mine = if let Some(profile) = mine {
                vec![profiles::check(&self.caller.user, profile)]
            } else {
                let first = profiles::first_of(self.caller, self.store.clock.now())?;
                profiles::create(&self.caller.user, &first)?
            };
            writes.extend(mine.into_iter().map(|write| (Part::Other, write)));
            if let Some(peer) = &self.peer {
                writes.push((Part::Other, profiles::check(peer, theirs)));
            }
        }
        Ok(writes)
    }

    /// What a group's or room's own items take of a message.
    fn write_group(
        &self,
        group: &Group,
        message: &Message,
        writes: &mut Vec<(Part, Write)>,
    ) -> Result<(), Error> {
        let stamp = message.id.stamp;
        let meta = Write::update(participants::meta_key(&self.conversation))
            .set("last", &stamp)
            .set("head", &stamp.plus(2))
            .add("seq", 1)
            .if_missing("deleted");
        if !group.is_large() {
            let meta = meta.if_still("members", Some(&group.meta.members)).if_below("head", &stamp);
            writes.push((Part::Meta, meta));
            return Ok(());
        }
        let seq = group.meta.seq;
        writes.push((Part::Meta, meta.if_still("seq", Some(&seq))));
        let entry = Change::Sent { message: stamp };
        writes
            .push((Part::Other, fan_out::log(&self.conversation, seq + 1, &entry, self.store.clock.now())?));
        let row = inbox::key(&self.caller.user, &self.conversation);
        let row = if self.store.limited {
            self.store.limit(Write::update(row), &limits::WRITES, self.full_at)?
        } else {
            Write::check(row)
        };
        writes.push((Part::Membership, row.if_present("pk")));
        Ok(())
    }

    /// What everyone learns: of the message and, before it, of a row that appears with it.
    fn events(&self, message: &Message) -> Vec<Told> {
        // Just above the message's id: so a conversation's events, too, are in the order of their commits.
        let first = message.id.stamp.plus(1);
        let mut told = Vec::with_capacity(2 * self.sides.len());
        for side in &self.sides {
            if !side.is_visible() {
                told.push((side.user.clone(), first, self.appearance(side, message)));
            }
            let event = Event::MessageCreated { message: message.clone(), crowd: false };
            told.push((side.user.clone(), first.plus(1), event));
        }
        told
    }

    /// Counts a row that appears; the sender's first message to someone opens a new conversation.
    fn count_row(&self, side: &Side) -> Result<Write, Error> {
        let count = inbox::count_rows(&side.user, 1);
        if matches!(side.standing, Standing::Missing) && side.user == self.caller.user {
            return self.store.limit(count, &limits::CONVERSATIONS, self.new_full_at);
        }
        Ok(count)
    }

    /// Takes the message into a participant's row, which must be as it is taken to be.
    fn row(&self, side: &Side, message: &Message) -> Result<Write, Error> {
        let sends = side.user == self.caller.user;
        let stamp = message.id.stamp;
        let row = Write::update(inbox::key(&side.user, &self.conversation))
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
        Ok(match &side.standing {
            Standing::Visible => {
                row.if_present("activity").if_below("head", &stamp).if_below("hidden_at", &stamp)
            }
            Standing::Hidden(known) => row
                .if_missing("activity")
                .if_still("head", known.head.as_ref())
                .if_still("read", known.read.as_ref())
                .if_present("pk"),
            Standing::Missing => {
                let new = self.new_row(side);
                row.set_some("peer", new.peer.as_ref())
                    .set_some("name", new.name.as_ref())
                    .set_some("picture", new.picture.as_ref())
                    .set("name_version", &new.name_version)
                    .if_missing("pk")
            }
        })
    }

    /// A participant's row of a direct conversation before the first message, with the other's profile.
    fn new_row(&self, side: &Side) -> Row {
        let is_mine = side.user == self.caller.user;
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
    fn appearance(&self, side: &Side, message: &Message) -> Event {
        let sends = side.user == self.caller.user;
        let before = match &side.standing {
            Standing::Hidden(row) => (**row).clone(),
            _ => self.new_row(side),
        };
        let row = before.with(message, sends);
        Event::ConversationCreated { conversation: self.conversation.clone(), row: Box::new(row) }
    }

    /// Learns from a refusal what the next attempt must be like, or that the message was sent, or cannot be.
    async fn learn(
        &mut self,
        message: &Message,
        refused: Vec<(Part, Option<Item>)>,
    ) -> Result<Lesson, Error> {
        if let Some((_, Some(item))) = refused.iter().find(|(part, _)| *part == Part::Message) {
            // An attempt whose answer was lost had committed; or another's message has this very id.
            let there = messages::read(item)?;
            // It may have been edited since.
            if there.sender == message.sender && (there.version > 1 || there == *message) {
                return Ok(Lesson::Committed);
            }
        }
        let mut regrouped = false;
        for (part, item) in refused {
            match part {
                Part::Row(index) => self.learn_row(index, item)?,
                Part::Membership => {
                    let item = item.ok_or(Error::NotAParticipant)?;
                    self.full_at = full_at(&item, &limits::WRITES);
                }
                Part::Meta => regrouped = !self.learn_meta(item.as_ref())?,
                Part::Totals => {
                    self.new_full_at = item.and_then(|item| full_at(&item, &limits::CONVERSATIONS));
                }
                Part::Key => {
                    let item =
                        item.ok_or_else(|| Error::internal("a send key was refused without an item"))?;
                    return self
                        .first_message(&from_item::<StoredKey>(&item)?)
                        .await
                        .map(|first| Lesson::SentBefore(Box::new(first)));
                }
                Part::Reply => return Err(Error::field("reply_to", "There is no such message to answer.")),
                // The profiles are read again below.
                Part::Message | Part::Other => {}
            }
        }
        if regrouped {
            self.group = Some(self.store.group_of_sender(&self.caller.user, &self.conversation).await?);
            self.take_sides();
        }
        self.profiles = None;
        if let Some(peer) = &self.peer
            && self.sides.iter().any(|side| matches!(side.standing, Standing::Missing))
        {
            let found = self.store.profiles(&[&self.caller.user, peer]).await?;
            let find =
                |user: &UserId| found.iter().find(|(id, _)| id == user).map(|(_, profile)| profile.clone());
            let theirs = find(peer).ok_or(Error::NotFound("There is no such user."))?;
            self.profiles = Some((find(&self.caller.user), theirs));
        }
        Ok(Lesson::Again)
    }

    /// Takes in how the conversation stands; `false` where its participants have to be read again.
    fn learn_meta(&mut self, item: Option<&Item>) -> Result<bool, Error> {
        let meta = item.map(participants::read_meta).transpose()?;
        let meta = meta.filter(|meta| !meta.deleted).ok_or(Error::NotAParticipant)?;
        let Some(group) = &mut self.group else { return Ok(true) };
        let is_same = group.meta.members == meta.members && group.meta.large == meta.large;
        self.floor = self.floor.max(Some(meta.head));
        group.meta = meta;
        Ok(is_same)
    }

    fn learn_row(&mut self, index: usize, item: Option<Item>) -> Result<(), Error> {
        let is_direct = self.group.is_none();
        let Some(side) = self.sides.get_mut(index) else { return Ok(()) };
        side.standing = match item {
            None => Standing::Missing,
            Some(item) => {
                let row: Row = from_item(&item)?;
                if is_direct && row.is_blocked() {
                    return Err(Error::Blocked);
                }
                if side.user == self.caller.user {
                    self.full_at = full_at(&item, &limits::WRITES);
                }
                self.floor = self.floor.max(row.head).max(row.hidden_at);
                if row.activity.is_some() { Standing::Visible } else { Standing::Hidden(Box::new(row)) }
            }
        };
        if matches!(side.standing, Standing::Missing) && !is_direct {
            // They have left: so have the participants changed, and the conversation says so, too.
            side.standing = Standing::Visible;
        }
        Ok(())
    }

    /// The refusal, unless the same client id was sent before: a retry is answered as the first was.
    async fn unless_sent_before(&self, refusal: Error) -> Result<Sent, Error> {
        let Some(client_id) = &self.content.client_message_id else { return Err(refusal) };
        let found = self.store.get(key(&self.conversation, &self.caller.user, client_id), true).await?;
        match found.as_ref().map(from_item::<StoredKey>).transpose()? {
            Some(stored) if stored.expires >= self.store.clock.now().seconds() => {
                self.first_message(&stored).await.map(Sent::Before)
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
