//! The ledger of token usage: every entry, and a total for each source and
//! model, so that reading the totals does not depend on the number of entries.

mod export;
mod import;
mod row;
mod verify;

use alloc::vec::Vec;

use crate::Result;
use crate::bindings::session_types::{UsageEntry, UsagePage};
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::{confirm_found, verify_order};
use crate::storage::paging::{Cursor, ItemPage, List, Numbered};
use crate::storage::rows::RowReader;
use crate::storage::seam::{Environment, Transaction, Value, clamp, execute_rows};
use crate::storage::skipped::Skipped;
use crate::storage::sql::{excluded, placeholders, sql};
pub(crate) use export::{export_entries, export_totals};
pub use import::add;
use row::{COLUMNS, ENTRIES, ENTRIES_FROM, INSERT_ENTRY, TOTALS, UsageRow, WIDTH};
pub(crate) use verify::verify_all;

/// How many entries one query of `prune` reads.
const ROWS: i64 = 1024;

/// How `load` reads the ledger.
const LEDGER: Numbered = Numbered {
    table: ENTRIES,
    lengths: None,
    rows: ENTRIES_FROM,
};

/// What an entry takes of a page, without its texts, in bytes.
const ENTRY_BYTES: usize = 48;

/// Adds entries to the ledger and to the totals.
pub(crate) fn append_entries<T: Transaction>(
    session: &mut SessionTransaction<T>,
    entries: &[UsageEntry],
    now_ms: i64,
) -> Result<()> {
    for entry in entries {
        let seq = clamp(session.digests.next_usage_entry);
        session.digests.next_usage_entry = session.digests.next_usage_entry.saturating_add(1);
        let row = UsageRow {
            seq,
            entry: entry.clone(),
            recorded_at_ms: now_ms,
        };
        insert_entry(session, &row)?;
        add_to_total(session, entry, now_ms)?;
    }
    Ok(())
}

/// Makes these entries the whole ledger.
pub(crate) fn replace_entries<T: Transaction>(
    session: &mut SessionTransaction<T>,
    entries: &[UsageEntry],
    now_ms: i64,
) -> Result<()> {
    session.tx.execute("DELETE FROM usage_entries", &[])?;
    session.tx.execute("DELETE FROM usage_totals", &[])?;
    session.digests.usage_entries = SetDigest::default();
    session.digests.usage_totals = SetDigest::default();
    append_entries(session, entries, now_ms)
}

/// The totals, in order of first use.
pub(crate) fn load_totals<T: Transaction>(
    session: &SessionTransaction<T>,
) -> Result<Vec<UsageEntry>> {
    let rows = session.tx.query(
        sql!("SELECT ", COLUMNS, " FROM usage_totals ORDER BY seq"),
        &[],
    )?;
    let totals = UsageRow::all(TOTALS, &rows, session.digests.usage_totals)?;
    Ok(totals.into_iter().map(|row| row.entry).collect())
}

/// Sums up entries from before a time into one for each source and model, until there are
/// `limit` entries fewer; returns how many there are fewer. What is corrupt stays as it is.
pub(crate) fn fold_entries<T: Transaction>(
    session: &mut SessionTransaction<T>,
    before_ms: i64,
    limit: u64,
    skipped: &mut Skipped,
) -> Result<u64> {
    let mut sums: Vec<UsageRow> = Vec::new();
    let mut folded: Vec<(i64, i64)> = Vec::new();
    let fewer = |folded: &[_], sums: &[_]| folded.len().saturating_sub(sums.len()) as u64;
    let mut next = i64::MIN;
    let mut more = true;
    while more && fewer(&folded, &sums) < limit {
        let rows = session
            .tx
            .query(ENTRIES_FROM, &[Value::Integer(next), Value::Integer(ROWS)])?;
        let mut reader = RowReader::new(ENTRIES, &rows);
        while fewer(&folded, &sums) < limit && reader.advance() {
            let mut row = reader.split_row(WIDTH)?;
            let seq = row.clone().integer()?;
            verify_order(ENTRIES, seq, seq >= next)?;
            next = seq.saturating_add(1);
            let read = UsageRow::read(ENTRIES, &mut row);
            let Some((row, checksum)) = skipped.note(ENTRIES, read)? else {
                continue;
            };
            if row.recorded_at_ms >= before_ms {
                continue;
            }
            folded.push((row.seq, checksum));
            match sums.iter_mut().find(|sum| sum.is_like(&row.entry)) {
                Some(sum) => sum.add(&row.entry, row.recorded_at_ms),
                None => sums.push(row),
            }
        }
        more = i64::from(rows.count) == ROWS;
    }
    let fewer = fewer(&folded, &sums);
    if fewer == 0 {
        return Ok(0);
    }
    let mut seqs = Vec::with_capacity(folded.len());
    for (seq, checksum) in folded {
        session.digests.usage_entries.remove(checksum);
        seqs.push([Value::Integer(seq)]);
    }
    execute_rows(
        &session.tx,
        "DELETE FROM usage_entries WHERE seq = ?1",
        &seqs,
    )?;
    for sum in &sums {
        insert_entry(session, sum)?;
    }
    Ok(fewer)
}

