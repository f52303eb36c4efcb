//! Attachments: the files of a message, as clients name them, as the store holds them and as the API shows them.
//!
//! Invariant: type, size and dimensions of an image are what the server read from the file, never what a client said.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::fields::whole_or_none;
use crate::id::{FileId, Stamp};
use crate::invisible::{is_bidi_control, is_line_break, shows_something};
use crate::links::Links;

/// The most attachments of a message.
pub const MAX_ATTACHMENTS: usize = 10;
/// Maximum length of a file's name, in characters.
const MAX_NAME: usize = 255;
/// Maximum length of a content type that a client names, in characters.
const MAX_TYPE: usize = 100;
/// Maximum length of a thumbhash: 25 bytes in base64, with padding, and some room.
const MAX_THUMBHASH: usize = 48;
/// Maximum length of a description, in characters.
const MAX_ALT: usize = 500;
/// Maximum width and height that a client can name, in pixels.
const MAX_SIDE: u32 = 65_535;
/// Maximum duration that a client can name, in milliseconds: a week.
const MAX_DURATION: u32 = 7 * 24 * 3600 * 1000;
/// Maximum length of an upload's id, in characters. An id that the server made is shorter.
pub const MAX_UPLOAD_ID: usize = 4_096;

/// The kind of a file, which decides how a client shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "AttachmentKind")]
pub enum FileKind {
    /// A picture that browsers show.
    Image,
    /// A video that browsers play.
    Video,
    /// A sound that browsers play.
    Audio,
    /// A sound that was recorded as a message.
    Voice,
    /// Anything else: a file to download or, if it is a PDF, to open.
    File,
}

/// A file's name: 1-255 characters. Folders in front of it, line breaks, control characters and bidi controls are cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("minLength" = 1, "maxLength" = MAX_NAME))]
pub struct FileName(String);

impl FileName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FileName {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if !(1..=MAX_NAME).contains(&text.chars().count()) {
            return Err("a file name has 1-255 characters");
        }
        let name = text.rsplit(['/', '\\']).next().unwrap_or_default();
        let refused = |c: char| c.is_control() || is_line_break(c) || is_bidi_control(c);
        let name: String = name.chars().filter(|c| !refused(*c)).collect();
        let name = name.trim();
        Ok(Self(if shows_something(name) { name.to_owned() } else { "file".to_owned() }))
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> Self {
        name.0
    }
}

/// The type that a client names for a file, such as `audio/webm;codecs=opus`: 3-100 printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("maxLength" = MAX_TYPE, "pattern" = "^[0-9A-Za-z!#$&^_.+-]+/[0-9A-Za-z!#$&^_.+-]+( *;[ -~]*)?$"))]
pub struct NamedType(String);

impl NamedType {
    /// The type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NamedType {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (essence, parameters) = text.split_once(';').unwrap_or((&text, ""));
        let is_token = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
        };
        let is_valid = essence
            .trim_end_matches(' ')
            .split_once('/')
            .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
            && parameters.bytes().all(|b| (b' '..=b'~').contains(&b));
        if text.len() <= MAX_TYPE && is_valid {
            Ok(Self(text))
        } else {
            Err("a content type looks like image/png and has at most 100 characters")
        }
    }
}

impl From<NamedType> for String {
    fn from(name: NamedType) -> Self {
        name.0
    }
}

/// An uploaded file that a message is to have, and what the client knows about it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewAttachment")]
pub struct AttachmentFields {
    /// The `attachment_id` of the upload.
    #[schemars(length(min = 1, max = MAX_UPLOAD_ID))]
    pub attachment_id: String,
    /// The width of a video in pixels. The server reads that of an image itself.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schemars(range(min = 1, max = MAX_SIDE))]
    pub width: Option<u32>,
    /// The height of a video in pixels. The server reads that of an image itself.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schemars(range(min = 1, max = MAX_SIDE))]
    pub height: Option<u32>,
    /// The duration of a video or sound, in milliseconds.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schemars(range(max = MAX_DURATION))]
    pub duration_ms: Option<u32>,
    /// A blurred form of the picture, to show while it loads: a thumbhash in base64.
    #[schemars(length(min = 1, max = MAX_THUMBHASH), regex(pattern = "^[-0-9A-Za-z+/_=]+$"))]
    pub thumbhash: Option<String>,
    /// Whether the sound was recorded as a message.
    #[serde(default)]
    pub is_voice: bool,
    /// A description for those who do not see the picture.
    #[schemars(length(min = 1, max = MAX_ALT))]
    pub alt: Option<String>,
}

