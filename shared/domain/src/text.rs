//! Text search: which texts count as equal, and where a text matches a query.
//!
//! Texts are compared after NFKD and full case folding (compare Unicode 3.13, D146), without the combining marks on
//! Latin, Greek, Cyrillic, Arabic and Hebrew letters. All apostrophes and quotation marks are one, and so are all dashes;
//! soft hyphens, tatweel, zero-width characters and variation selectors are passed over. Matches are ranges of Unicode
//! scalar values of the text as sent.

use std::ops::Range;

use caseless::Caseless;
use memchr::memmem;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};
use unicode_script::{Script, UnicodeScript};
use unicode_security::confusable_detection::skeleton;

use crate::invisible::{is_ignorable, is_space, shows_nothing};

/// Canonical combining class of a virama. It joins letters to a syllable, but a search may match a part of it.
const VIRAMA: u8 = 9;
/// Stretches Arabic words.
const TATWEEL: char = '\u{640}';
/// Quotation marks around a phrase of a query.
pub(crate) const PHRASE_MARKS: [char; 16] =
    ['"', '“', '”', '„', '‟', '«', '»', '「', '」', '『', '』', '〝', '〞', '〟', '＂', '❝'];

/// A text in comparable form, with the origin of each byte.
#[cfg_attr(test, derive(Debug, PartialEq))]
struct Folded {
    text: String,
    /// For each byte of `text`, the index of the original character that it came from.
    origin: Vec<u32>,
}

impl Folded {
    fn of(original: &str) -> Self {
        if original.is_ascii() { Self::of_ascii(original) } else { Self::of_unicode(original) }
    }

    /// The same as [`Folded::of_unicode`], for texts that consist of ASCII alone.
    fn of_ascii(original: &str) -> Self {
        let text = folded_ascii(original);
        let mut origin: Vec<u32> = (0u32..).zip(original.bytes()).map(|(index, _)| index).collect();
        if text.len() < original.len() {
            let is_space = |index: u32| folded_byte(original.as_bytes()[index as usize]) == b' ';
            origin.dedup_by(|next, last| is_space(*next) && is_space(*last));
        }
        Self { text, origin }
    }

    fn of_unicode(original: &str) -> Self {
        let mut chars: Vec<(char, u32)> = Vec::with_capacity(original.len());
        for (index, c) in (0u32..).zip(original.chars()) {
            if is_passed_over(c) {
                continue;
            }
            let c = plain_mark(c);
            if c.is_ascii() {
                chars.push((c.to_ascii_lowercase(), index));
            } else {
                let folded = std::iter::once(c).nfkd().default_case_fold().nfkd();
                chars.extend(folded.map(|c| (c, index)));
            }
        }
        reorder_marks(&mut chars);
        let mut folded = Self { text: String::with_capacity(original.len()), origin: Vec::new() };
        let mut strips_marks = false;
        for (c, index) in chars {
            if is_combining_mark(c) {
                if strips_marks {
                    continue;
                }
            } else {
                strips_marks = ignores_marks(c);
            }
            // A run of white space becomes one space, so that a phrase is found across line breaks.
            let c = if c.is_whitespace() { ' ' } else { c };
            if c == ' ' && folded.text.ends_with(' ') {
                continue;
            }
            folded.text.push(c);
            folded.origin.resize(folded.text.len(), index);
        }
        folded
    }
}

/// Whether a match that ends at `end` of a folded text includes all combining marks of its last letter.
fn is_whole_letter(text: &str, end: usize) -> bool {
    text.as_bytes().get(end).is_none_or(u8::is_ascii)
        || text[end..].chars().next().is_none_or(|next| matches!(canonical_combining_class(next), 0 | VIRAMA))
}

