//! Checking the ledger.

use alloc::vec::Vec;

use crate::Result;
use crate::session::digests::{SessionDigests, SessionTransaction};
use crate::storage::checksum::SetDigest;
use crate::storage::findings::{Findings, Pages};
use crate::storage::seam::Transaction;

use super::row::{ENTRIES, ENTRIES_FROM, TOTALS, TOTALS_FROM, UsageRow, WIDTH};
use super::{STORE_TOTAL, total};

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

/// Checks every entry and every total. A repair makes the totals of the entries anew if they
/// are not what was written.
pub(crate) fn verify_all<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
    known: &mut SessionDigests,
) -> Result<()> {
    let digests = &session.digests;
    let before = findings.problem_count();
    let mut last = 0;
    let mut sums: Vec<UsageRow> = Vec::new();
    let mut found = SetDigest::default();
    findings.walk(&session.tx, &ENTRY_PAGES, &mut |_, reader| {
        let (row, checksum) = UsageRow::read(ENTRIES, reader)?;
        found.insert(checksum);
        last = row.seq.max(last);
        sum_up(&mut sums, row);
        Ok(())
    })?;
    findings.complete(ENTRIES, found, digests.usage_entries)?;
    known.usage_entries = found;
    known.next_usage_entry = findings.next_number(digests.next_usage_entry, last);
    let are_entries_sound = findings.problem_count() == before;
    let mut found = SetDigest::default();
    findings.walk(&session.tx, &TOTAL_PAGES, &mut |_, reader| {
        let (_, checksum) = UsageRow::read(TOTALS, reader)?;
        found.insert(checksum);
        Ok(())
    })?;
    findings.complete(TOTALS, found, digests.usage_totals)?;
    if are_entries_sound && findings.problem_count() > before && findings.repair_time().is_some() {
        found = write_totals(&session.tx, &mut sums)?;
        for damage in findings.take_problems(before) {
            findings.rebuilt(damage);
        }
    }
    known.usage_totals = found;
    Ok(())
}

/// Adds an entry to the sum of its source and model.
fn sum_up(sums: &mut Vec<UsageRow>, row: UsageRow) {
    if total(&row.entry) == 0 {
        return;
    }
    match sums.iter_mut().find(|sum| sum.is_like(&row.entry)) {
        Some(sum) => sum.add(&row.entry, row.recorded_at_ms),
        None => sums.push(row),
    }
}

/// Makes these all totals there are; returns their digest.
fn write_totals(tx: &impl Transaction, sums: &mut [UsageRow]) -> Result<SetDigest> {
    tx.execute("DELETE FROM usage_totals", &[])?;
    let mut digest = SetDigest::default();
    for (seq, sum) in (1..).zip(sums) {
        sum.seq = seq;
        let checksum = sum.checksum(TOTALS);
        sum.store(tx, STORE_TOTAL, checksum)?;
        digest.insert(checksum);
    }
    Ok(digest)
}
