//! Which files messages and owners of pictures hold, for the sweep of those that nothing holds.
//!
//! Invariant: what this does not report is held by nothing. A file belongs to its message also while the message is
//! deleted and can be restored.

use std::collections::BTreeSet;

use async_recursion::async_recursion as boxed;
use domain::error::Error;
use domain::id::{ConversationId, Stamp, UserId};
use domain::name::Picture;

use crate::client::Store;
use crate::messages::{self, PageBounds};

/// The files that the messages of a page hold.
#[derive(Debug)]
pub struct HeldFiles {
    /// The files.
    pub files: BTreeSet<Stamp>,
    /// The last message of the page, if there are more behind it.
    pub next: Option<Stamp>,
}

impl Store {
    /// Returns the files of up to `limit` messages behind a stamp, the oldest first.
    ///
    /// # Errors
    /// `Unavailable` if a message is being restored, or if the database is unavailable.
    #[boxed]
    pub async fn held_files(
        &self,
        conversation: &ConversationId,
        after: Stamp,
        limit: usize,
    ) -> Result<HeldFiles, Error> {
        let bounds = PageBounds { after: Some(after), limit, ..PageBounds::default() };
        let (items, more) = self.messages_in(conversation, bounds).await?;
        let messages = items.iter().map(messages::read).collect::<Result<Vec<_>, _>>()?;
        let next = messages.last().filter(|_| more).map(|last| last.id.stamp);
        let mut files = BTreeSet::new();
        for message in messages {
            files.extend(message.files().map(|file| file.stamp));
            if message.is_deleted() {
                files.extend(self.files_of_deleted(&message).await?.into_iter().map(|file| file.stamp));
            }
        }
        Ok(HeldFiles { files, next })
    }

    /// Returns the picture of a group or room or, if `owner` is none, of the user.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn picture_of(&self, owner: &ConversationId, user: &UserId) -> Result<Option<Picture>, Error> {
        Ok(if owner.is_direct() {
            self.profile(user).await?.and_then(|profile| profile.picture)
        } else {
            self.meta(owner).await?.and_then(|meta| meta.picture)
        })
    }
}
