//! A folder for a stack in memory.
//!
//! Invariant: a folder goes with the process. If the process is killed, the next one removes it, because nothing holds
//! its lock.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use domain::id;

/// The prefix of the names of such folders.
const PREFIX: &str = "tidings-files-";

/// A folder, removed on drop.
pub(super) struct TemporaryFolder {
    pub(super) path: PathBuf,
    _lock: File,
}

impl TemporaryFolder {
    pub(super) fn create() -> io::Result<Self> {
        let parent = std::env::temp_dir();
        remove_abandoned(&parent);
        // It gets its name once it is locked, so that no other process takes it for abandoned.
        let name = format!("{PREFIX}{}", id::request_token());
        let (unlocked, path) = (parent.join(format!("new-{name}")), parent.join(name));
        fs::create_dir(&unlocked)?;
        let lock = File::create(unlocked.join("lock"))?;
        lock.try_lock().map_err(io::Error::from)?;
        fs::rename(&unlocked, &path)?;
        Ok(Self { path, _lock: lock })
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes the folders of processes that were killed.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.filter_map(Result::ok) {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        let lock = is_ours.then(|| File::open(entry.path().join("lock")).ok()).flatten();
        if lock.is_some_and(|lock| lock.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
