//! Everything that can be chosen about a store, and how one of each kind is opened: the
//! `open_*` are with what they open.

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use lash_store_engine::inspect::Inspector;
use lash_store_engine::{Durability, OpenOptions, StoreComponent};

use crate::error::Error;
use crate::session::StoreOptions;

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
    /// Starts with what [`Store::open`](crate::Store::open) uses.
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

    /// Sets the largest size of a database, in bytes, without its log; what would make it
    /// larger fails with [`EngineError::DiskFull`](crate::EngineError::DiskFull). None by default.
    pub fn database_bytes(mut self, most: u64) -> Self {
        self.open = self.open.database_bytes(most);
        self
    }

    /// Sets how much of the disk is kept free, in bytes: while there is less, what writes fails
    /// with [`EngineError::DiskFull`](crate::EngineError::DiskFull), except what makes room. 0 by
    /// default; without effect on Windows.
    pub fn disk_reserve(mut self, bytes: u64) -> Self {
        self.open = self.open.disk_reserve(bytes);
        self
    }

    /// Sets the clock that leases, availability and times of commits go by; the
    /// system's by default.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.open = self.open.clock(clock);
        self
    }

    /// Sets the mode of new files on Unix, less what the umask takes away; 0600 by default,
    /// so that only this user can read what is stored. It holds for the files that SQLite
    /// keeps beside a database too. Directories that a factory creates can be searched by
    /// those who can read the files. What exists keeps its mode.
    ///
    /// ```
    /// # use lash_wasm_store::StoreBuilder;
    /// // The group reads.
    /// let builder = StoreBuilder::new().file_mode(0o640);
    /// ```
    pub fn file_mode(mut self, mode: u32) -> Self {
        self.open = self.open.file_mode(mode);
        self
    }

    /// Sets the component that opens and serves the database; the one that this crate
    /// embeds by default. One that is not trusted decides what is in its database and
    /// what is returned from it: give it a file of its own.
    pub fn component(mut self, component: StoreComponent) -> Self {
        self.open = self.open.component(component);
        self
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
