//! Exporting the ledger.

use crate::Result;
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::paging::{Cursor, Numbered, Page, RecordBuilder};
use crate::storage::seam::Transaction;

use super::row::{ENTRIES, ENTRIES_FROM, TOTALS, TOTALS_FROM, UsageRow};

const ENTRY_ROWS: Numbered = Numbered {
    table: ENTRIES,
    lengths: None,
    rows: ENTRIES_FROM,
};

const TOTAL_ROWS: Numbered = Numbered {
    table: TOTALS,
    lengths: None,
    rows: TOTALS_FROM,
};

/// Exports the entries.
pub(crate) fn export_entries<T: Transaction>(
    session: &SessionTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<bool> {
    let expected = session.digests.usage_entries;
    export(&ENTRY_ROWS, "usage_entry", expected, session, cursor, page)
}

/// Exports the totals.
pub(crate) fn export_totals<T: Transaction>(
    session: &SessionTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<bool> {
    let expected = session.digests.usage_totals;
    export(&TOTAL_ROWS, "usage_total", expected, session, cursor, page)
}

fn export<T: Transaction>(
    rows: &Numbered,
    name: &'static str,
    expected: SetDigest,
    session: &SessionTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<bool> {
    let ended = rows.export(&session.tx, cursor, page, &mut |cursor, page, reader| {
        let (row, checksum) = UsageRow::read(rows.table, reader)?;
        cursor.found.insert(checksum);
        page.push(
            RecordBuilder::new(name)
                .number("sequence", row.seq)
                .text("source", &row.entry.source)
                .text("model", &row.entry.model)
                .number("input_tokens", row.entry.input_tokens)
                .number("output_tokens", row.entry.output_tokens)
                .number("cached_input_tokens", row.entry.cached_input_tokens)
                .number("reasoning_tokens", row.entry.reasoning_tokens)
                .number("recorded_at_ms", row.recorded_at_ms),
        );
        Ok(())
    })?;
    if ended {
        page.complete(rows.table, cursor.found, expected)?;
    }
    Ok(ended)
}
