//! The kinds of content that `has:` filters by, and the detection of links in a text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attachment::FileKind;

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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    let is_link = |start: &str, mark: usize, end: usize| {
        let Some(begin) = mark.checked_sub(start.len()) else { return false };
        text.get(begin..mark).is_some_and(|found| found.eq_ignore_ascii_case(start))
            && !text[..begin].ends_with(|before: char| before.is_alphanumeric())
            && text[end..].starts_with(|next: char| next.is_alphanumeric() || next == '[')
    };
    text.match_indices([':', '.']).any(|(at, mark)| {
        if mark == "." {
            return is_link("www", at, at + 1);
        }
        let has_slashes = text[at..].starts_with("://");
        has_slashes && (is_link("http", at, at + 3) || is_link("https", at, at + 3))
    })
}

/// Returns the kind of an attachment that is stored elsewhere: by its type or, without one, by the extension in its URL.
#[must_use]
pub(crate) fn kind_of_link(url: &str, described: Option<&str>) -> FileKind {
    const ENDINGS: [(FileKind, &[&str]); 3] = [
        (FileKind::Image, &["avif", "bmp", "gif", "heic", "jpeg", "jpg", "png", "svg", "webp"]),
        (FileKind::Video, &["avi", "m4v", "mkv", "mov", "mp4", "webm"]),
        (FileKind::Audio, &["aac", "flac", "m4a", "mp3", "oga", "ogg", "opus", "wav"]),
    ];
    if let Some(described) = described {
        return match described.trim_start().to_ascii_lowercase() {
            kind if kind.starts_with("image") => FileKind::Image,
            kind if kind.starts_with("video") => FileKind::Video,
            kind if kind.starts_with("audio") => FileKind::Audio,
            kind if kind.starts_with("voice") => FileKind::Voice,
            _ => FileKind::File,
        };
    }
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    let known = ENDINGS.iter().find(|(_, endings)| endings.contains(&ending.as_str()));
    known.map_or(FileKind::File, |(kind, _)| *kind)
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
    fn the_type_of_a_link_decides_before_its_address() {
        assert_eq!(kind_of_link("https://a.example/x", Some("image/png")), FileKind::Image);
        assert_eq!(kind_of_link("https://a.example/x.png", Some("application/pdf")), FileKind::File);
        assert_eq!(kind_of_link("https://a.example/x.PNG?size=1", None), FileKind::Image);
        assert_eq!(kind_of_link("https://a.example/x.pdf", None), FileKind::File);
        assert_eq!(kind_of_link("https://a.example", None), FileKind::File);
        assert_eq!(kind_of_link("https://a.example/x", Some("Voice")), FileKind::Voice);
    }

    #[test]
    fn bits_keep_their_meaning() {
        assert_eq!(Has::ALL.map(|has| HasSet::default().with(has).0), [1, 2, 4, 8]);
    }
}
