//! All ids, and the only place that reads the clock and generates randomness.
//!
//! Invariant: the text form of an id sorts byte by byte as its value does, so an id can be part of a sort key as it is.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::alphabet::Alphabet;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{NO_PAD, URL_SAFE_NO_PAD};
use schemars::JsonSchema;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::time::Timestamp;

/// Base64 with its alphabet in ASCII order: unlike base64url, the text sorts as the bytes do.
pub const ORDERED: GeneralPurpose = GeneralPurpose::new(
    &match Alphabet::new("-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz") {
        Ok(alphabet) => alphabet,
        Err(_) => base64::alphabet::URL_SAFE,
    },
    NO_PAD,
);

/// The reason why a text is not an id, as a message for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MalformedId(pub &'static str);

/// Parses an id from a text while the text is deserialized, without a copy of it.
struct TextVisitor<T>(PhantomData<T>);

impl<T: FromStr<Err = MalformedId>> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// Implements serde's traits and `Debug` for an id that implements `FromStr` and `Display`.
macro_rules! text_form {
    ($id:ident) => {
        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(TextVisitor(PhantomData))
            }
        }
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

/// Texts that are no user ids, because they mean something else in a path.
const NO_USER_IDS: [&str; 3] = ["me", ".", ".."];

/// A user's id: the `sub` of their token, 1-128 characters of `A-Z a-z 0-9 _ - . @ | :`, but not `me`, `.` or `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(try_from = "String", into = "String")]
#[schemars(extend(
    "pattern" = "^[0-9A-Za-z_.@|:-]{1,128}$", "not" = {"enum": NO_USER_IDS}, "examples" = ["bob"]
))]
pub struct UserId(Arc<str>);
text_form!(UserId);

impl UserId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A new id for a user who registers here. It has 122 random bits, so nobody can choose or guess it.
    #[must_use]
    pub fn random() -> Self {
        Self(request_token().into())
    }
}

impl FromStr for UserId {
    type Err = MalformedId;
    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.@|:".contains(&b);
        if (1..=128).contains(&text.len()) && text.bytes().all(allowed) && !NO_USER_IDS.contains(&text) {
            Ok(Self(text.into()))
        } else {
            Err(MalformedId(
                "a user id has 1-128 characters of A-Z a-z 0-9 _ - . @ | : and is not me, . or ..",
            ))
        }
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a session, i.e. of a login and the refresh tokens that follow it: a random UUID of 36 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Arc<str>);
text_form!(SessionId);

impl SessionId {
    /// A new session id.
    #[must_use]
    pub fn random() -> Self {
        Self(request_token().into())
    }
}

impl FromStr for SessionId {
    type Err = MalformedId;
    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let allowed = |b: u8| b.is_ascii_hexdigit() || b == b'-';
        let is_valid = text.len() == 36 && text.bytes().all(allowed);
        if is_valid { Ok(Self(text.into())) } else { Err(MalformedId("not a session id")) }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a push subscription: a digest of its endpoint, so that the same endpoint has the same id.
#[derive(Clone, PartialEq, Eq, Hash, JsonSchema)]
#[schemars(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[-0-9A-Z_a-z]{22}$"))]
pub struct SubscriptionId(Arc<str>);
text_form!(SubscriptionId);

impl SubscriptionId {
    /// The id of the subscription with this endpoint.
    #[must_use]
    pub fn of(endpoint: &str) -> Self {
        Self(short_digest(endpoint).into())
    }
}

impl FromStr for SubscriptionId {
    type Err = MalformedId;
    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        let is_valid = text.len() == 22 && text.bytes().all(allowed);
        if is_valid { Ok(Self(text.into())) } else { Err(MalformedId("not the id of a subscription")) }
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first 128 bits of a text's SHA-256, in 22 characters of base64url.
#[must_use]
pub fn short_digest(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(&digest::digest(&digest::SHA256, text.as_bytes()).as_ref()[..16])
}

/// Bytes of the digest in a conversation id: 144 bits, so that nobody can find two pairs of users with the same id.
const CONVERSATION_BYTES: usize = 18;
const CONVERSATION_LENGTH: usize = 25;

/// The type of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ConversationType")]
pub enum ConversationKind {
    /// Between two users.
    Direct,
    /// For the users whom its admins have added.
    Group,
    /// Open to every user.
    Room,
}

impl ConversationKind {
    /// The first letter of the ids of such conversations.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Direct => 'd',
            Self::Group => 'g',
            Self::Room => 'r',
        }
    }
}

