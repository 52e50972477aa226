//! The head of a session.

mod export;
mod row;
mod verify;

use alloc::vec::Vec;

use crate::Result;
use crate::bindings::session_types::{BlobKind, BlobProfile, BlobSource};
use crate::session::blobs::key::BlobKey;
use crate::session::checkpoints::Component;
use crate::session::digests::SessionTransaction;
use crate::session::graph;
use crate::storage::corruption::invalid;
use crate::storage::seam::Transaction;

pub(crate) use export::export;
pub(super) use row::{HeadIdentity, HeadRow};
pub(super) use verify::verify_all;

/// What the stored head keeps alive.
pub(crate) fn roots<T: Transaction>(session: &SessionTransaction<T>) -> Result<Vec<BlobKey>> {
    Ok(match HeadRow::load(session)? {
        Some(row) => row
            .checkpoint
            .into_iter()
            .chain(row.blobs)
            .chain(row.retained)
            .collect(),
        None => Vec::new(),
    })
}

/// Checks that the head, if there is one, is the last that was written.
pub(crate) fn check<T: Transaction>(session: &SessionTransaction<T>) -> Result<()> {
    HeadRow::load_identity(session).map(|_| ())
}

/// The blobs of a head.
pub(super) fn components(blobs: Vec<BlobSource>, profile: BlobProfile) -> Result<Vec<Component>> {
    blobs
        .into_iter()
        .map(|source| Component::new(source, BlobKind::ExecutionState, profile))
        .collect()
}

/// The revision after that of the stored head. A revision is never used twice, not
/// even the last one.
pub(super) fn next_revision(stored: Option<&HeadIdentity>) -> Result<i64> {
    let revision = stored.map_or(0, |stored| stored.revision);
    revision
        .checked_add(1)
        .ok_or_else(|| invalid("the revision cannot become higher"))
}

/// Refuses a leaf that is not stored.
pub(super) fn require_leaf<T: Transaction>(
    session: &SessionTransaction<T>,
    leaf: Option<&str>,
) -> Result<()> {
    match leaf {
        Some(leaf) if graph::find(&session.tx, leaf)?.is_none() => {
            Err(invalid(["the leaf ", leaf, " is not stored"].concat()))
        }
        _ => Ok(()),
    }
}
