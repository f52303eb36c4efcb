//! Generates texts of 20 to 120 characters that look like messages, the same in each run.

/// A word that many texts contain.
pub(crate) const COMMON: &str = "meeting";
/// A word that only the texts of [`Texts::rare`] contain.
pub(crate) const RARE: &str = "needle";

/// A word that no text contains.
pub(crate) const ABSENT: &str = "xylophone";

const SHORTEST: usize = 20;
const LONGEST: usize = 120;

const WORDS: [&str; 64] = [
    "about", "after", "again", "almost", "and", "anyone", "around", "at", "back", "because", "before",
    "bring", "call", "can", "coffee", "could", "deadline", "draft", "email", "everyone", "finally", "for",
    "friday", "from", "great", "happy", "have", "home", "if", "in", "it", "just", "later", "lunch", "maybe",
    "meeting", "monday", "morning", "need", "no", "office", "ok", "on", "please", "project", "quick",
    "really", "report", "send", "should", "sorry", "thanks", "the", "think", "this", "ticket", "to",
    "tomorrow", "train", "we", "when", "with", "yes", "you",
];

/// A reproducible sequence of texts.
#[derive(Debug, Clone)]
pub(crate) struct Texts {
    state: u64,
}

impl Texts {
    /// Starts the sequence with this number.
    pub(crate) fn new(number: usize) -> Self {
        Self { state: 0x9E37_79B9_7F4A_7C15 ^ ((number as u64 + 1) << 20) }
    }

    /// Returns the next text, without the rare word.
    pub(crate) fn usual(&mut self) -> String {
        self.text(String::new())
    }

    /// Returns the next text, with the rare word.
    pub(crate) fn rare(&mut self) -> String {
        self.text(RARE.to_owned())
    }

    fn text(&mut self, mut text: String) -> String {
        let wanted = SHORTEST + self.below(LONGEST - SHORTEST - 10);
        while text.len() < wanted {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(WORDS[self.below(WORDS.len())]);
        }
        text.push('.');
        text
    }

    /// Returns a number below a bound (xorshift: even enough, and the same on each machine).
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 33).unwrap_or_default() % bound
    }
}
