//! Groups: making them, and who takes part.
//!
//! Invariant: a change of participants commits under the `seq` that it read together with them. So two admins who remove
//! each other, or the last two who leave, do so one after the other, and there is always an admin.

use std::collections::{HashMap, HashSet};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::fan_out::{self, Change};
use super::item::{Write, from_item, full_at};
use super::participants::{self, Group};
use super::transact::{Commit, Verdict};
use super::{Store, Told, inbox, profiles, reads, rooms};
use crate::auth::Caller;
use crate::conversation::{ConversationView, Description, MAX_PARTICIPANTS, Meta, Participant, Row, SMALL};
use crate::error::Error;
use crate::event::Event;
use crate::id::{ConversationId, Kind, MessageId, Stamp, UserId};
use crate::limits;
use crate::push::Delivery;
use crate::time::Timestamp;
use crate::user::{Name, Picture, Profile};

/// Participants who join a large group in one transaction (of at most 100 items, four for each).
const AT_ONCE: usize = 24;

/// A group that is to be made.
#[derive(Debug, Clone)]
pub struct NewGroup {
    /// Its name.
    pub name: Name,
    /// Who takes part, beside its creator.
    pub participants: Vec<UserId>,
    /// The client's own id for it: again, the same group.
    pub client_id: Option<String>,
}

/// What is to change of a group or room. `Some(None)` takes something away.
#[derive(Debug, Clone, Default)]
pub struct Details {
    /// Its name.
    pub name: Option<Name>,
    /// What it is about.
    pub description: Option<Option<Description>>,
    /// Its picture.
    pub picture: Option<Option<Picture>>,
}

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

/// A participant as the API shows them.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Participant")]
pub struct ParticipantView {
    /// Who.
    pub user_id: UserId,
    name: Option<Name>,
    photo_url: Option<Picture>,
    is_admin: bool,
    joined_at: Option<Timestamp>,
    last_read_message_id: Option<MessageId>,
    last_read_at: Option<Timestamp>,
}

/// A conversation with some of its participants.
pub struct Overview {
    /// The caller's row.
    pub row: Row,
    /// What a group or room is about.
    pub description: Option<Description>,
    /// Participants, in the order of their ids.
    pub participants: Vec<ParticipantView>,
    /// After whom to go on, if there are more.
    pub next: Option<UserId>,
}

impl Group {
    /// Refuses whoever is not an admin.
    fn admin(actor: Option<&Participant>) -> Result<(), Error> {
        match actor {
            None => Err(Error::NotAParticipant),
            Some(participant) if participant.admin => Ok(()),
            Some(_) => Err(Error::NotAnAdmin),
        }
    }

    /// The change of a conversation's participants to so many.
    fn recount(&self, conversation: &ConversationId, head: Stamp, people: u64) -> Write {
        let meta = self.change(conversation, head).set("people", &people).add("members", 1);
        // Now that there are more than 24, this and every later change is logged.
        if people > SMALL as u64 && !self.is_large() { meta.set("large", &(self.meta.seq + 1)) } else { meta }
    }

    /// The row of someone who joins.
    pub(super) fn new_row(&self, at: Stamp, people: u64) -> Row {
        Row {
            name: Some(self.meta.name.clone()),
            picture: self.meta.picture.clone(),
            activity: Some(at),
            cleared: self.meta.last,
            people,
            seq: self.meta.seq + 1,
            told: Some(at.plus(1)),
            ..Row::default()
        }
    }
}

fn too_many(field: &str) -> Error {
    Error::field(field, "A group has at most 1,000 participants.")
}

/// What someone who joins gets: a participant, a row, one more row in their inbox, and the event of it.
fn joining(
    conversation: &ConversationId,
    user: &UserId,
    row: &Row,
    now: Timestamp,
    told_at: Stamp,
) -> Result<(Vec<Write>, Told), Error> {
    let participant = Participant {
        admin: row.admin,
        joined_at: now,
        from: row.cleared,
        read: row.read,
        read_at: row.read.map(|_| now.millis()),
    };
    let mut writes = vec![
        Write::put(participants::key(conversation, user), &participant)?.if_missing("pk"),
        Write::put(inbox::key(user, conversation), row)?.if_missing("pk"),
        inbox::count_rows(user, 1),
    ];
    writes.extend(row.read.map(|read| reads::first_receipt(conversation, read, user, now)));
    let event = Event::ConversationCreated { conversation: conversation.clone(), row: Box::new(row.clone()) };
    Ok((writes, (user.clone(), told_at, event)))
}

