//! Pages of messages, with who has read them.

use async_recursion::async_recursion as boxed;
use domain::conversation::Row;
use domain::error::Error;
use domain::id::{ConversationId, Stamp, UserId};
use domain::message::{Message, MessageView};

use crate::client::Store;
use crate::messages::{PageBounds, is_hidden_by, read, stamp_of};
use crate::reads::Reads;

/// A page of messages in ascending order.
pub struct PageOfMessages {
    /// The reader's row, as it stood.
    pub row: Row,
    /// The messages that the reader may see.
    pub messages: Vec<Message>,
    /// When they were read.
    pub reads: Reads,
    /// Where the page's direction goes on, if it may: at the last message that was read, shown or not.
    pub rest: Option<Stamp>,
}

impl PageOfMessages {
    /// The messages as the reader sees them.
    #[must_use]
    pub fn shown_to(&self, reader: &UserId) -> Vec<MessageView> {
        let shown = |message: &Message| message.shown_to(reader, &self.reads.state_of(message));
        self.messages.iter().map(shown).collect()
    }
}

impl Store {
    /// A page of a conversation; `None` where it is not the reader's.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    #[boxed]
    pub async fn page(
        &self,
        reader: &UserId,
        conversation: &ConversationId,
        bounds: PageBounds,
    ) -> Result<Option<PageOfMessages>, Error> {
        let (row, found, mut reads) = tokio::try_join!(
            self.row(reader, conversation),
            self.messages_in(conversation, bounds),
            self.reads_about(conversation, bounds)
        )?;
        let Some(row) = row else { return Ok(None) };
        let (items, more) = found;
        let end = items.last().map(stamp_of).transpose()?;
        // Going back, a message that is cleared has only cleared ones before it.
        let rest = end.filter(|end| more && (bounds.after.is_some() || row.shows(*end)));
        let shown = items.into_iter().filter(|item| !is_hidden_by(item, reader));
        let mut messages = shown.map(read).collect::<Result<Vec<_>, _>>()?;
        messages.retain(|message| row.shows(message.id.stamp));
        if bounds.after.is_none() {
            messages.reverse();
        }
        reads.know(reader, &row);
        self.complete_reads(&mut reads, conversation, &messages).await?;
        Ok(Some(PageOfMessages { row, messages, reads, rest }))
    }
}
