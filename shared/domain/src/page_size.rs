//! The size of a page: the bytes of its entries in Lambda's response.
//!
//! Lambda's response is JSON that contains the body as a string, so quotes and backslashes of the body count twice.

use std::io::{self, Write};

use serde::Serialize;

/// The bytes that are left for the entries of a page.
#[derive(Debug)]
pub struct PageSize {
    left: usize,
    is_empty: bool,
}

impl PageSize {
    /// The maximum size of a page's entries: 4 MB, less what the rest of the response needs, of which a cursor of up to
    /// 8 KB is the largest part.
    pub const MAX: usize = 4_000_000 - 16_000;

    /// Whether the page has room for another entry, which it then takes. It takes the first entry in any case.
    #[must_use]
    pub fn takes(&mut self, entry: &impl Serialize) -> bool {
        // A comma separates the entries.
        let left = self.left.checked_sub(size_in_response(entry) + 1);
        let takes = left.is_some() || self.is_empty;
        *self = Self { left: left.unwrap_or(0), is_empty: false };
        takes
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self { left: Self::MAX, is_empty: true }
    }
}

/// The bytes of a value as JSON in a JSON string.
fn size_in_response(value: &impl Serialize) -> usize {
    let mut escaped = Escaped(0);
    // Only a value that has no JSON form fails here, and then the response fails, too.
    let _ = serde_json::to_writer(&mut escaped, value);
    escaped.0
}

struct Escaped(usize);

impl Write for Escaped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() + bytes.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_size_is_that_of_the_text_in_a_json_string(texts: Vec<String>) {
            let body = serde_json::to_string(&texts).unwrap();
            let response = serde_json::to_string(&body).unwrap();
            prop_assert_eq!(size_in_response(&texts) + 2, response.len());
        }
    }

    #[test]
    fn a_page_takes_entries_up_to_its_size() {
        let entry = "\u{1}".repeat(10_000);
        let mut page = PageSize::default();
        let count = (0..1_000).take_while(|_| page.takes(&entry)).count();
        assert_eq!(count, PageSize::MAX / 70_005);
        let huge = "x".repeat(PageSize::MAX);
        let mut page = PageSize::default();
        assert!(page.takes(&huge) && !page.takes(&"x") && !page.takes(&huge));
    }
}
