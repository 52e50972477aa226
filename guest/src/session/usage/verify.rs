//! Checking the ledger.

use crate::Result;
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::findings::{Findings, Pages};
use crate::storage::seam::Transaction;

use super::row::{ENTRIES, ENTRIES_FROM, TOTALS, TOTALS_FROM, UsageRow, WIDTH};

const ENTRY_PAGES: Pages = Pages {
    table: ENTRIES,
    sql: ENTRIES_FROM,
    columns: WIDTH,
    size: 1024,
};

const TOTAL_PAGES: Pages = Pages {
    table: TOTALS,
    sql: TOTALS_FROM,
    columns: WIDTH,
    size: 1024,
};

/// Checks every entry and every total.
pub(crate) fn verify_all<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
) -> Result<()> {
    let digests = &session.digests;
    for (pages, expected) in [
        (&ENTRY_PAGES, digests.usage_entries),
        (&TOTAL_PAGES, digests.usage_totals),
    ] {
        let mut found = SetDigest::default();
        findings.walk(&session.tx, pages, &mut |_, reader| {
            let (_, checksum) = UsageRow::read(pages.table, reader)?;
            found.insert(checksum);
            Ok(())
        })?;
        findings.complete(pages.table, found, expected)?;
    }
    Ok(())
}
