//! Every id, and the only place that reads the clock and randomness.
//!
//! Invariant: the text forms compare byte by byte as the values do, so an id can be a sort key as it is.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::alphabet::Alphabet;
use base64::engine::{GeneralPurpose, general_purpose::NO_PAD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

/// Base64 whose alphabet is in ASCII order: unlike base64url, its text sorts as its bytes do.
pub const ORDERED: GeneralPurpose = GeneralPurpose::new(
    &match Alphabet::new("-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz") {
        Ok(alphabet) => alphabet,
        Err(_) => base64::alphabet::URL_SAFE,
    },
    NO_PAD,
);

/// Why a text is not an id; the message is for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MalformedId(pub &'static str);

/// Derives the serde and `Display` halves of an id that has a text form and a parser.
macro_rules! text_form {
    ($id:ident) => {
        impl TryFrom<String> for $id {
            type Error = MalformedId;
            fn try_from(text: String) -> Result<Self, MalformedId> {
                text.parse()
            }
        }
        impl From<$id> for String {
            fn from(id: $id) -> Self {
                id.to_string()
            }
        }
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

/// A user's id: the `sub` of their token, 1-128 characters of `A-Z a-z 0-9 _ - . @ | :`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[0-9A-Za-z_.@|:-]{1,128}$", "examples" = ["bob"]))]
pub struct UserId(Arc<str>);
text_form!(UserId);

impl UserId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of someone who registers here: 122 random bits, so nobody chooses or foresees it.
    #[must_use]
    pub fn random() -> Self {
        Self(request_token().into())
    }
}

impl FromStr for UserId {
    type Err = MalformedId;
    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.@|:".contains(&b);
        if (1..=128).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(MalformedId("a user id has 1-128 characters of A-Z a-z 0-9 _ - . @ | :"))
        }
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a session: from a login until its refresh tokens end. Random, 36 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(Arc<str>);
text_form!(SessionId);

impl SessionId {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(request_token().into())
    }
}

impl FromStr for SessionId {
    type Err = MalformedId;
    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let allowed = |b: u8| b.is_ascii_hexdigit() || b == b'-';
        let is_one = text.len() == 36 && text.bytes().all(allowed);
        if is_one { Ok(Self(text.into())) } else { Err(MalformedId("not a session's id")) }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes in a conversation's id: 144 bits, so that no one finds two pairs of users with one id.
const CONVERSATION_BYTES: usize = 18;
const CONVERSATION_LENGTH: usize = 25;

/// What a conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ConversationType")]
pub enum ConversationKind {
    /// Two people.
    Direct,
    /// Those whom its admins have added.
    Group,
    /// Whoever joins.
    Room,
}

/// A conversation's id: `d` and a digest of its two users, or `g` or `r` and what no one can guess.
///
/// A direct conversation's id follows from its two users, so neither a send nor a page looks it up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[dgr][-0-9A-Z_a-z]{24}$"))]
pub struct ConversationId(Arc<str>);
text_form!(ConversationId);

impl ConversationId {
    /// The direct conversation of two users, in either order.
    #[must_use]
    pub fn direct(one: &UserId, other: &UserId) -> Self {
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        Self::digest('d', b"tidings direct conversation\0", [first.as_str(), second.as_str()])
    }

    /// The group that a user makes under an id of their client's: the same again when they try again.
    #[must_use]
    pub fn group(creator: &UserId, client_id: &str) -> Self {
        Self::digest('g', b"tidings group\0", [creator.as_str(), client_id])
    }

    /// A new group or room.
    #[must_use]
    pub fn new(kind: ConversationKind) -> Self {
        let letter = match kind {
            ConversationKind::Direct => 'd',
            ConversationKind::Group => 'g',
            ConversationKind::Room => 'r',
        };
        Self::digest(letter, b"tidings conversation\0", [&request_token(), &request_token()])
    }

    fn digest(letter: char, purpose: &[u8], parts: [&str; 2]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(purpose);
        for part in parts {
            context.update(&[u8::try_from(part.len()).unwrap_or(u8::MAX)]);
            context.update(part.as_bytes());
        }
        Self(format!("{letter}{}", ORDERED.encode(&context.finish().as_ref()[..CONVERSATION_BYTES])).into())
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> ConversationKind {
        match self.0.as_bytes().first() {
            Some(b'g') => ConversationKind::Group,
            Some(b'r') => ConversationKind::Room,
            _ => ConversationKind::Direct,
        }
    }

    /// Whether it is a direct conversation.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.kind() == ConversationKind::Direct
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ConversationId {
    type Err = MalformedId;
    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let rest = text.strip_prefix(['d', 'g', 'r']).and_then(|rest| ORDERED.decode(rest).ok());
        match rest {
            Some(bytes) if bytes.len() == CONVERSATION_BYTES => Ok(Self(text.into())),
            _ => Err(MalformedId("not a conversation id")),
        }
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the version and the variant stand in a `UUIDv7` (RFC 9562, section 5.7), and the bits between them.
const VERSION: u128 = 0x7 << 76;
const VARIANT: u128 = 0b10 << 62;
const LOW: u128 = (1 << 62) - 1;
const MIDDLE: u128 = (1 << 12) - 1;

/// A `UUIDv7` as a place in time: 22 characters that sort as it does. Messages and events are ordered by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(rename = "EventId", extend("pattern" = "^[-0-9A-Z_a-z]{8}[R-U][-0-9A-Z_a-z][159DHLPTXaeimquy][-0-9A-Z_a-z]{10}[-FVk]$"))]
pub struct Stamp(u128);
text_form!(Stamp);

impl Stamp {
    /// The time in it, in milliseconds.
    #[must_use]
    pub fn time(self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.0 >> 80).unwrap_or(i64::MAX))
    }

    /// The lowest stamp of that millisecond.
    #[must_use]
    pub fn first_of(time: Timestamp) -> Self {
        Self::from_ordinal(u128::from(time.millis().max(0).unsigned_abs()) << 74)
    }

    /// The stamp `step` above this one.
    #[must_use]
    pub fn plus(self, step: u64) -> Self {
        Self::from_ordinal(self.ordinal() + u128::from(step))
    }

    /// The stamp just below this one.
    #[must_use]
    pub fn previous(self) -> Self {
        Self::from_ordinal(self.ordinal().saturating_sub(1))
    }

    /// Its 16 bytes (RFC 9562, section 4).
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Reads 16 bytes; `None` where they are no `UUIDv7`.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let value = u128::from_be_bytes(bytes);
        let is_v7 = value & (0xf << 76) == VERSION && value & (0b11 << 62) == VARIANT;
        is_v7.then_some(Self(value))
    }

    /// Its 122 bits without the version and the variant: stamps are numbered without a gap.
    fn ordinal(self) -> u128 {
        (self.0 >> 80) << 74 | ((self.0 >> 64) & MIDDLE) << 62 | (self.0 & LOW)
    }

    fn from_ordinal(ordinal: u128) -> Self {
        Self((ordinal >> 74) << 80 | VERSION | ((ordinal >> 62) & MIDDLE) << 64 | VARIANT | (ordinal & LOW))
    }
}

impl FromStr for Stamp {
    type Err = MalformedId;
    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let malformed = MalformedId("not a time-ordered id");
        let Ok(bytes) = ORDERED.decode(text) else { return Err(malformed) };
        bytes.try_into().ok().and_then(Self::from_bytes).ok_or(malformed)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&ORDERED.encode(self.0.to_be_bytes()))
    }
}

