//! Checking the head.

use crate::Result;
use crate::session::blobs;
use crate::session::digests::SessionTransaction;
use crate::storage::findings::Findings;
use crate::storage::seam::Transaction;

use super::row::{HeadRow, TABLE};

/// Checks the head, and that the blobs it refers to are there. The leaf may be gone: a
/// graph can be replaced, and nodes removed, without the head.
pub(in crate::session) fn verify_all<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
) -> Result<()> {
    let Some(Some(head)) = findings.note(TABLE, HeadRow::load(session))? else {
        return Ok(());
    };
    let kept = head
        .checkpoint
        .iter()
        .chain(&head.blobs)
        .chain(&head.retained);
    blobs::require_whole(session, findings, kept.copied())
}
