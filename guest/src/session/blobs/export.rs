//! Exporting blobs.

use crate::Result;
use crate::session::checkpoints;
use crate::session::digests::SessionTransaction;
use crate::storage::corruption::corrupt;
use crate::storage::paging::{Cursor, Numbered, Page, RecordBuilder};
use crate::storage::seam::Transaction;
use crate::storage::sql::sql;

use super::key::BlobKey;
use super::{BlobRow, COLUMNS, TABLE, load_referenced};

/// The content is read with the blob itself, one at a time.
const BLOBS: Numbered = Numbered {
    table: TABLE,
    lengths: Some(
        "SELECT max(length, length(content)) FROM blobs NOT INDEXED
         WHERE id >= ?1 ORDER BY id LIMIT ?2",
    ),
    rows: sql!(
        "SELECT id, key, ",
        COLUMNS,
        " FROM blobs NOT INDEXED WHERE id >= ?1 ORDER BY id LIMIT ?2"
    ),
};

/// Exports the blobs, and what is in those that are manifests.
pub(crate) fn export<T: Transaction>(
    session: &SessionTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<bool> {
    let ended = BLOBS.export(&session.tx, cursor, page, &mut |cursor, page, reader| {
        let id = reader.integer()?;
        let key = BlobKey::from_bytes(reader.blob()?)
            .ok_or_else(|| corrupt(TABLE, id, "the key is damaged"))?;
        let row = BlobRow::read(reader, &key)?;
        cursor.found.insert(row.checksum(&key));
        let kind =
            kind_name(row.kind).ok_or_else(|| corrupt(TABLE, key.text(), "the kind is unknown"))?;
        let blob = load_referenced(session, &key)?;
        let manifest = page.note(TABLE, checkpoints::export(session, &key, &blob))?;
        page.push(
            RecordBuilder::new("blob")
                .text("key", &key.text())
                .text("kind", kind)
                .content("content", blob.content),
        );
        if let Some(Some(manifest)) = manifest {
            page.push(manifest);
        }
        Ok(())
    })?;
    if ended {
        page.complete(TABLE, cursor.found, session.digests.blobs)?;
    }
    Ok(ended)
}

/// What a stored kind is called.
pub(crate) fn kind_name(code: i64) -> Option<&'static str> {
    Some(match code {
        0 => "generic",
        1 => "checkpoint_manifest",
        2 => "tool_state",
        3 => "plugin_snapshot",
        4 => "execution_state",
        5 => "module",
        6 => "process_environment",
        _ => return None,
    })
}