/// Puts runs of combining marks into canonical order (Unicode 3.11, D109), because each character was decomposed alone.
fn reorder_marks(chars: &mut [(char, u32)]) {
    for run in chars.chunk_by_mut(|(a, _), (b, _)| {
        canonical_combining_class(*a) != 0 && canonical_combining_class(*b) != 0
    }) {
        run.sort_by_key(|(c, _)| canonical_combining_class(*c));
    }
}

/// Whether a search passes over it. The fillers of Hangul are part of syllables, so they count.
fn is_passed_over(c: char) -> bool {
    c == TATWEEL || !c.is_ascii() && is_ignorable(c) && !is_space(c)
}

/// An ASCII apostrophe for any apostrophe, quotation mark or prime, and an ASCII hyphen for any dash, hyphen or minus;
/// other characters as they are.
fn plain_mark(c: char) -> char {
    match c {
        // Most characters are letters, digits and spaces.
        c if c.is_ascii_alphanumeric() || c == ' ' => c,
        '"'
        | '`'
        | '´'
        | '«'
        | '»'
        | '\u{2b9}'..='\u{2bf}'
        | '\u{2c8}'
        | '\u{2ca}'
        | '\u{2cb}'
        | '\u{2dd}'
        | '\u{2ee}'
        | '\u{2f4}'
        | '\u{2f6}'
        | '\u{374}'
        | '\u{384}'
        | '\u{55a}'
        | '\u{5f3}'
        | '\u{5f4}'
        | '\u{7f4}'
        | '\u{7f5}'
        | '\u{1fbd}'
        | '\u{1fbf}'
        | '\u{1fef}'
        | '\u{1ffd}'
        | '\u{1ffe}'
        | '\u{2018}'..='\u{201f}'
        | '\u{2032}'..='\u{2037}'
        | '\u{2039}'
        | '\u{203a}'
        | '\u{2057}'
        | '\u{275b}'..='\u{2760}'
        | '\u{276e}'
        | '\u{276f}'
        | '\u{2e42}'
        | '\u{300c}'..='\u{300f}'
        | '\u{301d}'..='\u{301f}'
        | '\u{a78b}'
        | '\u{a78c}'
        | '\u{fe41}'..='\u{fe44}'
        | '\u{ff02}'
        | '\u{ff07}'
        | '\u{ff40}'
        | '\u{ff62}'
        | '\u{ff63}'
        | '\u{1f676}'..='\u{1f678}' => '\'',
        '\u{2d7}'
        | '\u{58a}'
        | '\u{5be}'
        | '\u{1400}'
        | '\u{1806}'
        | '\u{2010}'..='\u{2015}'
        | '\u{2043}'
        | '\u{207b}'
        | '\u{208b}'
        | '\u{2212}'
        | '\u{2796}'
        | '\u{2e17}'
        | '\u{2e1a}'
        | '\u{2e3a}'
        | '\u{2e3b}'
        | '\u{2e40}'
        | '\u{2e5d}'
        | '\u{fe31}'
        | '\u{fe32}'
        | '\u{fe58}'
        | '\u{fe63}'
        | '\u{ff0d}'
        | '\u{10d6e}'
        | '\u{10ead}' => '-',
        c => c,
    }
}

fn ignores_marks(letter: char) -> bool {
    letter.is_ascii_alphabetic()
        || matches!(
            letter.script(),
            Script::Latin | Script::Greek | Script::Cyrillic | Script::Arabic | Script::Hebrew
        )
}

/// A text in the form that search compares; see the module documentation. It contains no line breaks.
#[must_use]
pub fn folded(text: &str) -> String {
    if text.is_ascii() { folded_ascii(text) } else { Folded::of_unicode(text).text }
}

/// Folds a text that consists of ASCII alone, as most do.
fn folded_ascii(text: &str) -> String {
    let mut folded: Vec<u8> = text.bytes().map(folded_byte).collect();
    if memmem::find(&folded, b"  ").is_some() {
        folded.dedup_by(|next, last| (*next, *last) == (b' ', b' '));
    }
    String::from_utf8(folded).unwrap_or_default()
}

