//! Forgetting what occurred long ago.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::Result;
use crate::host_events::digests::HostEventTransaction;
use crate::storage::corruption::{confirm_found, corrupt};
use crate::storage::rows::RowReader;
use crate::storage::seam::{Environment, Transaction, Value, clamp};
use crate::storage::sql::sql;

use super::delivery_row::DeliveryRow;
use super::occurrence_row::OccurrenceRow;

/// The WIT function `host-events.prune`.
pub fn prune(env: &impl Environment, occurred_before_ms: u64, limit: u32) -> Result<u64> {
    let store = HostEventTransaction::write(env)?;
    // What occurs now may not have been reserved yet.
    let before_ms = clamp(occurred_before_ms).min(env.now_ms());
    let rows = store.tx.query(
        sql!(
            OccurrenceRow::SELECT,
            "INDEXED BY occurrences_settled WHERE unsettled = 0 AND occurred_at_ms < ?1
             ORDER BY occurred_at_ms LIMIT ?2"
        ),
        &[Value::Integer(before_ms), Value::Integer(i64::from(limit))],
    )?;
    let mut reader = RowReader::new(OccurrenceRow::TABLE, &rows);
    let mut pruned = Vec::new();
    let mut numbers = BTreeSet::new();
    while reader.advance() {
        let row = OccurrenceRow::read(&mut reader)?;
        let due = row.unsettled == 0 && row.occurred_at_ms < before_ms;
        confirm_found(
            OccurrenceRow::TABLE,
            &row.id,
            due && numbers.insert(row.number),
        )?;
        pruned.push(row);
    }
    for row in &pruned {
        let deleted = store.tx.execute(
            "DELETE FROM deliveries WHERE occurrence = ?1",
            &[Value::Integer(row.number)],
        )?;
        if clamp(deleted) != row.deliveries {
            let reason = "the occurrence has another number of deliveries";
            return Err(corrupt(DeliveryRow::TABLE, &row.id, reason));
        }
        row.delete(&store.tx)?;
    }
    if !pruned.is_empty() {
        store.commit()?;
    }
    Ok(pruned.len() as u64)
}
