//! Removing processes that ended. One that is corrupt stays, and keeps no other one.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::process_types::PrunablePage;
use crate::processes::digests::ProcessTransaction;
use crate::storage::corruption::verify_count;
use crate::storage::rows::{RowReader, read_all, read_one};
use crate::storage::seam::{Environment, Transaction, TransactionMode, Value, clamp, unsigned};
use crate::storage::skipped::Skipped;

use super::event_row::{self, LAST_SEQUENCE};
use super::process_row::{self, ProcessRow};

const TABLE: &str = "processes";

/// Whether a process may go. Its pending wakes go with it: acknowledging them is
/// voluntary, so waiting for that could keep a process for ever.
fn may_go(process: &ProcessRow, ended_before_ms: i64, now_ms: i64) -> bool {
    let state = &process.state;
    !state.is_running()
        && state.ended_at_ms < ended_before_ms
        && state.grants.count == 0
        && !state.is_leased(now_ms)
}

/// Fails unless a process has the events that it counts.
fn require_events(tx: &impl Transaction, process: &ProcessRow) -> Result<()> {
    let rows = tx.query(
        "SELECT count(*) FROM process_events WHERE id > ?1 AND id <= ?2",
        &[
            Value::Integer(event_row::key(process.seq, 0)),
            Value::Integer(event_row::key(process.seq, LAST_SEQUENCE)),
        ],
    )?;
    let events = read_one(event_row::TABLE, &rows, RowReader::integer)?.unwrap_or(0);
    let expected = unsigned(process.state.last_sequence);
    verify_count(event_row::TABLE, unsigned(events), expected)
}

/// The WIT function `processes.prunable`.
pub fn prunable(env: &impl Environment, ended_before_ms: u64, limit: u32) -> Result<PrunablePage> {
    let tx = env.begin(TransactionMode::Read)?;
    let now_ms = env.now_ms();
    let ended_before_ms = clamp(ended_before_ms).min(now_ms);
    let mut skipped = Skipped::default();
    let mut ids = Vec::new();
    let mut passed = 0_u32;
    let mut more = true;
    while more && (ids.len() as u64) < u64::from(limit) {
        let rows = tx.query(
            "SELECT seq FROM process_states INDEXED BY process_states_prunable
             WHERE status <> 0 AND grant_count = 0
               AND ended_at_ms < ?1 AND lease_expires_ms <= ?2
             ORDER BY ended_at_ms, seq LIMIT ?3 OFFSET ?4",
            &[
                Value::Integer(ended_before_ms),
                Value::Integer(now_ms),
                Value::Integer(i64::from(limit)),
                Value::Integer(i64::from(passed)),
            ],
        )?;
        more = rows.count == limit;
        passed = passed.saturating_add(rows.count);
        for seq in read_all(TABLE, &rows, RowReader::integer)? {
            let process = process_row::find_numbered(&tx, seq)
                .and_then(|process| require_events(&tx, &process).map(|()| process));
            let process = skipped.note(TABLE, process)?;
            if let Some(process) = process.filter(|row| may_go(row, ended_before_ms, now_ms)) {
                ids.push(process.id);
            }
        }
    }
    Ok(PrunablePage {
        ids,
        corrupt: skipped.into_corrupt(),
    })
}

/// The WIT function `processes.prune`.
pub fn prune(env: &impl Environment, ended_before_ms: u64, ids: &[String]) -> Result<Vec<String>> {
    let mut transaction = ProcessTransaction::write_durably(env)?;
    let now_ms = env.now_ms();
    let ended_before_ms = clamp(ended_before_ms).min(now_ms);
    let mut skipped = Skipped::default();
    let mut pruned = Vec::new();
    for id in ids {
        let tx = &transaction.tx;
        let found = process_row::find(tx, id).and_then(|found| {
            let found = found.filter(|process| may_go(process, ended_before_ms, now_ms));
            found
                .iter()
                .try_for_each(|process| require_events(tx, process))
                .map(|()| found)
        });
        let Some(Some(process)) = skipped.note(TABLE, found)? else {
            continue;
        };
        let events = transaction.tx.execute(
            "DELETE FROM process_events WHERE id > ?1 AND id <= ?2",
            &[
                Value::Integer(event_row::key(process.seq, 0)),
                Value::Integer(event_row::key(process.seq, LAST_SEQUENCE)),
            ],
        )?;
        let expected = unsigned(process.state.last_sequence);
        verify_count(event_row::TABLE, events, expected)?;
        process.delete(&transaction.tx)?;
        transaction.digests.ended.remove(process.checksum);
        pruned.push(id.to_string());
    }
    transaction.commit()?;
    Ok(pruned)
}
