//! Rooms: conversations with unique names that anyone may join.
//!
//! Invariant: a room has exactly one entry in the list of rooms, keyed by its folded name, so its name is unique. Further
//! entries, which the list does not show, reserve what the name looks like. A room with participants has exactly one
//! admin, its owner: its creator, the longest-standing participant when the owner leaves, or the first who joins an
//! empty room.

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

use crate::attempts::Attempts;
use crate::change_log::{self, Change};
use crate::charging::KnownBucket;
use crate::client::Store;
use crate::database::query_prefixed;
use crate::item::{Key, from_item, full_at, text};
use crate::messages::StoredMessage;
use crate::opening::Opened;
use crate::participants::Group;
use crate::transact::{Commit, Transaction, refused_item};
use crate::write::Write;
use crate::{inbox, participants, profiles, room_names};

/// The number of earlier messages that a user who joins can see.
const HISTORY: usize = 100;
/// Users whose presence is read in parallel.
const PRESENCES_AT_ONCE: usize = 50;

/// Identifies the writes of a new room in a refusal.
#[derive(Clone, Default, PartialEq)]
enum Target {
    /// The creator's `TOTALS`, which hold the bucket that limits new conversations.
    Totals,
    /// The list entry that reserves the room's name.
    RoomName,
    #[default]
    Other,
}

/// A room in the list of rooms.
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

/// The end of a page of the list of rooms.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoomPosition(String);

/// A participant of a room.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RoomUser {
    user_id: UserId,
    name: Option<Name>,
    photo_url: Option<Picture>,
    status: Status,
}

/// The end of a page of a room's users: whether the last one appears offline, and their id.
pub type RoomUserPosition = (bool, UserId);

