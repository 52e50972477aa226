//! One import, from one end to the other.

use std::path::Path;

use lash_store_engine::wit::types::BlobProfile;
use lash_store_engine::{Call, DatabaseKind, Durability, OpenOptions};

use super::destination::Destination;
use super::error::ImportError;
use super::report::{ImportReport, Imported, Losses, Progress};
use super::source::Source;
use super::thread::Cancel;
use super::{NativeImport, OnProgress, effects, host_events, processes, session};
use crate::database::Database;
use crate::error::Error;

/// An import that is being done: what each kind of database works with.
///
/// A kind has a module with `import`, which calls [`Run::table`] for each table, and
/// puts the rows into the new database through the component. What it cannot bring
/// over it notes as a loss, and goes on.
pub(super) struct Run<'a> {
    /// Where it is read from.
    pub(super) source: Source,
    /// What cannot be brought over.
    pub(super) losses: Losses,
    pub(super) records: Vec<Imported>,
    /// How to store new blobs.
    pub(super) profile: BlobProfile,
    db: Database,
    cancel: &'a Cancel,
    on_progress: Option<&'a OnProgress>,
    progress: Progress,
}

/// Does an import.
pub(super) fn import(
    import: &NativeImport,
    kind: Option<DatabaseKind>,
    source: &Path,
    destination: &Path,
    cancel: &Cancel,
) -> Result<ImportReport, ImportError> {
    let source = Source::open(source, kind)?;
    let destination = Destination::prepare(destination)?;
    cancel.watch(source.interrupt_handle());
    let mut losses = Losses::default();
    let total_bytes = source.bytes()?;
    source.check(&mut losses)?;

    let kind = source.kind();
    // The file is synced once, when it is whole.
    let mut options = OpenOptions::new().durability(Durability::Normal);
    if let Some(mode) = import.file_mode {
        options = options.file_mode(mode);
    }
    let db = Database::open_blocking(&destination.draft(), kind, &options)
        .map_err(ImportError::Destination)?;
    let mut run = Run {
        source,
        losses,
        records: Vec::new(),
        profile: import.options.blob_profile.to_wit(),
        db,
        cancel,
        on_progress: import.on_progress.as_ref(),
        progress: Progress {
            done_bytes: 0,
            total_bytes,
        },
    };
    let imported = match kind {
        DatabaseKind::Session => session::import(&mut run),
        DatabaseKind::Processes => processes::import(&mut run),
        DatabaseKind::HostEvents => host_events::import(&mut run),
        DatabaseKind::Effects => effects::import(&mut run),
        // The native crate has no others.
        _ => Err(ImportError::NotNative {
            path: run.source.path().to_path_buf(),
            found: format!("a database of the kind {kind}"),
        }),
    };
    run.source.check_unchanged()?;
    imported?;
    run.finish(import.partial, destination)
}

impl Run<'_> {
    /// Calls the component for the new database. Each call is one transaction.
    pub(super) fn write<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Call<'_>) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, ImportError> {
        self.db
            .write_blocking("import", job)
            .map_err(ImportError::Destination)
    }

    /// Notes that more was read of the source.
    pub(super) fn advance(&mut self, bytes: u64) -> Result<(), ImportError> {
        self.cancel.check(self.source.path())?;
        // Values are shorter than the pages that they are in, but for damaged files.
        let done = self.progress.done_bytes.saturating_add(bytes);
        self.progress.done_bytes = done.min(self.progress.total_bytes);
        self.tell();
        Ok(())
    }

    fn tell(&self) {
        if let Some(tell) = self.on_progress {
            tell(self.progress);
        }
    }

    fn finish(
        mut self,
        partial: bool,
        destination: Destination,
    ) -> Result<ImportReport, ImportError> {
        let kind = self.source.kind();
        let path = self.source.path().to_path_buf();
        self.advance(u64::MAX)?;
        let Self {
            source,
            losses,
            records,
            db,
            cancel,
            ..
        } = self;
        drop(source);
        db.close_blocking();
        let is_whole = losses.is_empty();
        let (losses, omitted_losses) = losses.into_parts();
        if !is_whole && !partial {
            return Err(ImportError::Damaged {
                path,
                losses,
                omitted_losses,
            });
        }
        destination.publish(cancel)?;
        Ok(ImportReport {
            kind,
            records,
            losses,
            omitted_losses,
        })
    }
}
