//! Characters that show nothing, and those that change how the text around them is drawn.
//!
//! Each set exists twice: as a function, and as the inside of a character class for the patterns of the OpenAPI
//! document. A test compares them for all characters. Characters above U+FFFF stand in the classes as themselves,
//! because JavaScript, Python and Rust have no common escape for them.

/// Bidi controls: they can turn the text around them (compare Unicode's property `Bidi_Control`).
macro_rules! bidi_class {
    () => {
        r"\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069"
    };
}

/// Line breaks.
macro_rules! line_break_class {
    () => {
        r"\u000A-\u000D\u0085\u2028\u2029"
    };
}

/// The characters that can be cut off at the end of a text: all invisible ones, except bidi controls and [`is_modifier`].
macro_rules! blank_class {
    () => {
        concat!(
            r"\u0000-\u0020\u007F-\u00A0\u00AD\u115F\u1160\u1680\u180E\u2000-\u200B\u2028\u2029\u202F",
            r"\u205F-\u2065\u206A-\u206F\u2800\u3000\u3164\uFEFF\uFFA0\uFFF0-\uFFFB",
            "\u{1BCA0}-\u{1BCA3}\u{1D159}\u{1D173}-\u{1D17A}"
        )
    };
}

/// The characters that are invisible themselves, but change how their neighbours are drawn.
macro_rules! modifier_class {
    () => {
        concat!(r"\u034F\u17B4\u17B5\u180B-\u180D\u180F\u200C\u200D\uFE00-\uFE0F", "\u{E0000}-\u{E0FFF}")
    };
}

pub(crate) use {bidi_class, blank_class, line_break_class, modifier_class};

/// Whether it is a bidi control.
pub(crate) fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether it ends a line.
pub(crate) fn is_line_break(c: char) -> bool {
    matches!(c, '\n'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether it shows nothing itself, but can change how its neighbours are drawn: joiners, variation selectors, tags.
pub(crate) fn is_modifier(c: char) -> bool {
    matches!(c,
        '\u{34f}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{200c}' | '\u{200d}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether it takes up room without showing anything: white space, the fillers of Hangul, and the blank Braille cell.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}')
}

/// Whether it is passed over when texts are drawn (Unicode's property `Default_Ignorable_Code_Point`).
pub(crate) fn is_ignorable(c: char) -> bool {
    is_modifier(c)
        || is_bidi_control(c)
        || matches!(c,
            '\u{ad}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}')
}

/// Whether it shows nothing.
pub(crate) fn shows_nothing(c: char) -> bool {
    is_space(c)
        || c.is_control()
        || is_ignorable(c)
        // Marks of annotations, and a note without a head.
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{1d159}')
}

/// Whether it can be cut off at the end of a text without changing what is drawn.
pub(crate) fn is_blank(c: char) -> bool {
    shows_nothing(c) && !is_modifier(c) && !is_bidi_control(c)
}

/// Whether a text has a character that shows.
#[must_use]
pub fn shows_something(text: &str) -> bool {
    text.chars().any(|c| !shows_nothing(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_classes_agree_with_the_functions() {
        type Class = fn(char) -> bool;
        let sets: [(&str, Class); 4] = [
            (bidi_class!(), is_bidi_control),
            (line_break_class!(), is_line_break),
            (modifier_class!(), is_modifier),
            (blank_class!(), is_blank),
        ];
        for (class, function) in sets {
            let pattern = jsonschema::validator_for(&json!({"pattern": format!("^[{class}]$")})).unwrap();
            for c in '\0'..=char::MAX {
                assert_eq!(pattern.is_valid(&json!(c)), function(c), "{c:?}");
            }
        }
    }

    #[test]
    fn what_shows_and_what_does_not() {
        for nothing in [
            "",
            " ",
            "\t\r\n",
            "\u{200b}",
            "\u{3164}",
            "\u{2800}",
            "\u{202e}",
            "\u{fe0f}",
            "\u{e0041}",
            "\u{ad} \u{feff}",
        ] {
            assert!(!shows_something(nothing), "{nothing:?}");
        }
        for something in [".", "\u{200b}a", "\u{301}", "❤\u{fe0f}", "ـ", "\u{e000}", "\u{fffd}", "東"] {
            assert!(shows_something(something), "{something:?}");
        }
    }
}
