//! Effects that are executed once and replayed from then on.
//!
//! A [`SqliteEffectHost`] keeps what every effect of a deployment ended with, in
//! one SQLite database, and hands out a controller for each scope. A controller
//! that is given an effect returns what is recorded of it; waits, if somebody
//! executes it; or claims it, executes it, and records how it ended. An effect is
//! executed at least once: who dies over it leaves a claim whose lease expires,
//! and the next one executes it again.

mod ahead;
mod claim;
mod controller;
mod error;
mod execution;
mod imported;
mod key;
mod process;
mod recording;
mod retention;

pub use controller::SqliteRuntimeEffectController;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lash_core::{DurabilityTier, EffectHost, EffectScope, RuntimeError, ScopedEffectController};
use lash_store_engine::{DatabaseKind, MEMORY, OpenOptions};

use self::imported::Imported;
use crate::EngineError;
use crate::builder::StoreBuilder;
use crate::database::Database;
use crate::error::Error;

const SHORTEST_LEASE: Duration = Duration::from_millis(1);

/// A century: times computed with it are still times.
const LONGEST_LEASE: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// How effects are claimed.
#[derive(Clone, Debug)]
pub struct SqliteEffectReplayOptions {
    /// How long a claim outlives its owner: 30 s by default, at least 1 ms. An
    /// owner that is alive renews it three times as often, however long the effect
    /// takes, so this is only how long others wait for one that died. An executor
    /// that blocks its thread for so long counts as dead.
    pub lease_ttl: Duration,
}

impl Default for SqliteEffectReplayOptions {
    fn default() -> Self {
        Self {
            lease_ttl: Duration::from_secs(30),
        }
    }
}

/// What the controllers of one opened database have in common.
struct Shared {
    db: Database,
    /// Who claims, for people who look at the database.
    owner_id: String,
    lease_ttl: Duration,
    imported: Imported,
}

impl Shared {
    async fn open(
        path: &Path,
        open: &OpenOptions,
        options: SqliteEffectReplayOptions,
    ) -> Result<Arc<Self>, Error> {
        let db = Database::open(path, DatabaseKind::Effects, open).await?;
        let random = getrandom::u64().map_err(|error| EngineError::Component {
            path: db.path().to_path_buf(),
            operation: "open",
            committed: false,
            source: error.to_string().into(),
        })?;
        Ok(Arc::new(Self {
            owner_id: format!("pid{}-{random:016x}", std::process::id()),
            db,
            lease_ttl: options.lease_ttl.clamp(SHORTEST_LEASE, LONGEST_LEASE),
            imported: Imported::default(),
        }))
    }

    fn lease_ttl_ms(&self) -> u64 {
        u64::try_from(self.lease_ttl.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The effects of a deployment, in one SQLite database.
///
/// Clones share it. Opening the same file several times, also from several
/// processes, is safe: an effect is claimed by one of them, and the others wait
/// for its result.
///
/// Its controllers need a tokio runtime with time enabled, as all of lash-core
/// does.
#[derive(Clone)]
pub struct SqliteEffectHost {
    shared: Arc<Shared>,
    strict: Arc<AtomicBool>,
}

impl SqliteEffectHost {
    /// Opens a database of effects with the default options, and creates it if it
    /// does not exist. The path `:memory:` opens a private database in memory.
    ///
    /// # Errors
    ///
    /// As [`StoreBuilder::open_effect_host`].
    pub async fn open(path: &Path) -> Result<Self, Error> {
        Self::open_with_options(path, SqliteEffectReplayOptions::default()).await
    }

    /// Opens a database of effects, and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// As [`StoreBuilder::open_effect_host`].
    pub async fn open_with_options(
        path: &Path,
        options: SqliteEffectReplayOptions,
    ) -> Result<Self, Error> {
        StoreBuilder::new().open_effect_host(path, options).await
    }

    /// Makes a private database of effects in memory.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn memory() -> Result<Self, Error> {
        Self::memory_with_options(SqliteEffectReplayOptions::default()).await
    }

    /// Makes a private database of effects in memory.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn memory_with_options(options: SqliteEffectReplayOptions) -> Result<Self, Error> {
        Self::open_with_options(Path::new(MEMORY), options).await
    }

    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            strict: Arc::default(),
        }
    }

    /// Lets the controllers that are handed out from now on replay only: an effect
    /// that nothing is recorded of fails with `sqlite_effect_replay_missing`
    /// instead of being executed.
    ///
    /// Controllers that were handed out before go on as they were: a turn that is
    /// being executed does not fail in the middle because another one is to be
    /// replayed.
    pub fn start_replay(&self) {
        self.strict.store(true, Ordering::SeqCst);
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

    fn controller(&self, scope: EffectScope) -> SqliteRuntimeEffectController {
        let strict = self.strict.load(Ordering::SeqCst);
        SqliteRuntimeEffectController::new(Arc::clone(&self.shared), scope, strict)
    }
}

impl StoreBuilder {
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
        let shared = Shared::open(path, &self.open, options).await?;
        Ok(SqliteEffectHost::new(shared))
    }
}

impl EffectHost for SqliteEffectHost {
    fn durability_tier(&self) -> DurabilityTier {
        DurabilityTier::Durable
    }

    fn requires_durable_attachment_store(&self) -> bool {
        true
    }

    fn scoped<'run>(
        &'run self,
        scope: EffectScope,
    ) -> Result<ScopedEffectController<'run>, RuntimeError> {
        ScopedEffectController::shared(Arc::new(self.controller(scope.clone())), scope)
    }

    fn scoped_static(
        &self,
        scope: EffectScope,
    ) -> Result<Option<ScopedEffectController<'static>>, RuntimeError> {
        ScopedEffectController::shared(Arc::new(self.controller(scope.clone())), scope).map(Some)
    }
}

impl fmt::Debug for SqliteEffectHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteEffectHost")
            .field("path", &self.path())
            .field("lease_ttl", &self.shared.lease_ttl)
            .finish_non_exhaustive()
    }
}
