//! What a message can have besides words: the kinds that `has:` filters by, and how to see a link in a text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kind of content that a search can ask for with `has:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Has {
    /// Any attachment.
    Attachment,
    /// A web address in the text.
    Link,
    /// An attached image.
    Image,
    /// An attachment that is not an image, a video or a sound.
    File,
}

impl Has {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Attachment, Self::Link, Self::Image, Self::File];

    /// Parses the value of `has:`, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "attachment" => Self::Attachment,
            "link" => Self::Link,
            "image" => Self::Image,
            "file" => Self::File,
            _ => return None,
        })
    }
}

/// A set of kinds, in the form in which an archive stores it: one bit for each, which must keep its meaning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HasSet(pub u8);

impl HasSet {
    /// The set with one more kind.
    #[must_use]
    pub fn with(self, has: Has) -> Self {
        Self(self.0 | 1 << has as u8)
    }

    /// Whether it contains all kinds of another set.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Whether a text contains a web address: `http://`, `https://` or `www.` with something after it.
#[must_use]
pub fn has_link(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["http://", "https://", "www."].iter().any(|start| {
        let mut found = lower.match_indices(start);
        found.any(|(at, _)| {
            let is_start = !lower[..at].ends_with(|before: char| before.is_alphanumeric());
            is_start
                && lower[at + start.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '[')
        })
    })
}

/// Whether an attachment is an image, a video or a sound, by its type or, without one, by the end of its address.
#[must_use]
pub(crate) fn media_of(url: &str, kind: Option<&str>) -> Option<&'static str> {
    const ENDINGS: [(&str, &[&str]); 3] = [
        ("image", &["avif", "bmp", "gif", "heic", "jpeg", "jpg", "png", "svg", "webp"]),
        ("video", &["avi", "m4v", "mkv", "mov", "mp4", "webm"]),
        ("audio", &["aac", "flac", "m4a", "mp3", "oga", "ogg", "opus", "wav"]),
    ];
    if let Some(kind) = kind {
        let kind = kind.trim_start().to_ascii_lowercase();
        let media = ENDINGS.iter().map(|(media, _)| *media).find(|media| kind.starts_with(media));
        return media.or_else(|| kind.starts_with("voice").then_some("audio"));
    }
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let ending = path.rsplit('/').next()?.rsplit_once('.')?.1.to_ascii_lowercase();
    ENDINGS.iter().find(|(_, endings)| endings.contains(&ending.as_str())).map(|(media, _)| *media)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_seen_anywhere_in_a_text() {
        for text in ["https://a.example", "see HTTP://a.example/x.", "(www.a.example)", "ü:https://[::1]/"] {
            assert!(has_link(text), "{text}");
        }
        for text in ["", "http", "https:// x", "awww.cute", "www. x", "ftp://a.example", "example.com"] {
            assert!(!has_link(text), "{text}");
        }
    }

    #[test]
    fn the_type_of_an_attachment_decides_before_its_address() {
        assert_eq!(media_of("https://a.example/x", Some("image/png")), Some("image"));
        assert_eq!(media_of("https://a.example/x.png", Some("application/pdf")), None);
        assert_eq!(media_of("https://a.example/x.PNG?size=1", None), Some("image"));
        assert_eq!(media_of("https://a.example/x.pdf", None), None);
        assert_eq!(media_of("https://a.example/x", Some("Voice")), Some("audio"));
    }

    #[test]
    fn bits_keep_their_meaning() {
        assert_eq!(Has::ALL.map(|has| HasSet::default().with(has).0), [1, 2, 4, 8]);
    }
}
