//! Objects on disk: for each key a small file that names the file with the contents.
//!
//! Invariant: an object is there entirely or not at all. Its contents are written under a new name before the file that
//! names them replaces the one before, in one step.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use domain::id;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How old uploads, claims, and files of deleted messages become: their prefix, and days.
const LIFETIMES: [(&str, i64); 3] = [("up", 1), ("c", 30), ("d", 30)];
/// The milliseconds of a day.
const DAY: i64 = 24 * 3600 * 1000;
/// How old a file becomes whose object was never completed, or was replaced.
const ABANDONED: Duration = Duration::from_hours(2);
/// Maximum length of a key, in bytes.
const MAX_KEY: usize = 512;

/// The properties of an object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Object {
    /// The name of the file with its contents, and its `ETag`.
    pub(super) version: String,
    /// Its size in bytes.
    pub(super) size: u64,
    /// When it was written, in milliseconds since 1970.
    pub(super) modified: i64,
    /// The headers with which it is served, by their names in lower case.
    pub(super) headers: BTreeMap<String, String>,
}

/// In which state an object must be to be replaced.
#[derive(Debug, Clone, Default)]
pub(super) struct Condition {
    /// It has this `ETag`.
    pub(super) is: Option<String>,
    /// It does not exist.
    pub(super) is_new: bool,
}

/// The outcome of a write.
pub(super) enum Written {
    Done(Object),
    /// The object is in another state.
    Refused,
}

/// The objects of a bucket. A clone is the same bucket.
#[derive(Clone)]
pub(super) struct Objects {
    folder: Arc<Path>,
    /// Whether what was written must be on disk before it is acknowledged.
    is_durable: bool,
    /// Held while an object's file is compared and replaced.
    turn: Arc<Mutex<()>>,
}

/// Whether a text can be a key: parts of letters, digits, `.`, `_` and `-` between slashes.
pub(super) fn is_key(key: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(is_allowed);
    key.len() <= MAX_KEY && key.split('/').all(is_part)
}

impl Objects {
    pub(super) fn open(folder: &Path, is_durable: bool) -> io::Result<Self> {
        for part in ["objects", "data"] {
            fs::create_dir_all(folder.join(part))?;
        }
        Ok(Self { folder: folder.into(), is_durable, turn: Arc::default() })
    }

    fn object_file(&self, key: &str) -> PathBuf {
        self.folder.join("objects").join(format!("{key}.json"))
    }

    fn data_file(&self, version: &str) -> PathBuf {
        self.folder.join("data").join(version)
    }

    /// A new file for contents, and its version.
    pub(super) fn new_data(&self) -> io::Result<(String, File)> {
        let version = id::request_token();
        let file = File::create_new(self.data_file(&version))?;
        Ok((version, file))
    }

    /// Removes contents that no object names.
    pub(super) fn discard(&self, version: &str) {
        let _ = fs::remove_file(self.data_file(version));
    }

    pub(super) fn find(&self, key: &str) -> io::Result<Object> {
        serde_json::from_slice(&fs::read(self.object_file(key))?).map_err(io::Error::other)
    }

