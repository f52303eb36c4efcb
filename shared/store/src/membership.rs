//! Who takes part in a group or room: adding, removing, leaving, and roles.
//!
//! Invariant: a change of participants commits under the `seq` that was read together with them. So two admins who remove
//! each other, or the last two who leave, do so one after the other, and a group always has an admin.

use std::collections::HashSet;

use async_recursion::async_recursion as boxed;
use domain::caller::Caller;
use domain::conversation::{MAX_PARTICIPANTS, Participant, Row, SMALL};
use domain::delivery::{Delivery, OutgoingEvent};
use domain::error::Error;
use domain::event::Event;
use domain::id::{ConversationId, ConversationKind, Stamp, UserId};
use domain::time::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use crate::change_log::{self, Change};
use crate::client::Store;
use crate::item::{Write, from_item};
use crate::participants::{self, Group, changed};
use crate::transact::Commit;
use crate::{inbox, profiles, reads};

/// Participants who join a large group in one transaction (of at most 100 items, four for each).
pub(crate) const JOINS_AT_ONCE: usize = 24;

pub(crate) fn too_many(field: &str) -> Error {
    Error::field(field, "A group has at most 1,000 participants.")
}

/// The participant and the row of someone who joins, and the event of it. One more row in their inbox is to be counted
/// beside these.
pub(crate) fn joining(
    conversation: &ConversationId,
    user: &UserId,
    row: &Row,
    now: Timestamp,
    event_id: Stamp,
) -> Result<(Vec<Write>, OutgoingEvent), Error> {
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
    ];
    writes.extend(row.read.map(|read| reads::first_receipt(conversation, read, user, now)));
    let event = Event::ConversationCreated { conversation: conversation.clone(), row: Box::new(row.clone()) };
    Ok((writes, OutgoingEvent::new(user.clone(), event_id, event)))
}

