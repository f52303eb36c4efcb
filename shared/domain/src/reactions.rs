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
    /// The users who have reacted with it. In a conversation that was once larger than 24, only some of them.
    pub users: Vec<UserId>,
    /// The number of all of them.
    pub count: u64,
}

impl Reaction {
    /// The reaction as a participant sees it. `mine` tells which of a large conversation's reactions are the viewer's.
    #[must_use]
    pub fn shown_to(&self, viewer: &UserId, mine: &[Emoji]) -> ReactionView {
        ReactionView {
            emoji: self.emoji.clone(),
            count: self.count,
            me: self.users.contains(viewer) || mine.contains(&self.emoji),
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

/// The reactions after a user's own has been added or removed; `None` if nothing changes.
///
/// # Errors
/// A message for people if the message has 20 different emoji already.
pub fn changed(
    reactions: &[Reaction],
    user: &UserId,
    emoji: &Emoji,
    add: bool,
) -> Result<Option<Vec<Reaction>>, &'static str> {
    let mut all = reactions.to_vec();
    let known = all.iter().position(|reaction| reaction.emoji == *emoji);
    if known.is_some_and(|known| all[known].users.contains(user)) == add {
        return Ok(None);
    }
    match known {
        Some(known) if add => all[known].users.push(user.clone()),
        Some(known) => all[known].users.retain(|other| other != user),
        None if all.len() >= MAX_EMOJI => return Err("A message has at most 20 different reactions."),
        None => all.push(Reaction { emoji: emoji.clone(), users: vec![user.clone()], count: 0 }),
    }
    for reaction in &mut all {
        reaction.count = reaction.users.len() as u64;
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
        let one = changed(&[], &ann, &thumb, true).unwrap().unwrap();
        assert_eq!(changed(&one, &ann, &thumb, true).unwrap(), None);
        assert_eq!(changed(&one, &ben, &thumb, false).unwrap(), None);
        let two = changed(&one, &ben, &party, true).unwrap().unwrap();
        let three = changed(&two, &ben, &thumb, true).unwrap().unwrap();
        let counts: Vec<u64> = three.iter().map(|reaction| reaction.count).collect();
        assert_eq!((counts, &three[0].emoji), (vec![2, 1], &thumb));
        let less = changed(&three, &ben, &party, false).unwrap().unwrap();
        assert_eq!(less.len(), 1);
    }
}