/// Writes a total in place of the one with its number.
const STORE_TOTAL: &str = sql!(
    "INSERT INTO usage_totals (",
    COLUMNS,
    ") VALUES (",
    placeholders(WIDTH),
    ") ON CONFLICT (seq) DO UPDATE SET ",
    excluded!(
        input_tokens,
        output_tokens,
        cached_tokens,
        reasoning_tokens,
        recorded_at_ms,
        checksum
    )
);

/// What counts as used: cached input is part of the input.
fn total(entry: &UsageEntry) -> i64 {
    entry
        .input_tokens
        .saturating_add(entry.output_tokens)
        .saturating_add(entry.reasoning_tokens)
}

fn insert_entry<T: Transaction>(session: &mut SessionTransaction<T>, row: &UsageRow) -> Result<()> {
    let checksum = row.checksum(ENTRIES);
    row.store(&session.tx, INSERT_ENTRY, checksum)?;
    session.digests.usage_entries.insert(checksum);
    Ok(())
}

fn add_to_total<T: Transaction>(
    session: &mut SessionTransaction<T>,
    entry: &UsageEntry,
    now_ms: i64,
) -> Result<()> {
    match total(entry) {
        0 => Ok(()),
        _ => merge_into_total(session, entry, now_ms),
    }
}

/// Adds an entry, or the sum of several, to its total, which is made if there is none.
fn merge_into_total<T: Transaction>(
    session: &mut SessionTransaction<T>,
    entry: &UsageEntry,
    now_ms: i64,
) -> Result<()> {
    let rows = session.tx.query(
        sql!(
            "SELECT ",
            COLUMNS,
            " FROM usage_totals WHERE source = ?1 AND model = ?2"
        ),
        &[Value::Text(&entry.source), Value::Text(&entry.model)],
    )?;
    let mut reader = RowReader::new(TOTALS, &rows);
    let row = if reader.advance() {
        let (mut row, checksum) = UsageRow::read(TOTALS, &mut reader)?;
        confirm_found(TOTALS, row.seq, row.is_like(entry))?;
        session.digests.usage_totals.remove(checksum);
        row.add(entry, now_ms);
        row
    } else {
        UsageRow {
            // A total is never removed alone, so there are no gaps.
            seq: clamp(session.digests.usage_totals.count.saturating_add(1)),
            entry: entry.clone(),
            recorded_at_ms: now_ms,
        }
    };
    let checksum = row.checksum(TOTALS);
    row.store(&session.tx, STORE_TOTAL, checksum)?;
    session.digests.usage_totals.insert(checksum);
    Ok(())
}

/// The WIT function `usage.append`.
pub fn append(env: &impl Environment, entries: &[UsageEntry]) -> Result<()> {
    let mut session = SessionTransaction::write_durably(env)?;
    append_entries(&mut session, entries, env.now_ms())?;
    session.commit()
}

/// The WIT function `usage.load`.
pub fn load(env: &impl Environment, cursor: Option<&[u8]>) -> Result<UsagePage> {
    let session = SessionTransaction::read(env)?;
    let list = List::of("usage.load", &[], &[session.digests.usage_entries]);
    let mut cursor = Cursor::resume(cursor, &list)?;
    let mut page = ItemPage::new();
    let tx = &session.tx;
    let ended = LEDGER.read(tx, &mut cursor, &mut page, &mut |cursor, page, reader| {
        let (row, checksum) = UsageRow::read(ENTRIES, reader)?;
        cursor.found.insert(checksum);
        let bytes = row.entry.source.len() + row.entry.model.len() + ENTRY_BYTES;
        page.add(row.entry, bytes);
        Ok(())
    })?;
    Ok(UsagePage {
        entries: page.into_items(),
        next: cursor.finish(ENTRIES, session.digests.usage_entries, ended)?,
    })
}
