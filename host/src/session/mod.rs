//! The store of one session: a file for each subject, with its calls and what they
//! encode.

mod artifacts;
mod attachments;
mod blobs;
mod checkpoints;
mod commit;
mod descriptor;
mod factory;
pub(crate) mod graph;
pub(crate) mod head;
mod load;
mod maintenance;
pub(crate) mod metadata;
mod options;
mod persistence;
pub(crate) mod queue;
mod usage;

pub use artifacts::{ArtifactName, StoredArtifact};
pub use checkpoints::StoredSessionCheckpoint;
pub use descriptor::{BlobArtifactDescriptor, BlobStorageHint, PersistedArtifactKind};
pub use factory::SqliteSessionStoreFactory;
pub use maintenance::SessionPruneReport;
pub use options::{BuiltinBlobProfile, StoreGcPolicy, StoreOptions};

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};

use lash_store_engine::observability::Logged;
use lash_store_engine::wit::types::BlobProfile;
use lash_store_engine::{Call, DatabaseKind, OpenOptions};
use lashlang::{ModuleArtifact, ModuleRef};
use lru::LruCache;

use crate::builder::StoreBuilder;
use crate::database::Database;
use crate::error::Error;
use crate::sync::lock;

/// How many decoded modules a store keeps.
const CACHED_MODULES: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// The durable store of one session: its head, its graph, its blobs, its work
/// queue, and what belongs to them, in one SQLite database.
///
/// It has the methods of the native crate's type. Those that answer `Option` or
/// nothing have a twin with the prefix `try_` that returns the error instead;
/// without the prefix, an error is logged and returned like absence.
///
/// Opening the same file several times, also from several processes, is safe:
/// writers take turns, and readers do not wait for them.
pub struct Store {
    db: Database,
    options: StoreOptions,
    modules: Mutex<LruCache<ModuleRef, Arc<ModuleArtifact>>>,
}

impl Store {
    /// Opens a session database with the default options, and creates it if it
    /// does not exist. The path `:memory:` opens a private database in memory.
    ///
    /// # Errors
    ///
    /// As [`StoreBuilder::open`].
    pub async fn open(path: &Path) -> Result<Self, Error> {
        StoreBuilder::new().open(path).await
    }

    /// Opens a session database, and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// As [`StoreBuilder::open`].
    pub async fn open_with_options(path: &Path, options: StoreOptions) -> Result<Self, Error> {
        StoreBuilder::new().options(options).open(path).await
    }

    /// Opens a session database for reading. It must exist. Unlike the native
    /// crate, this checks what the file is.
    ///
    /// # Errors
    ///
    /// As [`StoreBuilder::open_readonly`].
    pub async fn open_readonly(path: &Path) -> Result<Self, Error> {
        StoreBuilder::new().open_readonly(path).await
    }

    /// Makes a private session database in memory, without compression.
    ///
    /// # Errors
    ///
    /// As [`StoreBuilder::memory`].
    pub async fn memory() -> Result<Self, Error> {
        Self::memory_with_options(StoreOptions {
            blob_profile: BuiltinBlobProfile::LowLatency,
            gc_policy: StoreGcPolicy::default(),
        })
        .await
    }

    /// Makes a private session database in memory.
    ///
    /// # Errors
    ///
    /// As [`StoreBuilder::memory`].
    pub async fn memory_with_options(options: StoreOptions) -> Result<Self, Error> {
        StoreBuilder::new().options(options).memory().await
    }

    fn new(db: Database, options: StoreOptions) -> Self {
        Self {
            db,
            options,
            modules: Mutex::new(LruCache::new(CACHED_MODULES)),
        }
    }

    /// The file, `:memory:` if there is none.
    pub fn path(&self) -> &Path {
        self.db.path()
    }

