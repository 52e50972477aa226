//! Counting what a database of processes holds.

use crate::Result;
use crate::bindings::inspection_types::ProcessStatistics;
use crate::processes::digests::ProcessTransaction;
use crate::storage::counts::counts;
use crate::storage::seam::{Environment, Value};

use super::grant_row::GrantRow;
use super::{TABLE, event_row};

/// The WIT function `process-inspection.statistics`.
pub fn statistics(env: &impl Environment) -> Result<ProcessStatistics> {
    let store = ProcessTransaction::read(env)?;
    let now_ms = Value::Integer(env.now_ms());
    let [running, ended, prunable, leased, pending_wakes] = counts(
        &store.tx,
        TABLE,
        "SELECT count(CASE WHEN status = 0 THEN 1 END),
                count(CASE WHEN status <> 0 THEN 1 END),
                count(CASE WHEN status <> 0 AND grant_count = 0
                                AND lease_expires_ms <= ?1 THEN 1 END),
                count(CASE WHEN lease_expires_ms > ?1 THEN 1 END),
                sum(wake_count)
         FROM process_states NOT INDEXED",
        &[now_ms],
    )?;
    let [events, event_bytes] = counts(
        &store.tx,
        event_row::TABLE,
        "SELECT count(*), sum(length(content)) FROM process_events NOT INDEXED",
        &[],
    )?;
    let [handles] = counts(
        &store.tx,
        GrantRow::TABLE,
        "SELECT count(*) FROM process_grants",
        &[],
    )?;
    Ok(ProcessStatistics {
        running,
        ended,
        prunable,
        leased,
        events,
        event_bytes,
        pending_wakes,
        handles,
    })
}
