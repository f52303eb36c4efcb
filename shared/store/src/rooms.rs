//! Rooms: conversations that anyone may join, by names that are unique.
//!
//! Invariant: a room has one entry in the list, whose key is its folded name; so the entry guards the name.

use std::collections::HashSet;

use async_recursion::async_recursion as boxed;
use domain::caller::Caller;
use domain::conversation::{Description, MAX_PARTICIPANTS, Meta, Participant, Row, SMALL};
use domain::delivery::{Delivery, OutgoingEvent};
use domain::error::Error;
use domain::event::Event;
use domain::id::{ConversationId, ConversationKind, UserId};
use domain::limits;
use domain::name::{Name, Picture};
use domain::presence::Status;
use domain::time::Timestamp;
use futures_util::stream::{self, StreamExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::change_log::{self, Change};
use crate::client::Store;
use crate::item::{Key, Write, from_item, full_at, text};
use crate::opening::Opened;
use crate::transact::{Commit, Transaction};
use crate::{inbox, participants, profiles, room_names};

/// Messages that someone who joins is shown of what was before.
const HISTORY: usize = 100;
/// People whose presence is looked up side by side.
const LOOKS: usize = 50;

/// What a write of a new room is about.
#[derive(Clone, Default, PartialEq)]
enum Target {
    /// The creator's totals, which hold the bucket of new conversations.
    Totals,
    /// The list entry that guards the room's name.
    RoomName,
    #[default]
    Other,
}

/// A room as the list shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Room")]
pub struct RoomView {
    conversation_id: ConversationId,
    name: Name,
    description: Option<Description>,
    participant_count: u64,
    created_at: Timestamp,
    is_participant: bool,
}

/// Where a page of the list of rooms ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoomPosition(String);

/// Someone in a room.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RoomUser {
    user_id: UserId,
    name: Option<Name>,
    photo_url: Option<Picture>,
    status: Status,
}

/// Where a page of a room's people ended: whether they were offline, and who.
pub type RoomUserPosition = (bool, UserId);

impl Store {
    /// Makes a room, whose admin is its creator.
    ///
    /// # Errors
    /// `AlreadyExists` where there is a room of that name, `RateLimited`.
    #[boxed]
    pub async fn create_room(
        &self,
        caller: &Caller,
        name: &Name,
        description: Option<&Description>,
    ) -> Result<Opened, Error> {
        let began = Instant::now();
        self.ensure_user(caller).await?;
        let conversation = ConversationId::new(ConversationKind::Room);
        let mut bucket_full_at = None;
        loop {
            let (now, at) = (self.clock.now(), self.clock.stamp());
            let meta = Meta {
                description: description.cloned(),
                ..Meta::new(name.clone(), caller.user.clone(), now, at.plus(1))
            };
            let row = Row { admin: true, seq: meta.seq, ..meta.new_row(at) };
            let part = Participant { admin: true, joined_at: now, from: None, read: None, read_at: None };
            let count = inbox::count_rows(&caller.user, 1);
            let mut transaction = Transaction::new();
            transaction.add(Target::Totals, self.limit(count, &limits::CONVERSATIONS, bucket_full_at)?);
            transaction.add(Target::RoomName, room_names::taking(name, &conversation)?);
            transaction.add_all(
                Target::Other,
                [
                    Write::put(participants::meta_key(&conversation), &meta)?.if_missing("pk"),
                    Write::put(participants::key(&conversation, &caller.user), &part)?,
                    Write::put(inbox::key(&caller.user, &conversation), &row)?,
                ],
            );
            let event =
                Event::ConversationCreated { conversation: conversation.clone(), row: Box::new(row.clone()) };
            let events = vec![OutgoingEvent::new(caller.user.clone(), at.plus(1), event)];
            match self.commit_and_publish(transaction, events.clone(), began).await? {
                Commit::Done(delivery) => return Ok(Opened { conversation, row, is_new: true, delivery }),
                Commit::Refused(refusals) => {
                    if refusals.iter().any(|(target, _)| *target == Target::RoomName) {
                        // The room may be our own: from an attempt whose answer was lost.
                        let row = self.row(&caller.user, &conversation).await?.ok_or(room_names::TAKEN)?;
                        let delivery = self.delivery_of(events).await;
                        return Ok(Opened { conversation, row, is_new: true, delivery });
                    }
                    let totals = refusals.into_iter().find(|(target, _)| *target == Target::Totals);
                    let totals = totals.and_then(|(_, item)| item);
                    bucket_full_at = totals.and_then(|item| full_at(&item, &limits::CONVERSATIONS));
                }
            }
        }
    }

