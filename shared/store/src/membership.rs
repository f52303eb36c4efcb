//! Participants of groups and rooms: adding, removing, leaving, and roles.
//!
//! Invariant: a change of participants commits only if `seq` is as it was read together with them. So two admins who
//! remove each other, or the last two who leave, do so one after the other, and a group always has an admin.

use std::collections::{HashMap, HashSet};

use async_recursion::async_recursion as boxed;
use domain::caller::Caller;
use domain::conversation::{MAX_PARTICIPANTS, Participant, Row, SMALL};
use domain::delivery::{Delivery, OutgoingEvent};
use domain::error::Error;
use domain::event::Event;
use domain::id::{ConversationId, ConversationKind, Stamp, UserId};
use domain::limits;
use domain::time::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::attempts::Attempts;
use crate::change_log::{self, Change};
use crate::charging::KnownBucket;
use crate::client::Store;
use crate::item::{from_item, text};
use crate::participants::{self, Group, changed};
use crate::partition;
use crate::transact::Commit;
use crate::write::Write;
use crate::{inbox, moves, profiles};

/// Users who join a large group in one transaction (of at most 100 items, four for each user).
pub(crate) const JOINS_AT_ONCE: usize = 24;

pub(crate) fn too_many(field: &str) -> Error {
    Error::field(field, "A group has at most 1,000 participants.")
}

/// The attributes of a new row, with those of its rate limits.
#[derive(Serialize)]
struct NewRow<'a> {
    #[serde(flatten)]
    row: &'a Row,
    #[serde(skip_serializing_if = "Option::is_none")]
    writes_full_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    typing_full_at: Option<i64>,
}

/// Returns the writes of a joining user's own items, and their event. The caller must count the new row with
/// [`inbox::count_rows`]. A user who may have been there before, and so has used up tokens, does not get full buckets.
pub(crate) fn joining(
    conversation: &ConversationId,
    user: &UserId,
    row: &Row,
    may_return: bool,
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
    let full_at =
        |limit: limits::RateLimit| may_return.then(|| limit.holding(limits::TOKENS_OF_NEWCOMERS, now));
    let new_row =
        NewRow { row, writes_full_at: full_at(limits::WRITES), typing_full_at: full_at(limits::TYPING) };
    let mut writes = vec![
        Write::put(participants::key(conversation, user), &participant)?.if_missing("pk"),
        Write::put(inbox::key(user, conversation), &new_row)?.if_missing("pk"),
    ];
    writes.extend(row.read.map(|read| moves::first_receipt(conversation, read, user, now)));
    let event = Event::ConversationCreated { conversation: conversation.clone(), row: Box::new(row.clone()) };
    Ok((writes, OutgoingEvent::new(user.clone(), event_id, event)))
}

