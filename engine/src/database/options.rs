//! What the user of a database may choose.

use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::component::StoreComponent;
use crate::sqlite::{PRIVATE, Settings, sync_directory};
use crate::wit::queue::BatchDraft;
use crate::wit::types::BlobProfile;

/// Tells the time. Injectable, so that leases can be tested without waiting.
pub(crate) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// What a committed turn survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// The loss of power: a commit of a turn or of an effect's result waits until
    /// it is on the disk. Leases and claims do not wait.
    #[default]
    Full,
    /// The crash of the process, but not the loss of power, which may undo the
    /// last commits. The database stays consistent, and commits are faster.
    Normal,
}

/// How to open a database.
///
/// ```
/// use lash_store_engine::{Durability, OpenOptions};
/// use std::time::Duration;
///
/// let options = OpenOptions::new()
///     .durability(Durability::Normal)
///     .busy_timeout(Duration::from_secs(5));
/// ```
#[derive(Clone)]
pub struct OpenOptions {
    pub(crate) durability: Durability,
    pub(crate) clock: Clock,
    pub(crate) busy_timeout: Duration,
    pub(crate) component: StoreComponent,
    pub(crate) plugin_blobs: BlobProfile,
    pub(crate) deliverable: fn(&BatchDraft) -> bool,
    pub(crate) file_mode: u32,
    pub(crate) database_bytes: Option<u64>,
    pub(crate) disk_reserve: u64,
}

// The clock may be anything, but nothing is left half done when it panics: a thread of
// the pool rolls back and makes a new instance, and elsewhere the time is read first.
impl UnwindSafe for OpenOptions {}
impl RefUnwindSafe for OpenOptions {}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            clock: Arc::new(SystemTime::now),
            busy_timeout: Settings::default().busy_timeout,
            component: StoreComponent::embedded(),
            plugin_blobs: BlobProfile::Balanced,
            deliverable: |_| false,
            file_mode: PRIVATE,
            database_bytes: None,
            disk_reserve: 0,
        }
    }
}

impl OpenOptions {
    /// Starts with the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what a committed turn survives; [`Durability::Full`] by default.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets the clock that leases, availability and times of commits go by; the
    /// system's by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets how long a call waits for another process's lock; 15 s by default.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Sets the component that opens and serves the database;
    /// [`StoreComponent::embedded`] by default.
    #[must_use]
    pub fn component(mut self, component: StoreComponent) -> Self {
        self.component = component;
        self
    }

    /// Sets how the blobs and artifacts are compressed that [plugins](crate::plugin)
    /// store; [`BlobProfile::Balanced`] by default.
    #[must_use]
    pub fn plugin_blobs(mut self, profile: BlobProfile) -> Self {
        self.plugin_blobs = profile;
        self
    }

    /// Sets which work a plugin may put into the queue of a session of the application,
    /// if [`Grant::deliver_to`](crate::plugin::Grant::deliver_to) names the session:
    /// that which the application can decode and that does nothing but what a plugin may
    /// do. None by default.
    #[must_use]
    pub fn plugin_deliveries(mut self, deliverable: fn(&BatchDraft) -> bool) -> Self {
        self.deliverable = deliverable;
        self
    }

    /// Sets the mode of a new file on Unix, less what the umask takes away; 0600 by
    /// default, so that only this user can read what is stored. The log and the other files
    /// that SQLite keeps beside it have the same mode, and directories that are created
    /// can be searched by those who can read the files. A file that exists keeps its mode.
    ///
    /// ```
    /// # use lash_store_engine::OpenOptions;
    /// // The group reads.
    /// let options = OpenOptions::new().file_mode(0o640);
    /// ```
    #[must_use]
    pub fn file_mode(mut self, mode: u32) -> Self {
        self.file_mode = mode;
        self
    }

    /// Sets the largest size of a database, in bytes, without its log; what would make it
    /// larger fails with [`Error::DiskFull`](crate::Error::DiskFull), and nothing of it is
    /// stored. None by default. A database that is larger already grows no more.
    #[must_use]
    pub fn database_bytes(mut self, most: u64) -> Self {
        self.database_bytes = Some(most);
        self
    }

    /// Sets how much of the disk is kept free, in bytes: while there is less, what writes fails
    /// with [`Error::DiskFull`](crate::Error::DiskFull) before it has begun, except vacuum, garbage
    /// collection, pruning, repair and deletion, which make room. 0 by default; without effect
    /// on Windows.
    #[must_use]
    pub fn disk_reserve(mut self, bytes: u64) -> Self {
        self.disk_reserve = bytes;
        self
    }

    /// Creates a directory for databases, and those above it that are not there, with the
    /// mode that [`file_mode`](Self::file_mode) implies: 0700 by default. It survives a loss of
    /// power.
    ///
    /// # Errors
    ///
    /// As [`std::fs::create_dir_all`].
    pub fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            // Who may read or write the files in it may search it; the owner may do all.
            let mode = self.file_mode;
            builder.mode(0o700 | mode | (mode & 0o444) >> 2 | (mode & 0o222) >> 1);
        }
        let missing: Vec<_> = path
            .ancestors()
            .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
            .collect();
        builder.recursive(true).create(path)?;
        for created in missing {
            sync_directory(created)?;
        }
        Ok(())
    }

    /// The time, by the clock that is set.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        (self.clock)()
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            busy_timeout: self.busy_timeout,
            durable: self.durability == Durability::Full,
            limits: self.component.limits().copied(),
            database_bytes: self.database_bytes,
            disk_reserve: self.disk_reserve,
            ..Settings::default()
        }
    }
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenOptions")
            .field("durability", &self.durability)
            .field("busy_timeout", &self.busy_timeout)
            .field("component", &self.component)
            .finish_non_exhaustive()
    }
}
