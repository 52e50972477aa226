//! Checking all stamps.

use crate::Result;
use crate::session::blobs;
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::findings::{Findings, Pages};
use crate::storage::seam::Transaction;

use super::row::{TABLE, read, read_stamp};

const PAGES: Pages = Pages {
    table: TABLE,
    sql: "SELECT session_id, turn_id, commit_hash, revision, checkpoint, committed_at_ms, checksum
          FROM runtime_turn_commits WHERE (session_id, turn_id) >= (?1, ?2)
          ORDER BY session_id, turn_id LIMIT ?3",
    columns: 7,
    size: 1024,
};

/// Checks every stamp, and that a replay has what it returns.
pub(crate) fn verify_all<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
    head_revision: Option<i64>,
) -> Result<()> {
    let mut found = SetDigest::default();
    findings.walk_names(&session.tx, &PAGES, &mut |findings, reader| {
        let stamp = read_stamp(reader)?;
        let (turn, _, checksum) = read(reader, &stamp)?;
        found.insert(checksum);
        blobs::require_stored(session, findings, &turn.checkpoint)?;
        if turn.checkpoint.is_imported() {
            for translation in blobs::edges(&session.tx, &turn.checkpoint)? {
                blobs::require_stored(session, findings, &translation)?;
            }
        }
        let known = head_revision.is_none_or(|revision| turn.revision <= revision);
        findings.require(
            TABLE,
            &stamp.turn_id,
            known,
            "the revision is higher than the head's",
        )
    })?;
    findings.complete(TABLE, found, session.digests.turns)
}
