//! Detects the type of a file by its first bytes.
//!
//! Invariant: only types of [`IN_PLACE`] are served as what they are. Everything else, HTML, SVG and XML above all, is
//! `application/octet-stream` and downloads, so that no upload can run as a page.

use domain::attachment::FileKind;

/// The type of everything that only downloads.
const BYTES: &str = "application/octet-stream";
/// The most pixels of a picture that is shown in place. Browsers need 4 bytes of memory for each.
const MAX_PIXELS: u64 = 50_000_000;

/// How many of a PDF's first bytes must not contain markup.
const PDF_HEADER: usize = 1024;
/// The beginnings of pages and drawings.
const MARKUP: [&[u8]; 6] = [b"<html", b"<script", b"<svg", b"<!doctype", b"<body", b"<iframe"];

/// A sniffed type, the type that it is served as, and what it is.
const IN_PLACE: [(&str, &str, FileKind); 13] = [
    ("image/jpeg", "image/jpeg", FileKind::Image),
    ("image/png", "image/png", FileKind::Image),
    ("image/gif", "image/gif", FileKind::Image),
    ("image/webp", "image/webp", FileKind::Image),
    ("image/avif", "image/avif", FileKind::Image),
    ("video/mp4", "video/mp4", FileKind::Video),
    ("video/webm", "video/webm", FileKind::Video),
    ("audio/mpeg", "audio/mpeg", FileKind::Audio),
    ("audio/m4a", "audio/mp4", FileKind::Audio),
    ("audio/ogg", "audio/ogg", FileKind::Audio),
    ("audio/x-wav", "audio/wav", FileKind::Audio),
    ("application/pdf", "application/pdf", FileKind::File),
    ("application/ogg", "audio/ogg", FileKind::Audio),
];

/// The detected type of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sniffed {
    pub(crate) content_type: &'static str,
    pub(crate) kind: FileKind,
    /// Width and height in pixels, of an image.
    pub(crate) dimensions: Option<(u32, u32)>,
}

impl Sniffed {
    /// A file that only downloads.
    const DOWNLOAD: Self = Self { content_type: BYTES, kind: FileKind::File, dimensions: None };

    /// Reads what a file is from its first bytes. A container that can hold both video and sound counts as sound if
    /// there is no video track in these bytes and the client says so (`is_sound`).
    pub(crate) fn of(bytes: &[u8], is_sound: bool) -> Self {
        let sniffed = infer::get(bytes).map(|found| found.mime_type());
        let listed = IN_PLACE.iter().find(|(name, ..)| Some(*name) == sniffed);
        let Some(&(_, content_type, kind)) = listed else { return Self::DOWNLOAD };
        // A PDF may contain forms and metadata in XML further on.
        let searched = if kind == FileKind::File { bytes.get(..PDF_HEADER).unwrap_or(bytes) } else { bytes };
        if contains_markup(searched) {
            return Self::DOWNLOAD;
        }
        match kind {
            FileKind::Image => Self::of_image(bytes, content_type),
            FileKind::Video => {
                let content_type = match content_type {
                    _ if !is_sound || has_video_track(bytes) => content_type,
                    "video/mp4" => "audio/mp4",
                    _ => "audio/webm",
                };
                let kind = if content_type.starts_with("audio/") { FileKind::Audio } else { kind };
                Self { content_type, kind, dimensions: None }
            }
            _ => Self { content_type, kind, dimensions: None },
        }
    }

    /// A picture without readable dimensions, or with too many pixels, only downloads.
    fn of_image(bytes: &[u8], content_type: &'static str) -> Self {
        let side = |side| u32::try_from(side).ok().filter(|side| *side > 0);
        let read = imagesize::blob_size(bytes).ok();
        let dimensions = read.and_then(|read| Some((side(read.width)?, side(read.height)?)));
        match dimensions {
            Some((width, height)) if u64::from(width) * u64::from(height) <= MAX_PIXELS => {
                Self { content_type, kind: FileKind::Image, dimensions }
            }
            _ => Self::DOWNLOAD,
        }
    }