/// Folds an ASCII character; see [`plain_mark`].
fn folded_byte(byte: u8) -> u8 {
    match byte {
        b'\t'..=b'\r' => b' ',
        b'"' | b'`' => b'\'',
        other => other.to_ascii_lowercase(),
    }
}

/// Whether it is a dash, a hyphen or a minus.
pub(crate) fn is_dash(c: char) -> bool {
    plain_mark(c) == '-'
}

/// Whether a folded text begins with another one that includes all combining marks of its last letter.
#[must_use]
pub fn begins_with(text: &str, start: &str) -> bool {
    let rest = text.strip_prefix(start).map(|rest| rest.chars().next());
    rest.is_some_and(|next| next.is_none_or(|next| matches!(canonical_combining_class(next), 0 | VIRAMA)))
}

/// A unique name in the form that is compared: after NFKC and full case folding (Unicode 3.13, D146). Unlike in search,
/// accents matter.
#[must_use]
pub fn folded_name(name: &str) -> String {
    name.nfd().default_case_fold().nfkd().default_case_fold().nfkc().collect()
}

/// Returns the appearances of a unique name (UTS 39, section 4) that differ from its folded form: the skeleton of the name as
/// written (`AIice` looks like `alice`), and that of its folded form (`АLICE` with a Cyrillic letter does, too). Both are
/// folded. Names with a form in common are taken for the same name.
#[must_use]
pub fn appearances(name: &str) -> Vec<String> {
    let folded = folded_name(name);
    let written: String = name.nfkc().collect();
    let mut forms: Vec<String> = [&folded, &written].map(|form| appearance(form)).into();
    forms.dedup();
    forms.retain(|form| *form != folded);
    forms
}

fn appearance(text: &str) -> String {
    let shown: String = text
        .chars()
        .filter(|c| is_space(*c) || !shows_nothing(*c))
        .map(|c| if is_space(c) { ' ' } else { c })
        .collect();
    let words: Vec<&str> = shown.split_whitespace().collect();
    folded_name(&skeleton(&words.join(" ")).collect::<String>())
}

/// A word or phrase of a query.
pub(crate) struct Word<'a> {
    pub(crate) text: &'a str,
    pub(crate) is_phrase: bool,
    /// Whether a text must not contain it.
    pub(crate) is_excluded: bool,
}

impl<'a> Word<'a> {
    /// A word outside quotation marks. A dash before it excludes it; a dash alone is a word.
    pub(crate) fn parse(word: &'a str) -> Self {
        let excluded = word.strip_prefix(is_dash).filter(|rest| !rest.is_empty());
        Self { text: excluded.unwrap_or(word), is_phrase: false, is_excluded: excluded.is_some() }
    }
}

/// The words and phrases of a query: a text must contain all of them anywhere, and none of the excluded ones.
#[derive(Default)]
pub struct TextQuery {
    /// The longest first, because it is probably the rarest.
    terms: Vec<memmem::Finder<'static>>,
    excluded: Vec<memmem::Finder<'static>>,
}

impl TextQuery {
    /// Builds a query of words. Those of which nothing is left to compare are dropped.
    pub(crate) fn of(words: &[Word<'_>]) -> Self {
        let finders = |is_excluded: bool| {
            let words = words.iter().filter(|word| word.is_excluded == is_excluded);
            let terms = words.map(|word| {
                let term = folded(word.text);
                if word.is_phrase { term.trim().to_owned() } else { term }
            });
            let mut terms: Vec<String> = terms.filter(|term| !term.is_empty()).collect();
            terms.sort_by_key(|term| (std::cmp::Reverse(term.len()), term.clone()));
            terms.dedup();
            terms.iter().map(|term| memmem::Finder::new(term).into_owned()).collect()
        };
        Self { terms: finders(false), excluded: finders(true) }
    }

    /// Whether it has no words.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty() && self.excluded.is_empty()
    }

