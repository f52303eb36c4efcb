//! Pages of messages, with their read states.

use async_recursion::async_recursion as boxed;
use domain::conversation::Row;
use domain::error::Error;
use domain::id::{ConversationId, Stamp, UserId};
use domain::links::Links;
use domain::message::{Message, MessageView};
use domain::page_size::PageSize;

use crate::client::Store;
use crate::messages::{PageBounds, is_hidden_by, read, stamp_of};
use crate::reads::Reads;

/// A page of messages in ascending order.
pub struct PageOfMessages {
    /// The reader's row, as it was read with the page.
    pub row: Row,
    /// The messages that the reader may see.
    pub messages: Vec<Message>,
    /// The watermarks that say who has read the messages, and when.
    pub reads: Reads,
    /// The last message that the page covers, visible or not: the next page begins after it. `None` at the end.
    pub rest: Option<Stamp>,
}

impl PageOfMessages {
    /// Leaves out the messages for which there is no room: the newest ones if the pages go forward, else the oldest.
    fn cut_to_size(mut self, reader: &UserId, forward: bool, links: &Links) -> Self {
        let bounds = self.messages.iter().map(Message::size_bound);
        if bounds.sum::<Option<usize>>().is_some_and(|bound| bound <= PageSize::MAX) {
            return self;
        }
        let mut size = PageSize::default();
        let mut takes =
            |message: &&Message| size.takes(&message.shown_to(reader, &self.reads.state_of(message), links));
        let count = if forward {
            self.messages.iter().take_while(&mut takes).count()
        } else {
            self.messages.iter().rev().take_while(&mut takes).count()
        };
        if count < self.messages.len() {
            if forward {
                self.messages.truncate(count);
            } else {
                self.messages.drain(..self.messages.len() - count);
            }
            let end = if forward { self.messages.last() } else { self.messages.first() };
            self.rest = end.map(|message| message.id.stamp);
        }
        self
    }

    /// The messages as the reader sees them.
    #[must_use]
    pub fn shown_to(&self, reader: &UserId, links: &Links) -> Vec<MessageView> {
        let shown = |message: &Message| message.shown_to(reader, &self.reads.state_of(message), links);
        self.messages.iter().map(shown).collect()
    }
}

impl Store {
    /// Returns a page of a conversation, of at most [`PageSize::MAX`] bytes; `None` if the reader does not take part.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn page(
        &self,
        reader: &UserId,
        conversation: &ConversationId,
        bounds: PageBounds,
    ) -> Result<Option<PageOfMessages>, Error> {
        let bounds = self.without_large_offset(conversation, bounds).await?;
        let (row, found, mut reads) = tokio::try_join!(
            self.row(reader, conversation),
            self.messages_in(conversation, bounds),
            self.reads_about(conversation, bounds)
        )?;
        let Some(row) = row else { return Ok(None) };
        let (items, more) = found;
        let end = items.last().map(stamp_of).transpose()?;
        // Everything older than a cleared message is cleared, too.
        let rest = end.filter(|end| more && (bounds.after.is_some() || row.shows(*end)));
        let visible = items.iter().filter(|item| !is_hidden_by(item, reader));
        let mut messages = visible.map(read).collect::<Result<Vec<_>, _>>()?;
        messages.retain(|message| row.shows(message.id.stamp));
        if bounds.after.is_none() {
            messages.reverse();
        }
        reads.set_direct_watermarks(reader, &row);
        self.complete_reads(&mut reads, conversation, &messages).await?;
        self.mark_own_reactions(reader, messages.iter_mut()).await?;
        let page = PageOfMessages { row, messages, reads, rest };
        Ok(Some(page.cut_to_size(reader, bounds.after.is_some(), &self.links)))
    }
}
