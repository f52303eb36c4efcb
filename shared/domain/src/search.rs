//! Search queries: words and filters, from one query text or from parameters.
//!
//! Invariant: what is no filter is a word. A query that looks like `foo:bar` or `before:lunch` searches for these words.

use std::ops::Range;

use crate::has::{Has, HasSet};
use crate::id::{ConversationId, Stamp, UserId};
use crate::invisible::{bidi_class, modifier_class};
use crate::message::Message;
use crate::text::{PHRASE_MARKS, TextQuery, Word, is_dash};
use crate::time::Timestamp;

/// A search: the words that a text must contain and must not contain, and the filters. All must hold.
#[derive(Default)]
pub struct SearchQuery {
    /// The words and phrases.
    pub text: TextQuery,
    /// The senders that the message must have; more than one finds nothing.
    pub from: Vec<UserId>,
    /// The conversations that the message must be in; more than one finds nothing.
    pub within: Vec<ConversationId>,
    /// Only messages sent before this time.
    pub before: Option<Timestamp>,
    /// Only messages sent after this time.
    pub after: Option<Timestamp>,
    /// The kinds of content that the message must have.
    pub has: HasSet,
    /// The user whom the message must mention, alone or with everyone.
    pub mentions: Option<UserId>,
}

/// A pattern for queries that ask for something: a character that is neither white space, nor a quotation mark, nor
/// passed over.
pub const SEARCHED: &str = concat!(
    r"[^\u0009-\u000D\u0020\u0022\u0085\u00A0\u00AB\u00AD\u00BB\u0640\u1680\u180E\u2000-\u200B\u201C-\u201F\u2028\u2029",
    r"\u202F\u205F-\u206F\u275D\u3000\u300C-\u300F\u301D-\u301F\uFEFF\uFF02\uFFF0-\uFFF8",
    "\u{1BCA0}-\u{1BCA3}\u{1D173}-\u{1D17A}",
    modifier_class!(),
    bidi_class!(),
    "]"
);

/// Parses an RFC 3339 time, or a date, which means its first moment in UTC.
fn parse_time(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z")))
}

/// Parses a sender: a user id, or `me` for the caller.
fn parse_sender(text: &str, caller: &UserId) -> Option<UserId> {
    if text.eq_ignore_ascii_case("me") { Some(caller.clone()) } else { text.parse().ok() }
}

impl SearchQuery {
    /// All messages that mention a user.
    #[must_use]
    pub fn mentioning(user: UserId) -> Self {
        Self { mentions: Some(user), ..Self::default() }
    }

    /// Parses the text of a query.
    #[must_use]
    pub fn parse(query: &str, caller: &UserId) -> Self {
        let (mut parsed, mut words) = (Self::default(), Vec::new());
        let mut is_phrase_excluded = false;
        let parts: Vec<&str> = query.split(PHRASE_MARKS).collect();
        // Every second part is quoted. The last one may lack its closing quotation mark.
        for (index, part) in parts.iter().enumerate() {
            if index % 2 == 1 {
                let is_excluded = std::mem::take(&mut is_phrase_excluded);
                words.push(Word { text: part, is_phrase: true, is_excluded });
                continue;
            }
            let mut rest: Vec<&str> = part.split_whitespace().collect();
            let ends_with_dash =
                part.ends_with(is_dash) && rest.last().is_some_and(|last| last.chars().count() == 1);
            if ends_with_dash && index + 1 < parts.len() {
                rest.pop();
                is_phrase_excluded = true;
            }
            for word in rest {
                if !parsed.take_filter(word, caller) {
                    words.push(Word::parse(word));
                }
            }
        }
        parsed.text = TextQuery::of(&words);
        if parsed.is_empty() {
            // It excludes nothing that shows, so its dashes are words.
            let words = query.split(PHRASE_MARKS).flat_map(str::split_whitespace);
            let word = |text| Word { text, is_phrase: false, is_excluded: false };
            parsed.text = TextQuery::of(&words.map(word).collect::<Vec<_>>());
        }
        parsed
    }

    /// Takes a word of the query as a filter; `false` if it is none.
    fn take_filter(&mut self, word: &str, caller: &UserId) -> bool {
        let Some((name, value)) = word.split_once(':') else { return false };
        match name.to_ascii_lowercase().as_str() {
            "from" => parse_sender(value, caller).map(|user| self.only_from(user)),
            "in" => value.parse().ok().map(|conversation| self.only_within(conversation)),
            "before" => parse_time(value).map(|time| self.only_before(time)),
            "after" => parse_time(value).map(|time| self.only_after(time)),
            "has" => Has::parse(value).map(|has| self.has = self.has.with(has)),
            _ => None,
        }
        .is_some()
    }

    /// Requires a sender.
    pub fn only_from(&mut self, user: UserId) {
        if !self.from.contains(&user) {
            self.from.push(user);
        }
    }

    /// Requires a conversation.
    pub fn only_within(&mut self, conversation: ConversationId) {
        if !self.within.contains(&conversation) {
            self.within.push(conversation);
        }
    }

    /// Requires that a message was sent before a time.
    pub fn only_before(&mut self, time: Timestamp) {
        self.before = Some(self.before.map_or(time, |known| known.min(time)));
    }

