//! Exporting manifests.

use crate::Result;
use crate::session::blobs::StoredBlob;
use crate::session::blobs::key::BlobKey;
use crate::session::digests::SessionTransaction;
use crate::storage::paging::RecordBuilder;
use crate::storage::seam::Transaction;

use super::read;

/// What is in a manifest; none if the blob is not one.
pub(crate) fn export<T: Transaction>(
    session: &SessionTransaction<T>,
    key: &BlobKey,
    blob: &StoredBlob,
) -> Result<Option<RecordBuilder>> {
    let text = |key: Option<BlobKey>| key.map(|key| key.text());
    Ok(read(session, key, blob)?.map(|keys| {
        RecordBuilder::new("checkpoint")
            .text("key", &key.text())
            .optional_text("tool_state", text(keys.tool_state).as_deref())
            .optional_text("plugin_snapshot", text(keys.plugin_snapshot).as_deref())
            .optional_unsigned("plugin_snapshot_revision", keys.plugin_snapshot_revision)
            .optional_text("execution_state", text(keys.execution_state).as_deref())
            .payload("turn_state", keys.turn_state)
    }))
}
