//! The ledger of token usage: every entry, and a total for each source and
//! model, so that reading the totals does not depend on the number of entries.

use alloc::string::ToString;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::lash::store::types::UsageEntry;
use crate::checksum::{Checksum, SetDigest};
use crate::corruption::{RowReader, confirm_found, verify, verify_complete};
use crate::digests::SessionDigests;
use crate::seam::{Environment, Transaction, Value, clamp};
use crate::transaction::SessionTransaction;

const ENTRIES: &str = "usage_entries";
const TOTALS: &str = "usage_totals";

/// Adds entries to the ledger and to the totals.
pub(crate) fn append_entries<T: Transaction>(
    session: &mut SessionTransaction<T>,
    entries: &[UsageEntry],
) -> Result<()> {
    for entry in entries {
        insert_entry(session, entry)?;
        add_to_total(session, entry)?;
    }
    Ok(())
}

/// Makes these entries the whole ledger.
pub(crate) fn replace_entries<T: Transaction>(
    session: &mut SessionTransaction<T>,
    entries: &[UsageEntry],
) -> Result<()> {
    session.tx.execute("DELETE FROM usage_entries", &[])?;
    session.tx.execute("DELETE FROM usage_totals", &[])?;
    session.digests.usage_entries = SetDigest::default();
    session.digests.usage_totals = SetDigest::default();
    append_entries(session, entries)
}

/// The totals, in order of first use.
pub(crate) fn load_totals<T: Transaction>(
    session: &SessionTransaction<T>,
) -> Result<Vec<UsageEntry>> {
    load_set(
        &session.tx,
        TOTALS,
        "SELECT seq, source, model, input_tokens, output_tokens, cached_tokens,
                reasoning_tokens, checksum
         FROM usage_totals ORDER BY seq",
        session.digests.usage_totals,
    )
}

/// What counts as used: cached input is part of the input.
fn total(entry: &UsageEntry) -> i64 {
    entry
        .input_tokens
        .saturating_add(entry.output_tokens)
        .saturating_add(entry.reasoning_tokens)
}

fn insert_entry<T: Transaction>(
    session: &mut SessionTransaction<T>,
    entry: &UsageEntry,
) -> Result<()> {
    let seq = clamp(session.digests.next_usage_entry);
    let checksum = checksum(ENTRIES, seq, entry);
    session.tx.execute(
        "INSERT INTO usage_entries (seq, source, model, input_tokens, output_tokens,
             cached_tokens, reasoning_tokens, checksum)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        &columns(seq, entry, checksum),
    )?;
    session.digests.usage_entries.insert(checksum);
    session.digests.next_usage_entry = session.digests.next_usage_entry.saturating_add(1);
    Ok(())
}

fn add_to_total<T: Transaction>(
    session: &mut SessionTransaction<T>,
    entry: &UsageEntry,
) -> Result<()> {
    if total(entry) == 0 {
        return Ok(());
    }
    let rows = session.tx.query(
        "SELECT seq, source, model, input_tokens, output_tokens, cached_tokens,
                reasoning_tokens, checksum
         FROM usage_totals WHERE source = ?1 AND model = ?2",
        &[Value::Text(&entry.source), Value::Text(&entry.model)],
    )?;
    let mut reader = RowReader::new(TOTALS, &rows);
    let (seq, sum) = if reader.advance() {
        let (seq, stored, checksum) = read(TOTALS, &mut reader)?;
        let found = stored.source == entry.source && stored.model == entry.model;
        confirm_found(TOTALS, seq, found)?;
        session.digests.usage_totals.remove(checksum);
        (seq, add(&stored, entry))
    } else {
        // A total is never removed by itself, so there are no gaps.
        let seq = session.digests.usage_totals.count.saturating_add(1);
        (clamp(seq), entry.clone())
    };
    let checksum = checksum(TOTALS, seq, &sum);
    session.tx.execute(
        "INSERT INTO usage_totals (seq, source, model, input_tokens, output_tokens,
             cached_tokens, reasoning_tokens, checksum)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (seq) DO UPDATE SET
             input_tokens = excluded.input_tokens,
             output_tokens = excluded.output_tokens,
             cached_tokens = excluded.cached_tokens,
             reasoning_tokens = excluded.reasoning_tokens,
             checksum = excluded.checksum",
        &columns(seq, &sum, checksum),
    )?;
    session.digests.usage_totals.insert(checksum);
    Ok(())
}

