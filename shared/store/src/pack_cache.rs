//! The packs that this process has read last.
//!
//! Invariant: a pack never changes, and only an index as it is now says which packs are in use. So a pack that was kept
//! is as good as one that was read, and no search finds one that has expired.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::pack::Pack;

/// The most bytes of packs that are kept: about 60,000 messages of 100 characters.
const MAX_KEPT: usize = 8 * 1024 * 1024;

/// Packs by their ids, the one that was used last first.
type Kept = VecDeque<(String, Arc<Pack>)>;

/// Keeps packs, and forgets the one whose last use is the longest ago.
#[derive(Clone, Default)]
pub(crate) struct PackCache(Arc<Mutex<Kept>>);

impl PackCache {
    /// Returns a pack that is kept.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Pack>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| known == id)?;
        let found = kept.remove(at)?;
        let pack = found.1.clone();
        kept.push_front(found);
        Some(pack)
    }

    /// Keeps a pack that was read.
    pub(crate) fn insert(&self, id: &str, pack: &Arc<Pack>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(known, _)| known != id);
        kept.push_front((id.to_owned(), pack.clone()));
        let mut bytes = 0;
        let fitting = kept.iter().take_while(|(_, pack)| {
            bytes += pack.bytes();
            bytes <= MAX_KEPT
        });
        let count = fitting.count();
        kept.truncate(count);
    }
}

#[cfg(test)]
mod tests {
    use domain::id::{ConversationId, UserId};

    use super::*;
    use crate::pack::{Entry, Precision, Segment, pack};

    fn large(text: char) -> Arc<Pack> {
        let (alice, bob): (UserId, UserId) = ("alice".parse().unwrap(), "bob".parse().unwrap());
        let high = domain::id::Stamp::first_of(domain::time::Timestamp::from_millis(1_700_000_000_000));
        let entry = Entry {
            stamp: high,
            sender: alice.clone(),
            has: domain::has::HasSet(0),
            mention_all: false,
            mentions: Vec::new(),
            text: text.to_string().repeat(3 * 1024 * 1024),
        };
        let conversation = ConversationId::direct(&alice, &bob);
        let segment = Segment { conversation, peer: None, low: None, high, entries: vec![entry] };
        Arc::new(Pack::read(&pack(&[segment], &Vec::new(), Precision::Exact).unwrap()).unwrap())
    }

    #[test]
    fn the_packs_that_were_used_last_are_kept() {
        let cache = PackCache::default();
        cache.insert("one", &large('a'));
        cache.insert("two", &large('b'));
        assert!(cache.get("one").is_some());
        cache.insert("three", &large('c'));
        assert!(cache.get("two").is_none(), "together they are too large");
        assert!(cache.get("one").is_some() && cache.get("three").is_some());
    }
}
