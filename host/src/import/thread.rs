//! The thread that an import runs on.
//!
//! One thread owns the source, the new database and its directory, so that all of them
//! are closed and removed in order, however the import ends.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

use lash_store_engine::DatabaseKind;
use rusqlite::InterruptHandle;
use tokio::sync::oneshot;
use tracing::Span;

use super::error::ImportError;
use super::report::ImportReport;
use super::{NativeImport, run};
use crate::sync::lock;

/// Whether somebody still waits for the import.
#[derive(Default)]
pub(super) struct Cancel {
    cancelled: AtomicBool,
    source: Mutex<Option<InterruptHandle>>,
}

impl Cancel {
    /// Notes what is to be interrupted when nobody waits any more.
    pub(super) fn watch(&self, source: InterruptHandle) {
        *lock(&self.source) = Some(source);
    }

    /// An error if nobody waits any more. Nobody sees it either.
    pub(super) fn check(&self, path: &Path) -> Result<(), ImportError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(ImportError::Io {
                path: path.to_path_buf(),
                source: io::ErrorKind::Interrupted.into(),
            });
        }
        Ok(())
    }

    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        let source = lock(&self.source);
        if let Some(source) = source.as_ref() {
            source.interrupt();
        }
    }
}

/// An import that runs. Dropping it ends the import, and waits for that.
struct Running {
    cancel: Arc<Cancel>,
    thread: Option<JoinHandle<()>>,
    answer: oneshot::Receiver<Result<ImportReport, ImportError>>,
    source: PathBuf,
}

/// Runs an import on a thread of its own.
pub(super) async fn import(
    import: NativeImport,
    kind: Option<DatabaseKind>,
    source: &Path,
    destination: &Path,
) -> Result<ImportReport, ImportError> {
    let source = source.to_path_buf();
    let io = |error| ImportError::Io {
        path: source.clone(),
        source: error,
    };
    let cancel = Arc::new(Cancel::default());
    let (sender, answer) = oneshot::channel();
    let thread = {
        let cancel = Arc::clone(&cancel);
        let span = Span::current();
        let source = source.clone();
        let destination = destination.to_path_buf();
        thread::Builder::new()
            .name("lash-import".to_owned())
            .spawn(move || {
                let report =
                    span.in_scope(|| run::import(&import, kind, &source, &destination, &cancel));
                // Nobody waits if the future was dropped.
                drop(sender.send(report));
            })
            .map_err(io)?
    };
    Running {
        cancel,
        thread: Some(thread),
        answer,
        source,
    }
    .await
}

impl Future for Running {
    type Output = Result<ImportReport, ImportError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(context).map(|answer| {
            answer.unwrap_or_else(|_| {
                Err(ImportError::Io {
                    path: self.source.clone(),
                    source: io::Error::other("the thread of the import has stopped"),
                })
            })
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancel.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic was answered already, by the sender that is gone.
            drop(thread.join());
        }
    }
}
