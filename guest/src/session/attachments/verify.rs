//! Checking the manifest of attachments.

use crate::Result;
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::findings::{Findings, Pages};
use crate::storage::seam::Transaction;

use super::row::{AttachmentRow, FROM};

const PAGES: Pages = Pages {
    table: AttachmentRow::TABLE,
    sql: FROM,
    columns: AttachmentRow::WIDTH,
    size: 1024,
};

/// Checks every row of the manifest.
pub(crate) fn verify_all<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
) -> Result<SetDigest> {
    let mut found = SetDigest::default();
    findings.walk_names(&session.tx, &PAGES, &mut |_, reader| {
        let (_, checksum) = AttachmentRow::read_with_checksum(reader)?;
        found.insert(checksum);
        Ok(())
    })?;
    findings.complete(AttachmentRow::TABLE, found, session.digests.intents)?;
    Ok(found)
}
