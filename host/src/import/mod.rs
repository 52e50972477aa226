//! Bringing databases of `lash-sqlite-store` 0.1.0-alpha.46 over.
//!
//! The source is only read, also while a program of the native crate has it open. The
//! new database is made beside its destination and put there once it is whole, so that
//! there is never half of one.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use lash_wasm_store::Store;
//!
//! let report = Store::import_native("old.db".as_ref(), "new.db".as_ref()).await?;
//! for table in &report.records {
//!     println!("{}: {} rows", table.table, table.rows);
//! }
//! let store = Store::open("new.db".as_ref()).await?;
//! # Ok(())
//! # }
//! ```

mod destination;
mod effects;
mod error;
mod host_events;
mod json;
mod processes;
mod report;
mod run;
mod session;
mod source;
mod table;
mod thread;

pub use error::ImportError;
pub use report::{ImportReport, Imported, Loss, Progress};

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use lash_store_engine::DatabaseKind;
use lash_store_engine::observability::span;

use crate::operation;
use crate::session::StoreOptions;

/// Told how far an import is, on a thread of the import.
type OnProgress = Arc<dyn Fn(Progress) + Send + Sync>;

/// Imports databases of `lash-sqlite-store` 0.1.0-alpha.46.
///
/// What can be known to be damaged is a loss: the file's structure, references, digests, and
/// what cannot be decoded. The native format has no checksums: a number, or a letter of a
/// text, that is another one now is brought over as it is.
///
/// If a future is dropped before it is ready, nothing is left behind: dropping it waits
/// for the step that is being done, which takes some milliseconds, or seconds in a
/// database of gigabytes.
#[derive(Clone, Default)]
pub struct NativeImport {
    partial: bool,
    options: StoreOptions,
    file_mode: Option<u32>,
    on_progress: Option<OnProgress>,
}

impl NativeImport {
    /// Starts with what `import_native` of the stores does.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether to bring over what is whole if some of the source cannot be read;
    /// [`ImportReport::losses`] names the rest. Without it nothing is imported then.
    pub fn partial(mut self, partial: bool) -> Self {
        self.partial = partial;
        self
    }

    /// Sets the options of the new database: how its blobs are compressed. What the
    /// source has compressed stays as it is.
    pub fn options(mut self, options: StoreOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets the mode of the new file on Unix, as
    /// [`StoreBuilder::file_mode`](crate::StoreBuilder::file_mode); 0600 by default,
    /// whatever that of the source is.
    pub fn file_mode(mut self, mode: u32) -> Self {
        self.file_mode = Some(mode);
        self
    }

    /// Sets what is told now and then how far the import is.
    pub fn on_progress(mut self, tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Arc::new(tell));
        self
    }

    /// Imports a session database, for [`Store`](crate::Store).
    ///
    /// Stamps of turns that are later than the head are losses. A file has them, without
    /// being damaged, if `save_session_head` or `save_session_head_meta` of the native crate
    /// was called after stamped turns: these set the revision back.
    ///
    /// # Errors
    ///
    /// [`ImportError`] says why there is no destination.
    pub async fn session(
        &self,
        source: &Path,
        destination: &Path,
    ) -> Result<ImportReport, ImportError> {
        self.import(Some(DatabaseKind::Session), source, destination)
            .await
    }

    /// Imports a database of processes, for
    /// [`SqliteProcessRegistry`](crate::SqliteProcessRegistry).
    ///
    /// A process comes over with its record, its lease and all of its events, or, in a
    /// partial import, not at all; a handle or an acknowledged wake is left out by itself.
    /// Leases hold, with their tokens. The next fencing token is higher than every one of
    /// the source, whichever process it is for. The acknowledgement of an event that has
    /// not happened yet is dropped.
    ///
    /// # Errors
    ///
    /// As [`session`](Self::session).
    pub async fn processes(
        &self,
        source: &Path,
        destination: &Path,
    ) -> Result<ImportReport, ImportError> {
        self.import(Some(DatabaseKind::Processes), source, destination)
            .await
    }

    /// Imports a database of host events, for
    /// [`SqliteHostEventStore`](crate::SqliteHostEventStore).
    ///
    /// Subscriptions keep their numbers and handles, and the next one gets the number
    /// that it would have got. What occurred before the import may be delivered to every
    /// subscription that was there then, as the native crate does it; not to later ones.
    ///
    /// The native crate does not know which deliveries were started, so all of them count
    /// as reserved. Import the processes too before
    /// [`TriggerRedelivery`](crate::TriggerRedelivery) looks for what was not started: it
    /// starts what the registry does not know.
    ///
    /// # Errors
    ///
    /// As [`session`](Self::session).
    pub async fn host_events(
        &self,
        source: &Path,
        destination: &Path,
    ) -> Result<ImportReport, ImportError> {
        self.import(Some(DatabaseKind::HostEvents), source, destination)
            .await
    }

    /// Imports a database of effects, for [`SqliteEffectHost`](crate::SqliteEffectHost).
    ///
    /// Of a scope the native crate keeps only the last identifier, which scopes of another
    /// session or kind may have too. So an imported effect is given to the scope that asks
    /// for it first with its digest; with another digest the scope is told that there is a
    /// conflict, as by the native crate. Until then
    /// [`forget_scope`](crate::SqliteEffectHost::forget_scope) does not find it, and
    /// [`prune`](crate::SqliteEffectHost::prune) does.
    ///
    /// # Errors
    ///
    /// As [`session`](Self::session).
    pub async fn effects(
        &self,
        source: &Path,
        destination: &Path,
    ) -> Result<ImportReport, ImportError> {
        self.import(Some(DatabaseKind::Effects), source, destination)
            .await
    }

    /// Imports a database of whatever kind, which its tables say.
    ///
    /// # Errors
    ///
    /// As [`session`](Self::session).
    pub async fn any(
        &self,
        source: &Path,
        destination: &Path,
    ) -> Result<ImportReport, ImportError> {
        self.import(None, source, destination).await
    }

    async fn import(
        &self,
        kind: Option<DatabaseKind>,
        source: &Path,
        destination: &Path,
    ) -> Result<ImportReport, ImportError> {
        let span = span("import", destination);
        let import = thread::import(self.clone(), kind, source, destination);
        operation::within(span, import).await
    }
}

macro_rules! import_native {
    ($($store:ty: $kind:ident, $what:literal;)*) => {$(
        impl $store {
            #[doc = concat!("Imports ", $what, " of `lash-sqlite-store` 0.1.0-alpha.46.")]
            /// [`NativeImport`] does it with options.
            ///
            /// # Errors
            ///
            /// [`ImportError`] says why there is no destination.
            pub async fn import_native(
                source: &Path,
                destination: &Path,
            ) -> Result<ImportReport, ImportError> {
                NativeImport::new().$kind(source, destination).await
            }
        }
    )*};
}

import_native! {
    crate::Store: session, "a session database";
    crate::SqliteProcessRegistry: processes, "a database of processes";
    crate::SqliteHostEventStore: host_events, "a database of host events";
    crate::SqliteEffectHost: effects, "a database of effects";
}

impl fmt::Debug for NativeImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeImport")
            .field("partial", &self.partial)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
