//! What `gc`, `vacuum` and `repair` have in common: they open for writing. The first two say
//! what was won.

use std::fs;
use std::path::Path;

use lash_wasm_store::inspect::{Inspector, Repair};
use lash_wasm_store::{
    DatabaseKind, Error, SqliteEffectHost, SqliteEffectReplayOptions, SqliteHostEventStore,
    SqliteProcessRegistry, Store, StoreBuilder,
};
use serde::Serialize;

use crate::arguments::Databases;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Bar;
use crate::units::{self, plain};

/// A database that is open for writing.
pub(crate) enum Database {
    Session(Store),
    Processes(SqliteProcessRegistry),
    HostEvents(SqliteHostEventStore),
    Effects(SqliteEffectHost),
}

/// What was done to a database.
#[derive(Serialize)]
struct Reclaimed<T> {
    path: String,
    kind: DatabaseKind,
    bytes_before: u64,
    bytes_after: u64,
    #[serde(flatten)]
    removed: T,
}

/// Calls `work` for each database and writes what it removed, which `describe` says to
/// people, and how much smaller the files are.
pub(crate) async fn each<T: Serialize>(
    databases: &Databases,
    doing: &str,
    output: &mut Output,
    work: impl AsyncFn(&Database) -> Result<T, Error>,
    describe: impl Fn(&T) -> String,
) -> Result<(), Failure> {
    let one = async |inspector: Inspector, path: &Path, output: &mut Output| {
        let kind = inspector.kind();
        // Closed before the file is opened for writing, so that it can be made smaller.
        drop(inspector);
        let bar = Bar::new(doing, path);
        let bytes_before = size(path);
        let database = Database::open(databases.builder(), path, kind).await?;
        let removed = work(&database).await?;
        // The sizes are those of what is written.
        database.close().await;
        drop(bar);
        let reclaimed = Reclaimed {
            path: path.display().to_string(),
            kind,
            bytes_before,
            bytes_after: size(path),
            removed,
        };
        output.result(&reclaimed, |output| {
            let saved = reclaimed.bytes_before.saturating_sub(reclaimed.bytes_after);
            format!(
                "{}  {}; {} -> {}, {} freed",
                output.bold(plain(&reclaimed.path)),
                describe(&reclaimed.removed),
                units::bytes(reclaimed.bytes_before),
                units::bytes(reclaimed.bytes_after),
                units::bytes(saved),
            )
        })
    };
    databases.each(output, one).await
}

impl Database {
    pub(crate) async fn open(
        builder: StoreBuilder,
        path: &Path,
        kind: DatabaseKind,
    ) -> Result<Self, Failure> {
        Ok(match kind {
            DatabaseKind::Session => Self::Session(builder.open(path).await?),
            DatabaseKind::Processes => Self::Processes(builder.open_process_registry(path).await?),
            DatabaseKind::HostEvents => {
                Self::HostEvents(builder.open_host_event_store(path).await?)
            }
            DatabaseKind::Effects => {
                let options = SqliteEffectReplayOptions::default();
                Self::Effects(builder.open_effect_host(path, options).await?)
            }
            kind => {
                let message = format!("cannot open a {kind} database: {}", path.display());
                return Err(Failure::unusable(path, "other-kind", message));
            }
        })
    }

    /// Rebuilds what is derived.
    pub(crate) async fn repair(&self) -> Result<Repair, Error> {
        match self {
            Self::Session(store) => store.repair().await,
            Self::Processes(registry) => registry.repair().await,
            Self::HostEvents(store) => store.repair().await,
            Self::Effects(host) => host.repair().await,
        }
    }

    async fn close(self) {
        match self {
            Self::Session(store) => store.close().await,
            Self::Processes(registry) => registry.close().await,
            Self::HostEvents(events) => events.close().await,
            Self::Effects(host) => host.close().await,
        }
    }

    /// Gives unused pages back to the file system.
    pub(crate) async fn give_back_pages(&self) -> Result<(), Error> {
        match self {
            Self::Session(store) => store.give_back_pages().await,
            Self::Processes(registry) => registry.give_back_pages().await,
            Self::HostEvents(store) => store.give_back_pages().await,
            Self::Effects(host) => host.give_back_pages().await,
        }
    }
}

/// How many bytes the database has, with what is still in its log.
fn size(path: &Path) -> u64 {
    let mut log = path.as_os_str().to_os_string();
    log.push("-wal");
    let length = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    length(path).saturating_add(length(Path::new(&log)))
}
