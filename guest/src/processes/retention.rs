//! Removing processes that ended.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::Result;
use crate::processes::digests::ProcessTransaction;
use crate::storage::corruption::verify_count;
use crate::storage::rows::{RowReader, capacity};
use crate::storage::seam::{Environment, Transaction, TransactionMode, Value, clamp, unsigned};
use crate::storage::sql::sql;

use super::event_row::{self, LAST_SEQUENCE};
use super::process_row::{self, ProcessRow, SELECT};

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

/// The WIT function `processes.prunable`.
pub fn prunable(env: &impl Environment, ended_before_ms: u64, limit: u32) -> Result<Vec<String>> {
    let tx = env.begin(TransactionMode::Read)?;
    let now_ms = env.now_ms();
    let ended_before_ms = clamp(ended_before_ms);
    let rows = tx.query(
        sql!(
            SELECT,
            "WHERE p.seq IN (
                 SELECT seq FROM process_states INDEXED BY process_states_prunable
                 WHERE status <> 0 AND grant_count = 0
                   AND ended_at_ms < ?1 AND lease_expires_ms <= ?2
                 ORDER BY ended_at_ms LIMIT ?3)
             ORDER BY s.ended_at_ms"
        ),
        &[
            Value::Integer(ended_before_ms),
            Value::Integer(now_ms),
            Value::Integer(i64::from(limit)),
        ],
    )?;
    let mut reader = RowReader::new(TABLE, &rows);
    let mut ids = Vec::with_capacity(capacity(&rows));
    while reader.advance() {
        let process = ProcessRow::read(&mut reader)?;
        if may_go(&process, ended_before_ms, now_ms) {
            ids.push(process.id);
        }
    }
    Ok(ids)
}

/// The WIT function `processes.prune`.
pub fn prune(env: &impl Environment, ended_before_ms: u64, ids: &[String]) -> Result<Vec<String>> {
    let mut transaction = ProcessTransaction::write_durably(env)?;
    let now_ms = env.now_ms();
    let mut pruned = Vec::new();
    for id in ids {
        let Some(process) = process_row::find(&transaction.tx, id)? else {
            continue;
        };
        if !may_go(&process, clamp(ended_before_ms), now_ms) {
            continue;
        }
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