impl Store {
    /// Creates a room with the caller as its admin.
    ///
    /// # Errors
    /// `AlreadyExists` if another room has the name or one that looks like it, `NotAuthenticated` if the caller's account was deleted,
    /// `RateLimited`.
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
            let participant =
                Participant { admin: true, joined_at: now, from: None, read: None, read_at: None };
            let count = inbox::count_rows(&caller.user, 1);
            let mut transaction = Transaction::new();
            transaction.add(Target::Totals, self.limit(count, &limits::CONVERSATIONS, bucket_full_at)?);
            transaction.add_all(Target::RoomName, room_names::taking(name, &conversation)?);
            transaction.add_all(
                Target::Other,
                [
                    Write::put(participants::meta_key(&conversation), &meta)?.if_missing("pk"),
                    Write::put(participants::key(&conversation, &caller.user), &participant)?,
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
                        // It may be this very room, created by an earlier attempt whose response was lost.
                        let row = self.row(&caller.user, &conversation).await?.ok_or(room_names::TAKEN)?;
                        let delivery = self.delivery_of(events).await;
                        return Ok(Opened { conversation, row, is_new: true, delivery });
                    }
                    let totals = refused_item(refusals, &Target::Totals);
                    bucket_full_at = totals.and_then(|item| full_at(&item, &limits::CONVERSATIONS));
                }
            }
        }
    }

    /// Returns a page of all rooms, ordered by folded name.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn rooms(
        &self,
        caller: &UserId,
        after: Option<RoomPosition>,
        limit: usize,
    ) -> Result<(Vec<RoomView>, Option<RoomPosition>), Error> {
        let start = after.map(|position| Key { pk: room_names::LIST.into(), sk: position.0 }.attributes());
        let query = room_names::without_looks(query_prefixed(room_names::LIST, "N#"));
        let query = query.consistent_read(true).set_exclusive_start_key(start);
        let (entries, more) = self.query_up_to(query, limit).await?;
        let next = entries.last().filter(|_| more).map(|item| text(item, "sk")).transpose()?;
        let next = next.map(|sk| RoomPosition(sk.into_owned()));
        let ids = entries.iter().map(|item| Ok(from_item::<room_names::Entry>(item)?.conversation));
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
            let Some(meta) = find(&room).map(from_item::<Meta>).transpose()? else { continue };
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

    /// Joins a room. Its last 100 messages become visible and count as read. Whoever joins an empty room owns it. Joining
    /// again changes nothing.
    ///
    /// # Errors
    /// `NotFound` if there is no such room, `Conflict` if it is full, `NotAuthenticated` if the caller's account was
    /// deleted, `RateLimited`.
    #[boxed]
    pub async fn join(&self, caller: &Caller, room: &ConversationId) -> Result<Opened, Error> {
        let mut attempts = Attempts::new(&self.turns, room);
        let unknown = || Error::NotFound("There is no such room.");
        if room.kind() != ConversationKind::Room {
            return Err(unknown());
        }
        self.ensure_user(caller).await?;
        let own = [participants::key(room, &caller.user), inbox::key(&caller.user, room)];
        let mut bucket = KnownBucket::default();
        // The group as it is now, and the messages as they were with an earlier `META`.
        let (mut current, mut earlier): (Option<Group>, Option<(Meta, Vec<StoredMessage>)>) = (None, None);
        loop {
            let group = if let Some(group) = current.take() {
                group
            } else {
                let (group, row) =
                    tokio::try_join!(self.group(room, SMALL, true), self.row(&caller.user, room))?;
                if let Some(row) = row {
                    let conversation = room.clone();
                    return Ok(Opened { conversation, row, is_new: false, delivery: Delivery::default() });
                }
                group.ok_or_else(unknown)?
            };
            if group.meta.participant_count >= MAX_PARTICIPANTS {
                return Err(Error::Conflict("The room is full."));
            }
            let history = match earlier.take().filter(|(meta, _)| have_equal_messages(meta, &group.meta)) {
                Some((_, history)) => history,
                // Read after the group: if anything changes in between, the condition on `seq` fails.
                None => self.messages_below(room, None, HISTORY + 1).await?,
            };
            let newest = history.first().map(|stored| stored.message.id.stamp);
            let (is_current, mut has_joined) = (newest == group.meta.newest_message, false);
            if is_current {
                let (writes, row, events) = self.entering(&caller.user, room, &group, &history)?;
                let limit = limits::changes(group.meta.participant_count + 1);
                let transaction = self.charged(&caller.user, &limit, bucket, writes)?;
                match self.commit_and_publish(transaction, events, attempts.began()).await? {
                    Commit::Done(delivery) => {
                        return Ok(Opened { conversation: room.clone(), row, is_new: true, delivery });
                    }
                    Commit::Refused(refusals) => {
                        bucket.learn(&refusals, &limit);
                        let mut found = refusals.iter().filter_map(|(_, item)| item.as_ref());
                        has_joined = found.any(|item| own.iter().any(|key| key.is_of(item)));
                    }
                }
            }
            attempts.refused().await?;
            // In a large room, joining needs no other participant.
            if group.is_large() && !has_joined {
                let meta = self.meta(room).await?.ok_or_else(unknown)?;
                earlier = is_current.then(|| (group.meta.clone(), history));
                current = Some(Group { meta, ..group });
            }
        }
    }

    /// Returns the writes and events of a user who joins a room with these newest messages, and the user's row.
    fn entering(
        &self,
        user: &UserId,
        room: &ConversationId,
        group: &Group,
        history: &[StoredMessage],
    ) -> Result<(Vec<Write>, Row, Vec<OutgoingEvent>), Error> {
        let at = self.clock.stamp_above(Some(group.meta.latest_event));
        // A former participant may have deleted some of these messages for themselves.
        let last = history.iter().take(HISTORY).find(|stored| !stored.is_hidden_by(user));
        let people = group.meta.participant_count + 1;
        let row = Row {
            admin: people == 1,
            cleared: history.get(HISTORY).map(|stored| stored.message.id.stamp),
            head: group.meta.newest_message,
            read: group.meta.newest_message,
            last_id: last.map(|stored| stored.message.id.stamp),
            last_text: last.map(|stored| stored.message.preview()),
            last_kind: last.map(|stored| stored.message.kind()),
            last_mine: last.is_some_and(|stored| stored.message.sender == *user),
            ..group.new_row(at, people)
        };
        let (mut writes, events) =
            self.adding(room, group, vec![(user.clone(), row.clone())], Some(user), at)?;
        let shown = last.filter(|stored| Some(stored.message.id.stamp) != group.meta.newest_message);
        if let Some(stored) = shown {
            writes.push(stored.shown_by(user)?);
        }
        Ok((writes, row, events))
    }

    /// Deletes a room for everyone in it.
    ///
    /// # Errors
    /// `NotFound` if there is no such room, `NotAnAdmin` if the caller is not its owner.
    #[boxed]
    pub async fn delete_room(&self, caller: &UserId, room: &ConversationId) -> Result<Delivery, Error> {
        let mut attempts = Attempts::new(&self.turns, room);
        loop {
            let group = match room.kind() {
                ConversationKind::Room => self.group(room, SMALL, true).await?,
                _ => None,
            };
            let group = group.ok_or(Error::NotFound("There is no such room."))?;
            let me = self.part_in(&group, room, caller).await?;
            if !me.is_some_and(|participant| participant.admin) {
                return Err(Error::NotAnAdmin);
            }
            let at = self.clock.stamp_above(Some(group.meta.latest_event));
            let mut writes = vec![group.change(room, at.plus(2)).set("deleted", &true).add("members", 1)];
            writes.extend(self.deleting_room_name(room, &group.meta.name).await?);
            let mut events: Vec<OutgoingEvent> = Vec::new();
            if group.is_large() {
                let change = Change::Closed;
                writes.push(change_log::entry(room, group.meta.seq + 1, &change, self.clock.now())?);
            } else {
                let keys = group.participants.iter().map(|(user, _)| inbox::key(user, room));
                let rows = self.get_all(keys.collect()).await?;
                for item in rows {
                    let (user, row) = (profiles::owner(&item)?, from_item::<Row>(&item)?);
                    writes.push(Write::delete(participants::key(room, &user)));
                    let delete_row = Write::delete(inbox::key(&user, room)).if_present("pk");
                    writes.push(delete_row.if_still("activity", row.activity.as_ref()));
                    writes.extend(inbox::recount(&user, row.list(), None));
                    let event = Event::ConversationDeleted { conversation: room.clone() };
                    events.push(OutgoingEvent::new(user, at.plus(2), event));
                }
            }
            if let Commit::Done(delivery) =
                self.commit_and_publish(writes.into(), events, attempts.began()).await?
            {
                return Ok(delivery);
            }
            attempts.refused().await?;
        }
    }

    /// Returns a page of a room's users: those online first, then ordered by id. Users who have blocked the caller, or
    /// whom the caller has blocked, appear offline.
    ///
    /// # Errors
    /// `NotFound` if there is no such room.
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
        let lookups = group.participants.into_iter().map(|(user, _)| async {
            let status = self.presence_of(&user).await?.status();
            Ok::<_, Error>((user, status))
        });
        let mut lookups = stream::iter(lookups.collect::<Vec<_>>()).buffer_unordered(PRESENCES_AT_ONCE);
        let mut people = Vec::new();
        while let Some(found) = lookups.next().await {
            people.push(found?);
        }
        let online = people.iter().filter(|(_, status)| *status != Status::Offline).map(|(user, _)| user);
        let blocked = self.blocked_between(caller, online.collect()).await?;
        let mut people: Vec<_> = people
            .into_iter()
            .map(|(user, status)| {
                let status = if blocked.contains(&user) { Status::Offline } else { status };
                ((status == Status::Offline, user), status)
            })
            .collect();
        people.sort_by(|(a, _), (b, _)| a.cmp(b));
        people.retain(|(position, _)| after.as_ref().is_none_or(|after| position > after));
        let more = people.len() > limit;
        people.truncate(limit);
        let next = people.last().filter(|_| more).map(|(position, _)| position.clone());
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

    /// Returns the users who have blocked the caller or whom the caller has blocked.
    async fn blocked_between(&self, caller: &UserId, users: Vec<&UserId>) -> Result<HashSet<UserId>, Error> {
        let mut blocked = HashSet::new();
        let keys = users.iter().map(|user| inbox::key(caller, &ConversationId::direct(caller, user)));
        for row in self.items_by_keys(keys.collect(), true).await? {
            let row: Row = from_item(&row)?;
            blocked.extend(row.is_blocked().then_some(row.peer).flatten());
        }
        Ok(blocked)
    }
}

/// Whether a room has the same messages, unchanged, with two `META`: if only participants have changed in between, as
/// each change raises `seq`, and each of theirs also raises `members`.
fn have_equal_messages(earlier: &Meta, current: &Meta) -> bool {
    current.seq - earlier.seq == current.membership - earlier.membership
}
