//! Checking all artifacts.

use crate::Result;
use crate::session::blobs;
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::findings::{Findings, Pages};
use crate::storage::seam::Transaction;

use super::row::{ArtifactRow, FROM};

const PAGES: Pages = Pages {
    table: ArtifactRow::TABLE,
    sql: FROM,
    columns: 1 + ArtifactRow::WIDTH,
    size: 1024,
};

/// Checks every artifact, and that its blob is there.
pub(crate) fn verify_all<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
) -> Result<SetDigest> {
    let mut found = SetDigest::default();
    findings.walk(&session.tx, &PAGES, &mut |findings, reader| {
        reader.integer()?;
        let (row, checksum) = ArtifactRow::read_with_checksum(reader)?;
        let key = row.key()?;
        found.insert(checksum);
        blobs::require_whole(session, findings, [key])
    })?;
    findings.complete(ArtifactRow::TABLE, found, session.digests.artifacts)?;
    Ok(found)
}