impl Store {
    /// Refuses users who do not exist or have blocked the caller, and the caller.
    pub(crate) async fn check_may_add(
        &self,
        caller: &Caller,
        users: &[UserId],
        field: &str,
    ) -> Result<(), Error> {
        if users.contains(&caller.user) {
            return Err(Error::field(field, "You are already a participant."));
        }
        for users in users.chunks(50) {
            let keys = users.iter().flat_map(|user| {
                let between = ConversationId::direct(&caller.user, user);
                [profiles::key(user), inbox::key(&caller.user, &between)]
            });
            let found = self.get_all(keys.collect()).await?;
            let own = partition::of_user(&caller.user);
            let (rows, known): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|item| text(item, "pk").is_ok_and(|pk| pk == own));
            let known = known.iter().map(profiles::owner).collect::<Result<HashSet<_>, _>>()?;
            if users.iter().any(|user| !known.contains(user)) {
                return Err(Error::NotFound("There is no such user."));
            }
            let rows = rows.iter().map(from_item::<Row>).collect::<Result<Vec<_>, _>>()?;
            if rows.iter().any(|row| row.blocked_by_peer) {
                return Err(Error::Blocked);
            }
        }
        Ok(())
    }

    /// Adds users to a group. Those who already take part are skipped. While the group has fewer than 24 participants,
    /// each user joins in a transaction of their own.
    ///
    /// # Errors
    /// `NotAParticipant`, `NotAnAdmin`; `NotFound` if a user does not exist, `Blocked` if one of them has blocked the
    /// caller, `Conflict` in a room, which users join themselves, `Invalid` if there would be too many participants.
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
            return Err(Error::Conflict("Users join a room themselves."));
        }
        let mut seen = HashSet::from([caller.user.clone()]);
        let users: Vec<UserId> = users.into_iter().filter(|user| seen.insert(user.clone())).collect();
        self.check_may_add(caller, &users, "user_ids").await?;
        if users.len() > JOINS_AT_ONCE {
            // Check the total before the first of them joins.
            let group =
                self.group(conversation, participants::ALL, true).await?.ok_or(Error::NotAParticipant)?;
            let new = users.iter().filter(|user| group.find(user).is_none()).count() as u64;
            if group.meta.participant_count + new > MAX_PARTICIPANTS {
                return Err(too_many("user_ids"));
            }
        }
        let mut delivery = Delivery::default();
        // The first transaction pays for all.
        let mut unpaid = users.len();
        for users in users.chunks(JOINS_AT_ONCE) {
            delivery.extend(self.add_some(&caller.user, conversation, users, None, unpaid).await?);
            unpaid = 0;
        }
        Ok(delivery)
    }

    /// Adds up to 24 users, as long as `by` is an admin. While a group is being created, `final_count` is the number of
    /// participants that it will have, and no `participant.joined` is published. `unpaid` is the number of users whose
    /// tokens are still to be taken: those of the whole call, or none.
    pub(crate) async fn add_some(
        &self,
        by: &UserId,
        conversation: &ConversationId,
        users: &[UserId],
        final_count: Option<u64>,
        mut unpaid: usize,
    ) -> Result<Delivery, Error> {
        let mut delivery = Delivery::default();
        let mut attempts = Attempts::new(&self.turns, conversation);
        let mut bucket = KnownBucket::default();
        loop {
            let group = self.group(conversation, SMALL, true).await?.ok_or(Error::NotAParticipant)?;
            let current = self.participants_among(&group, conversation, users.iter().chain([by])).await?;
            Group::require_admin(current.get(by))?;
            let missing: Vec<&UserId> = users.iter().filter(|user| !current.contains_key(*user)).collect();
            let Some(first) = missing.first() else { return Ok(delivery) };
            let is_large = group.is_large() || group.meta.participant_count >= SMALL as u64;
            let new_users = if is_large { missing.clone() } else { vec![*first] };
            let people = group.meta.participant_count + new_users.len() as u64;
            if people > MAX_PARTICIPANTS {
                return Err(too_many("user_ids"));
            }
            let at = self.clock.stamp_above(Some(group.meta.latest_event));
            let row = group.new_row(at, final_count.unwrap_or(people));
            let rows = new_users.iter().map(|user| ((*user).clone(), row.clone())).collect();
            let joined_by = final_count.is_none().then_some(by);
            let (writes, events) = self.adding(conversation, &group, rows, joined_by, at)?;
            // In a small group, each user is a change of their own.
            let changes = if is_large { unpaid.div_ceil(JOINS_AT_ONCE) } else { unpaid };
            let limit = limits::changes(people).times(changes as u64);
            let transaction = self.charged(by, &limit, bucket, writes)?;
            match self.commit_and_publish(transaction, events, attempts.began()).await? {
                Commit::Done(pushes) => {
                    delivery.extend(pushes);
                    (attempts, unpaid) = (Attempts::new(&self.turns, conversation), 0);
                    if new_users.len() == missing.len() {
                        return Ok(delivery);
                    }
                }
                Commit::Refused(refusals) => {
                    bucket.learn(&refusals, &limit);
                    attempts.refused().await?;
                }
            }
        }
    }

    /// Reads which of up to 100 users take part, no older than `group`. The result may contain other participants.
    async fn participants_among(
        &self,
        group: &Group,
        conversation: &ConversationId,
        users: impl Iterator<Item = &UserId>,
    ) -> Result<HashMap<UserId, Participant>, Error> {
        if group.is_complete {
            return Ok(group.participants.iter().cloned().collect());
        }
        let keys = users.map(|user| participants::key(conversation, user)).collect();
        self.get_all(keys).await?.iter().map(participants::read_participant).collect()
    }

    /// Returns the writes and events of joining users: their own and, in a conversation of up to 24 participants, those
    /// of everyone else. `by` is the user who adds them; with `None`, no `participant.joined` is published.
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
            let (joins, event) = joining(conversation, user, row, true, now, at.plus(1))?;
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

    /// Removes a participant from a group or room. Participants may remove themselves, admins may remove anyone. If the
    /// last admin leaves, the longest-standing participant becomes the admin: a room's new owner.
    ///
    /// # Errors
    /// `NotAParticipant`, `NotAnAdmin`, `NotFound` if `leaver` does not take part, `RateLimited`.
    #[boxed]
    pub async fn remove_participant(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        leaver: &UserId,
    ) -> Result<Delivery, Error> {
        self.remove_limited(caller, conversation, leaver, true).await
    }

    /// Removes a participant, with or without taking tokens from the caller.
    async fn remove_limited(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        leaver: &UserId,
        is_limited: bool,
    ) -> Result<Delivery, Error> {
        self.not_direct(caller, conversation).await?;
        let mut attempts = Attempts::new(&self.turns, conversation);
        let mut bucket = KnownBucket::default();
        loop {
            // Read the group first: a caller who is removed between the two reads must not commit under the `seq` that
            // their removal has raised.
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
            let not_found = Error::NotFound("There is no such participant.");
            let (Some(them), Some(row)) = (them, row) else { return Err(not_found) };
            // An admin's successor may be any participant, so all of them are needed.
            if them.admin && !group.is_complete {
                group.participants = self.participants_after(conversation, None, participants::ALL).await?.0;
                group.is_complete = true;
            }
            let (writes, events) = self.leaving(conversation, &group, (leaver, caller), &row, them.admin)?;
            let limit = limits::changes(group.meta.participant_count).times(u64::from(is_limited));
            let transaction = self.charged(caller, &limit, bucket, writes)?;
            match self.commit_and_publish(transaction, events, attempts.began()).await? {
                Commit::Done(delivery) => return Ok(delivery),
                Commit::Refused(refusals) => bucket.learn(&refusals, &limit),
            }
            attempts.refused().await?;
        }
    }

    /// Removes a user from all groups and rooms. This takes no tokens.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable; the user may have left some of them by then.
    #[boxed]
    pub async fn leave_all(&self, user: &UserId) -> Result<Delivery, Error> {
        let mut delivery = Delivery::default();
        for (conversation, _) in self.rows(user).await? {
            if conversation.is_direct() {
                continue;
            }
            match self.remove_limited(user, &conversation, user, false).await {
                Ok(pushes) => delivery.extend(pushes),
                // The user has ceased to be a participant meanwhile.
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
        is_admin: bool,
    ) -> Result<(Vec<Write>, Vec<OutgoingEvent>), Error> {
        let others = || group.participants.iter().filter(|(user, _)| user != leaver);
        let has_admin = !is_admin || others().any(|(_, participant)| participant.admin);
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
        writes.extend(inbox::recount(leaver, row.list(), None));
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

    /// Gives a participant of a group the admin role, or takes it away.
    ///
    /// # Errors
    /// `NotAParticipant`, `NotAnAdmin`, `NotFound` if `user` does not take part, `Conflict` if the group would have no
    /// admin, or in a room, whose only admin is its owner, `RateLimited`.
    #[boxed]
    pub async fn set_admin(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        user: &UserId,
        is_admin: bool,
    ) -> Result<Delivery, Error> {
        self.not_direct(caller, conversation).await?;
        let mut attempts = Attempts::new(&self.turns, conversation);
        let mut bucket = KnownBucket::default();
        loop {
            let group = self.group(conversation, participants::ALL, true).await?;
            let group = group.ok_or(Error::NotAParticipant)?;
            Group::require_admin(group.find(caller))?;
            if conversation.kind() == ConversationKind::Room {
                return Err(Error::Conflict("The only admin of a room is its owner."));
            }
            let them = group.find(user).ok_or(Error::NotFound("There is no such participant."))?;
            if them.admin == is_admin {
                return Ok(Delivery::default());
            }
            if !is_admin
                && group.participants.iter().filter(|(_, participant)| participant.admin).count() == 1
            {
                return Err(Error::Conflict("A group needs an admin. Make someone else an admin first."));
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
            let limit = limits::changes(group.meta.participant_count);
            let transaction = self.charged(caller, &limit, bucket, writes)?;
            match self.commit_and_publish(transaction, events, attempts.began()).await? {
                Commit::Done(delivery) => return Ok(delivery),
                Commit::Refused(refusals) => bucket.learn(&refusals, &limit),
            }
            attempts.refused().await?;
        }
    }
}
