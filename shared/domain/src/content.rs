//! The content of messages: its fields and their limits, and changes of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attachment::Attachment;
use crate::custom::{self, Custom};
use crate::error::Error;
use crate::fields::present;
use crate::id::{Stamp, UserId};
use crate::invisible::shows_something;
use crate::name::is_web_url;

/// Maximum length of a message's text, in characters (Unicode scalar values).
pub(crate) const MAX_TEXT: usize = 10_000;
/// Maximum length of an attachment's URL, in bytes.
pub(crate) const MAX_URL: usize = 2_048;
/// Maximum length of an attachment's type, in characters.
pub(crate) const MAX_ATTACHMENT_TYPE: usize = 100;
/// The most users that a message mentions by their ids.
pub(crate) const MAX_MENTIONS: usize = 50;
/// Maximum length of a client id, in characters.
pub(crate) const MAX_CLIENT_ID: usize = 64;

/// A message's text: up to 10,000 characters (Unicode scalar values).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(extend("maxLength" = MAX_TEXT))]
pub struct Text(String);

impl TryFrom<String> for Text {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.chars().count() <= MAX_TEXT {
            Ok(Self(text))
        } else {
            Err("a text has at most 10,000 characters")
        }
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

/// An idempotency key that the client chooses: 1-64 characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(extend("minLength" = 1, "maxLength" = MAX_CLIENT_ID))]
pub struct ClientId(String);

impl TryFrom<String> for ClientId {
    type Error = &'static str;
    fn try_from(id: String) -> Result<Self, Self::Error> {
        if (1..=MAX_CLIENT_ID).contains(&id.chars().count()) {
            Ok(Self(id))
        } else {
            Err("a client id has 1-64 characters")
        }
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.0
    }
}

/// The content of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The text. It is empty if the message has only attachments, or was deleted.
    pub text: String,
    /// The files, which were uploaded before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The URL of an attachment elsewhere: absolute http(s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment_url: Option<String>,
    /// The type of the attachment elsewhere, as the client named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment_type: Option<String>,
    /// The message of the same conversation that this one replies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Stamp>,
    /// The sender's idempotency key for the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<String>,
    /// The users whom it mentions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<UserId>,
    /// Whether it mentions every participant.
    #[serde(rename = "all", default, skip_serializing_if = "std::ops::Not::not")]
    pub mention_all: bool,
    /// Whether it was forwarded.
    #[serde(rename = "fwd", default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// Data of the application.
    #[serde(default, with = "custom::text", skip_serializing_if = "Option::is_none")]
    pub custom: Option<Custom>,
}

impl Content {
    /// Checks the content. `has_files` tells whether the message has or will have attachments.
    pub(crate) fn validate(&self, has_files: bool) -> Result<(), Error> {
        let invalid = |field, message| Err(Error::field(field, message));
        let length = |text: &String| text.chars().count();
        if self.attachment_url.is_none() && !has_files && !shows_something(&self.text) {
            return invalid("message_text", "The text is missing or shows nothing.");
        }
        if length(&self.text) > MAX_TEXT {
            return invalid("message_text", "A text has at most 10,000 characters.");
        }
        if self.attachment_url.as_ref().is_some_and(|url| !is_web_url(url, MAX_URL)) {
            return invalid(
                "attachment_url",
                "An attachment_url is an absolute http(s) URL of at most 2,048 bytes.",
            );
        }
        if let Some(kind) = &self.attachment_type
            && (self.attachment_url.is_none() || !(1..=MAX_ATTACHMENT_TYPE).contains(&length(kind)))
        {
            return invalid(
                "attachment_type",
                "An attachment_type has 1-100 characters and requires an attachment_url.",
            );
        }
        if self.client_message_id.as_ref().is_some_and(|id| !(1..=MAX_CLIENT_ID).contains(&length(id))) {
            return invalid("client_message_id", "A client_message_id has 1-64 characters.");
        }
        Ok(())
    }
}

/// Returns the mentioned users without repetitions.
pub(crate) fn each_once(mut mentions: Vec<UserId>) -> Result<Vec<UserId>, Error> {
    if mentions.len() > MAX_MENTIONS {
        return Err(Error::field("mentions", "A message mentions at most 50 users."));
    }
    mentions.sort_unstable();
    mentions.dedup();
    Ok(mentions)
}

/// A change of a message. Missing fields stay as they are.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MessageEdit", extend("minProperties" = 1))]
pub struct Edit {
    /// The new text.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Text")]
    message_text: Option<Text>,
    /// The users whom the message mentions from now on: participants, up to 50.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Vec<UserId>", length(max = MAX_MENTIONS))]
    mentions: Option<Vec<UserId>>,
    /// Whether it mentions every participant.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "bool")]
    mention_all: Option<bool>,
    /// The new data of the application. Null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Custom>")]
    #[expect(clippy::option_option, reason = "missing, null, or an object")]
    custom: Option<Option<Custom>>,
}

impl Edit {
    /// An edit of the text alone.
    #[must_use]
    pub fn of_text(text: Text) -> Self {
        Self { message_text: Some(text), ..Self::default() }
    }

    /// Returns the content after the edit.
    ///
    /// # Errors
    /// `Invalid` if the text shows nothing and there is no attachment, or if there are too many mentions.
    pub(crate) fn applied_to(&self, before: &Content) -> Result<Content, Error> {
        let Content { text, mentions, mention_all, custom, .. } = before.clone();
        let content = Content {
            text: self.message_text.clone().map_or(text, String::from),
            mentions: self.mentions.clone().map_or(Ok(mentions), each_once)?,
            mention_all: self.mention_all.unwrap_or(mention_all),
            custom: self.custom.clone().unwrap_or(custom),
            ..before.clone()
        };
        content.validate(!content.attachments.is_empty())?;
        Ok(content)
    }

    /// Refuses an edit of nothing.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn validate(&self) -> Result<(), Error> {
        let Self { message_text, mentions, mention_all, custom } = self;
        if message_text.is_none() && mentions.is_none() && mention_all.is_none() && custom.is_none() {
            return Err(Error::field(
                "message_text",
                "Send a message_text, mentions, mention_all or custom.",
            ));
        }
        Ok(())
    }
}
