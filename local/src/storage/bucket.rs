//! The only bucket: where its objects are, and what happens to them with time.
//!
//! Invariant: nothing touches the disk before the first object, so that a stack starts as fast as without a storage.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use domain::id::Clock;
use domain::time::Timestamp;

use super::objects::Objects;
use super::signature::Keys;
use super::temporary::TemporaryFolder;

/// The only bucket.
pub const BUCKET: &str = "tidings-files";

/// The storage: its folder, and the keys that its callers sign with.
#[derive(Clone)]
pub struct Storage(Arc<Shared>);

struct Shared {
    /// The folder with the objects. A stack in memory makes it for the first object.
    folder: Place,
    objects: OnceLock<Objects>,
    keys: Keys,
    clock: Clock,
}

enum Place {
    OnDisk(PathBuf),
    InMemory(OnceLock<TemporaryFolder>),
}

impl Storage {
    /// A storage in a folder or, without one, in a temporary folder. Touches neither before the first object.
    #[must_use]
    pub fn new(folder: Option<&Path>, keys: Keys, clock: Clock) -> Self {
        let folder =
            folder.map_or_else(|| Place::InMemory(OnceLock::new()), |path| Place::OnDisk(path.to_owned()));
        Self(Arc::new(Shared { folder, objects: OnceLock::new(), keys, clock }))
    }

    /// Removes what has reached its age at a time, as the bucket's lifecycle rules do: uploads after a day, claims and
    /// files of deleted messages after 30 days.
    pub async fn sweep_at(&self, now: Timestamp) {
        if self.is_untouched() {
            return;
        }
        if let Err(error) = self.with_objects(move |objects| objects.sweep(now)).await {
            tracing::warn!(%error, "old files could not be removed");
        }
    }

    /// Returns up to `limit` keys in a folder, in their order, from behind a key or the beginning.
    pub(super) async fn list(
        &self,
        folder: String,
        after: Option<String>,
        limit: usize,
    ) -> io::Result<Vec<String>> {
        if self.is_untouched() {
            return Ok(Vec::new());
        }
        self.with_objects(move |objects| objects.list(&folder, after.as_deref(), limit)).await
    }

    /// Whether it is in memory and has had no object yet.
    fn is_untouched(&self) -> bool {
        matches!(self.0.folder, Place::InMemory(_)) && self.0.objects.get().is_none()
    }

    /// The folder of the objects.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn folder(&self) -> io::Result<&Path> {
        match &self.0.folder {
            Place::OnDisk(path) => Ok(path),
            Place::InMemory(folder) => {
                if folder.get().is_none() {
                    // Another thread may be first: then this one's folder is removed at once.
                    let _ = folder.set(TemporaryFolder::create()?);
                }
                folder.get().map(|folder| folder.path.as_path()).ok_or_else(|| io::ErrorKind::NotFound.into())
            }
        }
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// The current time of the storage's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The objects, in their folder.
    fn objects(&self) -> io::Result<Objects> {
        if let Some(objects) = self.0.objects.get() {
            return Ok(objects.clone());
        }
        let is_durable = matches!(self.0.folder, Place::OnDisk(_));
        let objects = Objects::open(self.folder()?, is_durable)?;
        Ok(self.0.objects.get_or_init(|| objects).clone())
    }

    /// Works on the objects in a thread that may wait for the disk.
    pub(super) async fn with_objects<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Objects) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let storage = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&storage.objects()?));
        done.await.map_err(io::Error::other)?
    }
}