    /// Whether it is a picture that the server takes as a preview or as the picture of a user or group.
    pub(crate) fn is_simple_picture(&self) -> bool {
        matches!(self.content_type, "image/jpeg" | "image/png" | "image/webp")
    }

    /// Whether browsers may show it in place.
    pub(crate) fn is_in_place(&self) -> bool {
        self.content_type != BYTES
    }
}

/// Whether bytes contain the beginning of a page or drawing, in any case. A file that is both a picture and a page only
/// downloads.
fn contains_markup(bytes: &[u8]) -> bool {
    let starts = |rest: &[u8]| {
        MARKUP.iter().any(|tag| rest.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag)))
    };
    memchr::memchr_iter(b'<', bytes).any(|at| starts(&bytes[at..]))
}

/// Whether there is a video track in the first bytes of an MP4 (a handler of type `vide`) or `WebM` (a codec `V_…`).
fn has_video_track(bytes: &[u8]) -> bool {
    let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    has(b"vide") || has(b"V_VP8") || has(b"V_VP9") || has(b"V_AV1") || has(b"V_MPEG")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_drawings_only_download() {
        for text in [
            "<html><script>alert(1)</script></html>",
            "<!DOCTYPE html><p>",
            "<svg xmlns=\"http://www.w3.org/2000/svg\"><script/></svg>",
            "<?xml version=\"1.0\"?><svg/>",
            " \n<svg/>",
            "\u{feff}<html>",
            "plain text",
            "GIF89a<script>alert(1)</script>",
            "\u{89}PNG\r\n<html>",
            "",
        ] {
            assert_eq!(Sniffed::of(text.as_bytes(), false), Sniffed::DOWNLOAD, "{text}");
        }
        let picture = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x08\0\0\0\x08\x08\x02\0\0\0\0\0\0\0";
        assert_eq!(Sniffed::of(picture, false).content_type, "image/png");
        for both in ["<HTML>", "<svg onload=alert(1)>", "<ScRiPt>alert(1)</script>", "<!DOCTYPE html>"] {
            let both = [picture.as_slice(), both.as_bytes()].concat();
            assert_eq!(Sniffed::of(&both, false), Sniffed::DOWNLOAD, "a picture that is also a page");
        }
    }

    #[test]
    fn a_picture_has_dimensions_and_not_too_many() {
        let png = |width: u32, height: u32| {
            let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
            bytes.extend_from_slice(&width.to_be_bytes());
            bytes.extend_from_slice(&height.to_be_bytes());
            bytes.extend_from_slice(&[8, 2, 0, 0, 0, 0, 0, 0, 0]);
            Sniffed::of(&bytes, false)
        };
        assert_eq!(png(64, 48).dimensions, Some((64, 48)));
        assert_eq!(png(64, 48).content_type, "image/png");
        assert_eq!(png(0, 48), Sniffed::DOWNLOAD);
        assert_eq!(png(100_000, 100_000), Sniffed::DOWNLOAD, "a decompression bomb");
    }

    #[test]
    fn a_recording_is_a_sound_only_without_a_video_track() {
        let webm = |track: &str| {
            let mut bytes = b"\x1a\x45\xdf\xa3\x42\x82\x84webm\0\0".to_vec();
            bytes.extend_from_slice(track.as_bytes());
            bytes.extend_from_slice(&[0; 300]);
            bytes
        };
        assert_eq!(Sniffed::of(&webm("A_OPUS"), true).content_type, "audio/webm");
        assert_eq!(Sniffed::of(&webm("A_OPUS"), false).content_type, "video/webm");
        assert_eq!(Sniffed::of(&webm("V_VP8 A_OPUS"), true).content_type, "video/webm");
    }
}
