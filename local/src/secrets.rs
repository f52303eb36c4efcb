//! The secrets of a local stack: from the environment, else generated once into the data directory.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use domain::error::Source;
use domain::id::{self, Clock};
use domain::time::Timestamp;
use edge::app::Settings;

/// The settings of the environment, with secrets from `folder` where they are not set; made up where there is none.
///
/// # Errors
/// Where the folder cannot be written, or a secret is too short.
pub fn settings(folder: Option<&Path>) -> Result<Settings, Source> {
    let settings = Settings::from_env(|name| match folder {
        Some(folder) => kept(folder, name).map(Some),
        None => Ok(Some(id::random_secret())),
    })?;
    Ok(Settings { metered: true, ..settings })
}

/// The time so many days from now: when what is signed ends.
#[must_use]
pub fn days_from_now(days: i64) -> Timestamp {
    Timestamp::from_millis(Clock::default().now().millis() + days * 24 * 3600 * 1000)
}

/// Writes a file anew, which only the owner may read.
///
/// # Errors
/// Where it cannot be written.
pub fn write(file: &Path, text: &str) -> Result<(), Source> {
    let named = |error| format!("{}: {error}", file.display());
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(named(error).into()),
        _ => {}
    }
    let mut created =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(named)?;
    Ok(created.write_all(text.as_bytes())?)
}

/// A secret in a file of its own, which only the owner may read.
fn kept(folder: &Path, name: &str) -> Result<String, Source> {
    let file = folder.join(name.to_ascii_lowercase());
    let create = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file);
    match create {
        Ok(mut created) => {
            let secret = id::random_secret();
            created.write_all(secret.as_bytes())?;
            created.sync_all()?;
            Ok(secret)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Ok(fs::read_to_string(&file)?.trim().to_owned())
        }
        Err(error) => Err(format!("{}: {error}", file.display()).into()),
    }
}
