//! Sending: the message, both rows, both events and the send key in one transaction.
//!
//! Invariant: an id is made anew only after a definite cancellation, and always above the one before, so no late
//! arrival of an older attempt can commit beside it. The rows are first taken to be visible, which costs nothing;
//! what the refusal says of them decides the next attempt.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::item::{Item, Key, Write, from_item};
use super::messages::{self, partition};
use super::profiles;
use super::transact::{Commit, Verdict};
use super::{Store, Told, inbox};
use crate::auth::Caller;
use crate::conversation::Row;
use crate::error::Error;
use crate::event::Event;
use crate::id::{ConversationId, MessageId, Stamp, UserId};
use crate::message::{Address, Content, Draft, Message};
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
    /// The message was sent, and this is to be pushed.
    New(Message, Delivery),
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

/// What a write of the transaction is about, so that a refusal can be understood.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Message,
    Mine,
    Theirs,
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
        let (conversation, peer) = match &draft.to {
            Address::User(peer) if *peer == caller.user => {
                return Err(Error::field("recipient_id", "You cannot write to yourself."));
            }
            Address::User(peer) => (ConversationId::direct(&caller.user, peer), peer.clone()),
            Address::Conversation(id) => {
                let row = self.row(&caller.user, id).await?.ok_or(Error::NotAParticipant)?;
                (id.clone(), row.peer)
            }
        };
        let content = draft.content_in(&conversation)?;
        let sending = Sending {
            store: self,
            caller,
            peer,
            conversation,
            content,
            mine: Standing::Visible,
            theirs: Standing::Visible,
            floor: None,
            profiles: None,
        };
        sending.run(began).await
    }
}

/// A send under way, and what its refusals have taught.
struct Sending<'a> {
    store: &'a Store,
    caller: &'a Caller,
    peer: UserId,
    conversation: ConversationId,
    content: Content,
    mine: Standing,
    theirs: Standing,
    /// The next id must be above this one.
    floor: Option<Stamp>,
    /// The sender's and the recipient's, once rows have to be made.
    profiles: Option<(Option<Profile>, Profile)>,
}

