//! The log of large conversations: a change commits once, with a log item, and is then brought to each
//! participant.
//!
//! Invariant: the table's stream only wakes [`Store::fan_out`], which works from its own checkpoint. So a record
//! that comes twice, late or out of order changes nothing.

use super::Store;
use crate::error::Error;
use crate::id::ConversationId;
use crate::push::Push;

/// What the sort keys of log items begin with; the stream wakes for nothing else.
pub const LOG: &str = "L#";

/// The conversation whose log holds an item of this key; `None` for every other kind of item.
#[must_use]
pub fn logged_conversation(pk: &str, sk: &str) -> Option<ConversationId> {
    sk.strip_prefix(LOG)?;
    pk.strip_prefix("C#")?.parse().ok()
}

impl Store {
    /// Brings to each participant what a conversation's log holds above its checkpoint.
    ///
    /// # Errors
    /// `Unavailable` where the database is; what was done until then stays done.
    #[expect(clippy::unused_async, reason = "nothing writes a log yet")]
    pub async fn fan_out(&self, _push: &Push, _conversation: &ConversationId) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_item_names_its_conversation_and_nothing_else_does() {
        let id = ConversationId::direct(&"alice".parse().unwrap(), &"bob".parse().unwrap());
        let pk = format!("C#{id}");
        assert_eq!(logged_conversation(&pk, "L#000000000001"), Some(id.clone()));
        for (pk, sk) in [
            (pk.as_str(), "M#000000000001"),
            (&pk, "META"),
            (&pk, ""),
            (id.as_str(), "L#1"),
            ("U#alice", "L#1"),
            ("C#", "L#1"),
        ] {
            assert_eq!(logged_conversation(pk, sk), None, "{pk} {sk}");
        }
    }
}
