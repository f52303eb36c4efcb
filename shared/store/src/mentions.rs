//! Mentions: a message may mention only participants and, in a conversation of more than 24, only admins may mention
//! everyone.

use domain::content::Content;
use domain::conversation::SMALL;
use domain::error::Error;
use domain::id::{ConversationId, UserId};
use domain::message::Message;

use crate::client::Store;
use crate::participants::{self, Group};

/// The participants of a conversation, as far as they are known.
pub(crate) enum Known<'a> {
    /// The two users of a message of a direct conversation.
    Direct(&'a Message),
    /// A group or room with some or all of its participants.
    Group(&'a Group),
}

impl Store {
    /// Checks that a message mentions only participants.
    ///
    /// # Errors
    /// `Invalid` if it mentions somebody else.
    pub(crate) async fn check_mentions(
        &self,
        conversation: &ConversationId,
        content: &Content,
        known: Known<'_>,
    ) -> Result<(), Error> {
        let takes_part = |user: &&UserId| match known {
            Known::Direct(message) => message.sender == **user || message.recipient.as_ref() == Some(user),
            Known::Group(group) => group.find(user).is_some(),
        };
        let unknown: Vec<&UserId> = content.mentions.iter().filter(|user| !takes_part(user)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let refused = || Error::field("mentions", "Only participants can be mentioned.");
        match known {
            Known::Group(group) if !group.is_complete => {
                let keys = unknown.iter().map(|user| participants::key(conversation, user));
                let found = self.get_all(keys.collect()).await?.len();
                if found == unknown.len() { Ok(()) } else { Err(refused()) }
            }
            _ => Err(refused()),
        }
    }
}

/// Refuses to mention everyone in a conversation of more than 24, unless the sender is an admin.
pub(crate) fn check_mention_all(group: Option<&Group>, is_admin: bool) -> Result<(), Error> {
    let is_large = group.is_some_and(|group| group.meta.participant_count > SMALL as u64);
    if is_large && !is_admin { Err(Error::NotAnAdmin) } else { Ok(()) }
}
