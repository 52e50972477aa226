//! Exporting the manifest of attachments.

use crate::Result;
use crate::session::digests::SessionTransaction;
use crate::storage::paging::{Cursor, Named, Page, RecordBuilder};
use crate::storage::seam::Transaction;

use super::row::{AttachmentRow, FROM};

const ROWS: Named = Named {
    table: AttachmentRow::TABLE,
    rows: FROM,
};

/// Exports the manifest.
pub(crate) fn export<T: Transaction>(
    session: &SessionTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<bool> {
    let ended = ROWS.export(&session.tx, cursor, page, &mut |cursor, page, reader| {
        let (row, checksum) = AttachmentRow::read_with_checksum(reader)?;
        cursor.found.insert(checksum);
        page.push(
            RecordBuilder::new("attachment")
                .text("session_id", row.session_id)
                .text("id", row.attachment_id)
                .text("uri", row.canonical_uri)
                .number("intent_at_ms", row.intent_at_ms)
                .optional_number("committed_at_ms", row.committed_at_ms)
                .text("state", row.state.name()),
        );
        Ok(())
    })?;
    if ended {
        page.complete(AttachmentRow::TABLE, cursor.found, session.digests.intents)?;
    }
    Ok(ended)
}
