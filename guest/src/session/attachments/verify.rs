//! Checking the manifest of attachments.

use crate::Result;
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::findings::{Findings, Pages};
use crate::storage::seam::Transaction;

use super::row::{AttachmentRow, TABLE};

const PAGES: Pages = Pages {
    table: TABLE,
    sql: "SELECT session_id, attachment_id, canonical_uri, intent_at_ms, committed_at_ms, checksum
          FROM attachment_intents WHERE (session_id, attachment_id) >= (?1, ?2)
          ORDER BY session_id, attachment_id LIMIT ?3",
    columns: 6,
    size: 1024,
};

/// Checks every row of the manifest.
pub(crate) fn verify_all<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
) -> Result<()> {
    let mut found = SetDigest::default();
    findings.walk_names(&session.tx, &PAGES, &mut |_, reader| {
        let (_, checksum) = AttachmentRow::read(reader)?;
        found.insert(checksum);
        Ok(())
    })?;
    findings.complete(TABLE, found, session.digests.intents)
}