fn changed(
    conversation: &ConversationId,
    changes: impl IntoIterator<Item = (&'static str, Value)>,
    version: u64,
) -> Event {
    let changes = changes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Event::ConversationUpdated { conversation: conversation.clone(), changes, version }
}

impl Store {
    /// Makes a group with its creator as its admin.
    ///
    /// # Errors
    /// `NotFound` for an unknown participant, `Blocked` where one of them has blocked the caller, `Invalid` where there are
    /// too many, `RateLimited`.
    pub async fn create_group(&self, caller: &Caller, new: NewGroup) -> Result<Opened, Error> {
        let began = Instant::now();
        let others: Vec<UserId> = {
            let mut seen = HashSet::from([caller.user.clone()]);
            new.participants.into_iter().filter(|user| seen.insert(user.clone())).collect()
        };
        let people = others.len() as u64 + 1;
        if people > MAX_PARTICIPANTS {
            return Err(too_many("participant_ids"));
        }
        let client_id = new.client_id.as_deref();
        let conversation = client_id
            .map_or_else(|| ConversationId::new(Kind::Group), |id| ConversationId::group(&caller.user, id));
        if let Some(opened) = self.made_before(caller, &conversation, &others).await? {
            return Ok(opened);
        }
        self.check_may_add(caller, &others, "participant_ids").await?;
        self.see_user(caller).await?;
        let mut full_at_ = None;
        loop {
            let (now, at) = (self.clock.now(), self.clock.stamp());
            let is_large = people > SMALL as u64;
            let meta = Meta {
                name: new.name.clone(),
                description: None,
                picture: None,
                creator: caller.user.clone(),
                created_at: now,
                seq: 1,
                members: 1,
                people: people.min(SMALL as u64),
                head: at.plus(1),
                last: None,
                large: is_large.then_some(2),
                unfinished: is_large,
                deleted: false,
            };
            let mut writes = vec![Write::put(participants::meta_key(&conversation), &meta)?.if_missing("pk")];
            let mut told = Vec::new();
            let group = Group { meta: Meta { seq: 0, ..meta }, people: Vec::new(), is_whole: true };
            let mut mine = group.new_row(at, people);
            mine.admin = true;
            for user in [&caller.user].into_iter().chain(&others).take(SMALL) {
                let row = if *user == caller.user { mine.clone() } else { group.new_row(at, people) };
                let (joins, event) = joining(&conversation, user, &row, now, at.plus(1))?;
                writes.extend(joins);
                told.push(event);
            }
            // The third of the creator's own writes, after what all have in common.
            let count = self.limit(inbox::count_rows(&caller.user, 1), &limits::CONVERSATIONS, full_at_)?;
            writes[3] = count;
            let (commit, mut delivery) = self.commit_and_tell(writes, told, began).await?;
            match commit {
                Commit::Done => {
                    delivery.extend(self.finish(caller, &conversation, &others).await?);
                    return Ok(Opened { conversation, row: mine, is_new: true, delivery });
                }
                Commit::Refused(verdicts) => {
                    if let Some(opened) = self.made_before(caller, &conversation, &others).await? {
                        return Ok(opened);
                    }
                    if let Some(Verdict::Refused(Some(totals))) = verdicts.get(3) {
                        full_at_ = full_at(totals, &limits::CONVERSATIONS);
                    }
                }
            }
        }
    }

    /// The group that an earlier call under the same client id made; where that call died half-way, completed.
    async fn made_before(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        others: &[UserId],
    ) -> Result<Option<Opened>, Error> {
        let (meta, row) = tokio::try_join!(self.meta(conversation), self.row(&caller.user, conversation))?;
        let Some(meta) = meta else { return Ok(None) };
        let row = row.ok_or(Error::NotAParticipant)?;
        let delivery = if meta.unfinished {
            self.finish(caller, conversation, others).await?
        } else {
            Delivery::default()
        };
        Ok(Some(Opened { conversation: conversation.clone(), row, is_new: false, delivery }))
    }

    /// Adds those who did not fit into the transaction that made a group.
    async fn finish(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        others: &[UserId],
    ) -> Result<Delivery, Error> {
        let mut delivery = Delivery::default();
        if others.len() < SMALL {
            return Ok(delivery);
        }
        let people = others.len() as u64 + 1;
        for users in others[SMALL - 1..].chunks(AT_ONCE) {
            delivery.extend(self.add_some(&caller.user, conversation, users, Some(people)).await?);
        }
        let done = Write::update(participants::meta_key(conversation)).remove("unfinished").if_present("pk");
        self.commit(vec![done], Instant::now()).await?;
        Ok(delivery)
    }

    /// Refuses users who do not exist, or who have blocked the caller.
    async fn check_may_add(&self, caller: &Caller, users: &[UserId], field: &str) -> Result<(), Error> {
        if users.contains(&caller.user) {
            return Err(Error::field(field, "You take part already."));
        }
        for users in users.chunks(50) {
            let keys = users.iter().flat_map(|user| {
                let between = ConversationId::direct(&caller.user, user);
                [profiles::key(user), inbox::key(&caller.user, &between)]
            });
            let found = self.get_all(keys.collect()).await?;
            let (rows, known): (Vec<_>, Vec<_>) =
                found.iter().partition(|item| item.get("pk") == Some(&inbox::partition_of(&caller.user)));
            let known = known.into_iter().map(profiles::owner).collect::<Result<HashSet<_>, _>>()?;
            if users.iter().any(|user| !known.contains(user)) {
                return Err(Error::NotFound("There is no such user."));
            }
            let rows = rows.into_iter().map(from_item::<Row>).collect::<Result<Vec<_>, _>>()?;
            if rows.iter().any(|row| row.blocked_by_peer) {
                return Err(Error::Blocked);
            }
        }
        Ok(())
    }

    /// Adds participants to a group. Those who take part already are passed over. Up to 24 participants each joins in a
    /// transaction of their own.
    ///
    /// # Errors
    /// `NotAParticipant`, `NotAnAdmin`; `NotFound` for an unknown user, `Blocked` where one of them has blocked the caller,
    /// `Invalid` in a room, which people join themselves, or where there would be too many.
    pub async fn add_participants(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        users: Vec<UserId>,
    ) -> Result<Delivery, Error> {
        self.not_direct(&caller.user, conversation).await?;
        let me = self.participant(conversation, &caller.user).await?;
        Group::admin(me.as_ref())?;
        if conversation.kind() == Kind::Room {
            return Err(Error::Conflict("People join a room themselves."));
        }
        let mut seen = HashSet::from([caller.user.clone()]);
        let users: Vec<UserId> = users.into_iter().filter(|user| seen.insert(user.clone())).collect();
        self.check_may_add(caller, &users, "user_ids").await?;
        if users.len() > AT_ONCE {
            // Before the first of them joins.
            let group =
                self.group(conversation, participants::ALL, true).await?.ok_or(Error::NotAParticipant)?;
            let new = users.iter().filter(|user| group.find(user).is_none()).count() as u64;
            if group.meta.people + new > MAX_PARTICIPANTS {
                return Err(too_many("user_ids"));
            }
        }
        let mut delivery = Delivery::default();
        for users in users.chunks(AT_ONCE) {
            delivery.extend(self.add_some(&caller.user, conversation, users, None).await?);
        }
        Ok(delivery)
    }

    /// Adds up to 24. Where the group is being made, of so many `in_all`, nobody needs to be told that they joined.
    async fn add_some(
        &self,
        by: &UserId,
        conversation: &ConversationId,
        users: &[UserId],
        in_all: Option<u64>,
    ) -> Result<Delivery, Error> {
        let mut delivery = Delivery::default();
        let mut began = Instant::now();
        loop {
            let group = self.group(conversation, SMALL, true).await?.ok_or(Error::NotAParticipant)?;
            let there = self.parts_in(&group, conversation, users.iter().chain([by])).await?;
            if !there.contains(by) {
                return Err(Error::NotAParticipant);
            }
            let missing: Vec<&UserId> = users.iter().filter(|user| !there.contains(*user)).collect();
            let Some(first) = missing.first() else { return Ok(delivery) };
            let is_large = group.is_large() || group.meta.people >= SMALL as u64;
            let some = if is_large { missing.clone() } else { vec![*first] };
            let people = group.meta.people + some.len() as u64;
            if people > MAX_PARTICIPANTS {
                return Err(too_many("user_ids"));
            }
            let at = self.clock.stamp_above(Some(group.meta.head));
            let row = group.new_row(at, in_all.unwrap_or(people));
            let rows = some.iter().map(|user| ((*user).clone(), row.clone())).collect();
            let by = in_all.is_none().then_some(by);
            let (writes, told) = self.adding(conversation, &group, rows, by, at)?;
            if let (Commit::Done, pushes) = self.commit_and_tell(writes, told, began).await? {
                delivery.extend(pushes);
                began = Instant::now();
                if some.len() == missing.len() {
                    return Ok(delivery);
                }
            }
        }
    }

    /// Which of up to 100 users take part, no older than the group that was read.
    async fn parts_in(
        &self,
        group: &Group,
        conversation: &ConversationId,
        users: impl Iterator<Item = &UserId>,
    ) -> Result<HashSet<UserId>, Error> {
        if group.is_whole {
            return Ok(group.people.iter().map(|(user, _)| user.clone()).collect());
        }
        let keys = users.map(|user| participants::key(conversation, user)).collect();
        self.get_all(keys).await?.iter().map(participants::user_of).collect()
    }

    /// The writes and events of some who join: those of each and, up to 24, of everyone else. `by` is whoever adds them;
    /// without, nobody else is told.
    pub(super) fn adding(
        &self,
        conversation: &ConversationId,
        group: &Group,
        rows: Vec<(UserId, Row)>,
        by: Option<&UserId>,
        at: Stamp,
    ) -> Result<(Vec<Write>, Vec<Told>), Error> {
        let (now, seq) = (self.clock.now(), group.meta.seq + 1);
        let people = group.meta.people + rows.len() as u64;
        let (mut writes, mut told) = (vec![group.recount(conversation, at.plus(3), people)], Vec::new());
        for (user, row) in &rows {
            let (joins, event) = joining(conversation, user, row, now, at.plus(1))?;
            writes.extend(joins);
            told.push(event);
        }
        let users: Vec<UserId> = rows.into_iter().map(|(user, _)| user).collect();
        if group.is_large() || people > SMALL as u64 {
            let change = match by {
                Some(by) => Change::Joined { users, by: by.clone(), people },
                None => Change::Quiet,
            };
            writes.push(fan_out::log(conversation, seq, &change, now)?);
            return Ok((writes, told));
        }
        for (user, _) in &group.people {
            let row = Write::update(inbox::key(user, conversation));
            writes.push(row.set("people", &people).if_present("pk"));
            for (joined, by) in users.iter().zip(by) {
                let conversation = conversation.clone();
                let joined = Event::ParticipantJoined { conversation, user: joined.clone(), by: by.clone() };
                told.push((user.clone(), at.plus(2), joined));
            }
            let count = changed(conversation, [("participant_count", json!(people))], seq);
            told.push((user.clone(), at.plus(3), count));
        }
        Ok((writes, told))
    }

    /// Someone's part in a group or room, as it stands.
    pub(super) async fn participant(
        &self,
        conversation: &ConversationId,
        user: &UserId,
    ) -> Result<Option<Participant>, Error> {
        let item = self.get(participants::key(conversation, user), true).await?;
        item.as_ref().map(from_item).transpose()
    }

    /// A direct conversation's participants stay as they are, and it has no admins; strangers are not told that it is there.
    async fn not_direct(&self, caller: &UserId, conversation: &ConversationId) -> Result<(), Error> {
        if !conversation.is_direct() {
            return Ok(());
        }
        self.row(caller, conversation).await?.ok_or(Error::NotAParticipant)?;
        Err(Error::NotAnAdmin)
    }

    /// Takes a participant out of a group or room: themselves, or another by an admin. Where a group's last admin leaves,
    /// whoever has taken part the longest becomes its admin.
    ///
    /// # Errors
    /// `NotAParticipant`, `NotAnAdmin`, `NotFound` where the other does not take part.
    pub async fn remove_participant(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        leaver: &UserId,
    ) -> Result<Delivery, Error> {
        self.not_direct(caller, conversation).await?;
        let began = Instant::now();
        loop {
            // Before the rest: who has just been removed must not commit under what they have changed since.
            let mut group = self.group(conversation, SMALL, true).await?.ok_or(Error::NotAParticipant)?;
            let (me, them, row) = tokio::try_join!(
                self.part_in(&group, conversation, caller),
                self.part_in(&group, conversation, leaver),
                self.row(leaver, conversation)
            )?;
            let me = me.ok_or(Error::NotAParticipant)?;
            if caller != leaver {
                Group::admin(Some(&me))?;
            }
            let not_there = Error::NotFound("There is no such participant.");
            let (Some(them), Some(row)) = (them, row) else { return Err(not_there) };
            // Only an admin's leaving may need a successor among all.
            let is_handed_over = them.admin && conversation.kind() == Kind::Group;
            if is_handed_over && !group.is_whole {
                group.people = self.participants_after(conversation, None, participants::ALL).await?.0;
                group.is_whole = true;
            }
            let (writes, told) =
                self.leaving(conversation, &group, (leaver, caller), &row, is_handed_over)?;
            if let (Commit::Done, delivery) = self.commit_and_tell(writes, told, began).await? {
                return Ok(delivery);
            }
        }
    }

    /// Takes someone out of all groups and rooms.
    ///
    /// # Errors
    /// `Unavailable` where the database is: those that were left stay left.
    pub async fn leave_all(&self, user: &UserId) -> Result<Delivery, Error> {
        let mut delivery = Delivery::default();
        for item in self.rows(user).await? {
            let conversation = inbox::conversation_of(&item)?;
            if conversation.is_direct() {
                continue;
            }
            match self.remove_participant(user, &conversation, user).await {
                Ok(pushes) => delivery.extend(pushes),
                // They were taken out meanwhile.
                Err(Error::NotAParticipant | Error::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(delivery)
    }

    fn leaving(
        &self,
        conversation: &ConversationId,
        group: &Group,
        (leaver, by): (&UserId, &UserId),
        row: &Row,
        is_handed_over: bool,
    ) -> Result<(Vec<Write>, Vec<Told>), Error> {
        let others = || group.people.iter().filter(|(user, _)| user != leaver);
        let has_admin = !is_handed_over || others().any(|(_, participant)| participant.admin);
        let longest = others().min_by_key(|(user, participant)| (participant.joined_at, user.clone()));
        let successor = longest.filter(|_| !has_admin).map(|(user, _)| user);
        let at = self.clock.stamp_above(row.told_up_to().max(Some(group.meta.head)));
        let (seq, people) = (group.meta.seq + 1, group.meta.people - 1);
        let left = Event::ParticipantLeft {
            conversation: conversation.clone(),
            user: leaver.clone(),
            by: by.clone(),
        };
        let mut writes = vec![
            group.recount(conversation, at.plus(4), people),
            Write::delete(participants::key(conversation, leaver)).if_present("pk"),
            Write::delete(inbox::key(leaver, conversation))
                .if_present("pk")
                .if_still("activity", row.activity.as_ref())
                .if_still("told", row.told.as_ref()),
        ];
        if row.activity.is_some() {
            writes.push(inbox::count_rows(leaver, -1));
        }
        let gone = Event::ConversationDeleted { conversation: conversation.clone() };
        let mut told = vec![(leaver.clone(), at.plus(1), left.clone()), (leaver.clone(), at.plus(2), gone)];
        if let Some(successor) = successor {
            let part = Write::update(participants::key(conversation, successor));
            writes.push(part.set("admin", &true).if_present("pk"));
        }
        if group.is_large() {
            if let Some(successor) = successor {
                let row = Write::update(inbox::key(successor, conversation));
                writes.push(row.set("admin", &true).if_present("pk"));
            }
            let (user, by, successor) = (leaver.clone(), by.clone(), successor.cloned());
            let change = Change::Left { user, by, people, successor };
            writes.push(fan_out::log(conversation, seq, &change, self.clock.now())?);
            return Ok((writes, told));
        }
        for (user, _) in others() {
            let row = Write::update(inbox::key(user, conversation)).set("people", &people).if_present("pk");
            if Some(user) == successor {
                writes.push(row.set("admin", &true));
                let role = changed(conversation, [("is_admin", json!(true))], seq);
                told.push((user.clone(), at.plus(4), role));
            } else {
                writes.push(row);
            }
            told.push((user.clone(), at.plus(2), left.clone()));
            let count = changed(conversation, [("participant_count", json!(people))], seq);
            told.push((user.clone(), at.plus(3), count));
        }
        Ok((writes, told))
    }

    /// Makes a participant of a group an admin, or no longer one.
    ///
    /// # Errors
    /// `NotAParticipant`, `NotAnAdmin`, `NotFound` where the other does not take part, `Conflict` where the group would be
    /// without an admin, or is a room, whose admin is its creator.
    pub async fn set_admin(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        user: &UserId,
        is_admin: bool,
    ) -> Result<Delivery, Error> {
        self.not_direct(caller, conversation).await?;
        let began = Instant::now();
        loop {
            let group = self.group(conversation, participants::ALL, true).await?;
            let group = group.ok_or(Error::NotAParticipant)?;
            Group::admin(group.find(caller))?;
            if conversation.kind() == Kind::Room {
                return Err(Error::Conflict("The admin of a room is its creator."));
            }
            let them = group.find(user).ok_or(Error::NotFound("There is no such participant."))?;
            if them.admin == is_admin {
                return Ok(Delivery::default());
            }
            if !is_admin && group.people.iter().filter(|(_, participant)| participant.admin).count() == 1 {
                return Err(Error::Conflict("A group needs an admin. Make somebody else one first."));
            }
            let at = self.clock.stamp_above(Some(group.meta.head));
            let seq = group.meta.seq + 1;
            let row = Write::update(inbox::key(user, conversation)).if_present("pk");
            let part = Write::update(participants::key(conversation, user)).if_present("pk");
            let role =
                |write: Write| if is_admin { write.set("admin", &true) } else { write.remove("admin") };
            let mut writes = vec![group.change(conversation, at.plus(1)), role(row), role(part)];
            let mut told = Vec::new();
            if group.is_large() {
                let change = Change::Role { user: user.clone(), is_admin };
                writes.push(fan_out::log(conversation, seq, &change, self.clock.now())?);
            } else {
                let event = changed(conversation, [("is_admin", json!(is_admin))], seq);
                told.push((user.clone(), at.plus(1), event));
            }
            if let (Commit::Done, delivery) = self.commit_and_tell(writes, told, began).await? {
                return Ok(delivery);
            }
        }
    }

    /// Changes a group's or room's name, description or picture.
    ///
    /// # Errors
    /// `NotAParticipant`, `NotAnAdmin`, `AlreadyExists` where another room has the name.
    pub async fn change_details(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        details: &Details,
    ) -> Result<Delivery, Error> {
        self.not_direct(caller, conversation).await?;
        let began = Instant::now();
        loop {
            let group = self.group(conversation, SMALL, true).await?.ok_or(Error::NotAParticipant)?;
            Group::admin(self.part_in(&group, conversation, caller).await?.as_ref())?;
            let changes = details.changes(&group.meta);
            if changes.is_empty() {
                return Ok(Delivery::default());
            }
            let at = self.clock.stamp_above(Some(group.meta.head));
            let seq = group.meta.seq + 1;
            let mut writes = vec![details.written(group.change(conversation, at.plus(1)))];
            let mut told = Vec::new();
            if conversation.kind() == Kind::Room
                && let Some(name) = &details.name
            {
                writes.extend(rooms::renaming(conversation, &group.meta.name, name)?);
            }
            if group.is_large() {
                let change = Change::Updated { changes: Value::Object(changes).to_string() };
                writes.push(fan_out::log(conversation, seq, &change, self.clock.now())?);
            } else {
                for (user, _) in &group.people {
                    let row = Write::update(inbox::key(user, conversation)).if_present("pk");
                    if details.name.is_some() || details.picture.is_some() {
                        writes.push(details.in_row(row));
                    }
                    let event = Event::ConversationUpdated {
                        conversation: conversation.clone(),
                        changes: changes.clone(),
                        version: seq,
                    };
                    told.push((user.clone(), at.plus(1), event));
                }
            }
            match self.commit_and_tell(writes, told, began).await? {
                (Commit::Done, delivery) => return Ok(delivery),
                (Commit::Refused(verdicts), _) => {
                    let is_room = conversation.kind() == Kind::Room && details.name.is_some();
                    let is_current = matches!(verdicts.first(), Some(Verdict::Fine));
                    if is_room && is_current && verdicts[1..].iter().any(rooms::is_taken) {
                        return Err(rooms::TAKEN);
                    }
                }
            }
        }
    }

    /// A conversation of the caller's, with up to `limit` participants after one.
    ///
    /// # Errors
    /// `NotAParticipant` where it is not theirs.
    pub async fn overview(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Overview, Error> {
        let message = |stamp: Stamp| MessageId { conversation: conversation.clone(), stamp };
        if conversation.is_direct() {
            let row = self.row(caller, conversation).await?.ok_or(Error::NotAParticipant)?;
            let peer = row.peer.clone().map(|peer| (peer, row.peer_read));
            let mut views = Vec::new();
            for (user, read) in [(caller.clone(), row.read)].into_iter().chain(peer) {
                let last_read_at = match read {
                    Some(read) => self.moved_at(conversation, read, &user).await?,
                    None => None,
                };
                views.push(ParticipantView { last_read_at, ..ParticipantView::of(user, read.map(message)) });
            }
            let participants = self.named(views).await?;
            return Ok(Overview { row, description: None, participants, next: None });
        }
        let (row, meta, (people, more)) = tokio::try_join!(
            self.row(caller, conversation),
            self.meta(conversation),
            self.participants_after(conversation, after.as_ref(), limit)
        )?;
        let (Some(row), Some(meta)) = (row, meta) else { return Err(Error::NotAParticipant) };
        let next = people.last().filter(|_| more).map(|(user, _)| user.clone());
        let views = people.into_iter().map(|(user, part)| ParticipantView {
            is_admin: part.admin,
            joined_at: Some(part.joined_at),
            last_read_at: part.read_at.map(Timestamp::from_millis),
            ..ParticipantView::of(user, part.read.map(message))
        });
        let participants = self.named(views.collect()).await?;
        let description = meta.description.clone();
        Ok(Overview { row: row.up_to_date(meta), description, participants, next })
    }

    /// The caller's row of a group or room, with what all have in common as it stands: in a large one a row lags behind.
    ///
    /// # Errors
    /// `NotAParticipant` where it is not theirs.
    pub async fn current_row(&self, caller: &UserId, conversation: &ConversationId) -> Result<Row, Error> {
        let (row, meta) = tokio::try_join!(self.row(caller, conversation), self.meta(conversation))?;
        let (Some(row), Some(meta)) = (row, meta) else { return Err(Error::NotAParticipant) };
        Ok(row.up_to_date(meta))
    }

    /// Participants with their names and pictures.
    async fn named(&self, mut views: Vec<ParticipantView>) -> Result<Vec<ParticipantView>, Error> {
        let users: Vec<&UserId> = views.iter().map(|view| &view.user_id).collect();
        let profiles: HashMap<UserId, Profile> = self.profiles(&users).await?.into_iter().collect();
        for view in &mut views {
            if let Some(profile) = profiles.get(&view.user_id) {
                (view.name, view.photo_url) = (profile.shown_name(), profile.picture.clone());
            }
        }
        Ok(views)
    }
}

impl ParticipantView {
    /// Someone of whom no more is known than what they have read.
    fn of(user_id: UserId, last_read_message_id: Option<MessageId>) -> Self {
        Self {
            user_id,
            name: None,
            photo_url: None,
            is_admin: false,
            joined_at: None,
            last_read_message_id,
            last_read_at: None,
        }
    }
}

impl Details {
    /// What is different from how things are, by the names of the API.
    fn changes(&self, meta: &Meta) -> Map<String, Value> {
        let mut changes = Map::new();
        if let Some(name) = self.name.as_ref().filter(|name| **name != meta.name) {
            changes.insert("name".to_owned(), json!(name));
        }
        if let Some(description) = self.description.as_ref().filter(|text| **text != meta.description) {
            changes.insert("description".to_owned(), json!(description));
        }
        if let Some(picture) = self.picture.as_ref().filter(|picture| **picture != meta.picture) {
            changes.insert("photo_url".to_owned(), json!(picture));
        }
        changes
    }

    fn written(&self, meta: Write) -> Write {
        let meta = match &self.description {
            Some(Some(description)) => meta.set("description", &String::from(description.clone())),
            Some(None) => meta.remove("description"),
            None => meta,
        };
        self.in_row(meta)
    }

    /// The name and picture, which rows have, too.
    fn in_row(&self, row: Write) -> Write {
        let row = row.set_some("name", self.name.as_ref());
        match &self.picture {
            Some(Some(picture)) => row.set("picture", picture),
            Some(None) => row.remove("picture"),
            None => row,
        }
    }
}
