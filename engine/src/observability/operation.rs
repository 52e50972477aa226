//! Spans of what takes several calls of a database, such as collecting garbage and
//! then giving pages back. The spans of these calls are within.

use std::path::Path;

use tracing::Span;
use tracing::field::Empty;

use super::TARGET;

/// A span for an operation on the database at `path`. Its fields `session`, `process`,
/// `scope` and `outcome` are empty and to be recorded.
pub fn span(operation: &'static str, path: &Path) -> Span {
    tracing::debug_span!(
        target: TARGET,
        "operation",
        operation,
        path = %path.display(),
        session = Empty,
        process = Empty,
        scope = Empty,
        outcome = Empty,
    )
}
