//! Adding entries of another program.

use alloc::vec::Vec;

use crate::Result;
use crate::bindings::session_types::UsageEntry;
use crate::session::digests::SessionTransaction;
use crate::storage::seam::{Environment, Value, clamp, execute_rows};

use super::row::{ENTRIES, INSERT_ENTRY, UsageRow, WIDTH};
use super::{merge_into_total, total};

/// The WIT function `session-import.add-usage`. Entries of the same source and model
/// are added to their total together.
pub fn add(env: &impl Environment, entries: Vec<UsageEntry>) -> Result<()> {
    let mut session = SessionTransaction::write(env)?;
    let now_ms = env.now_ms();
    let mut rows = Vec::with_capacity(entries.len());
    let mut sums: Vec<UsageRow> = Vec::new();
    for entry in entries {
        let seq = session.digests.next_usage_entry;
        session.digests.next_usage_entry = seq.saturating_add(1);
        // Those of no tokens have no place among the totals.
        if total(&entry) != 0 {
            match sums.iter_mut().find(|sum| sum.is_like(&entry)) {
                Some(sum) => sum.add(&entry, now_ms),
                None => sums.push(UsageRow {
                    seq: 0,
                    entry: entry.clone(),
                    recorded_at_ms: now_ms,
                }),
            }
        }
        rows.push(UsageRow {
            seq: clamp(seq),
            entry,
            recorded_at_ms: now_ms,
        });
    }
    let params: Vec<[Value<'_>; WIDTH]> = rows
        .iter()
        .map(|row| row.params(row.checksum(ENTRIES)))
        .collect();
    execute_rows(&session.tx, INSERT_ENTRY, &params)?;
    for row in &rows {
        session.digests.usage_entries.insert(row.checksum(ENTRIES));
    }
    for sum in &sums {
        // Also if the entries of this page come to nothing together.
        merge_into_total(&mut session, &sum.entry, now_ms)?;
    }
    session.commit()
}
