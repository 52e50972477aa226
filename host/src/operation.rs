//! Spans of what takes several calls of a database, such as collecting garbage and
//! then giving pages back. The spans of these calls are within.

use std::future::Future;

use std::path::Path;

use lash_core::{PluginError, RuntimeEffectControllerError};
use lash_store_engine::wit::types::Corruption;
use tracing::{Instrument, Span};

use crate::error::Error;

/// A word for how something failed.
pub(crate) trait Failure {
    fn word(&self) -> &'static str;
}

impl Failure for Error {
    fn word(&self) -> &'static str {
        self.code()
    }
}

impl Failure for PluginError {
    fn word(&self) -> &'static str {
        "failed"
    }
}

/// How an effect fails is the application's own, except for what the controller says.
impl Failure for RuntimeEffectControllerError {
    fn word(&self) -> &'static str {
        "failed"
    }
}

/// Does the work within the span, and records there how it ended.
pub(crate) async fn within<T, E: Failure>(
    span: Span,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    within_as(span, work, |_| "ok").await
}

/// As [`within`], with a word for what succeeded.
pub(crate) async fn within_as<T, E: Failure>(
    span: Span,
    work: impl Future<Output = Result<T, E>>,
    word: impl FnOnce(&T) -> &'static str,
) -> Result<T, E> {
    let result = work.instrument(span.clone()).await;
    span.record("outcome", result.as_ref().map_or_else(E::word, word));
    result
}

/// Says what is corrupt and was passed over: the rest was done.
pub(crate) fn passed_over(path: &Path, corrupt: &[Corruption]) {
    for Corruption { table, key, reason } in corrupt {
        tracing::warn!(
            target: "lash_wasm_store",
            path = %path.display(),
            table = %table.escape_debug(),
            key = %key.escape_debug(),
            reason = %reason.escape_debug(),
            "a corrupt row was passed over; `lash-store verify` names all of them",
        );
    }
}