    /// A page of all rooms, in the order of their names.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    #[boxed]
    pub async fn rooms(
        &self,
        caller: &UserId,
        after: Option<RoomPosition>,
        limit: usize,
    ) -> Result<(Vec<RoomView>, Option<RoomPosition>), Error> {
        let start = after.map(|position| Key { pk: room_names::LIST.into(), sk: position.0 }.attributes());
        let query =
            self.prefixed(room_names::LIST, "N#").consistent_read(true).set_exclusive_start_key(start);
        let (entries, more) = self.query_up_to(query, limit).await?;
        let next = entries.last().filter(|_| more).map(|item| text(item, "sk")).transpose()?;
        let next = next.map(|sk| RoomPosition(sk.to_owned()));
        let ids = entries.into_iter().map(|item| Ok(from_item::<room_names::Entry>(item)?.conversation));
        let ids = ids.collect::<Result<Vec<_>, Error>>()?;
        let mut found = Vec::new();
        for ids in ids.chunks(50) {
            let keys = ids.iter().flat_map(|id| [participants::meta_key(id), inbox::key(caller, id)]);
            found.extend(self.get_all(keys.collect()).await?);
        }
        let mut rooms = Vec::with_capacity(ids.len());
        for id in ids {
            let (room, row) = (participants::meta_key(&id), inbox::key(caller, &id));
            let find = |key: &Key| found.iter().find(|item| key.is_of(item));
            let Some(meta) = find(&room).cloned().map(from_item::<Meta>).transpose()? else { continue };
            rooms.push(RoomView {
                conversation_id: id,
                name: meta.name,
                description: meta.description,
                participant_count: meta.participant_count,
                created_at: meta.created_at,
                is_participant: find(&row).is_some(),
            });
        }
        Ok((rooms, next))
    }

    /// Joins a room: its last 100 messages are shown, and count as read. Doing it again changes nothing.
    ///
    /// # Errors
    /// `NotFound` where there is no such room, `Conflict` where it is full.
    #[boxed]
    pub async fn join(&self, caller: &Caller, room: &ConversationId) -> Result<Opened, Error> {
        let began = Instant::now();
        let unknown = || Error::NotFound("There is no such room.");
        if room.kind() != ConversationKind::Room {
            return Err(unknown());
        }
        self.ensure_user(caller).await?;
        loop {
            let (group, row) = tokio::try_join!(self.group(room, SMALL, true), self.row(&caller.user, room))?;
            let group = group.ok_or_else(unknown)?;
            if let Some(row) = row {
                let conversation = room.clone();
                return Ok(Opened { conversation, row, is_new: false, delivery: Delivery::default() });
            }
            let people = group.meta.participant_count + 1;
            if people > MAX_PARTICIPANTS {
                return Err(Error::Conflict("The room is full."));
            }
            // After the group: what changes in between is not committed under its `seq`, and then read again.
            let history = self.messages_below(room, None, HISTORY + 1).await?;
            let newest = history.first().map(|stored| &stored.message);
            if newest.map(|message| message.id.stamp) != group.meta.newest_message {
                continue;
            }
            let at = self.clock.stamp_above(Some(group.meta.latest_event));
            // Who was there before may have deleted some of it for themselves.
            let last = history.iter().take(HISTORY).find(|stored| !stored.is_hidden_by(&caller.user));
            let row = Row {
                admin: group.meta.creator == caller.user,
                cleared: history.get(HISTORY).map(|stored| stored.message.id.stamp),
                head: group.meta.newest_message,
                read: group.meta.newest_message,
                last_id: last.map(|stored| stored.message.id.stamp),
                last_text: last.map(|stored| stored.message.preview()),
                last_mine: last.is_some_and(|stored| stored.message.sender == caller.user),
                ..group.new_row(at, people)
            };
            let rows = vec![(caller.user.clone(), row.clone())];
            let (mut writes, events) = self.adding(room, &group, rows, Some(&caller.user), at)?;
            if let Some(last) =
                last.filter(|stored| Some(stored.message.id.stamp) != group.meta.newest_message)
            {
                writes.push(last.shown_by(&caller.user));
            }
            if let Commit::Done(delivery) = self.commit_and_publish(writes.into(), events, began).await? {
                return Ok(Opened { conversation: room.clone(), row, is_new: true, delivery });
            }
        }
    }

