//! Exporting the manifest of attachments.

use crate::Result;
use crate::session::digests::SessionTransaction;
use crate::storage::corruption::verify_complete;
use crate::storage::paging::{Cursor, Named, Page, RecordBuilder};
use crate::storage::seam::Transaction;

use super::row::{AttachmentRow, TABLE};

const ROWS: Named = Named {
    table: TABLE,
    rows: "SELECT session_id, attachment_id, canonical_uri, intent_at_ms, committed_at_ms, checksum
           FROM attachment_intents WHERE (session_id, attachment_id) >= (?1, ?2)
           ORDER BY session_id, attachment_id LIMIT ?3",
};

/// Exports the manifest.
pub(crate) fn export<T: Transaction>(
    session: &SessionTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<bool> {
    let ended = ROWS.read(&session.tx, cursor, page, &mut |cursor, page, reader| {
        let (row, checksum) = AttachmentRow::read(reader)?;
        cursor.found.insert(checksum);
        page.push(
            RecordBuilder::new("attachment")
                .text("session_id", row.session_id)
                .text("id", row.attachment_id)
                .text("uri", row.canonical_uri)
                .number("intent_at_ms", row.intent_at_ms)
                .optional_number("committed_at_ms", row.committed_at_ms),
        );
        Ok(())
    })?;
    if ended {
        verify_complete(TABLE, cursor.found, session.digests.intents)?;
    }
    Ok(ended)
}
