//! Overviews: a conversation and its participants, as one of them sees it.

use std::collections::HashMap;

use async_recursion::async_recursion as boxed;
use domain::conversation::{Description, Row};
use domain::custom::Custom;
use domain::error::Error;
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::name::{Name, Picture};
use domain::time::Timestamp;
use domain::user::Profile;
use schemars::JsonSchema;
use serde::Serialize;

use crate::client::Store;

/// A participant of a conversation.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Participant")]
pub struct ParticipantView {
    /// The participant's id.
    pub user_id: UserId,
    name: Option<Name>,
    photo_url: Option<Picture>,
    is_admin: bool,
    joined_at: Option<Timestamp>,
    last_read_message_id: Option<MessageId>,
    last_read_at: Option<Timestamp>,
}

/// A conversation with a page of its participants.
pub struct Overview {
    /// The caller's row.
    pub row: Row,
    /// The description of a group or room.
    pub description: Option<Description>,
    /// The custom data of a group or room.
    pub custom: Option<Custom>,
    /// The participants: in a group or room ordered by id, in a direct conversation the caller first.
    pub participants: Vec<ParticipantView>,
    /// The `after` of the next page; `None` at the end.
    pub next: Option<UserId>,
}

impl ParticipantView {
    /// A participant of whom only the watermark is known.
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

impl Store {
    /// Returns the caller's row of a conversation, with up to `limit` participants after `after`. A direct conversation
    /// always has both.
    ///
    /// # Errors
    /// `NotAParticipant` if the caller does not take part.
    #[boxed]
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
            let peer = row.peer.as_ref().ok_or_else(|| Error::internal("a direct row without a peer"))?;
            let read_at = async |user, other, read: Option<Stamp>| match read {
                Some(read) => self.moved_at(conversation, read, user, other).await,
                None => Ok(None),
            };
            let views = [(caller, row.read), (peer, row.peer_read)]
                .map(|(user, read)| ParticipantView::of(user.clone(), read.map(message)));
            let (mut participants, own, peers) = tokio::try_join!(
                self.with_names(views.into()),
                read_at(caller, peer, row.read),
                read_at(peer, caller, row.peer_read)
            )?;
            for (participant, at) in participants.iter_mut().zip([own, peers]) {
                participant.last_read_at = at;
            }
            if let Some(peer) = participants.last_mut().filter(|_| row.is_blocked()) {
                // The row keeps the name from before the block.
                (peer.name, peer.photo_url) = (row.name.clone(), row.picture.clone());
            }
            return Ok(Overview { row, description: None, custom: None, participants, next: None });
        }
        let (row, meta, (people, more)) = tokio::try_join!(
            self.row(caller, conversation),
            self.meta(conversation),
            self.participants_after(conversation, after.as_ref(), limit)
        )?;
        let (Some(row), Some(meta)) = (row, meta) else { return Err(Error::NotAParticipant) };
        let next = people.last().filter(|_| more).map(|(user, _)| user.clone());
        let views = people.into_iter().map(|(user, participant)| ParticipantView {
            is_admin: participant.admin,
            joined_at: Some(participant.joined_at),
            last_read_at: participant.read_at.map(Timestamp::from_millis),
            ..ParticipantView::of(user, participant.read.map(message))
        });
        let participants = self.with_names(views.collect()).await?;
        let (description, custom) = (meta.description.clone(), meta.custom.clone());
        Ok(Overview { row: row.with_meta(meta), description, custom, participants, next })
    }

    /// Returns the caller's row of a group or room with the current name, picture and number of participants. In a
    /// large conversation the stored row may lag behind them.
    ///
    /// # Errors
    /// `NotAParticipant` if the caller does not take part.
    #[boxed]
    pub async fn current_row(&self, caller: &UserId, conversation: &ConversationId) -> Result<Row, Error> {
        let (row, meta) = tokio::try_join!(self.row(caller, conversation), self.meta(conversation))?;
        let (Some(row), Some(meta)) = (row, meta) else { return Err(Error::NotAParticipant) };
        Ok(row.with_meta(meta))
    }

    /// Fills in the participants' names and pictures.
    async fn with_names(&self, mut views: Vec<ParticipantView>) -> Result<Vec<ParticipantView>, Error> {
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