    /// Closes the store, for all who share it, and waits until it is closed: calls that
    /// were made are done first, later ones fail with
    /// [`EngineError::Closed`](crate::EngineError::Closed). Dropping the last handle
    /// closes it too, but does not wait on a thread of a tokio runtime.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// Says whose store this is, for those who read spans.
    pub(crate) fn name_session(&self, session_id: &str) {
        self.db.name_session(session_id);
    }

    fn profile(&self) -> BlobProfile {
        self.options.blob_profile.to_wit()
    }

    fn modules(&self) -> std::sync::MutexGuard<'_, LruCache<ModuleRef, Arc<ModuleArtifact>>> {
        // A cache has no invariant that a panic could have broken.
        lock(&self.modules)
    }
}

impl StoreBuilder {
    /// Opens a session database, and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// [`EngineError::NotADatabase`](crate::EngineError::NotADatabase), [`EngineError::Foreign`](crate::EngineError::Foreign), [`EngineError::OtherKind`](crate::EngineError::OtherKind) and
    /// [`EngineError::OtherVersion`](crate::EngineError::OtherVersion) if the file is something else, which is then not
    /// touched.
    pub async fn open(self, path: &Path) -> Result<Store, Error> {
        let db = Database::open(path, DatabaseKind::Session, &self.open_options()).await?;
        Ok(Store::new(db, self.options))
    }

    /// As [`open`](Self::open), but creates nothing.
    pub(crate) async fn open_existing(self, path: &Path) -> Result<Store, Error> {
        let options = self.open_options();
        let db = Database::open_existing(path, DatabaseKind::Session, &options).await?;
        Ok(Store::new(db, self.options))
    }

    /// Removes the database of a session, after every handle that has it open was told.
    pub(crate) async fn delete(self, path: &Path) -> Result<(), Error> {
        let options = self.open_options();
        let retire = |call: &mut Call<'_>| call.session().retire();
        lash_store_engine::Database::delete(path, DatabaseKind::Session, &options, retire).await?;
        Ok(())
    }

    /// Completes a deletion that was interrupted, or is not done yet.
    pub(crate) async fn delete_retired(self, path: &Path) -> Result<(), Error> {
        let options = self.open_options();
        let visit = |call: &mut Call<'_>| call.session().load_head().map(|_| ());
        let kind = DatabaseKind::Session;
        lash_store_engine::Database::delete_retired(path, kind, &options, visit).await?;
        Ok(())
    }

    /// Opens a session database that must exist, for reading.
    ///
    /// # Errors
    ///
    /// [`EngineError::Missing`](crate::EngineError::Missing) if there is no such database; else as
    /// [`open`](Self::open).
    pub async fn open_readonly(self, path: &Path) -> Result<Store, Error> {
        let options = self.open_options();
        let db = Database::open_readonly(path, DatabaseKind::Session, &options).await?;
        Ok(Store::new(db, self.options))
    }

    /// Makes a private session database in memory.
    ///
    /// # Errors
    ///
    /// [`EngineError::Component`](crate::EngineError::Component) if the component cannot be loaded.
    pub async fn memory(self) -> Result<Store, Error> {
        let db = Database::memory(DatabaseKind::Session, &self.open_options()).await?;
        Ok(Store::new(db, self.options))
    }

    /// How the database of a session is opened.
    fn open_options(&self) -> OpenOptions {
        self.open
            .clone()
            .plugin_blobs(self.options.blob_profile.to_wit())
            .plugin_deliveries(queue::is_turn_input)
    }
}

/// The database, for a [plugin](crate::plugin).
impl AsRef<lash_store_engine::Database> for Store {
    fn as_ref(&self) -> &lash_store_engine::Database {
        &self.db
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.path())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Returns what the native crate returns on a failure, and logs the failure,
/// which it swallows or turns into a panic.
pub(crate) fn logged<T>(
    operation: &'static str,
    result: Result<T, Error>,
    fallback: impl FnOnce() -> T,
) -> T {
    result.unwrap_or_else(|error| {
        tracing::warn!(operation, error = %Logged(&error), "the store call failed");
        fallback()
    })
}
