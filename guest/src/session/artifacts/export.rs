//! Exporting artifacts.

use crate::Result;
use crate::session::blobs;
use crate::session::digests::SessionTransaction;
use crate::storage::corruption::corrupt;
use crate::storage::paging::{Cursor, Numbered, Page, RecordBuilder};
use crate::storage::seam::Transaction;

use super::row::{ArtifactRow, FROM};

const ROWS: Numbered = Numbered {
    table: ArtifactRow::TABLE,
    lengths: None,
    rows: FROM,
};

/// Exports the names and what they stand for.
pub(crate) fn export<T: Transaction>(
    session: &SessionTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<bool> {
    let ended = ROWS.export(&session.tx, cursor, page, &mut |cursor, page, reader| {
        reader.integer()?;
        let (row, checksum) = ArtifactRow::read_with_checksum(reader)?;
        let key = row.key()?;
        cursor.found.insert(checksum);
        let unknown = |what| corrupt(ArtifactRow::TABLE, row.name, what);
        let space = match row.space {
            0 => "modules",
            1 => "bytes",
            _ => return Err(unknown("the namespace is unknown")),
        };
        let kind = blobs::kind_name(row.kind).ok_or_else(|| unknown("the kind is unknown"))?;
        page.push(
            RecordBuilder::new("artifact")
                .text("space", space)
                .text("name", row.name)
                .text("kind", kind)
                .text("blob", &key.text()),
        );
        Ok(())
    })?;
    if ended {
        page.complete(ArtifactRow::TABLE, cursor.found, session.digests.artifacts)?;
    }
    Ok(ended)
}
