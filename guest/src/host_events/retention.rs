//! Forgetting what occurred long ago. An occurrence that was not reserved yet stays, and so
//! does one that is corrupt; that keeps no other one.

use alloc::collections::BTreeSet;

use crate::Result;
use crate::bindings::host_event_types::Pruned;
use crate::host_events::digests::HostEventTransaction;
use crate::storage::corruption::{confirm_found, corrupt};
use crate::storage::rows::{RowReader, read_one};
use crate::storage::seam::{Environment, Transaction, Value, clamp};
use crate::storage::skipped::Skipped;
use crate::storage::sql::sql;

use super::delivery_row::DeliveryRow;
use super::occurrence_row::OccurrenceRow;

/// The WIT function `host-events.prune`.
pub fn prune(env: &impl Environment, occurred_before_ms: u64, limit: u32) -> Result<Pruned> {
    let store = HostEventTransaction::write(env)?;
    let before_ms = clamp(occurred_before_ms).min(env.now_ms());
    let tx = &store.tx;
    let mut skipped = Skipped::default();
    let mut pruned = 0_u64;
    let mut more = true;
    while more && pruned < u64::from(limit) {
        // What was passed over is still there; all else in front of the next was removed.
        let rows = tx.query(
            sql!(
                OccurrenceRow::SELECT,
                "INDEXED BY occurrences_settled
                 WHERE unsettled = 0 AND reserved = 1 AND occurred_at_ms < ?1
                 ORDER BY occurred_at_ms, number LIMIT ?2 OFFSET ?3"
            ),
            &[
                Value::Integer(before_ms),
                Value::Integer(i64::from(limit).saturating_sub(clamp(pruned))),
                Value::Integer(i64::from(skipped.count())),
            ],
        )?;
        more = rows.count > 0;
        let mut reader = RowReader::new(OccurrenceRow::TABLE, &rows);
        let mut numbers = BTreeSet::new();
        while reader.advance() {
            let mut reader = reader.split_row(OccurrenceRow::WIDTH)?;
            let read = OccurrenceRow::read(&mut reader).and_then(|row| {
                let due = row.unsettled == 0 && row.reserved && row.occurred_at_ms < before_ms;
                let found = due && numbers.insert(row.number);
                confirm_found(OccurrenceRow::TABLE, &row.id, found)?;
                require_deliveries(tx, &row)?;
                Ok(row)
            });
            let Some(row) = skipped.note(OccurrenceRow::TABLE, read)? else {
                continue;
            };
            tx.execute(
                "DELETE FROM deliveries WHERE occurrence = ?1",
                &[Value::Integer(row.number)],
            )?;
            row.delete(tx)?;
            pruned = pruned.saturating_add(1);
        }
    }
    if pruned > 0 {
        store.commit()?;
    }
    Ok(Pruned {
        occurrences: pruned,
        corrupt: skipped.into_corrupt(),
    })
}

/// Fails unless an occurrence has the deliveries that it counts.
fn require_deliveries(tx: &impl Transaction, row: &OccurrenceRow) -> Result<()> {
    let rows = tx.query(
        "SELECT count(*) FROM deliveries WHERE occurrence = ?1",
        &[Value::Integer(row.number)],
    )?;
    match read_one(DeliveryRow::TABLE, &rows, RowReader::integer)? {
        Some(count) if count == row.deliveries => Ok(()),
        _ => {
            let reason = "the occurrence has another number of deliveries";
            Err(corrupt(DeliveryRow::TABLE, &row.id, reason))
        }
    }
}