    /// Whether a folded text matches.
    #[must_use]
    pub fn matches(&self, folded: &str) -> bool {
        let contains = |term: &memmem::Finder<'_>| {
            let mut found = term.find_iter(folded.as_bytes());
            found.any(|at| is_whole_letter(folded, at + term.needle().len()))
        };
        self.terms.iter().all(contains) && !self.excluded.iter().any(contains)
    }

    /// Returns the position from which on texts may match, at or after a position in a buffer of folded texts; `None` if
    /// none does. It skips what lacks the longest word.
    #[must_use]
    pub fn skip(&self, texts: &str, from: usize) -> Option<usize> {
        let rest = texts.as_bytes().get(from..)?;
        match self.terms.first() {
            Some(term) => term.find(rest).map(|at| from + at),
            None => (!rest.is_empty()).then_some(from),
        }
    }

    /// Returns the matches as ascending ranges `[start, end)` of characters, which neither touch nor overlap; `None` if
    /// a word is missing, or an excluded one is not.
    #[must_use]
    pub fn find_in(&self, text: &str) -> Option<Vec<Range<u32>>> {
        let Folded { text: folded, origin } = Folded::of(text);
        if !self.matches(&folded) {
            return None;
        }
        let mut found = Vec::new();
        for term in &self.terms {
            let length = term.needle().len();
            let matches =
                term.find_iter(folded.as_bytes()).filter(|at| is_whole_letter(&folded, at + length));
            found.extend(matches.map(|at| origin[at]..origin[at + length - 1] + 1));
        }
        Some(merged(found))
    }
}

