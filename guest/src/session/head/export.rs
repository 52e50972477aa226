//! Exporting the head.

use crate::Result;
use crate::session::blobs::key::BlobKey;
use crate::session::digests::SessionTransaction;
use crate::storage::paging::{Page, RecordBuilder};
use crate::storage::seam::Transaction;

use super::row::{HeadRow, TABLE};

/// Exports the head, if there is one.
pub(crate) fn export<T: Transaction>(
    session: &SessionTransaction<T>,
    page: &mut Page,
) -> Result<()> {
    let texts = |keys: &[BlobKey]| keys.iter().map(BlobKey::text).collect();
    if let Some(Some(head)) = page.note(TABLE, HeadRow::load(session))? {
        let checkpoint = head.checkpoint.map(|key| key.text());
        page.push(
            RecordBuilder::new("head")
                .text("session_id", &head.session_id)
                .number("revision", head.revision)
                .optional_text("leaf", head.leaf.as_deref())
                .optional_text("checkpoint", checkpoint.as_deref())
                .texts("blobs", texts(&head.blobs))
                .texts("retained_blobs", texts(&head.retained))
                .payload("content", head.content),
        );
    }
    Ok(())
}
