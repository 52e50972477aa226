//! What a store may be told when it is opened.

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use lash_store_engine::inspect::Inspector;
use lash_store_engine::wit::types::BlobProfile;
use lash_store_engine::{Durability, OpenOptions, StoreComponent};

use crate::convert;
use crate::effects::{SqliteEffectHost, SqliteEffectReplayOptions};
use crate::error::Error;
use crate::host_events::SqliteHostEventStore;
use crate::processes::SqliteProcessRegistry;
use crate::store::Store;

/// How much time a store spends on making blobs smaller. It never affects how
/// blobs are read, so it may change from one open to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BuiltinBlobProfile {
    /// No compression.
    LowLatency,
    /// zlib at level 2, from 1 KiB on.
    #[default]
    Balanced,
    /// zlib at level 5, from 512 bytes on.
    Compact,
}

impl BuiltinBlobProfile {
    pub(crate) fn to_wit(self) -> BlobProfile {
        match self {
            Self::LowLatency => BlobProfile::LowLatency,
            Self::Balanced => BlobProfile::Balanced,
            Self::Compact => BlobProfile::Compact,
        }
    }
}

/// When a store collects garbage by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreGcPolicy {
    /// Collect after every so many commits of a session, counted by its head
    /// revision. Never if `None` or zero. The commit does not wait for it.
    pub auto_run_every_commits: Option<u64>,
}

/// The options of the native crate, as a literal. What is new is in
/// [`StoreBuilder`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreOptions {
    /// How blobs are compressed.
    pub blob_profile: BuiltinBlobProfile,
    /// When garbage is collected.
    pub gc_policy: StoreGcPolicy,
}

/// Everything that can be chosen about a store.
///
/// ```
/// # async fn example() -> Result<(), lash_wasm_store::Error> {
/// use lash_wasm_store::{Durability, StoreBuilder};
///
/// let store = StoreBuilder::new()
///     .durability(Durability::Normal)
///     .busy_timeout(std::time::Duration::from_secs(5))
///     .open("session.db".as_ref())
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct StoreBuilder {
    pub(crate) options: StoreOptions,
    pub(crate) open: OpenOptions,
}

impl StoreBuilder {
    /// Starts with what [`Store::open`] uses.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the options that the native crate has too.
    pub fn options(mut self, options: StoreOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets what a committed turn survives; [`Durability::Full`] by default.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.open = self.open.durability(durability);
        self
    }

    /// Sets how long a call waits for another process's lock; 15 s by default.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.open = self.open.busy_timeout(timeout);
        self
    }

    /// Sets the clock that leases, availability and times of commits go by; the
    /// system's by default.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.open = self.open.clock(clock);
        self
    }

    /// Sets the component that opens and serves the database; the one that this crate
    /// embeds by default. One that is not trusted decides what is in its database and
    /// what is answered from it: give it a file of its own.
    pub fn component(mut self, component: StoreComponent) -> Self {
        self.open = self.open.component(component);
        self
    }

    /// How the database of a session is opened.
    pub(crate) fn open_options(&self) -> OpenOptions {
        self.open
            .clone()
            .plugin_blobs(self.options.blob_profile.to_wit())
            .plugin_deliveries(convert::queue::is_turn_input)
    }

    /// Opens a session database, and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// [`EngineError::NotADatabase`](crate::EngineError::NotADatabase), [`EngineError::Foreign`](crate::EngineError::Foreign), [`EngineError::OtherKind`](crate::EngineError::OtherKind) and
    /// [`EngineError::OtherVersion`](crate::EngineError::OtherVersion) if the file is something else, which is then not
    /// touched.
    pub async fn open(self, path: &Path) -> Result<Store, Error> {
        Store::open_built(path, self).await
    }

    /// Opens a session database that must exist, for reading.
    ///
    /// # Errors
    ///
    /// [`EngineError::Missing`](crate::EngineError::Missing) if there is no such database; else as
    /// [`open`](Self::open).
    pub async fn open_readonly(self, path: &Path) -> Result<Store, Error> {
        Store::open_built_readonly(path, self).await
    }

    /// Makes a private session database in memory.
    ///
    /// # Errors
    ///
    /// [`EngineError::Component`](crate::EngineError::Component) if the component cannot be loaded.
    pub async fn memory(self) -> Result<Store, Error> {
        Store::memory_built(self).await
    }

    /// Opens a database of processes, and creates it if it does not exist. Of what
    /// is set here, durability, clock, busy timeout and component apply.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_process_registry(self, path: &Path) -> Result<SqliteProcessRegistry, Error> {
        SqliteProcessRegistry::open_built(path, &self.open).await
    }

    /// Opens a database of host events, and creates it if it does not exist. Of
    /// what is set here, durability, clock, busy timeout and component apply.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_host_event_store(self, path: &Path) -> Result<SqliteHostEventStore, Error> {
        SqliteHostEventStore::open_built(path, &self.open).await
    }

    /// Opens a database of effects, and creates it if it does not exist. Of what is
    /// set here, durability, clock, busy timeout and component apply.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_effect_host(
        self,
        path: &Path,
        options: SqliteEffectReplayOptions,
    ) -> Result<SqliteEffectHost, Error> {
        SqliteEffectHost::open_built(path, &self.open, options).await
    }

    /// Opens a database of any kind to look into it. Of what is set here, clock, busy
    /// timeout and component apply.
    ///
    /// # Errors
    ///
    /// As [`Inspector::open`].
    pub async fn open_inspector(self, path: &Path) -> Result<Inspector, Error> {
        Ok(Inspector::open_with(path, &self.open).await?)
    }
}

impl fmt::Debug for StoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreBuilder")
            .field("options", &self.options)
            .field("open", &self.open)
            .finish()
    }
}
