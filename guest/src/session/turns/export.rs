//! Exporting the stamps.

use crate::Result;
use crate::session::digests::SessionTransaction;
use crate::storage::corruption::verify_complete;
use crate::storage::paging::{Cursor, Named, Page, RecordBuilder};
use crate::storage::seam::Transaction;

use super::row::{TABLE, read, read_stamp};

const ROWS: Named = Named {
    table: TABLE,
    rows: "SELECT session_id, turn_id, commit_hash, revision, checkpoint, committed_at_ms, checksum
           FROM runtime_turn_commits WHERE (session_id, turn_id) >= (?1, ?2)
           ORDER BY session_id, turn_id LIMIT ?3",
};

/// Exports the stamps.
pub(crate) fn export<T: Transaction>(
    session: &SessionTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<bool> {
    let ended = ROWS.read(&session.tx, cursor, page, &mut |cursor, page, reader| {
        let stamp = read_stamp(reader)?;
        let (turn, committed_at_ms, checksum) = read(reader, &stamp)?;
        cursor.found.insert(checksum);
        page.push(
            RecordBuilder::new("turn")
                .text("session_id", &stamp.session_id)
                .text("id", &stamp.turn_id)
                .text("commit_hash", &stamp.commit_hash)
                .number("revision", turn.revision)
                .text("checkpoint", &turn.checkpoint.text())
                .number("committed_at_ms", committed_at_ms),
        );
        Ok(())
    })?;
    if ended {
        verify_complete(TABLE, cursor.found, session.digests.turns)?;
    }
    Ok(ended)
}
