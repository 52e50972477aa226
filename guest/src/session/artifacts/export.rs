//! Exporting artifacts.

use crate::Result;
use crate::session::blobs;
use crate::session::digests::SessionTransaction;
use crate::storage::corruption::{corrupt, verify_complete};
use crate::storage::paging::{Cursor, Numbered, Page, RecordBuilder};
use crate::storage::seam::Transaction;

use super::row::{ArtifactRow, TABLE};

const ROWS: Numbered = Numbered {
    table: TABLE,
    lengths: None,
    rows: "SELECT id, space, name, kind, blob_key, checksum FROM artifacts NOT INDEXED
           WHERE id >= ?1 ORDER BY id LIMIT ?2",
};

/// Exports the names and what they stand for.
pub(crate) fn export<T: Transaction>(
    session: &SessionTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<bool> {
    let ended = ROWS.read(&session.tx, cursor, page, &mut |cursor, page, reader| {
        reader.integer()?;
        let row = ArtifactRow::read(reader)?;
        cursor.found.insert(row.checksum);
        let unknown = |what| corrupt(TABLE, row.name, what);
        let space = match row.space {
            0 => "modules",
            1 => "bytes",
            _ => return Err(unknown("the name space is unknown")),
        };
        let kind = blobs::kind_name(row.kind).ok_or_else(|| unknown("the kind is unknown"))?;
        page.push(
            RecordBuilder::new("artifact")
                .text("space", space)
                .text("name", row.name)
                .text("kind", kind)
                .text("blob", &row.key.text()),
        );
        Ok(())
    })?;
    if ended {
        verify_complete(TABLE, cursor.found, session.digests.artifacts)?;
    }
    Ok(ended)
}
