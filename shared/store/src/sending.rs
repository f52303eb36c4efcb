//! Sending: the message, every participant's row and event, and the send key in one transaction.
//!
//! Invariant: a new id is made only after a definite cancellation, and always above the one before, so an older attempt
//! that arrives late cannot also commit. The first attempt assumes that the rows are visible instead of reading them;
//! the items that a refusal returns decide the next attempt.
//!
//! In a conversation of more than 24 the message commits with an entry of the change log; `fan_out.rs` does the rest.

use async_recursion::async_recursion as boxed;
use domain::caller::Caller;
use domain::content::Content;
use domain::conversation::{MAX_COUNTED_READERS, Meta, Row, SMALL};
use domain::delivery::{Delivery, OutgoingEvent};
use domain::draft::{Destination, Draft};
use domain::error::Error;
use domain::event::Event;
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::limits;
use domain::message::{Message, ReadState};
use domain::settings::InboxList;
use domain::user::Profile;
use observe::meter;
use observe::metrics::Metric;
use serde::{Deserialize, Serialize};

use crate::attempts::Attempts;
use crate::change_log::{self, Change};
use crate::client::Store;
use crate::item::{Item, Key, from_item, full_at, text};
use crate::mentions::{Known, check_mention_all};
use crate::participants::{self, Group};
use crate::publishing::UserSockets;
use crate::transact::{Commit, Refusals, Transaction};
use crate::write::Write;
use crate::{inbox, messages, partition, profiles};

/// Seconds for which a send key is kept: a day, and an hour for clock skew.
const KEY_LIFE: i64 = 25 * 3600;

pub(crate) fn key(conversation: &ConversationId, sender: &UserId, client_id: &str) -> Key {
    Key { pk: partition::of_conversation(conversation), sk: format!("K#{sender}#{client_id}") }
}

/// The attributes of a send key, without the item's key.
#[derive(Serialize, Deserialize)]
struct StoredKey {
    message: Stamp,
    expires: i64,
}

/// The outcome of a send.
#[derive(Debug)]
pub enum Sent {
    /// The message was sent: with its read state (nobody has read it yet) and the events to push.
    New(Message, ReadState, Delivery),
    /// The same client id was sent before, with this message.
    Duplicate(Message),
}

/// The state of a participant's row, as far as it is known.
#[derive(Clone)]
enum RowState {
    /// It is in the inbox, or stays in the archive: assumed until a refusal proves otherwise.
    Visible,
    /// It is hidden or archived, and appears in the inbox with the message.
    Away(Box<Row>),
    /// It does not exist, and neither does the other participant's.
    Missing,
}

/// A participant, the sender included, whose row and queue receive the message.
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

/// Identifies the writes of a send in a refusal.
#[derive(Clone, Copy, Default, PartialEq)]
enum WriteTarget {
    Message,
    /// The row of the recipient with this index.
    Row(usize),
    /// The sender's row of a large conversation: proves that they take part. The fan-out updates it.
    Membership,
    Meta,
    Totals,
    Key,
    Reply,
    #[default]
    Other,
}

/// The next step after a refusal.
enum NextStep {
    /// Make another attempt.
    TryAgain,
    /// An earlier attempt whose response was lost has committed.
    Committed,
    /// The same client id was sent before, with this message.
    SentBefore(Box<Message>),
}

