//! Reactions to messages.
//!
//! Invariant: an emoji is one of Unicode's emoji sequences, in its fully qualified form. So two texts that differ only in
//! variation selectors or normalization are the same reaction.

use std::collections::HashMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::id::UserId;

/// The most different emoji of a message.
pub const MAX_EMOJI: usize = 20;
/// The most users that are listed with a reaction.
pub const MAX_LISTED: usize = 10;

/// One emoji, such as 👍 or 👩🏽‍🚀.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("minLength" = 1, "maxLength" = 40, "examples" = ["👍"]))]
pub struct Emoji(String);

/// All emoji by their text without variation selectors.
static KNOWN: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
    let of_all_tones =
        |emoji: &'static emojis::Emoji| emoji.skin_tones().into_iter().flatten().chain([emoji]);
    emojis::iter().flat_map(of_all_tones).map(|emoji| (unqualified(emoji.as_str()), emoji.as_str())).collect()
});

/// A text without variation selectors, in Unicode's normalization form C.
fn unqualified(text: &str) -> String {
    text.nfc().filter(|c| !matches!(c, '\u{fe0e}' | '\u{fe0f}')).collect()
}

impl TryFrom<String> for Emoji {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let known = KNOWN.get(&unqualified(&text)).ok_or("a reaction is one emoji")?;
        Ok(Self((*known).to_owned()))
    }
}

impl std::str::FromStr for Emoji {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl From<Emoji> for String {
    fn from(emoji: Emoji) -> Self {
        emoji.0
    }
}

impl std::fmt::Display for Emoji {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A reaction to a message, as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// The emoji.
    pub emoji: Emoji,
    /// The users who have reacted with it; in a conversation of more than 24, only the first ten.
    pub users: Vec<UserId>,
    /// The number of all of them.
    pub count: u64,
    /// Whether the reader is one of those who are not in `users`. It differs between readers, so it is never stored.
    #[serde(skip)]
    pub is_own: bool,
}

impl Reaction {
    /// Whether the reader, who has this id, has reacted with it.
    #[must_use]
    pub fn is_of(&self, reader: &UserId) -> bool {
        self.is_own || self.users.contains(reader)
    }

    /// Whether some of its users are not listed.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.count > self.users.len() as u64
    }

    /// The reaction as a participant sees it.
    #[must_use]
    pub fn shown_to(&self, viewer: &UserId) -> ReactionView {
        ReactionView {
            emoji: self.emoji.clone(),
            count: self.count,
            me: self.is_of(viewer),
            user_ids: self.users.iter().take(MAX_LISTED).cloned().collect(),
        }
    }
}

/// A reaction, as a participant sees it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Reaction")]
pub struct ReactionView {
    emoji: Emoji,
    /// The number of users who have reacted with it.
    count: u64,
    /// Whether the viewer is one of them.
    me: bool,
    /// Up to 10 of them, in no order.
    user_ids: Vec<UserId>,
}

/// The reactions after a user's own has been added or removed; `None` if nothing changes. A user who adds one is listed
/// if fewer than `listed` are.
///
/// # Errors
/// A message for people if the message has 20 different emoji already.
pub fn changed(
    reactions: &[Reaction],
    user: &UserId,
    emoji: &Emoji,
    add: bool,
    listed: usize,
) -> Result<Option<Vec<Reaction>>, &'static str> {
    let mut all = reactions.to_vec();
    let known = all.iter().position(|reaction| reaction.emoji == *emoji);
    if known.is_some_and(|known| all[known].is_of(user)) == add {
        return Ok(None);
    }
    let known = match known {
        Some(known) => known,
        None if all.len() >= MAX_EMOJI => return Err("A message has at most 20 different reactions."),
        None => {
            all.push(Reaction { emoji: emoji.clone(), users: Vec::new(), count: 0, is_own: false });
            all.len() - 1
        }
    };
    let reaction = &mut all[known];
    if add {
        reaction.count += 1;
        reaction.is_own = reaction.users.len() >= listed;
        if !reaction.is_own {
            reaction.users.push(user.clone());
        }
    } else {
        reaction.count -= 1;
        reaction.is_own = false;
        reaction.users.retain(|other| other != user);
    }
    all.retain(|reaction| reaction.count > 0);
    Ok(Some(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emoji(text: &str) -> Option<String> {
        text.parse::<Emoji>().ok().map(String::from)
    }

    #[test]
    fn one_emoji_sequence_is_an_emoji() {
        for whole in ["👍", "👍🏽", "👩🏽‍🚀", "🇩🇪", "1️⃣", "❤️", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "👨‍👩‍👧‍👦"]
        {
            assert_eq!(emoji(whole).as_deref(), Some(whole), "{whole}");
        }
        for other in ["", "a", "1", "👍👍", "👍 ", ":+1:", "\u{fe0f}", "🏽🏽", "ab👍", "🇩"] {
            assert_eq!(emoji(other), None, "{other:?}");
        }
    }

    #[test]
    fn variation_selectors_make_no_difference() {
        assert_eq!(emoji("❤"), emoji("❤\u{fe0f}"));
        assert_eq!(emoji("❤\u{fe0e}"), emoji("❤\u{fe0f}"));
        assert_eq!(emoji("🕵♂"), None, "a joiner is missing");
        assert_eq!(emoji("🕵\u{200d}♂"), emoji("🕵\u{fe0f}\u{200d}♂\u{fe0f}"));
    }

    #[test]
    fn reacting_is_idempotent_and_keeps_the_order() {
        let (ann, ben): (UserId, UserId) = ("ann".parse().unwrap(), "ben".parse().unwrap());
        let [thumb, party]: [Emoji; 2] = ["👍", "🎉"].map(|text| text.parse().unwrap());
        let one = changed(&[], &ann, &thumb, true, 10).unwrap().unwrap();
        assert_eq!(changed(&one, &ann, &thumb, true, 10).unwrap(), None);
        assert_eq!(changed(&one, &ben, &thumb, false, 10).unwrap(), None);
        let two = changed(&one, &ben, &party, true, 10).unwrap().unwrap();
        let three = changed(&two, &ben, &thumb, true, 10).unwrap().unwrap();
        let counts: Vec<u64> = three.iter().map(|reaction| reaction.count).collect();
        assert_eq!((counts, &three[0].emoji), (vec![2, 1], &thumb));
        let less = changed(&three, &ben, &party, false, 10).unwrap().unwrap();
        assert_eq!(less.len(), 1);
    }

    #[test]
    fn users_who_are_not_listed_are_counted() {
        let (ann, ben): (UserId, UserId) = ("ann".parse().unwrap(), "ben".parse().unwrap());
        let thumb: Emoji = "👍".parse().unwrap();
        let one = changed(&[], &ann, &thumb, true, 1).unwrap().unwrap();
        assert!(!one[0].is_partial() && !one[0].is_own);
        let two = changed(&one, &ben, &thumb, true, 1).unwrap().unwrap();
        assert_eq!((two[0].count, two[0].users.len(), two[0].is_partial()), (2, 1, true));
        assert!(two[0].is_of(&ben), "the one who reacts knows");
        assert_eq!(changed(&two, &ben, &thumb, true, 1).unwrap(), None);
        let less = changed(&two, &ben, &thumb, false, 1).unwrap().unwrap();
        assert_eq!(less, one);
        let text = serde_json::to_string(&two).unwrap();
        assert!(!serde_json::from_str::<Vec<Reaction>>(&text).unwrap()[0].is_own, "it is never stored");
    }
}