/// A digest of some users, the same in every order.
#[must_use]
pub fn digest_of(users: &[UserId]) -> String {
    let sorted: BTreeSet<&str> = users.iter().map(UserId::as_str).collect();
    let mut context = digest::Context::new(&digest::SHA256);
    // No id contains a line break.
    sorted.into_iter().flat_map(|user| [user, "\n"]).for_each(|part| context.update(part.as_bytes()));
    ORDERED.encode(context.finish())
}

/// A conversation's id: `d` (direct), `g` (group) or `r` (room), and a digest.
///
/// The id of a direct conversation is computed from its two users, so neither a send nor a page needs a look-up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[dgr][-0-9A-Z_a-z]{24}$"))]
pub struct ConversationId(Arc<str>);
text_form!(ConversationId);

impl ConversationId {
    /// The id of the direct conversation of two users, in either order.
    #[must_use]
    pub fn direct(one: &UserId, other: &UserId) -> Self {
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        Self::digest('d', b"tidings direct conversation\0", [first.as_str(), second.as_str()])
    }

    /// The id of the group that a user creates with a client id. A retry with the same client id gets the same id.
    #[must_use]
    pub fn group(creator: &UserId, client_id: &str) -> Self {
        Self::digest('g', b"tidings group\0", [creator.as_str(), client_id])
    }

    /// A new random id for a group or room.
    #[must_use]
    pub fn new(kind: ConversationKind) -> Self {
        Self::digest(kind.letter(), b"tidings conversation\0", [&request_token(), &request_token()])
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

    /// The type of the conversation.
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

/// The version and variant bits of a `UUIDv7` (RFC 9562, section 5.7), and masks for the bits below and between them.
const VERSION: u128 = 0x7 << 76;
const VARIANT: u128 = 0b10 << 62;
const LOW: u128 = (1 << 62) - 1;
const MIDDLE: u128 = (1 << 12) - 1;

/// The number of characters of a stamp's text.
const STAMP_LENGTH: usize = 22;

/// A `UUIDv7` in 22 characters that sort by time. It orders messages and events.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(try_from = "String", into = "String")]
#[schemars(rename = "EventId", extend("pattern" = "^[-0-9A-Z_a-z]{8}[R-U][-0-9A-Z_a-z][159DHLPTXaeimquy][-0-9A-Z_a-z]{10}[-FVk]$"))]
pub struct Stamp(u128);
text_form!(Stamp);

impl Stamp {
    /// The time of the stamp, to the millisecond.
    #[must_use]
    pub fn time(self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.0 >> 80).unwrap_or(i64::MAX))
    }

    /// The lowest stamp of a millisecond.
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

    /// The 16 bytes of the UUID (RFC 9562, section 4).
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Parses 16 bytes; `None` if they are not a `UUIDv7`.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let value = u128::from_be_bytes(bytes);
        let is_v7 = value & (0xf << 76) == VERSION && value & (0b11 << 62) == VARIANT;
        is_v7.then_some(Self(value))
    }

    /// The 122 bits other than version and variant. They number all stamps without a gap.
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
        let mut bytes = [0; 16];
        match ORDERED.decode_slice(text, &mut bytes) {
            Ok(16) => Self::from_bytes(bytes).ok_or(malformed),
            _ => Err(malformed),
        }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; STAMP_LENGTH];
        ORDERED.encode_slice(self.0.to_be_bytes(), &mut text).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// A message's id: the id of its conversation and its stamp, so that the message is found without a look-up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[dgr][-0-9A-Z_a-z]{24}[-0-9A-Z_a-z]{8}[R-U][-0-9A-Z_a-z][159DHLPTXaeimquy][-0-9A-Z_a-z]{10}[-FVk]$"))]
pub struct MessageId {
    /// The conversation that contains the message.
    pub conversation: ConversationId,
    /// The message's position in the conversation.
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

/// A file's id: the id of the conversation that it was sent to and a stamp of its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[dgr][-0-9A-Z_a-z]{24}[-0-9A-Z_a-z]{8}[R-U][-0-9A-Z_a-z][159DHLPTXaeimquy][-0-9A-Z_a-z]{10}[-FVk]$"))]
pub struct FileId {
    /// The conversation whose participants see the file.
    pub conversation: ConversationId,
    /// Distinguishes the file from others of the conversation.
    pub stamp: Stamp,
}
text_form!(FileId);

impl FromStr for FileId {
    type Err = MalformedId;
    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let malformed = |_| MalformedId("not a file's id");
        let MessageId { conversation, stamp } = text.parse().map_err(malformed)?;
        Ok(Self { conversation, stamp })
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.conversation, self.stamp)
    }
}

