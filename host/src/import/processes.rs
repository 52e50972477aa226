//! Databases of processes.

use super::error::ImportError;
use super::run::Run;

/// Brings everything over.
pub(super) fn import(run: &mut Run<'_>) -> Result<(), ImportError> {
    Err(ImportError::NotNative {
        path: run.source.path().to_path_buf(),
        found: format!("{} databases can not be imported yet", run.source.kind()),
    })
}