/// A message's public id: its conversation's id and its stamp, so that it is found without a look-up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[dgr][-0-9A-Z_a-z]{24}[-0-9A-Z_a-z]{8}[R-U][-0-9A-Z_a-z][159DHLPTXaeimquy][-0-9A-Z_a-z]{10}[-FVk]$"))]
pub struct MessageId {
    /// The conversation that holds the message.
    pub conversation: ConversationId,
    /// The message's place in it.
    pub stamp: Stamp,
}
text_form!(MessageId);

impl FromStr for MessageId {
    type Err = MalformedId;
    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let malformed = MalformedId("not a message id");
        let (conversation, stamp) = text.split_at_checked(CONVERSATION_LENGTH).ok_or(malformed.clone())?;
        match (conversation.parse(), stamp.parse()) {
            (Ok(conversation), Ok(stamp)) => Ok(Self { conversation, stamp }),
            _ => Err(malformed),
        }
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.conversation, self.stamp)
    }
}

/// The clock of this process. Nothing else reads the time or makes ids.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    offset_ms: i64,
    /// When it stands.
    stands_at: Option<Timestamp>,
    /// Kept so that a process's own sends within a millisecond are not in one another's way.
    last: Arc<Mutex<Option<Stamp>>>,
}

impl Clock {
    /// A clock that is off by so many milliseconds, as a badly set machine's is.
    #[must_use]
    pub fn off_by(millis: i64) -> Self {
        Self { offset_ms: millis, ..Self::default() }
    }