impl AttachmentFields {
    /// Checks the fields.
    ///
    /// # Errors
    /// `Invalid`, with `attachments` as the field.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let is_side = |side: u32| (1..=MAX_SIDE).contains(&side);
        let is_hash = |hash: &String| {
            (1..=MAX_THUMBHASH).contains(&hash.len())
                && hash.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+/_=".contains(&b))
        };
        let message = if self.attachment_id.is_empty() || self.attachment_id.len() > MAX_UPLOAD_ID {
            "An attachment_id has 1-4,096 characters."
        } else if !self.width.is_none_or(is_side) || !self.height.is_none_or(is_side) {
            "A width and a height are 1-65,535."
        } else if self.duration_ms.is_some_and(|duration| duration > MAX_DURATION) {
            "A duration is at most a week."
        } else if !self.thumbhash.as_ref().is_none_or(is_hash) {
            "A thumbhash has 1-48 characters of base64."
        } else if !self.alt.as_ref().is_none_or(|alt| (1..=MAX_ALT).contains(&alt.chars().count())) {
            "An alt has 1-500 characters."
        } else {
            return Ok(());
        };
        Err(Error::field("attachments", message))
    }
}

/// A file of a message, as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The file, together with the message's conversation.
    pub file: Stamp,
    /// The smaller picture that the client has made of it, also a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Stamp>,
    /// The kind of file.
    pub kind: FileKind,
    /// Its name.
    pub name: FileName,
    /// The type that its first bytes show; `application/octet-stream` if it is not one that shows in place.
    #[serde(rename = "type")]
    pub content_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// The width in pixels: of an image as the server read it, of a video as the client said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// The height in pixels, as the width.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// The duration in milliseconds, as the client said.
    #[serde(rename = "ms", default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u32>,
    /// The blurred form.
    #[serde(rename = "hash", default, skip_serializing_if = "Option::is_none")]
    pub thumbhash: Option<String>,
    /// The description for those who do not see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt: Option<String>,
}

impl Attachment {
    /// The files of the attachment: itself and, if there is one, its preview.
    pub fn files(&self) -> impl Iterator<Item = Stamp> {
        std::iter::once(self.file).chain(self.preview)
    }

    /// The attachment as a participant sees it.
    #[must_use]
    pub(crate) fn shown(&self, id: FileId, links: &Links) -> AttachmentView {
        let url = links.to(&id);
        let preview = self.preview.map(|stamp| FileId { stamp, ..id.clone() });
        AttachmentView {
            id,
            kind: self.kind,
            file_name: self.name.clone(),
            content_type: self.content_type.clone(),
            size: self.size,
            width: self.width,
            height: self.height,
            duration_ms: self.duration_ms,
            thumbhash: self.thumbhash.clone(),
            alt: self.alt.clone(),
            url,
            preview_url: preview.map(|preview| links.to(&preview)),
        }
    }
}

/// An attachment, as a participant sees it. What does not apply is null.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Attachment")]
pub struct AttachmentView {
    id: FileId,
    kind: FileKind,
    file_name: FileName,
    /// The type that the file's first bytes show. `application/octet-stream` if it only downloads.
    pub(crate) content_type: String,
    /// The size in bytes.
    size: u64,
    /// The width in pixels.
    width: Option<u32>,
    /// The height in pixels.
    height: Option<u32>,
    duration_ms: Option<u32>,
    thumbhash: Option<String>,
    /// A description for those who do not see it.
    alt: Option<String>,
    /// The URL of the file, which needs no token. It stays the same for a day, and is valid for at least another.
    pub(crate) url: String,
    /// The URL of the smaller picture.
    preview_url: Option<String>,
}
