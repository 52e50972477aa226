//! Checking all stamps.

use crate::Result;
use crate::session::blobs;
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::findings::{Findings, Pages};
use crate::storage::seam::Transaction;

use super::row::{FROM, TurnRow};

const PAGES: Pages = Pages {
    table: TurnRow::TABLE,
    sql: FROM,
    columns: TurnRow::WIDTH,
    size: 1024,
};

/// Checks every stamp, and that a replay has what it returns.
pub(crate) fn verify_all<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
    head_revision: Option<i64>,
) -> Result<SetDigest> {
    let mut found = SetDigest::default();
    findings.walk_names(&session.tx, &PAGES, &mut |findings, reader| {
        let (row, checksum) = TurnRow::read_with_checksum(reader)?;
        let checkpoint = row.checkpoint()?;
        found.insert(checksum);
        blobs::require_stored(session, findings, &checkpoint)?;
        if checkpoint.is_imported() {
            for translation in blobs::edges(&session.tx, &checkpoint)? {
                blobs::require_stored(session, findings, &translation)?;
            }
        }
        findings.require(
            TurnRow::TABLE,
            row.turn_id,
            head_revision.is_none_or(|revision| row.revision <= revision),
            "the revision is higher than the head's",
        )
    })?;
    findings.complete(TurnRow::TABLE, found, session.digests.turns)?;
    Ok(found)
}