    /// A clock that stands, where a test is about time.
    #[must_use]
    pub fn standing_at(time: Timestamp) -> Self {
        Self { stands_at: Some(time), ..Self::default() }
    }

    /// The time, to the millisecond.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn now(&self) -> Timestamp {
        if let Some(time) = self.stands_at {
            return time;
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(millis.saturating_add(self.offset_ms))
    }

    /// A new stamp of this moment; those that a process makes in one millisecond ascend.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.stamp_above(None)
    }

    /// A new stamp of this moment or, where that would not be above `floor`, one just above it.
    ///
    /// The step is random, so that two machines that stand behind one `floor` do not choose the same.
    #[must_use]
    pub fn stamp_above(&self, floor: Option<Stamp>) -> Stamp {
        // 64 random bits of the 74 below the millisecond.
        let fresh = Stamp::first_of(self.now()).plus(random());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = match floor.max(last.filter(|last| last.time() <= fresh.time())) {
            Some(floor) if fresh <= floor => floor.plus(1 + (random() & ((1 << 40) - 1))),
            _ => fresh,
        };
        *last = Some(stamp);
        stamp
    }
}

/// 64 random bits.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that makes randomness")]
pub fn random() -> u64 {
    // A UUIDv4 has 122 random bits: its upper half holds 60, the lower half 62 below the variant.
    let (high, low) = Uuid::new_v4().as_u64_pair();
    high.rotate_left(32) ^ low
}

/// 32 random bytes from the system, for a secret.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that makes randomness")]
pub fn random_secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// A token of 36 characters, new each time, that names one request to the database or one of a client.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that makes randomness")]
pub fn request_token() -> String {
    Uuid::new_v4().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(text: &str) -> UserId {
        text.parse().unwrap()
    }

    #[test]
    fn a_direct_conversation_has_one_id_in_either_order() {
        let id = ConversationId::direct(&user("alice"), &user("bob"));
        assert_eq!(id, ConversationId::direct(&user("bob"), &user("alice")));
        assert_eq!(id.as_str().len(), CONVERSATION_LENGTH);
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn lengths_keep_users_apart() {
        assert_ne!(
            ConversationId::direct(&user("ab"), &user("c")),
            ConversationId::direct(&user("a"), &user("bc"))
        );
    }

    #[test]
    fn ids_have_one_text_only() {
        let id = ConversationId::direct(&user("alice"), &user("bob"));
        let message = MessageId { conversation: id, stamp: Clock::default().stamp() };
        assert_eq!(message.to_string().parse(), Ok(message.clone()));
        let text = message.to_string();
        let (head, last) = text.split_at(text.len() - 1);
        let other: Vec<_> =
            "-0AZaz_9".chars().filter(|c| c.to_string() != last).map(|c| format!("{head}{c}")).collect();
        let known = other.iter().filter_map(|t| t.parse::<MessageId>().ok()).filter(|m| *m == message);
        assert_eq!(known.count(), 0);
        for bad in ["", "zzz", "é", &format!("{text}x"), &text[1..]] {
            assert!(bad.parse::<MessageId>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_sorts_as_the_value(a in any::<u128>(), b in any::<u128>()) {
            let (a, b) = (Stamp(a), Stamp(b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn a_step_goes_up_and_keeps_the_form(millis in 0i64..1 << 47, start in 0u64..1 << 62, step in 1u64..1 << 62) {
            let from = Stamp::first_of(Timestamp::from_millis(millis)).plus(start);
            let to = from.plus(step);
            prop_assert!(to > from && to.previous() >= from && to.previous() < to);
            prop_assert_eq!(to.to_string().parse::<Stamp>(), Ok(to));
        }
    }

    #[test]
    fn a_full_stamp_carries_into_its_time() {
        let next = Stamp::first_of(Timestamp::from_millis(1001));
        assert_eq!(next.previous().time(), Timestamp::from_millis(1000));
        assert_eq!(next.previous().plus(1), next);
    }

    #[test]
    fn a_clock_that_is_behind_still_goes_up() {
        let ahead = Clock::default().stamp();
        let behind = Clock::off_by(-60_000);
        let next = behind.stamp_above(Some(ahead));
        assert!(next > ahead && next.time() == ahead.time());
    }
}
