//! S3 on one machine: the calls that Tidings makes, and the forms and links that browsers use, on a port of its own.
//!
//! Invariant: it refuses what S3 refuses. Each call carries a valid signature, each form a signed policy whose every
//! condition holds, and an object appears only when all of its bytes are on disk.

mod failure;
mod form;
mod objects;
mod policy;
mod routes;
mod signature;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use domain::id::{self, Clock};
use domain::time::Timestamp;
use tokio::task::JoinHandle;

use objects::Objects;
pub use signature::Keys;

/// The only bucket.
pub const BUCKET: &str = "tidings-files";
/// When the first sweep runs after the start. It must not slow the start down.
const FIRST_SWEEP: Duration = Duration::from_mins(1);
/// How often objects are looked for that have reached their age.
const SWEEP: Duration = Duration::from_hours(1);
/// What the names of folders for stacks in memory begin with.
const TEMPORARY: &str = "tidings-files-";

/// The storage: its folder, and the keys that its callers sign with.
#[derive(Clone)]
pub struct Storage(Arc<Shared>);

struct Shared {
    /// Where the objects are. The folder of a stack in memory is made for the first of them.
    folder: Place,
    objects: OnceLock<Objects>,
    keys: Keys,
    clock: Clock,
}

enum Place {
    OnDisk(PathBuf),
    InMemory(OnceLock<TemporaryFolder>),
}

/// A folder that goes with the process. If the process is killed, the next one removes it, because nothing holds its
/// lock.
struct TemporaryFolder {
    path: PathBuf,
    _lock: File,
}

impl TemporaryFolder {
    fn create() -> io::Result<Self> {
        let parent = std::env::temp_dir();
        remove_abandoned(&parent);
        let path = parent.join(format!("{TEMPORARY}{}", id::request_token()));
        fs::create_dir(&path)?;
        let lock = File::create(path.join("lock"))?;
        lock.try_lock().map_err(io::Error::from)?;
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
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(TEMPORARY));
        let lock = is_ours.then(|| File::open(entry.path().join("lock")).ok()).flatten();
        if lock.is_some_and(|lock| lock.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

impl Storage {
    /// A storage in a folder or, without one, in a temporary folder. Touches neither before the first object.
    #[must_use]
    pub fn new(folder: Option<&Path>, keys: Keys, clock: Clock) -> Self {
        let folder =
            folder.map_or_else(|| Place::InMemory(OnceLock::new()), |path| Place::OnDisk(path.to_owned()));
        Self(Arc::new(Shared { folder, objects: OnceLock::new(), keys, clock }))
    }

    /// The routes of the storage's port, for callers of any of these origins or, without any, of this machine.
    #[must_use]
    pub fn routes(&self) -> Router {
        routes::of(self.clone())
    }

    /// Removes what has reached its age, from time to time, until it is aborted.
    #[must_use]
    pub fn sweeping(&self) -> JoinHandle<()> {
        let storage = self.clone();
        tokio::spawn(async move {
            let mut pause = FIRST_SWEEP;
            loop {
                tokio::time::sleep(pause).await;
                pause = SWEEP;
                storage.sweep_at(storage.0.clock.now()).await;
            }
        })
    }

    /// Removes what has reached its age at a time, as the bucket's lifecycle rules do: uploads after a day, files of
    /// deleted messages after 30 days.
    pub async fn sweep_at(&self, now: Timestamp) {
        if let Err(error) = self.with_objects(move |objects| objects.sweep(now)).await {
            tracing::warn!(%error, "old files could not be removed");
        }
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
    async fn with_objects<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Objects) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let storage = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&storage.objects()?));
        done.await.map_err(io::Error::other)?
    }
}