    /// An object and its contents.
    pub(super) fn open_data(&self, key: &str) -> io::Result<(Object, File)> {
        // Between the two calls, the object may have been replaced.
        for _ in 0..3 {
            let object = self.find(key)?;
            match File::open(self.data_file(&object.version)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                opened => return Ok((object, opened?)),
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// Makes contents that are complete an object, if the present one is in the expected state.
    pub(super) fn put(&self, key: &str, object: Object, condition: &Condition) -> io::Result<Written> {
        if self.is_durable {
            File::open(self.data_file(&object.version))?.sync_all()?;
        }
        let path = self.object_file(key);
        let folder = path.parent().unwrap_or(&self.folder);
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let present = match self.find(key) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            found => Some(found?),
        };
        let is_expected = match (&condition.is, &present) {
            (Some(etag), present) => present.as_ref().is_some_and(|present| present.version == *etag),
            (None, present) => !condition.is_new || present.is_none(),
        };
        if !is_expected {
            self.discard(&object.version);
            return Ok(Written::Refused);
        }
        fs::create_dir_all(folder)?;
        let draft = self.data_file(&format!("{}.json", object.version));
        let mut file = File::create(&draft)?;
        file.write_all(&serde_json::to_vec(&object)?)?;
        if self.is_durable {
            file.sync_all()?;
        }
        fs::rename(&draft, &path)?;
        if self.is_durable {
            File::open(folder)?.sync_all()?;
            File::open(self.folder.join("data"))?.sync_all()?;
        }
        if let Some(present) = present {
            self.discard(&present.version);
        }
        Ok(Written::Done(object))
    }

    /// Copies an object, if it has this `ETag`. Copies no contents: both objects have a name for them.
    pub(super) fn copy(
        &self,
        from: &str,
        etag: Option<&str>,
        to: &str,
        change: impl FnOnce(&mut Object),
    ) -> io::Result<Written> {
        let mut object = self.find(from)?;
        if etag.is_some_and(|etag| etag != object.version) {
            return Ok(Written::Refused);
        }
        let contents = self.data_file(&object.version);
        object.version = id::request_token();
        let copy = self.data_file(&object.version);
        if let Err(error) = fs::hard_link(&contents, &copy) {
            if error.kind() == io::ErrorKind::NotFound {
                return Err(error);
            }
            fs::copy(&contents, &copy)?;
        }
        change(&mut object);
        self.put(to, object, &Condition::default())
    }

    pub(super) fn delete(&self, key: &str) -> io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let object = self.find(key)?;
        let path = self.object_file(key);
        fs::remove_file(&path)?;
        if self.is_durable {
            File::open(path.parent().unwrap_or(&self.folder))?.sync_all()?;
        }
        self.discard(&object.version);
        Ok(())
    }

    /// Removes objects that have reached the age of their prefix, and contents that no object names.
    pub(super) fn sweep(&self, now: Timestamp) -> io::Result<()> {
        let mut named = HashSet::new();
        for key in self.keys_in(&self.folder.join("objects"))? {
            let Ok(object) = self.find(&key) else { continue };
            let prefix = key.split('/').next().unwrap_or_default();
            let days = LIFETIMES.iter().find(|(known, _)| *known == prefix).map(|(_, days)| *days);
            if days.is_some_and(|days| object.modified + days * DAY < now.millis()) {
                let _ = self.delete(&key);
            } else {
                named.insert(object.version);
            }
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now.millis().max(0).unsigned_abs());
        for entry in fs::read_dir(self.folder.join("data"))?.filter_map(Result::ok) {
            let age = entry.metadata().and_then(|data| data.modified()).map(|at| now.duration_since(at));
            let is_old = matches!(age, Ok(Ok(age)) if age > ABANDONED);
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_old && !named.contains(&name) {
                self.discard(&name);
            }
        }
        Ok(())
    }

    /// Returns up to `limit` keys in a folder, in their order, from behind a key or the beginning.
    pub(super) fn list(&self, folder: &str, after: Option<&str>, limit: usize) -> io::Result<Vec<String>> {
        let mut keys = match self.keys_in(&self.folder.join("objects").join(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            found => found?,
        };
        keys.retain(|key| after.is_none_or(|after| key.as_str() > after));
        keys.sort_unstable();
        keys.truncate(limit);
        Ok(keys)
    }

    /// All keys in a folder.
    fn keys_in(&self, folder: &Path) -> io::Result<Vec<String>> {
        let root = self.folder.join("objects");
        let (mut keys, mut folders) = (Vec::new(), vec![folder.to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)?.filter_map(Result::ok) {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(key) = path.strip_prefix(&root) {
                    keys.extend(
                        key.to_str().and_then(|key| key.strip_suffix(".json")).map(ToOwned::to_owned),
                    );
                }
            }
        }
        Ok(keys)
    }
}