impl Store {
    /// Refuses users who do not exist, or who have blocked the caller.
    pub(crate) async fn check_may_add(
        &self,
        caller: &Caller,
        users: &[UserId],
        field: &str,
    ) -> Result<(), Error> {
        if users.contains(&caller.user) {
            return Err(Error::field(field, "You take part already."));
        }
        for users in users.chunks(50) {
            let keys = users.iter().flat_map(|user| {
                let between = ConversationId::direct(&caller.user, user);
                [profiles::key(user), inbox::key(&caller.user, &between)]
            });
            let found = self.get_all(keys.collect()).await?;
            let (rows, known): (Vec<_>, Vec<_>) = found
                .into_iter()
                .partition(|item| item.get("pk") == Some(&inbox::partition_of(&caller.user)));
            let known = known.iter().map(profiles::owner).collect::<Result<HashSet<_>, _>>()?;
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
    #[boxed]
    pub async fn add_participants(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        users: Vec<UserId>,
    ) -> Result<Delivery, Error> {
        self.not_direct(&caller.user, conversation).await?;
        let me = self.participant(conversation, &caller.user).await?;
        Group::require_admin(me.as_ref())?;
        if conversation.kind() == ConversationKind::Room {
            return Err(Error::Conflict("People join a room themselves."));
        }
        let mut seen = HashSet::from([caller.user.clone()]);
        let users: Vec<UserId> = users.into_iter().filter(|user| seen.insert(user.clone())).collect();
        self.check_may_add(caller, &users, "user_ids").await?;
        if users.len() > JOINS_AT_ONCE {
            // Before the first of them joins.
            let group =
                self.group(conversation, participants::ALL, true).await?.ok_or(Error::NotAParticipant)?;
            let new = users.iter().filter(|user| group.find(user).is_none()).count() as u64;
            if group.meta.participant_count + new > MAX_PARTICIPANTS {
                return Err(too_many("user_ids"));
            }
        }
        let mut delivery = Delivery::default();
        for users in users.chunks(JOINS_AT_ONCE) {
            delivery.extend(self.add_some(&caller.user, conversation, users, None).await?);
        }
        Ok(delivery)
    }

    /// Adds up to 24. Where the group is being made, of so many `in_all`, nobody needs to be told that they joined.
    pub(crate) async fn add_some(
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
            let is_large = group.is_large() || group.meta.participant_count >= SMALL as u64;
            let some = if is_large { missing.clone() } else { vec![*first] };
            let people = group.meta.participant_count + some.len() as u64;
            if people > MAX_PARTICIPANTS {
                return Err(too_many("user_ids"));
            }
            let at = self.clock.stamp_above(Some(group.meta.latest_event));
            let row = group.new_row(at, in_all.unwrap_or(people));
            let rows = some.iter().map(|user| ((*user).clone(), row.clone())).collect();
            let by = in_all.is_none().then_some(by);
            let (writes, events) = self.adding(conversation, &group, rows, by, at)?;
            if let Commit::Done(pushes) = self.commit_and_publish(writes.into(), events, began).await? {
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
        if group.is_complete {
            return Ok(group.participants.iter().map(|(user, _)| user.clone()).collect());
        }
        let keys = users.map(|user| participants::key(conversation, user)).collect();
        self.get_all(keys).await?.iter().map(participants::user_of).collect()
    }

    /// The writes and events of some who join: those of each and, up to 24, of everyone else. `by` is whoever adds them;
    /// without, nobody else is told.
    pub(crate) fn adding(
        &self,
        conversation: &ConversationId,
        group: &Group,
        rows: Vec<(UserId, Row)>,
        by: Option<&UserId>,
        at: Stamp,
    ) -> Result<(Vec<Write>, Vec<OutgoingEvent>), Error> {
        let (now, seq) = (self.clock.now(), group.meta.seq + 1);
        let people = group.meta.participant_count + rows.len() as u64;
        let (mut writes, mut events) = (vec![group.recount(conversation, at.plus(3), people)], Vec::new());
        for (user, row) in &rows {
            let (joins, event) = joining(conversation, user, row, now, at.plus(1))?;
            writes.extend(joins);
            writes.push(inbox::count_rows(user, 1));
            events.push(event);
        }
        let users: Vec<UserId> = rows.into_iter().map(|(user, _)| user).collect();
        if group.is_large() || people > SMALL as u64 {
            let change = match by {
                Some(by) => Change::Joined { users, by: by.clone(), people },
                None => Change::Quiet,
            };
            writes.push(change_log::entry(conversation, seq, &change, now)?);
            return Ok((writes, events));
        }
        for (user, _) in &group.participants {
            let row = Write::update(inbox::key(user, conversation));
            writes.push(row.set("people", &people).if_present("pk"));
            for (joined, by) in users.iter().zip(by) {
                let conversation = conversation.clone();
                let joined = Event::ParticipantJoined { conversation, user: joined.clone(), by: by.clone() };
                events.push(OutgoingEvent::new(user.clone(), at.plus(2), joined));
            }
            let count = changed(conversation, [("participant_count", json!(people))], seq);
            events.push(OutgoingEvent::new(user.clone(), at.plus(3), count));
        }
        Ok((writes, events))
    }

    /// Takes a participant out of a group or room: themselves, or another by an admin. Where a group's last admin leaves,
    /// whoever has taken part the longest becomes its admin.
    ///
    /// # Errors
    /// `NotAParticipant`, `NotAnAdmin`, `NotFound` where the other does not take part.
    #[boxed]
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
                Group::require_admin(Some(&me))?;
            }
            let not_there = Error::NotFound("There is no such participant.");
            let (Some(them), Some(row)) = (them, row) else { return Err(not_there) };
            // Only an admin's leaving may need a successor among all.
            let is_handed_over = them.admin && conversation.kind() == ConversationKind::Group;
            if is_handed_over && !group.is_complete {
                group.participants = self.participants_after(conversation, None, participants::ALL).await?.0;
                group.is_complete = true;
            }
            let (writes, events) =
                self.leaving(conversation, &group, (leaver, caller), &row, is_handed_over)?;
            if let Commit::Done(delivery) = self.commit_and_publish(writes.into(), events, began).await? {
                return Ok(delivery);
            }
        }
    }

