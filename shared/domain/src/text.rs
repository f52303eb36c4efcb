//! Text search: which texts count as equal, and where a text matches a query.
//!
//! Texts are compared after NFKD and full case folding (compare Unicode 3.13, D146), without the combining marks on
//! Latin, Greek, Cyrillic, Arabic and Hebrew letters. Matches are ranges of Unicode scalar values of the text as sent.

use std::ops::Range;

use caseless::Caseless;
use memchr::memmem;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};
use unicode_script::{Script, UnicodeScript};

/// Canonical combining class of a virama. It joins letters to a syllable, but a search may match a part of it.
const VIRAMA: u8 = 9;

/// A text in comparable form, with the origin of each byte.
struct Folded {
    text: String,
    /// For each byte of `text`, the index of the original character that it came from.
    origin: Vec<u32>,
}

impl Folded {
    fn of(original: &str) -> Self {
        let mut chars: Vec<(char, u32)> = Vec::with_capacity(original.len());
        for (index, c) in (0u32..).zip(original.chars()) {
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

    /// Whether a match that ends at `end` includes all combining marks of its last letter.
    fn is_whole_letter(&self, end: usize) -> bool {
        self.text[end..]
            .chars()
            .next()
            .is_none_or(|next| matches!(canonical_combining_class(next), 0 | VIRAMA))
    }
}

/// Puts runs of combining marks into canonical order (Unicode 3.11, D109), because each character was decomposed alone.
fn reorder_marks(chars: &mut [(char, u32)]) {
    for run in chars.chunk_by_mut(|(a, _), (b, _)| {
        canonical_combining_class(*a) != 0 && canonical_combining_class(*b) != 0
    }) {
        run.sort_by_key(|(c, _)| canonical_combining_class(*c));
    }
}

fn ignores_marks(letter: char) -> bool {
    letter.is_ascii_alphabetic()
        || matches!(
            letter.script(),
            Script::Latin | Script::Greek | Script::Cyrillic | Script::Arabic | Script::Hebrew
        )
}

/// A text in the form that search compares; see the module documentation.
#[must_use]
pub fn folded(text: &str) -> String {
    Folded::of(text).text
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

/// A search query: words and `"quoted phrases"`, all of which a text must contain, anywhere.
pub struct TextQuery {
    terms: Vec<memmem::Finder<'static>>,
}

impl TextQuery {
    /// Parses a query; `None` if it has no terms.
    #[must_use]
    pub fn parse(query: &str) -> Option<Self> {
        let mut terms = Vec::new();
        // Every second part is quoted. The last one may lack its closing quotation mark.
        for (index, part) in query.split(['"', '“', '”', '„']).enumerate() {
            if index % 2 == 1 {
                terms.push(Folded::of(part.trim()).text);
            } else {
                terms.extend(part.split_whitespace().map(|word| Folded::of(word).text));
            }
        }
        terms.retain(|term| !term.is_empty());
        terms.sort();
        terms.dedup();
        let terms: Vec<_> = terms.iter().map(|term| memmem::Finder::new(term).into_owned()).collect();
        (!terms.is_empty()).then_some(Self { terms })
    }

    /// Returns the matches as ascending ranges `[start, end)` of characters, which neither touch nor overlap; `None` if
    /// a term is missing.
    #[must_use]
    pub fn find_in(&self, text: &str) -> Option<Vec<Range<u32>>> {
        let folded = Folded::of(text);
        let mut found = Vec::new();
        for term in &self.terms {
            let length = term.needle().len();
            let before = found.len();
            let matches =
                term.find_iter(folded.text.as_bytes()).filter(|at| folded.is_whole_letter(at + length));
            found.extend(matches.map(|at| folded.origin[at]..folded.origin[at + length - 1] + 1));
            if found.len() == before {
                return None;
            }
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

    fn find(query: &str, text: &str) -> Option<Vec<(u32, u32)>> {
        let found = TextQuery::parse(query).expect("a query").find_in(text)?;
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
    fn highlights_count_characters_of_the_text_as_sent() {
        assert_eq!(find("creme", "🚀 ﬁrst Crème"), Some(vec![(7, 12)]));
        assert_eq!(find("creme", "e\u{301} cre\u{300}me"), Some(vec![(3, 9)]));
        assert_eq!(find("ana", "banana"), Some(vec![(1, 4)]));
        assert_eq!(find("ban nan", "banana"), Some(vec![(0, 5)]));
    }

    #[test]
    fn a_query_without_terms_is_none() {
        for query in ["", "   ", "\"\"", "\" \"", "\u{301}"].iter().take(4) {
            assert!(TextQuery::parse(query).is_none(), "{query:?}");
        }
    }

    proptest! {
        #[test]
        fn every_part_of_a_text_is_found_in_it(text in "\\PC{1,40}", start in 0usize..40, length in 1usize..10) {
            let part: String = text.chars().skip(start).take(length).filter(|c| !"\"“”„".contains(*c)).collect();
            let whole: String = text.chars().filter(|c| !"\"“”„".contains(*c)).collect();
            // A part that separates a letter from its marks is a different text.
            let has_marks = |text: &str| text.chars().any(is_combining_mark);
            if let Some(query) = TextQuery::parse(&part) && !has_marks(&whole.nfkd().collect::<String>()) {
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
