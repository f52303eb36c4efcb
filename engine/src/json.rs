//! Writes JSON into a buffer.

use std::fmt;
use std::io::Write;

/// Writes a string with its quotes.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    // A buffer in memory accepts every write.
    let _ = serde_json::to_writer(out, text);
}

/// Writes what needs no escapes as a string with its quotes.
pub(crate) fn plain(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    out.push(b'"');
    let _ = out.write_fmt(text);
    out.push(b'"');
}

/// Writes a member that is not the first of its object, with a value that is JSON already.
pub(crate) fn member(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.push(b',');
    text(out, name);
    out.push(b':');
    out.extend_from_slice(value);
}

/// Writes the elements of a list, without its brackets.
pub(crate) fn list<T>(
    out: &mut Vec<u8>,
    elements: impl IntoIterator<Item = T>,
    write: impl Fn(&mut Vec<u8>, T),
) {
    for (index, element) in elements.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, element);
    }
}
