//! The host events of a deployment: who subscribed, what occurred, and what it
//! is to start.

mod deliveries;
mod events;
mod occurrences;
mod recovery;
mod redelivery;
mod retention;
pub(crate) mod subscriptions;

pub use redelivery::TriggerRedelivery;

use std::path::Path;

use lash_store_engine::{DatabaseKind, MEMORY};

use crate::builder::StoreBuilder;
use crate::database::Database;
use crate::error::Error;

/// The durable store of the host events of a deployment, in one SQLite database
/// that its sessions share.
///
/// It has the methods of the native crate's type, through the trait
/// [`HostEventStore`](lash_core::HostEventStore), and differs from it in two
/// returns: an occurrence is not delivered to a subscription that was registered
/// after it, and a file of another kind of database is refused.
///
/// # Delivering at least once
///
/// A router reserves what an occurrence is to start, and then starts one process
/// after the other. If it stops in between, a repeated report of the same
/// occurrence reserves nothing more, and the rest would never be started.
/// [`unstarted_deliveries`](Self::unstarted_deliveries) finds it, and
/// [`TriggerRedelivery`] starts it. Do so when the application starts, and from
/// time to time: what was started is settled thereby, and only what is settled
/// can be pruned.
///
/// Opening the same file several times, also from several processes, is safe.
pub struct SqliteHostEventStore {
    db: Database,
}

impl SqliteHostEventStore {
    /// Opens a database of host events with the default options, and creates it
    /// if it does not exist. The path `:memory:` opens a private database in
    /// memory.
    ///
    /// # Errors
    ///
    /// As [`StoreBuilder::open_host_event_store`].
    pub async fn open(path: &Path) -> Result<Self, Error> {
        StoreBuilder::new().open_host_event_store(path).await
    }

    /// Makes a private database of host events in memory.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn memory() -> Result<Self, Error> {
        Self::open(Path::new(MEMORY)).await
    }

    /// Closes the database, for all who share it, and waits until it is closed: calls that
    /// were made are done first, later ones fail with
    /// [`EngineError::Closed`](crate::EngineError::Closed). Dropping the last handle
    /// closes it too, but does not wait on a thread of a tokio runtime.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// The file, `:memory:` if there is none.
    pub fn path(&self) -> &Path {
        self.db.path()
    }
}

impl StoreBuilder {
    /// Opens a database of host events, and creates it if it does not exist. Of
    /// what is set here, durability, clock, busy timeout and component apply.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_host_event_store(self, path: &Path) -> Result<SqliteHostEventStore, Error> {
        let db = Database::open(path, DatabaseKind::HostEvents, &self.open).await?;
        Ok(SqliteHostEventStore { db })
    }
}

impl std::fmt::Debug for SqliteHostEventStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteHostEventStore")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}