impl Store {
    /// Sends a message.
    ///
    /// # Errors
    /// `Invalid` if the recipient is the caller or `reply_to` does not exist, `NotFound` if the recipient does not
    /// exist, `NotAParticipant` if the caller does not take part, `NotAuthenticated` if the caller's account was
    /// deleted, `Blocked` if either user has blocked the other, `RateLimited`. A participant who repeats a client id
    /// gets the first message instead.
    #[boxed]
    pub async fn append_message(&self, caller: &Caller, draft: Draft) -> Result<Sent, Error> {
        let conversation = match &draft.destination {
            Destination::User(peer) if *peer == caller.user => {
                return Err(Error::field("recipient_id", "You cannot write to yourself."));
            }
            to => to.conversation(&caller.user),
        };
        meter::note(&conversation);
        let attempts = Attempts::new(&self.turns, &conversation);
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
            writes_full_at: None,
            conversations_full_at: None,
            profiles: None,
            sockets: None,
        };
        sending.set_recipients();
        let sent = sending.run(attempts).await?;
        match &sent {
            Sent::New(message, ..) => {
                meter::note(&message.id);
                meter::count(Metric::MessagesSent);
            }
            Sent::Duplicate(message) => meter::note(&message.id),
        }
        Ok(sent)
    }

    /// Returns a message that a user wants to forward.
    ///
    /// # Errors
    /// `NotAParticipant` if they cannot see it, whether it exists or not, or if it was deleted.
    #[boxed]
    pub async fn message_to_forward(&self, user: &UserId, id: &MessageId) -> Result<Message, Error> {
        match self.message_for(user, id).await {
            Ok((_, message)) if !message.is_deleted() => Ok(message),
            Ok(_) | Err(Error::NotFound(_)) => Err(Error::NotAParticipant),
            Err(error) => Err(error),
        }
    }

    /// Returns the message that a user has sent under a draft's client id; `None` if there is none.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn sent_before(&self, caller: &Caller, draft: &Draft) -> Result<Option<Message>, Error> {
        let Some(client_id) = draft.client_id() else { return Ok(None) };
        let conversation = draft.destination.conversation(&caller.user);
        let (row, first) = tokio::try_join!(
            self.row(&caller.user, &conversation),
            self.first_message(&conversation, &caller.user, client_id)
        )?;
        // A user who no longer takes part must not see the message.
        Ok(first.filter(|_| row.is_some()))
    }

    /// Returns the message of a send key that has not expired.
    async fn first_message(
        &self,
        conversation: &ConversationId,
        sender: &UserId,
        client_id: &str,
    ) -> Result<Option<Message>, Error> {
        let found = self.get(key(conversation, sender, client_id), true).await?;
        match found.as_ref().map(from_item::<StoredKey>).transpose()? {
            Some(stored) if stored.expires >= self.clock.now().seconds() => {
                self.message_of_key(conversation, &stored).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    async fn message_of_key(
        &self,
        conversation: &ConversationId,
        stored: &StoredKey,
    ) -> Result<Message, Error> {
        let id = MessageId { conversation: conversation.clone(), stamp: stored.message };
        let message = self.message(&id).await?;
        message.ok_or_else(|| Error::internal("the message of a send key does not exist"))
    }

    /// Returns a group or room for one of its participants, with all of them if there are at most 24.
    async fn group_of_sender(&self, sender: &UserId, conversation: &ConversationId) -> Result<Group, Error> {
        let group = self.group(conversation, SMALL, true).await?.ok_or(Error::NotAParticipant)?;
        // In a large one, a condition on the sender's row checks that they take part.
        if group.is_large() || group.find(sender).is_some() { Ok(group) } else { Err(Error::NotAParticipant) }
    }
}

/// A send in progress, and what its refusals have shown.
struct Sending<'a> {
    store: &'a Store,
    caller: &'a Caller,
    /// The other participant of a direct conversation.
    peer: Option<UserId>,
    conversation: ConversationId,
    content: Content,
    recipients: Vec<Recipient>,
    /// `None` for a direct conversation.
    group: Option<Group>,
    /// The next id must be above this one.
    floor: Option<Stamp>,
    /// When the sender's bucket of writes is full again.
    writes_full_at: Option<i64>,
    /// When the sender's bucket of new conversations is full again.
    conversations_full_at: Option<i64>,
    /// The profiles of the sender, if there is one, and the recipient: read once rows must be created.
    profiles: Option<(Option<Profile>, Profile)>,
    /// The recipients' sockets, as the last attempt has read them. The next one uses them, unless it has waited.
    sockets: Option<UserSockets>,
}

impl Sending<'_> {
    /// Sets the participants whose rows and queues this transaction updates: none in a large conversation.
    fn set_recipients(&mut self) {
        self.sockets = None;
        self.recipients = match (&self.group, &self.peer) {
            (Some(group), _) if group.is_large() => Vec::new(),
            (Some(group), _) => group.participants.iter().map(|(user, _)| Recipient::of(user)).collect(),
            (None, peer) => [&self.caller.user].into_iter().chain(peer).map(Recipient::of).collect(),
        };
        self.floor = self.floor.max(self.group.as_ref().map(|group| group.meta.latest_event));
    }

    async fn run(mut self, mut attempts: Attempts<'_>) -> Result<Sent, Error> {
        loop {
            let message = self.next_message();
            self.floor = Some(message.id.stamp);
            if let Err(refusal) = self.check_mentions(&message).await {
                return self.unless_sent_before(refusal).await;
            }
            let transaction = match self.transaction(&message) {
                Ok(transaction) => transaction,
                Err(refusal) => return self.unless_sent_before(refusal).await,
            };
            let events = self.events(&message);
            let (store, sockets) = (self.store, &mut self.sockets);
            match store.commit_and_publish_to(sockets, transaction, events, attempts.began()).await? {
                Commit::Done(delivery) => return Ok(Sent::New(message, self.initial_reads(), delivery)),
                Commit::Refused(refusals) => match self.handle_refusals(&message, refusals).await {
                    Ok(NextStep::TryAgain) => self.pause(&mut attempts).await?,
                    Ok(NextStep::Committed) => {
                        let delivery = self.store.delivery_of(self.events(&message)).await;
                        return Ok(Sent::New(message, self.initial_reads(), delivery));
                    }
                    Ok(NextStep::SentBefore(first)) => return Ok(Sent::Duplicate(*first)),
                    Err(refusal) => return self.unless_sent_before(refusal).await,
                },
            }
        }
    }

    /// Pauses before the next attempt. In a large conversation the next number is probably taken by then, so it reads
    /// `META` again: that is cheaper than another refusal.
    async fn pause(&mut self, attempts: &mut Attempts<'_>) -> Result<(), Error> {
        if !attempts.refused().await? {
            return Ok(());
        }
        // New ones may have opened.
        self.sockets = None;
        if self.group.as_ref().is_some_and(Group::is_large) {
            let meta = self.store.meta(&self.conversation).await?.ok_or(Error::NotAParticipant)?;
            self.update_meta(meta);
        }
        Ok(())
    }

    fn initial_reads(&self) -> ReadState {
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
            reactions: Vec::new(),
            restored_version: 0,
            pinned_at: None,
        }
    }

    /// Refuses mentions of users who do not take part, and of everyone where only admins may.
    async fn check_mentions(&self, message: &Message) -> Result<(), Error> {
        let known = self.group.as_ref().map_or(Known::Direct(message), Known::Group);
        self.store.check_mentions(&self.conversation, &self.content, known).await?;
        if !self.content.mention_all {
            return Ok(());
        }
        let is_admin = match &self.group {
            Some(group) if group.meta.participant_count > SMALL as u64 => {
                let me = self.store.part_in(group, &self.conversation, &self.caller.user).await?;
                me.is_some_and(|me| me.admin)
            }
            _ => true,
        };
        check_mention_all(self.group.as_ref(), is_admin)
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
            self.add_group_writes(group, message, &mut transaction)?;
        }
        if let Some(client_id) = &self.content.client_message_id {
            let expires = message.id.stamp.time().seconds() + KEY_LIFE;
            let stored = StoredKey { message: message.id.stamp, expires };
            let key = key(&self.conversation, &self.caller.user, client_id);
            let write = Write::put(key, &stored)?.if_gone(self.store.clock.now());
            transaction.add(WriteTarget::Key, write);
        }
        if let Some(stamp) = self.content.reply_to {
            let replied_to = MessageId { conversation: self.conversation.clone(), stamp };
            transaction.add(WriteTarget::Reply, Write::check(messages::key(&replied_to)).if_present("pk"));
        }
        if let Some((own_profile, peer_profile)) = &self.profiles {
            let now = self.store.clock.now();
            let (_, writes) = profiles::known_or_created(self.caller, own_profile.as_ref(), now)?;
            transaction.add_all(WriteTarget::Other, writes);
            if let Some(peer) = &self.peer {
                transaction.add(WriteTarget::Other, profiles::check(peer, peer_profile));
            }
        }
        Ok(transaction)
    }

    /// Adds the writes of a group's or room's own items.
    fn add_group_writes(
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
            let limit = limits::writes(group.meta.participant_count);
            self.store.limit(Write::update(row), &limit, self.writes_full_at)?
        } else {
            Write::check(row)
        };
        transaction.add(WriteTarget::Membership, row.if_present("pk"));
        Ok(())
    }

    /// The events of all recipients: the message, and before it the row if it appears with the message.
    fn events(&self, message: &Message) -> Vec<OutgoingEvent> {
        // Just above the message's id, so that a conversation's events are also in the order of commits.
        let first = message.id.stamp.plus(1);
        let mut events = Vec::with_capacity(2 * self.recipients.len());
        for recipient in &self.recipients {
            if !recipient.is_visible() {
                let appeared = self.row_appeared(recipient, message);
                events.push(OutgoingEvent::new(recipient.user.clone(), first, appeared));
            }
            let event = Event::MessageCreated { message: message.clone(), uncounted: false };
            events.push(OutgoingEvent::new(recipient.user.clone(), first.plus(1), event));
        }
        events
    }

    /// Counts a row that appears. If the message creates the conversation, also takes a token of the sender's limit.
    fn count_row(&self, recipient: &Recipient) -> Result<Write, Error> {
        let user = &recipient.user;
        if matches!(recipient.row_state, RowState::Missing) && *user == self.caller.user {
            let count = inbox::count_rows(user, 1);
            return self.store.limit(count, &limits::CONVERSATIONS, self.conversations_full_at);
        }
        let before = match &recipient.row_state {
            RowState::Away(row) => row.list(),
            _ => None,
        };
        let count = inbox::recount(user, before, Some(InboxList::Active));
        Ok(count.unwrap_or_else(|| inbox::count_rows(user, 0)))
    }

    /// Updates a participant's row with the message, on the condition that the row is in the assumed state.
    fn row(&self, recipient: &Recipient, message: &Message) -> Result<Write, Error> {
        let is_sender = recipient.user == self.caller.user;
        let stamp = message.id.stamp;
        let row = Write::update(inbox::key(&recipient.user, &self.conversation))
            .set("head", &stamp)
            .set("last_id", &stamp)
            .set("last_mine", &is_sender);
        let row = inbox::show(row, message);
        let row = if self.group.is_none() {
            let row = row.if_missing("blocked_by_me").if_missing("blocked_by_peer");
            row.if_missing("owner_deleted").if_missing("peer_deleted")
        } else {
            row
        };
        let row = if is_sender {
            self.store.limit(row, &limits::WRITES, self.writes_full_at)?
        } else {
            let mentions = Some(stamp).filter(|_| message.mentions(&recipient.user));
            let row = if mentions.is_some() { row.add("mn", 1) } else { row };
            row.add("n", 1).set_if_missing("first_mention", mentions.as_ref())
        };
        let counted = |row: Write| if is_sender { row } else { row.set("unread", inbox::UNREAD_MARK) };
        Ok(match &recipient.row_state {
            RowState::Visible => {
                let row = row.set_from("activity", "place", &stamp);
                let row = if is_sender { row } else { row.set_from("unread", "mark", inbox::UNREAD_MARK) };
                row.if_not_away(stamp.time()).if_below("head", &stamp).if_below("hidden_at", &stamp)
            }
            RowState::Away(known) => {
                let after = (**known).clone().with_message(message, &recipient.user);
                // A sender with unread messages keeps them, but no longer in the archive.
                let keeps_unread = is_sender && known.unread > 0;
                let row = if keeps_unread {
                    row.set("unread", inbox::UNREAD_MARK).if_still_number("n", known.unread)
                } else {
                    counted(row)
                };
                inbox::replace_place(row, known, &after)
                    .if_still("activity", known.activity.as_ref())
                    .if_still("head", known.head.as_ref())
                    .if_still("read", known.read.as_ref())
                    .if_present("pk")
            }
            RowState::Missing => {
                let new = self.new_row(recipient);
                let row = counted(row).set("activity", &stamp);
                row.set_some("peer", new.peer.as_ref())
                    .set_some("name", new.name.as_ref())
                    .set_some("picture", new.picture.as_ref())
                    .set("name_version", &new.name_version)
                    .if_missing("pk")
            }
        })
    }

    /// A participant's row of a direct conversation before the first message, with the other participant's profile.
    fn new_row(&self, recipient: &Recipient) -> Row {
        let is_sender = recipient.user == self.caller.user;
        let peer = if is_sender { self.peer.as_ref() } else { Some(&self.caller.user) };
        let profile = self.profiles.as_ref().map(|(own_profile, peer_profile)| match own_profile {
            _ if is_sender => peer_profile.clone(),
            Some(own_profile) => own_profile.clone(),
            None => Profile::of(self.caller, self.store.clock.now()),
        });
        let row = Row { peer: peer.cloned(), ..Row::default() };
        profile.map_or(row.clone(), |profile| row.with_profile(&profile))
    }

    /// The event of a row that appears with the message, which it already contains.
    fn row_appeared(&self, recipient: &Recipient, message: &Message) -> Event {
        let before = match &recipient.row_state {
            RowState::Away(row) => (**row).clone(),
            _ => self.new_row(recipient),
        };
        let row = before.with_message(message, &recipient.user);
        Event::ConversationCreated { conversation: self.conversation.clone(), row: Box::new(row) }
    }

    /// Adapts the next attempt to a refusal. Finds out if the message has been sent, and fails if it cannot be.
    async fn handle_refusals(
        &mut self,
        message: &Message,
        refusals: Refusals<WriteTarget>,
    ) -> Result<NextStep, Error> {
        if let Some((_, Some(item))) = refusals.iter().find(|(target, _)| *target == WriteTarget::Message) {
            // Either an earlier attempt whose response was lost has committed, or another message has the same id.
            let existing = messages::read(item)?;
            // The committed message may have been edited since.
            if existing.sender == message.sender && (existing.version > 1 || existing == *message) {
                return Ok(NextStep::Committed);
            }
        }
        let (mut is_group_stale, mut are_profiles_stale) = (false, self.profiles.is_none());
        for (target, item) in refusals {
            match target {
                WriteTarget::Row(index) => self.handle_refused_row(index, item)?,
                WriteTarget::Membership => {
                    let item = item.ok_or(Error::NotAParticipant)?;
                    self.writes_full_at = full_at(&item, &limits::WRITES);
                }
                WriteTarget::Meta => is_group_stale = !self.handle_refused_meta(item.as_ref())?,
                WriteTarget::Totals => {
                    self.conversations_full_at = item.and_then(|item| full_at(&item, &limits::CONVERSATIONS));
                }
                WriteTarget::Key => {
                    let item = item.ok_or_else(|| {
                        Error::internal("the condition on a send key failed without an item")
                    })?;
                    return self
                        .store
                        .message_of_key(&self.conversation, &from_item::<StoredKey>(&item)?)
                        .await
                        .map(|first| NextStep::SentBefore(Box::new(first)));
                }
                WriteTarget::Reply => {
                    return Err(Error::field("reply_to", "The message to reply to does not exist."));
                }
                WriteTarget::Other => are_profiles_stale = true,
                WriteTarget::Message => {}
            }
        }
        if is_group_stale {
            self.group = Some(self.store.group_of_sender(&self.caller.user, &self.conversation).await?);
            self.set_recipients();
        }
        let are_rows_missing =
            self.recipients.iter().any(|recipient| matches!(recipient.row_state, RowState::Missing));
        if !are_rows_missing {
            self.profiles = None;
        } else if are_profiles_stale {
            self.read_profiles().await?;
        }
        Ok(NextStep::TryAgain)
    }

    /// Reads the profiles of the sender and the recipient of a direct conversation and, with rate limits, the sender's
    /// bucket of new conversations.
    async fn read_profiles(&mut self) -> Result<(), Error> {
        let (Some(peer), caller) = (&self.peer, &self.caller.user) else { return Ok(()) };
        let bucket = inbox::totals_key(caller);
        let mut keys = vec![profiles::key(caller), profiles::key(peer)];
        keys.extend(self.store.limited.then(|| bucket.clone()));
        let is_bucket = |item: &Item| text(item, "sk").is_ok_and(|sk| sk == bucket.sk);
        let (totals, found): (Vec<_>, Vec<_>) =
            self.store.get_all(keys).await?.into_iter().partition(is_bucket);
        let found = profiles::present(found)?;
        let find =
            |user: &UserId| found.iter().find(|(id, _)| id == user).map(|(_, profile)| profile.clone());
        let peer_profile = find(peer).ok_or_else(profiles::no_such_user)?;
        self.profiles = Some((find(caller), peer_profile));
        self.conversations_full_at = totals.first().and_then(|item| full_at(item, &limits::CONVERSATIONS));
        Ok(())
    }

    /// Updates the state of the group or room. Returns `false` if its participants must be read again.
    fn handle_refused_meta(&mut self, item: Option<&Item>) -> Result<bool, Error> {
        let meta = item.map(from_item::<Meta>).transpose()?;
        Ok(self.update_meta(meta.filter(|meta| !meta.deleted).ok_or(Error::NotAParticipant)?))
    }

    /// Replaces `META`. Returns `false` if the participants to write to may differ.
    fn update_meta(&mut self, meta: Meta) -> bool {
        let Some(group) = &mut self.group else { return true };
        // Nobody else's items are written in a large conversation.
        let is_same = group.is_large()
            || (group.meta.membership == meta.membership && group.meta.large_since == meta.large_since);
        self.floor = self.floor.max(Some(meta.latest_event));
        group.meta = meta;
        is_same
    }

    fn handle_refused_row(&mut self, index: usize, item: Option<Item>) -> Result<(), Error> {
        let is_direct = self.group.is_none();
        let Some(recipient) = self.recipients.get_mut(index) else { return Ok(()) };
        let Some(item) = item else {
            // In a group, the user has left: the participants have changed, and `META` is refused as well.
            if is_direct {
                recipient.row_state = RowState::Missing;
            }
            return Ok(());
        };
        let bucket_full_at = full_at(&item, &limits::WRITES);
        let row: Row = from_item(&item)?;
        let is_own = recipient.user == self.caller.user;
        if is_direct && (row.owner_deleted || row.peer_deleted) {
            let is_caller_deleted = is_own == row.owner_deleted;
            return Err(if is_caller_deleted {
                profiles::account_deleted()
            } else {
                profiles::no_such_user()
            });
        }
        if is_direct && row.is_blocked() {
            return Err(Error::Blocked);
        }
        if is_own {
            self.writes_full_at = bucket_full_at;
        }
        self.floor = self.floor.max(row.head).max(row.hidden_at);
        let is_away = row.is_away(self.store.clock.now());
        recipient.row_state = if is_away { RowState::Away(Box::new(row)) } else { RowState::Visible };
        Ok(())
    }

    /// Fails with a refusal, unless the same client id was sent before: then a retry returns the first message.
    async fn unless_sent_before(&self, refusal: Error) -> Result<Sent, Error> {
        let Some(client_id) = &self.content.client_message_id else { return Err(refusal) };
        if let Error::NotAuthenticated(_) = refusal {
            return Err(refusal);
        }
        let first = self.store.first_message(&self.conversation, &self.caller.user, client_id).await?;
        first.map(Sent::Duplicate).ok_or(refusal)
    }
}
