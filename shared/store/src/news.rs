//! Finds the changes in a user's conversations, by the events in the user's queue.
//!
//! Invariant: a change of a conversation of up to 24 participants commits together with its events, so a consistent read
//! of the queue misses none, as long as it begins before every event that was not committed yet.

use std::collections::{BTreeSet, HashMap};

use domain::error::Error;
use domain::event::Event;
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::time::Timestamp;

use crate::client::Store;
use crate::database::query_between;
use crate::item::text;
use crate::queue::{self, QueuedEvent};

/// A row that has appeared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Appeared {
    /// It shows the messages above this one; `None`: all messages.
    pub(crate) above: Option<Stamp>,
}

/// The changes in one conversation.
#[derive(Debug, Default)]
pub(crate) struct ConversationNews {
    /// The messages that were edited or restored.
    pub(crate) edited: BTreeSet<Stamp>,
    /// The newest message that was sent or edited.
    pub(crate) newest: Option<Stamp>,
    /// The row has appeared.
    pub(crate) appeared: Option<Appeared>,
    /// Somebody has joined, so the conversation may have become large.
    pub(crate) has_grown: bool,
}

/// The changes in a user's conversations since a time.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub(crate) conversations: HashMap<ConversationId, ConversationNews>,
    /// The bytes of the events.
    pub(crate) bytes: usize,
}

impl News {
    fn of(&mut self, conversation: ConversationId) -> &mut ConversationNews {
        self.conversations.entry(conversation).or_default()
    }

    fn add_message(&mut self, id: MessageId) {
        let news = self.of(id.conversation);
        news.newest = news.newest.max(Some(id.stamp));
    }

    /// Adds a changed message. It also counts as sent, because a deletion removes the event of the send.
    fn add_edit(&mut self, id: MessageId) {
        self.of(id.conversation.clone()).edited.insert(id.stamp);
        self.add_message(id);
    }

    fn add(&mut self, event: QueuedEvent) {
        match event {
            QueuedEvent::Created { created: id, .. } => self.add_message(id),
            QueuedEvent::Updated { updated: id, .. } => self.add_edit(id),
            QueuedEvent::Whole(Event::MessageCreated { message, .. }) => self.add_message(message.id),
            QueuedEvent::Whole(Event::MessageUpdated { message, .. }) => self.add_edit(message.id),
            QueuedEvent::Whole(Event::ConversationCreated { conversation, row }) => {
                let news = self.of(conversation);
                let above = news.appeared.map_or(row.cleared, |known| known.above.min(row.cleared));
                news.appeared = Some(Appeared { above });
            }
            QueuedEvent::Whole(Event::ParticipantJoined { conversation, .. }) => {
                self.of(conversation).has_grown = true;
            }
            QueuedEvent::Whole(_) => {}
        }
    }
}

impl Store {
    /// Returns what the events in a user's queue say of their conversations, from a time on.
    pub(crate) async fn news_since(&self, user: &UserId, since: Timestamp) -> Result<News, Error> {
        let low = queue::sort_key(Stamp::first_of(since));
        let query = query_between(&queue::partition(user), &low, queue::END);
        let query = query.consistent_read(true).projection_expression("event");
        let mut news = News::default();
        for item in self.query_all(query).await? {
            let event = text(&item, "event")?;
            news.bytes += event.len();
            news.add(serde_json::from_str(&event).map_err(Error::internal)?);
        }
        Ok(news)
    }
}
