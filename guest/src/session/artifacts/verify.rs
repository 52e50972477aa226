//! Checking all artifacts.

use crate::Result;
use crate::session::blobs;
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::findings::{Findings, Pages};
use crate::storage::seam::Transaction;

use super::row::{ArtifactRow, TABLE};

const PAGES: Pages = Pages {
    table: TABLE,
    sql: "SELECT id, space, name, kind, blob_key, checksum
          FROM artifacts NOT INDEXED WHERE id >= ?1 ORDER BY id LIMIT ?2",
    columns: 6,
    size: 1024,
};

/// Checks every artifact, and that its blob is there.
pub(crate) fn verify_all<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
) -> Result<()> {
    let mut found = SetDigest::default();
    findings.walk(&session.tx, &PAGES, &mut |findings, reader| {
        reader.integer()?;
        let row = ArtifactRow::read(reader)?;
        found.insert(row.checksum);
        blobs::require_whole(session, findings, [row.key])
    })?;
    findings.complete(TABLE, found, session.digests.artifacts)
}