fn merged(mut ranges: Vec<Range<u32>>) -> Vec<Range<u32>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u32>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Parses a query of words and phrases.
    fn parse(query: &str) -> TextQuery {
        let parts = query.split(PHRASE_MARKS).enumerate();
        let words = parts.flat_map(|(index, part)| match index % 2 {
            0 => part.split_whitespace().map(Word::parse).collect(),
            _ => vec![Word { text: part, is_phrase: true, is_excluded: false }],
        });
        TextQuery::of(&words.collect::<Vec<_>>())
    }

    fn find(query: &str, text: &str) -> Option<Vec<(u32, u32)>> {
        let found = parse(query).find_in(text)?;
        Some(found.into_iter().map(|range| (range.start, range.end)).collect())
    }

    #[test]
    fn case_and_accents_do_not_matter() {
        assert_eq!(find("creme BRULEE", "Crème brûlée at noon"), Some(vec![(0, 5), (6, 12)]));
        assert_eq!(find("STRASSE", "die Straße"), Some(vec![(4, 10)]));
        assert_eq!(find("straße", "STRASSE"), Some(vec![(0, 7)]));
        assert_eq!(find("istanbul", "İSTANBUL"), Some(vec![(0, 8)]));
        assert_eq!(find("οδυσσευς", "ὈΔΥΣΣΕΎΣ"), Some(vec![(0, 8)]));
        assert_eq!(find("еж", "ёж"), Some(vec![(0, 2)]));
        assert_eq!(find("שלום", "שָׁלוֹם"), Some(vec![(0, 7)]));
        assert_eq!(find("محمد", "مُحَمَّد"), Some(vec![(0, 8)]));
        assert_eq!(find("ﬁn", "final"), Some(vec![(0, 3)]));
    }

    #[test]
    fn marks_of_other_scripts_matter() {
        assert_eq!(find("か", "がか"), Some(vec![(1, 2)]));
        assert_eq!(find("ハン", "パン"), None);
        assert_eq!(find("ガ", "ｶﾞ"), Some(vec![(0, 2)]));
        assert_eq!(find("เก", "เก้า"), None);
        assert_eq!(find("नमस", "नमस्ते"), Some(vec![(0, 3)]));
    }

    #[test]
    fn unique_names_are_compared_without_case_but_with_accents() {
        for (one, other) in
            [("Ünal", "u\u{308}NAL"), ("straße", "STRASSE"), ("ﬁn", "FIN"), ("Ａｌｉｃｅ", "alice")]
        {
            assert_eq!(folded_name(one), folded_name(other));
        }
        assert_ne!(folded_name("zoe"), folded_name("zoë"));
        assert_eq!(folded_name("\u{345}"), folded_name(&folded_name("\u{345}")));
    }

    #[test]
    fn a_prefix_must_include_all_marks_of_its_last_letter() {
        assert!(begins_with(&folded("Zoë"), &folded("zoe")));
        assert!(begins_with(&folded("が"), &folded("が")) && !begins_with(&folded("がく"), &folded("か")));
    }

    #[test]
    fn words_are_found_anywhere_and_phrases_stay_together() {
        assert_eq!(find("aysta", "a haystack"), Some(vec![(3, 8)]));
        assert_eq!(find("東京", "今日は東京で会議です"), Some(vec![(3, 5)]));
        assert_eq!(find("\"quick brown\"", "the quick\n brown fox"), Some(vec![(4, 16)]));
        assert_eq!(find("\"quick brown\"", "brown quick"), None);
        assert_eq!(find("quick brown", "brown quick"), Some(vec![(0, 5), (6, 11)]));
        assert_eq!(find("quick slow", "brown quick"), None);
        assert_eq!(find("\"open phrase", "an open phrase"), Some(vec![(3, 14)]));
    }

    #[test]
    fn apostrophes_quotation_marks_and_dashes_are_one() {
        for (query, text) in [
            ("don't", "I don\u{2019}t know"),
            ("don\u{2019}t", "I don't know"),
            ("don\u{2bc}t", "I don`t know"),
            ("don\u{b4}t", "I don\u{ff07}t know"),
        ] {
            assert_eq!(find(query, text), Some(vec![(2, 7)]), "{query} {text}");
        }
        for dash in ["-", "\u{2010}", "\u{2011}", "\u{2013}", "\u{2212}", "\u{fe63}", "\u{ff0d}", "\u{207b}"]
        {
            assert_eq!(find("co-op", &format!("a co{dash}op")), Some(vec![(2, 7)]), "{dash}");
            assert_eq!(find(&format!("co{dash}op"), "a co-op"), Some(vec![(2, 7)]), "{dash}");
        }
        assert_eq!(find("coop", "co-op"), None);
        assert_eq!(find("'hi'", "say \u{201c}hi\u{201d}!"), Some(vec![(4, 8)]));
        for phrase in [
            "\"quick brown\"",
            "“quick brown”",
            "„quick brown“",
            "«quick brown»",
            "»quick brown«",
            "＂quick brown＂",
            "「quick brown」",
        ] {
            assert_eq!(find(phrase, "the quick brown fox"), Some(vec![(4, 15)]), "{phrase}");
            assert_eq!(find(phrase, "brown quick"), None, "{phrase}");
        }
        assert_eq!(find("“don't know”", "I don’t know"), Some(vec![(2, 12)]));
    }

    #[test]
    fn what_is_invisible_is_passed_over() {
        for invisible in
            ["\u{ad}", "\u{200b}", "\u{200d}", "\u{2060}", "\u{feff}", "\u{fe0f}", "\u{200e}", "\u{34f}"]
        {
            let text = format!("we co{invisible}operate");
            assert_eq!(find("cooperate", &text), Some(vec![(3, 13)]), "{invisible:?}");
            let query = format!("co{invisible}operate");
            assert_eq!(find(&query, "we cooperate"), Some(vec![(3, 12)]), "{invisible:?}");
            assert!(parse(invisible).is_empty(), "{invisible:?}");
        }
        assert_eq!(find("محمد", "مـحـمـد"), Some(vec![(0, 7)]));
        assert_eq!(find("مـحـمد", "محمد"), Some(vec![(0, 4)]));
        assert_eq!(find("❤", "I ❤\u{fe0f} you"), Some(vec![(2, 3)]));
        assert_eq!(find("a b", "a\u{200b} b"), Some(vec![(0, 1), (3, 4)]));
        assert_eq!(find("\"\u{200b} b\"", "b"), Some(vec![(0, 1)]));
    }

    #[test]
    fn names_look_alike() {
        let looks = |name: &str| appearance(&folded_name(name));
        for (one, other) in [
            ("General", "Gen\u{200b}eral"),
            ("General", "General\u{fe0f}"),
            ("Geneva 2", "Geneva\u{3164}\u{2800}2"),
            ("paypal", "раураl"),
            ("modern", "rnodem"),
        ] {
            assert_eq!(looks(one), looks(other), "{one} {other}");
        }
        assert!(appearances("general").is_empty());
        assert_eq!(appearances("Ivan"), ["lvan"]);
    }

    #[test]
    fn highlights_count_characters_of_the_text_as_sent() {
        assert_eq!(find("creme", "🚀 ﬁrst Crème"), Some(vec![(7, 12)]));
        assert_eq!(find("creme", "e\u{301} cre\u{300}me"), Some(vec![(3, 9)]));
        assert_eq!(find("ana", "banana"), Some(vec![(1, 4)]));
        assert_eq!(find("ban nan", "banana"), Some(vec![(0, 5)]));
    }

    proptest! {
        #[test]
        fn ascii_is_folded_in_the_same_way(text in "[\\x00-\\x7f]{0,40}") {
            let whole = Folded::of_unicode(&text);
            prop_assert_eq!(folded(&text), whole.text.as_str());
            prop_assert_eq!(Folded::of_ascii(&text), whole);
        }

        #[test]
        fn what_is_invisible_changes_no_match(
            text in "[a-c '\\-é]{0,20}", query in "[a-c'\\-]{1,3}", holes in prop::collection::vec(0usize..20, 0..8)
        ) {
            let mut parts: Vec<String> = text.chars().map(String::from).collect();
            for hole in holes {
                if let Some(part) = parts.get_mut(hole) {
                    part.push('\u{ad}');
                }
            }
            let query = parse(&query);
            let marked = parts.concat();
            let cut = |text: &str, range: &Range<u32>| -> String {
                let range = range.start as usize..range.end as usize;
                text.chars().skip(range.start).take(range.len()).filter(|c| *c != '\u{ad}').collect()
            };
            let plain = query.find_in(&text).map(|found| found.iter().map(|at| cut(&text, at)).collect::<String>());
            let found = query.find_in(&marked).map(|found| found.iter().map(|at| cut(&marked, at)).collect::<String>());
            prop_assert_eq!(plain, found);
        }

        #[test]
        fn every_part_of_a_text_is_found_in_it(text in "\\PC{1,40}", start in 0usize..40, length in 1usize..10) {
            let part: String = text.chars().skip(start).take(length).filter(|c| !PHRASE_MARKS.contains(c)).collect();
            let whole: String = text.chars().filter(|c| !PHRASE_MARKS.contains(c)).collect();
            // A part that separates a letter from its marks is a different text.
            let has_marks = |text: &str| text.chars().any(is_combining_mark);
            let query = TextQuery::of(&part.split_whitespace().map(|text| Word { text, is_phrase: false, is_excluded: false }).collect::<Vec<_>>());
            if !query.is_empty() && !has_marks(&whole.nfkd().collect::<String>()) {
                let found = query.find_in(&whole);
                prop_assert!(found.is_some(), "{part:?} in {whole:?}");
                let length = u32::try_from(whole.chars().count()).unwrap();
                for range in found.unwrap() {
                    prop_assert!(range.start < range.end && range.end <= length);
                }
            }
        }
    }
}