/// The clock of a process. Invariant: nothing else reads the time or makes stamps, so that tests can control both.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    offset_ms: i64,
    /// The time at which the clock stands still, in tests.
    frozen_at: Option<Timestamp>,
    /// The last stamp, so that stamps which a process makes within one millisecond ascend.
    last: Arc<Mutex<Option<Stamp>>>,
}

impl Clock {
    /// A clock that is off by some milliseconds, like that of a badly set machine.
    #[must_use]
    pub fn off_by(millis: i64) -> Self {
        Self { offset_ms: millis, ..Self::default() }
    }

    /// A clock that stands still, for tests that depend on time.
    #[must_use]
    pub fn frozen_at(time: Timestamp) -> Self {
        Self { frozen_at: Some(time), ..Self::default() }
    }

    /// The current time, to the millisecond.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the only place that reads the clock")]
    pub fn now(&self) -> Timestamp {
        if let Some(time) = self.frozen_at {
            return time;
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(millis.saturating_add(self.offset_ms))
    }

    /// A new stamp of the current time. Stamps that a process makes within one millisecond ascend.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.stamp_above(None)
    }

    /// A new stamp of the current time or, if that is not above `floor`, one just above `floor`.
    ///
    /// The step is random, so that two machines whose clocks are behind the same `floor` choose different stamps.
    #[must_use]
    pub fn stamp_above(&self, floor: Option<Stamp>) -> Stamp {
        // Fills 64 of the 74 bits below the millisecond with random bits.
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
#[expect(clippy::disallowed_methods, reason = "the only place that generates randomness")]
pub fn random() -> u64 {
    // A UUIDv4 has 60 random bits in its upper half and 62 in its lower half. After the rotation, each fixed bit of one
    // half meets a random bit of the other.
    let (high, low) = Uuid::new_v4().as_u64_pair();
    high.rotate_left(32) ^ low
}

/// A new secret: 64 hexadecimal characters with 244 random bits.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the only place that generates randomness")]
pub fn random_secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// A new random UUID of 36 characters, such as the id of a request.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the only place that generates randomness")]
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
    fn users_with_the_same_concatenated_ids_have_different_conversations() {
        assert_ne!(
            ConversationId::direct(&user("ab"), &user("c")),
            ConversationId::direct(&user("a"), &user("bc"))
        );
    }

    #[test]
    fn each_id_has_only_one_text_form() {
        let id = ConversationId::direct(&user("alice"), &user("bob"));
        let message = MessageId { conversation: id, stamp: Clock::default().stamp() };
        assert_eq!(message.to_string().parse(), Ok(message.clone()));
        let text = message.to_string();
        let (head, last) = text.split_at(text.len() - 1);
        let others: Vec<_> =
            "-0AZaz_9".chars().filter(|c| c.to_string() != last).map(|c| format!("{head}{c}")).collect();
        let equal = others.iter().filter_map(|t| t.parse::<MessageId>().ok()).filter(|m| *m == message);
        assert_eq!(equal.count(), 0);
        for bad in ["", "zzz", "é", &format!("{text}x"), &text[1..]] {
            assert!(bad.parse::<MessageId>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn the_text_of_a_stamp_sorts_as_its_value(a in any::<u128>(), b in any::<u128>()) {
            let (a, b) = (Stamp(a), Stamp(b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn adding_a_step_ascends(millis in 0i64..1 << 47, start in 0u64..1 << 62, step in 1u64..1 << 62) {
            let from = Stamp::first_of(Timestamp::from_millis(millis)).plus(start);
            let to = from.plus(step);
            prop_assert!(to > from && to.previous() >= from && to.previous() < to);
            prop_assert_eq!(to.to_string().parse::<Stamp>(), Ok(to));
        }
    }

    #[test]
    fn the_last_stamp_of_a_millisecond_is_followed_by_the_first_of_the_next() {
        let next = Stamp::first_of(Timestamp::from_millis(1001));
        assert_eq!(next.previous().time(), Timestamp::from_millis(1000));
        assert_eq!(next.previous().plus(1), next);
    }

    #[test]
    fn a_clock_that_is_behind_still_makes_greater_stamps() {
        let ahead = Clock::default().stamp();
        let behind = Clock::off_by(-60_000);
        let next = behind.stamp_above(Some(ahead));
        assert!(next > ahead && next.time() == ahead.time());
    }
}
