//! Creating groups.

use std::collections::BTreeSet;

use async_recursion::async_recursion as boxed;
use domain::caller::Caller;
use domain::conversation::{MAX_PARTICIPANTS, Meta, Row, SMALL};
use domain::delivery::Delivery;
use domain::error::Error;
use domain::id::{ConversationId, ConversationKind, UserId, digest_of};
use domain::limits;
use domain::name::Name;
use tokio::time::Instant;

use crate::client::Store;
use crate::item::full_at;
use crate::membership::{self, JOINS_AT_ONCE, too_many};
use crate::opening::Opened;
use crate::transact::{Commit, Transaction, refused_item};
use crate::write::Write;
use crate::{inbox, participants};

/// A group to create.
#[derive(Debug, Clone)]
pub struct NewGroup {
    /// The name.
    pub name: Name,
    /// The participants, without the creator.
    pub participants: Vec<UserId>,
    /// The client's idempotency key: the same key of the same creator returns the same group.
    pub client_id: Option<String>,
}

/// Identifies a write of a new group in a refusal.
#[derive(Clone, Default, PartialEq)]
enum Target {
    /// The creator's totals, which hold the bucket of new conversations.
    CreatorsTotals,
    #[default]
    Other,
}

impl Store {
    /// Creates a group with the caller as its admin.
    ///
    /// # Errors
    /// `NotFound` if a participant does not exist, `Blocked` if one of them has blocked the caller, `Invalid` if there
    /// are too many, `NotAParticipant` if the caller has left the group with that client id, `Conflict` if the group with
    /// that client id is unfinished and was to have other participants, `RateLimited`.
    #[boxed]
    pub async fn create_group(&self, caller: &Caller, new: NewGroup) -> Result<Opened, Error> {
        let began = Instant::now();
        let others: Vec<UserId> = {
            // In the order of their ids, so that a retry adds the same ones last.
            let users: BTreeSet<UserId> = new.participants.into_iter().collect();
            users.into_iter().filter(|user| *user != caller.user).collect()
        };
        let people = others.len() as u64 + 1;
        if people > MAX_PARTICIPANTS {
            return Err(too_many("participant_ids"));
        }
        let client_id = new.client_id.as_deref();
        let conversation = client_id.map_or_else(
            || ConversationId::new(ConversationKind::Group),
            |id| ConversationId::group(&caller.user, id),
        );
        if let Some(opened) = self.existing_group(caller, &conversation, &others).await? {
            return Ok(opened);
        }
        self.check_may_add(caller, &others, "participant_ids").await?;
        self.ensure_user(caller).await?;
        let mut bucket_full_at = None;
        loop {
            let (now, at) = (self.clock.now(), self.clock.stamp());
            let initial_count = people.min(SMALL as u64);
            let is_large = people > SMALL as u64;
            let meta = Meta {
                participant_count: initial_count,
                large_since: is_large.then_some(2),
                unfinished: is_large,
                asked: is_large.then(|| digest_of(&others)),
                ..Meta::new(new.name.clone(), caller.user.clone(), now, at.plus(1))
            };
            let mut transaction = Transaction::new();
            let meta_write = Write::put(participants::meta_key(&conversation), &meta)?.if_missing("pk");
            transaction.add(Target::Other, meta_write);
            let mut events = Vec::new();
            let row = Row { participant_count: people, seq: meta.seq, ..meta.new_row(at) };
            let own = Row { admin: true, ..row.clone() };
            for user in [&caller.user].into_iter().chain(&others).take(SMALL) {
                let is_creator = *user == caller.user;
                let row = if is_creator { &own } else { &row };
                let (joins, event) = membership::joining(&conversation, user, row, false, now, at.plus(1))?;
                transaction.add_all(Target::Other, joins);
                let count = inbox::count_rows(user, 1);
                if is_creator {
                    let limit = limits::new_conversation(people);
                    let count = self.limit(count, &limit, bucket_full_at)?;
                    transaction.add(Target::CreatorsTotals, count);
                } else {
                    transaction.add(Target::Other, count);
                }
                events.push(event);
            }
            match self.commit_and_publish(transaction, events, began).await? {
                Commit::Done(mut delivery) => {
                    delivery.extend(self.add_remaining(caller, &conversation, &others).await?);
                    return Ok(Opened { conversation, row: own, is_new: true, delivery });
                }
                Commit::Refused(refusals) => {
                    if let Some(opened) = self.existing_group(caller, &conversation, &others).await? {
                        return Ok(opened);
                    }
                    let totals = refused_item(refusals, &Target::CreatorsTotals);
                    bucket_full_at = totals.and_then(|item| full_at(&item, &limits::CONVERSATIONS));
                }
            }
        }
    }

    /// Returns the group that an earlier call with the same client id created; adds the remaining participants if that
    /// call died half-way.
    async fn existing_group(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        others: &[UserId],
    ) -> Result<Option<Opened>, Error> {
        let (meta, row) = tokio::try_join!(self.meta(conversation), self.row(&caller.user, conversation))?;
        let Some(meta) = meta else { return Ok(None) };
        let row = row.ok_or(Error::NotAParticipant)?;
        let delivery = if meta.unfinished {
            if meta.asked.is_some_and(|asked| asked != digest_of(others)) {
                return Err(Error::Conflict(
                    "A group with this client id and other participants is being created.",
                ));
            }
            // The call that died has checked them, but they may have blocked the caller since.
            self.check_may_add(caller, others, "participant_ids").await?;
            self.add_remaining(caller, conversation, others).await?
        } else {
            Delivery::default()
        };
        Ok(Some(Opened { conversation: conversation.clone(), row, is_new: false, delivery }))
    }

    /// Adds the participants that did not fit into the transaction that created the group.
    async fn add_remaining(
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
        for users in others[SMALL - 1..].chunks(JOINS_AT_ONCE) {
            delivery.extend(self.add_some(&caller.user, conversation, users, Some(people), 0).await?);
        }
        let done = Write::update(participants::meta_key(conversation))
            .remove("unfinished")
            .remove("asked")
            .if_present("pk");
        self.commit(vec![done].into(), Instant::now()).await?;
        Ok(delivery)
    }
}