    /// Takes someone out of all groups and rooms.
    ///
    /// # Errors
    /// `Unavailable` where the database is: those that were left stay left.
    #[boxed]
    pub async fn leave_all(&self, user: &UserId) -> Result<Delivery, Error> {
        let mut delivery = Delivery::default();
        for (conversation, _) in self.rows(user).await? {
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
    ) -> Result<(Vec<Write>, Vec<OutgoingEvent>), Error> {
        let others = || group.participants.iter().filter(|(user, _)| user != leaver);
        let has_admin = !is_handed_over || others().any(|(_, participant)| participant.admin);
        let longest = others().min_by_key(|(user, participant)| (participant.joined_at, user.clone()));
        let successor = longest.filter(|_| !has_admin).map(|(user, _)| user);
        let at = self.clock.stamp_above(row.event_floor().max(Some(group.meta.latest_event)));
        let (seq, people) = (group.meta.seq + 1, group.meta.participant_count - 1);
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
                .if_still(inbox::LATEST_EVENT, row.latest_event.as_ref()),
        ];
        if row.activity.is_some() {
            writes.push(inbox::count_rows(leaver, -1));
        }
        let gone = Event::ConversationDeleted { conversation: conversation.clone() };
        let mut events = vec![
            OutgoingEvent::new(leaver.clone(), at.plus(1), left.clone()),
            OutgoingEvent::new(leaver.clone(), at.plus(2), gone),
        ];
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
            writes.push(change_log::entry(conversation, seq, &change, self.clock.now())?);
            return Ok((writes, events));
        }
        for (user, _) in others() {
            let row = Write::update(inbox::key(user, conversation)).set("people", &people).if_present("pk");
            if Some(user) == successor {
                writes.push(row.set("admin", &true));
                let role = changed(conversation, [("is_admin", json!(true))], seq);
                events.push(OutgoingEvent::new(user.clone(), at.plus(4), role));
            } else {
                writes.push(row);
            }
            events.push(OutgoingEvent::new(user.clone(), at.plus(2), left.clone()));
            let count = changed(conversation, [("participant_count", json!(people))], seq);
            events.push(OutgoingEvent::new(user.clone(), at.plus(3), count));
        }
        Ok((writes, events))
    }

    /// Makes a participant of a group an admin, or no longer one.
    ///
    /// # Errors
    /// `NotAParticipant`, `NotAnAdmin`, `NotFound` where the other does not take part, `Conflict` where the group would be
    /// without an admin, or is a room, whose admin is its creator.
    #[boxed]
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
            Group::require_admin(group.find(caller))?;
            if conversation.kind() == ConversationKind::Room {
                return Err(Error::Conflict("The admin of a room is its creator."));
            }
            let them = group.find(user).ok_or(Error::NotFound("There is no such participant."))?;
            if them.admin == is_admin {
                return Ok(Delivery::default());
            }
            if !is_admin
                && group.participants.iter().filter(|(_, participant)| participant.admin).count() == 1
            {
                return Err(Error::Conflict("A group needs an admin. Make somebody else one first."));
            }
            let at = self.clock.stamp_above(Some(group.meta.latest_event));
            let seq = group.meta.seq + 1;
            let row = Write::update(inbox::key(user, conversation)).if_present("pk");
            let part = Write::update(participants::key(conversation, user)).if_present("pk");
            let role =
                |write: Write| if is_admin { write.set("admin", &true) } else { write.remove("admin") };
            let mut writes = vec![group.change(conversation, at.plus(1)), role(row), role(part)];
            let mut events = Vec::new();
            if group.is_large() {
                let change = Change::Role { user: user.clone(), is_admin };
                writes.push(change_log::entry(conversation, seq, &change, self.clock.now())?);
            } else {
                let event = changed(conversation, [("is_admin", json!(is_admin))], seq);
                events.push(OutgoingEvent::new(user.clone(), at.plus(1), event));
            }
            if let Commit::Done(delivery) = self.commit_and_publish(writes.into(), events, began).await? {
                return Ok(delivery);
            }
        }
    }
}
