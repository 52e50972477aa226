//! Exporting the stamps.

use crate::Result;
use crate::session::digests::SessionTransaction;
use crate::storage::paging::{Cursor, Named, Page, RecordBuilder};
use crate::storage::seam::Transaction;

use super::row::{FROM, TurnRow};

const ROWS: Named = Named {
    table: TurnRow::TABLE,
    rows: FROM,
};

/// Exports the stamps.
pub(crate) fn export<T: Transaction>(
    session: &SessionTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<bool> {
    let ended = ROWS.export(&session.tx, cursor, page, &mut |cursor, page, reader| {
        let (row, checksum) = TurnRow::read_with_checksum(reader)?;
        let checkpoint = row.checkpoint()?;
        cursor.found.insert(checksum);
        page.push(
            RecordBuilder::new("turn")
                .text("session_id", row.session_id)
                .text("id", row.turn_id)
                .text("commit_hash", row.commit_hash)
                .number("revision", row.revision)
                .text("checkpoint", &checkpoint.text())
                .number("committed_at_ms", row.committed_at_ms),
        );
        Ok(())
    })?;
    if ended {
        page.complete(TurnRow::TABLE, cursor.found, session.digests.turns)?;
    }
    Ok(ended)
}