impl Sending<'_> {
    async fn run(mut self, began: Instant) -> Result<Sent, Error> {
        loop {
            let message = self.next_message();
            self.floor = Some(message.id.stamp);
            let (parts, writes): (Vec<Part>, Vec<Write>) = self.writes(&message)?.into_iter().unzip();
            let (commit, delivery) = self.store.commit_and_tell(writes, self.events(&message), began).await?;
            let verdicts = match commit {
                Commit::Done => return Ok(Sent::New(message, delivery)),
                Commit::Refused(verdicts) => verdicts,
            };
            let refused = parts.into_iter().zip(verdicts).filter_map(|(part, verdict)| match verdict {
                Verdict::Refused(item) => Some((part, item)),
                Verdict::Fine => None,
            });
            match self.learn(&message, refused.collect()).await {
                Ok(Lesson::Again) => {}
                Ok(Lesson::Committed) => return Ok(Sent::New(message, delivery)),
                Ok(Lesson::SentBefore(first)) => return Ok(Sent::Before(*first)),
                Err(refusal) => return self.unless_sent_before(refusal).await,
            }
        }
    }

    fn next_message(&self) -> Message {
        let stamp = self.store.clock.stamp_above(self.floor);
        Message {
            id: MessageId { conversation: self.conversation.clone(), stamp },
            sender: self.caller.user.clone(),
            recipient: self.peer.clone(),
            content: self.content.clone(),
            version: 1,
        }
    }

    fn writes(&self, message: &Message) -> Result<Vec<(Part, Write)>, Error> {
        let mut writes = vec![
            (Part::Message, messages::create(message)?),
            (Part::Mine, self.row(&self.caller.user, message)),
            (Part::Theirs, self.row(&self.peer, message)),
        ];
        for (user, standing) in self.sides() {
            if !matches!(standing, Standing::Visible) {
                writes.push((Part::Other, inbox::count_rows(user, 1)));
            }
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
            writes.push((Part::Other, profiles::check(&self.peer, theirs)));
        }
        Ok(writes)
    }

    fn sides(&self) -> [(&UserId, &Standing); 2] {
        [(&self.caller.user, &self.mine), (&self.peer, &self.theirs)]
    }

    /// What both learn: of the message and, before it, of a row that appears with it.
    fn events(&self, message: &Message) -> Vec<Told> {
        // Just above the message's id: so a conversation's events, too, are in the order of their commits.
        let first = message.id.stamp.plus(1);
        let mut told = Vec::with_capacity(4);
        for (user, standing) in self.sides() {
            if !matches!(standing, Standing::Visible) {
                told.push((user.clone(), first, self.appearance(user, standing, message)));
            }
            told.push((user.clone(), first.plus(1), Event::MessageCreated { message: message.clone() }));
        }
        told
    }

    /// Takes the message into a participant's row, which must be as it is taken to be.
    fn row(&self, owner: &UserId, message: &Message) -> Write {
        let sends = *owner == self.caller.user;
        let stamp = message.id.stamp;
        let row = Write::update(inbox::key(owner, &self.conversation))
            .set("head", &stamp)
            .set("activity", &stamp)
            .set("last_id", &stamp)
            .set("last_text", &message.preview())
            .set("last_mine", &sends)
            .if_missing("blocked_by_me")
            .if_missing("blocked_by_peer");
        let row = if sends { row } else { row.add("n", 1).set("unread", inbox::UNREAD_MARK) };
        match if sends { &self.mine } else { &self.theirs } {
            Standing::Visible => row.if_present("activity").if_below("head", &stamp),
            Standing::Hidden(known) => row
                .if_missing("activity")
                .if_still("head", known.head.as_ref())
                .if_still("read", known.read.as_ref())
                .if_present("pk"),
            Standing::Missing => {
                let new = self.new_row(owner);
                row.set("peer", &new.peer)
                    .set_some("peer_name", new.peer_name.as_ref())
                    .set_some("peer_picture", new.peer_picture.as_ref())
                    .set("peer_version", &self.shown_in(owner).map_or(0, |profile| profile.version))
                    .if_missing("pk")
            }
        }
    }

    /// A participant's row before the first message.
    fn new_row(&self, owner: &UserId) -> Row {
        let peer = if *owner == self.caller.user { &self.peer } else { &self.caller.user };
        let profile = self.shown_in(owner);
        let name = profile.as_ref().and_then(Profile::shown_name);
        Row::between(peer.clone(), name, profile.and_then(|profile| profile.picture))
    }

    /// The profile that a participant's row shows: the other's.
    fn shown_in(&self, owner: &UserId) -> Option<Profile> {
        let (mine, theirs) = self.profiles.as_ref()?;
        if *owner == self.caller.user {
            return Some(theirs.clone());
        }
        Some(mine.clone().unwrap_or_else(|| Profile::of(self.caller, self.store.clock.now())))
    }

    /// The event of a row that appears with the message: the row as it is after it.
    fn appearance(&self, owner: &UserId, standing: &Standing, message: &Message) -> Event {
        let sends = *owner == self.caller.user;
        let before = match standing {
            Standing::Hidden(row) => (**row).clone(),
            _ => self.new_row(owner),
        };
        let stamp = message.id.stamp;
        let row = Row {
            head: Some(stamp),
            activity: Some(stamp),
            last_id: Some(stamp),
            last_text: Some(message.preview()),
            last_mine: sends,
            n: before.n + u64::from(!sends),
            ..before
        };
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
            if messages::read(item)? == *message {
                return Ok(Lesson::Committed);
            }
        }
        for (part, item) in refused {
            match part {
                Part::Mine | Part::Theirs => self.learn_row(part, item)?,
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
        if matches!((&self.mine, &self.theirs), (Standing::Missing, _) | (_, Standing::Missing)) {
            let found = self.store.profiles(&[&self.caller.user, &self.peer]).await?;
            let find =
                |user: &UserId| found.iter().find(|(id, _)| id == user).map(|(_, profile)| profile.clone());
            let theirs = find(&self.peer).ok_or(Error::NotFound("There is no such user."))?;
            self.profiles = Some((find(&self.caller.user), theirs));
        } else {
            self.profiles = None;
        }
        Ok(Lesson::Again)
    }

    fn learn_row(&mut self, part: Part, item: Option<Item>) -> Result<(), Error> {
        let standing = match item {
            None => Standing::Missing,
            Some(item) => {
                let row: Row = from_item(&item)?;
                if row.is_blocked() {
                    return Err(Error::Blocked);
                }
                self.floor = self.floor.max(row.head).max(row.hidden_at);
                if row.activity.is_some() { Standing::Visible } else { Standing::Hidden(Box::new(row)) }
            }
        };
        if part == Part::Mine {
            self.mine = standing;
        } else {
            self.theirs = standing;
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