    /// Deletes a room for everyone in it.
    ///
    /// # Errors
    /// `NotFound` where there is no such room, `NotAnAdmin` for everyone but its creator.
    #[boxed]
    pub async fn delete_room(&self, caller: &UserId, room: &ConversationId) -> Result<Delivery, Error> {
        let began = Instant::now();
        loop {
            let group = match room.kind() {
                ConversationKind::Room => self.group(room, SMALL, true).await?,
                _ => None,
            };
            let group = group.ok_or(Error::NotFound("There is no such room."))?;
            if group.meta.creator != *caller {
                return Err(Error::NotAnAdmin);
            }
            let at = self.clock.stamp_above(Some(group.meta.latest_event));
            let mut writes = vec![
                group.change(room, at.plus(2)).set("deleted", &true).add("members", 1),
                Write::delete(room_names::key(&group.meta.name)),
            ];
            let mut events: Vec<OutgoingEvent> = Vec::new();
            if group.is_large() {
                let change = Change::Closed;
                writes.push(change_log::entry(room, group.meta.seq + 1, &change, self.clock.now())?);
            } else {
                let keys = group.participants.iter().map(|(user, _)| inbox::key(user, room));
                let rows = self.get_all(keys.collect()).await?;
                for item in rows {
                    let (user, row) = (profiles::owner(&item)?, from_item::<Row>(item)?);
                    writes.push(Write::delete(participants::key(room, &user)));
                    let gone = Write::delete(inbox::key(&user, room)).if_present("pk");
                    writes.push(gone.if_still("activity", row.activity.as_ref()));
                    if row.activity.is_some() {
                        writes.push(inbox::count_rows(&user, -1));
                    }
                    let event = Event::ConversationDeleted { conversation: room.clone() };
                    events.push(OutgoingEvent::new(user, at.plus(2), event));
                }
            }
            if let Commit::Done(delivery) = self.commit_and_publish(writes.into(), events, began).await? {
                return Ok(delivery);
            }
        }
    }

    /// A page of who is in a room: those online first, then in the order of their ids. Only who has blocked the other, or
    /// was, shows as offline.
    ///
    /// # Errors
    /// `NotFound` where there is no such room.
    #[boxed]
    pub async fn room_users(
        &self,
        caller: &UserId,
        room: &ConversationId,
        after: Option<RoomUserPosition>,
        limit: usize,
    ) -> Result<(Vec<RoomUser>, Option<RoomUserPosition>), Error> {
        let group = match room.kind() {
            ConversationKind::Room => self.group(room, participants::ALL, false).await?,
            _ => None,
        };
        let group = group.ok_or(Error::NotFound("There is no such room."))?;
        let looks = group.participants.into_iter().map(|(user, _)| async {
            let status = self.presence_of(&user).await?.status();
            Ok::<_, Error>((user, status))
        });
        let mut looks = stream::iter(looks.collect::<Vec<_>>()).buffer_unordered(LOOKS);
        let mut people = Vec::new();
        while let Some(look) = looks.next().await {
            people.push(look?);
        }
        let there = people.iter().filter(|(_, status)| *status != Status::Offline).map(|(user, _)| user);
        let blocked = self.blocked_between(caller, there.collect()).await?;
        let mut people: Vec<_> = people
            .into_iter()
            .map(|(user, status)| {
                let status = if blocked.contains(&user) { Status::Offline } else { status };
                ((status == Status::Offline, user), status)
            })
            .collect();
        people.sort_by(|(a, _), (b, _)| a.cmp(b));
        people.retain(|(place, _)| after.as_ref().is_none_or(|after| place > after));
        let more = people.len() > limit;
        people.truncate(limit);
        let next = people.last().filter(|_| more).map(|(place, _)| place.clone());
        let users: Vec<&UserId> = people.iter().map(|((_, user), _)| user).collect();
        let profiles = self.profiles(&users).await?;
        let shown = people.iter().map(|((_, user), status)| {
            let profile = profiles.iter().find(|(id, _)| id == user).map(|(_, profile)| profile.clone());
            let (name, photo_url) =
                profile.map(|found| (found.shown_name(), found.picture)).unwrap_or_default();
            RoomUser { user_id: user.clone(), name, photo_url, status: *status }
        });
        Ok((shown.collect(), next))
    }

    /// Those of some users between whom and the caller a block stands.
    async fn blocked_between(&self, caller: &UserId, users: Vec<&UserId>) -> Result<HashSet<UserId>, Error> {
        let mut blocked = HashSet::new();
        for users in users.chunks(100) {
            let keys = users.iter().map(|user| inbox::key(caller, &ConversationId::direct(caller, user)));
            for row in self.get_all(keys.collect()).await? {
                let row: Row = from_item(row)?;
                blocked.extend(row.is_blocked().then_some(row.peer).flatten());
            }
        }
        Ok(blocked)
    }
}
