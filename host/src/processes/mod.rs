//! The registry of processes.

mod append;
mod events;
mod handles;
mod leases;
mod outcome;
mod record;
mod records;
mod registry;
mod retention;
mod wait;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use lash_store_engine::{DatabaseKind, MEMORY};

use crate::builder::StoreBuilder;
use crate::database::Database;
use crate::error::Error;

use leases::HeldLeases;
use records::Records;

/// The durable registry of the processes of a deployment: what was registered, what
/// happened, who may address them and who works on them, in one SQLite database.
///
/// Opening the same file several times, also from several processes, is safe.
/// Waiting (`await_process`, `wait_event_after`) takes no lock: a change through any
/// handle of this process wakes at once, one by another process within about 25 ms.
///
/// # Leases
///
/// An event that ends a process is refused, with `process lease for … is missing or
/// expired`, if this registry had claimed the lease on the process and somebody has
/// taken the process over since: a worker that was stopped for too long cannot end
/// what is not its work any more. A registry that never claimed the lease may end
/// the process, as it may be the user who cancels it. Two workers that share one
/// registry are told apart by
/// [`append_event_with_lease`](Self::append_event_with_lease) and
/// [`complete_process_with_lease`](Self::complete_process_with_lease).
///
/// A lease that expired is void only once somebody else has claimed: until then
/// its owner may still end the process, but not extend the lease.
pub struct SqliteProcessRegistry {
    shared: Arc<Shared>,
}

/// What jobs need of a registry.
struct Shared {
    db: Database,
    records: Records,
    held: HeldLeases,
}

impl SqliteProcessRegistry {
    /// Opens a database of processes with the default options, and creates it if it
    /// does not exist. The path `:memory:` opens a private database in memory.
    ///
    /// # Errors
    ///
    /// As [`StoreBuilder::open_process_registry`].
    pub async fn open(path: &Path) -> Result<Self, Error> {
        StoreBuilder::new().open_process_registry(path).await
    }

    /// Makes a private database of processes in memory.
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
        self.shared.db.close().await;
    }

    /// The file, `:memory:` if there is none.
    pub fn path(&self) -> &Path {
        self.shared.db.path()
    }
}

impl StoreBuilder {
    /// Opens a database of processes, and creates it if it does not exist. Of what
    /// is set here, durability, clock, busy timeout and component apply.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_process_registry(self, path: &Path) -> Result<SqliteProcessRegistry, Error> {
        Ok(SqliteProcessRegistry {
            shared: Arc::new(Shared {
                db: Database::open(path, DatabaseKind::Processes, &self.open).await?,
                records: Records::new(),
                held: HeldLeases::default(),
            }),
        })
    }
}

impl fmt::Debug for SqliteProcessRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteProcessRegistry")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}