    /// Requires that a message was sent after a time.
    pub fn only_after(&mut self, time: Timestamp) {
        self.after = self.after.max(Some(time));
    }

    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { text, from, within, before, after, has, mentions } = self;
        let no_bound = within.is_empty() && before.is_none() && after.is_none();
        no_bound && from.is_empty() && mentions.is_none() && text.is_empty() && *has == HasSet::default()
    }

    /// Whether no message can meet it: it asks for two senders, two conversations, or an empty span of time.
    #[must_use]
    pub fn is_impossible(&self) -> bool {
        let has_no_time = self.after.zip(self.before).is_some_and(|(after, before)| before <= after);
        self.from.len() > 1 || self.within.len() > 1 || has_no_time
    }

    /// All messages sought have a lower stamp; `None` for no bound.
    #[must_use]
    pub fn upper_bound(&self) -> Option<Stamp> {
        self.before.map(Stamp::first_of)
    }

    /// All messages sought have a higher stamp; `None` for no bound.
    #[must_use]
    pub fn lower_bound(&self) -> Option<Stamp> {
        // Messages of the same millisecond are left out.
        self.after.map(|time| Stamp::first_of(Timestamp::from_millis(time.millis() + 1)).previous())
    }

    /// Whether the sender of a message, what it has, and whom it mentions meet the filters.
    #[must_use]
    pub fn admits(&self, sender: &UserId, has: HasSet, mentions: impl Fn(&UserId) -> bool) -> bool {
        self.from.iter().all(|from| from == sender)
            && has.contains(self.has)
            && self.mentions.iter().all(|user| user != sender && mentions(user))
    }

    /// Whether a message meets the filters, those of time and place aside. Its text is not compared.
    #[must_use]
    pub fn admits_message(&self, message: &Message) -> bool {
        let mentions = |user: &UserId| message.mentions(user);
        // Detecting links takes longer than the other filters.
        let has = if self.has == HasSet::default() { HasSet::default() } else { message.has_set() };
        !message.is_deleted() && self.admits(&message.sender, has, mentions)
    }

    /// Returns where a message matches, as in [`TextQuery::find_in`]; `None` if it does not, or is deleted.
    #[must_use]
    pub fn find_in(&self, message: &Message) -> Option<Vec<Range<u32>>> {
        let is_bounded = self.upper_bound().is_none_or(|bound| message.id.stamp < bound)
            && self.lower_bound().is_none_or(|bound| message.id.stamp > bound)
            && self.within.iter().all(|id| *id == message.id.conversation);
        (is_bounded && self.admits_message(message)).then(|| self.text.find_in(&message.content.text))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> SearchQuery {
        SearchQuery::parse(query, &"alice".parse().unwrap())
    }

    fn finds(query: &str, text: &str) -> bool {
        parse(query).text.find_in(text).is_some()
    }

    #[test]
    fn filters_are_taken_out_of_the_query() {
        let id = ConversationId::direct(&"alice".parse().unwrap(), &"bob".parse().unwrap());
        let query = parse(&format!(
            "from:ME in:{id} has:image HAS:Link before:2026-02-01 after:2026-01-31T12:00:00+02:00 lunch"
        ));
        assert_eq!((query.from[0].as_str(), &query.within), ("alice", &vec![id]));
        assert_eq!(query.has, HasSet::default().with(Has::Image).with(Has::Link));
        assert_eq!(query.before.unwrap().to_string(), "2026-02-01T00:00:00.000Z");
        assert_eq!(query.after.unwrap().to_string(), "2026-01-31T10:00:00.000Z");
        assert!(query.text.find_in("Lunch?").is_some() && !query.is_impossible());
        assert!(parse("from:a from:b").is_impossible() && !parse("from:a from:a").is_impossible());
    }

    #[test]
    fn what_is_no_filter_is_a_word() {
        for word in ["foo:bar", "before:lunch", "has:fun", "in:general", "from:", "http://x", ":", "12:30"] {
            assert!(finds(word, &format!("a {word} b")), "{word}");
            assert!(!finds(word, "a b"), "{word}");
        }
    }

    #[test]
    fn a_dash_excludes_a_word_or_a_phrase() {
        assert!(finds("fox -slow", "a quick fox") && !finds("fox -quick", "a Quick fox"));
        assert!(finds("-slow", "a quick fox") && !finds("-ick", "a quick fox"));
        assert!(finds("fox -\"fox quick\"", "a quick fox") && !finds("fox -\"quick fox\"", "a quick fox"));
        assert!(finds("co-op", "a co-op") && !finds("co-op", "op co"));
        assert!(finds("-", "a - b") && !finds("-", "a b"));
        assert!(!finds("fox \u{2212}quick", "a quick fox"));
    }

    #[test]
    fn the_pattern_says_what_asks_for_something() {
        let pattern = jsonschema::validator_for(&serde_json::json!({"pattern": SEARCHED})).unwrap();
        for c in '\0'..=char::MAX {
            for query in [c.to_string(), format!("-{c}"), format!("\"{c}")] {
                let asks = !parse(&query).is_empty();
                assert_eq!(pattern.is_valid(&serde_json::json!(query)), asks, "{query:?}");
            }
        }
    }

    #[test]
    fn a_query_that_asks_for_nothing_is_empty() {
        for query in ["", "   ", "\"\"", "\" \"", "\u{200b}", "«\u{ad} »"] {
            assert!(parse(query).is_empty(), "{query:?}");
        }
        for query in
            ["a", "-a", "-\u{200b}", "-\"\"", "- \"\u{200b}\"", "has:link", "from:me", "after:2026-01-01"]
        {
            assert!(!parse(query).is_empty(), "{query:?}");
        }
    }
}