fn add(left: &UsageEntry, right: &UsageEntry) -> UsageEntry {
    UsageEntry {
        source: left.source.clone(),
        model: left.model.clone(),
        input_tokens: left.input_tokens.saturating_add(right.input_tokens),
        output_tokens: left.output_tokens.saturating_add(right.output_tokens),
        cached_input_tokens: left
            .cached_input_tokens
            .saturating_add(right.cached_input_tokens),
        reasoning_tokens: left.reasoning_tokens.saturating_add(right.reasoning_tokens),
    }
}

fn columns(seq: i64, entry: &UsageEntry, checksum: i64) -> [Value<'_>; 8] {
    [
        Value::Integer(seq),
        Value::Text(&entry.source),
        Value::Text(&entry.model),
        Value::Integer(entry.input_tokens),
        Value::Integer(entry.output_tokens),
        Value::Integer(entry.cached_input_tokens),
        Value::Integer(entry.reasoning_tokens),
        Value::Integer(checksum),
    ]
}

fn checksum(table: &'static str, seq: i64, entry: &UsageEntry) -> i64 {
    Checksum::of(table)
        .integer(seq)
        .bytes(entry.source.as_bytes())
        .bytes(entry.model.as_bytes())
        .integer(entry.input_tokens)
        .integer(entry.output_tokens)
        .integer(entry.cached_input_tokens)
        .integer(entry.reasoning_tokens)
        .finish()
}

fn read(table: &'static str, reader: &mut RowReader<'_>) -> Result<(i64, UsageEntry, i64)> {
    let seq = reader.integer()?;
    let entry = UsageEntry {
        source: reader.text()?.to_string(),
        model: reader.text()?.to_string(),
        input_tokens: reader.integer()?,
        output_tokens: reader.integer()?,
        cached_input_tokens: reader.integer()?,
        reasoning_tokens: reader.integer()?,
    };
    let stored = reader.integer()?;
    verify(table, seq, stored, checksum(table, seq, &entry))?;
    Ok((seq, entry, stored))
}

fn load_set(
    tx: &impl Transaction,
    table: &'static str,
    sql: &str,
    expected: SetDigest,
) -> Result<Vec<UsageEntry>> {
    let rows = tx.query(sql, &[])?;
    let mut reader = RowReader::new(table, &rows);
    let mut entries = Vec::with_capacity(rows.count as usize);
    let mut found = SetDigest::default();
    while reader.advance() {
        let (_, entry, checksum) = read(table, &mut reader)?;
        found.insert(checksum);
        entries.push(entry);
    }
    verify_complete(table, found, expected)?;
    Ok(entries)
}

/// The WIT function `usage.append`.
pub fn append(env: &impl Environment, entries: &[UsageEntry]) -> Result<()> {
    let mut session = SessionTransaction::write_durably(env)?;
    append_entries(&mut session, entries)?;
    session.commit()
}

/// The WIT function `usage.load`.
pub fn load(env: &impl Environment) -> Result<Vec<UsageEntry>> {
    let session = SessionTransaction::read(env)?;
    let SessionDigests { usage_entries, .. } = session.digests;
    load_set(
        &session.tx,
        ENTRIES,
        "SELECT seq, source, model, input_tokens, output_tokens, cached_tokens,
                reasoning_tokens, checksum
         FROM usage_entries ORDER BY seq",
        usage_entries,
    )
}
