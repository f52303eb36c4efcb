//! Changing a group's or room's name, description, picture and custom data.

use async_recursion::async_recursion as boxed;
use domain::conversation::{Description, Meta, SMALL};
use domain::custom::Custom;
use domain::delivery::{Delivery, OutgoingEvent};
use domain::error::Error;
use domain::event::Event;
use domain::id::{ConversationId, ConversationKind, UserId};
use domain::limits;
use domain::name::{Name, Picture};
use serde_json::{Map, Value, json};

use crate::attempts::Attempts;
use crate::change_log::{self, Change};
use crate::client::Store;
use crate::item::full_at;
use crate::participants::Group;
use crate::transact::{Commit, Transaction};
use crate::write::Write;
use crate::{inbox, room_names};

/// A change of a group's or room's details. `None` leaves a detail as it is, `Some(None)` removes it.
#[derive(Debug, Clone, Default)]
pub struct Details {
    /// The name, which cannot be removed.
    pub name: Option<Name>,
    /// The description.
    pub description: Option<Option<Description>>,
    /// The picture.
    pub picture: Option<Option<Picture>>,
    /// Data of the application.
    pub custom: Option<Option<Custom>>,
}

impl Details {
    /// Returns the details that differ from the current ones, under the API's field names.
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
        if let Some(custom) = self.custom.as_ref().filter(|custom| **custom != meta.custom) {
            changes.insert("custom".to_owned(), json!(custom.as_ref().map(Custom::json)));
        }
        changes
    }

    fn set_in_meta(&self, meta: Write) -> Write {
        let meta = match &self.description {
            Some(Some(description)) => meta.set("description", &String::from(description.clone())),
            Some(None) => meta.remove("description"),
            None => meta,
        };
        let meta = match &self.custom {
            Some(Some(custom)) => meta.set("custom", custom.json()),
            Some(None) => meta.remove("custom"),
            None => meta,
        };
        self.set_in_row(meta)
    }

    /// Sets the name and the picture, which rows hold as well.
    fn set_in_row(&self, row: Write) -> Write {
        let row = row.set_some("name", self.name.as_ref());
        match &self.picture {
            Some(Some(picture)) => row.set("picture", picture),
            Some(None) => row.remove("picture"),
            None => row,
        }
    }
}

/// Identifies a write in a refusal.
#[derive(Clone, Default, PartialEq)]
enum Target {
    /// The list entry that guards a room's name.
    RoomName,
    /// The caller's `TOTALS`, which hold the bucket of changes.
    Totals,
    #[default]
    Other,
}

impl Store {
    /// Checks that the caller is an admin of a group or room.
    ///
    /// # Errors
    /// `NotAParticipant`, `NotAnAdmin`.
    #[boxed]
    pub async fn require_admin(&self, caller: &UserId, conversation: &ConversationId) -> Result<(), Error> {
        self.not_direct(caller, conversation).await?;
        let row = self.row(caller, conversation).await?.ok_or(Error::NotAParticipant)?;
        if row.admin { Ok(()) } else { Err(Error::NotAnAdmin) }
    }

    /// Changes a group's or room's name, description, picture or custom data. Also returns the picture that the change has replaced.
    ///
    /// # Errors
    /// `NotAParticipant`, `NotAnAdmin`, `AlreadyExists` if another room has the name, `RateLimited`.
    #[boxed]
    pub async fn change_details(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        details: &Details,
    ) -> Result<(Delivery, Option<Picture>), Error> {
        self.not_direct(caller, conversation).await?;
        let mut attempts = Attempts::new(&self.turns, conversation);
        let mut bucket_full_at = None;
        loop {
            let group = self.group(conversation, SMALL, true).await?.ok_or(Error::NotAParticipant)?;
            Group::require_admin(self.part_in(&group, conversation, caller).await?.as_ref())?;
            let changes = details.changes(&group.meta);
            if changes.is_empty() {
                return Ok((Delivery::default(), None));
            }
            let is_replaced = changes.contains_key("photo_url");
            let is_in_rows = is_replaced || changes.contains_key("name");
            let at = self.clock.stamp_above(Some(group.meta.latest_event));
            let seq = group.meta.seq + 1;
            let mut transaction = Transaction::new();
            transaction.add(Target::Other, details.set_in_meta(group.change(conversation, at.plus(1))));
            if self.limited {
                let limit = limits::changes(group.meta.participant_count);
                let totals = Write::update(inbox::totals_key(caller));
                transaction.add(Target::Totals, self.limit(totals, &limit, bucket_full_at)?);
            }
            let mut events = Vec::new();
            if conversation.kind() == ConversationKind::Room
                && let Some(name) = &details.name
            {
                let renaming = self.renaming_room(conversation, &group.meta.name, name).await?;
                transaction.add_all(Target::RoomName, renaming);
            }
            if group.is_large() {
                let change = Change::Updated { changes: Value::Object(changes).to_string() };
                let entry = change_log::entry(conversation, seq, &change, self.clock.now())?;
                transaction.add(Target::Other, entry);
            } else {
                for (user, _) in &group.participants {
                    let row = Write::update(inbox::key(user, conversation)).if_present("pk");
                    if is_in_rows {
                        transaction.add(Target::Other, details.set_in_row(row));
                    }
                    let event = Event::ConversationUpdated {
                        conversation: conversation.clone(),
                        changes: changes.clone(),
                        version: seq,
                    };
                    events.push(OutgoingEvent::new(user.clone(), at.plus(1), event));
                }
            }
            match self.commit_and_publish(transaction, events, attempts.began()).await? {
                Commit::Done(delivery) => {
                    let replaced = group.meta.picture.filter(|_| is_replaced);
                    return Ok((delivery, replaced));
                }
                // If `META` was refused as well, it has changed: check the name again, against the new state.
                Commit::Refused(refusals) => {
                    if refusals.iter().all(|(target, _)| *target == Target::RoomName) {
                        return Err(room_names::TAKEN);
                    }
                    let totals = refusals.into_iter().find(|(target, _)| *target == Target::Totals);
                    if let Some((_, item)) = totals {
                        bucket_full_at = item.and_then(|item| full_at(&item, &limits::CHANGES));
                    }
                    attempts.refused().await?;
                }
            }
        }
    }
}
