//! The secrets of a local stack: from the environment, or else generated once into the data folder.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::error::Source;
use domain::id::{self, Clock};
use domain::time::Timestamp;
use edge::app::Settings;

/// Returns the settings from the environment. Secrets that are not set there come from files in `folder`, which are
/// created if missing; without a folder they are random.
///
/// # Errors
/// If the folder cannot be written, or a secret is too short.
pub fn settings(folder: Option<&Path>) -> Result<Settings, Source> {
    let settings = Settings::from_env(|name| match folder {
        Some(folder) => load_or_create(folder, name).map(Some),
        None => Ok(Some(id::random_secret())),
    })?;
    Ok(Settings { metered: true, ..settings })
}

/// Derives a secret for one purpose from another secret.
#[must_use]
pub fn derived(secret: &str, purpose: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&key, purpose.as_bytes()))
}

/// Returns the time `days` days from now, as the expiry of a token.
#[must_use]
pub fn days_from_now(days: i64) -> Timestamp {
    Timestamp::from_millis(Clock::default().now().millis() + days * 24 * 3600 * 1000)
}

/// Creates a folder that only its owner may open, if it is missing: it will hold messages and secrets.
///
/// # Errors
/// If the folder cannot be created.
pub fn create_folder(folder: &Path) -> Result<(), Source> {
    let describe = |error| format!("{}: {error}", folder.display());
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(describe)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        created => Ok(created.map_err(describe)?),
    }
}

/// Writes a file that only its owner may read; replaces an existing one.
///
/// # Errors
/// If the file cannot be written.
pub fn write(file: &Path, text: &str) -> Result<(), Source> {
    let describe = |error| format!("{}: {error}", file.display());
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(describe(error).into()),
        _ => {}
    }
    let mut created =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(describe)?;
    Ok(created.write_all(text.as_bytes())?)
}

/// Returns the secret in its file in the folder; creates the file, which only its owner may read, if it is missing.
fn load_or_create(folder: &Path, name: &str) -> Result<String, Source> {
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
