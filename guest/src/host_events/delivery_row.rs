//! Rows of `deliveries`: that an occurrence is to start a process for a
//! subscription.

use alloc::vec::Vec;

use crate::Result;
use crate::storage::seam::{Transaction, Value, execute_rows};
use crate::storage::sql::sql;
use crate::storage::table::table;

table! {
    /// A delivery of an occurrence to a subscription.
    #[derive(Clone, Copy)]
    pub(super) struct DeliveryRow in "deliveries", named by number {
        number: i64,
        occurrence: i64,
        subscription: i64,
        created_at_ms: i64,
        settled: bool,
    }
}

/// The rows from a number on, in order.
pub(super) const FROM: &str = sql!(
    DeliveryRow::SELECT,
    "NOT INDEXED WHERE number >= ?1 ORDER BY number LIMIT ?2"
);

/// Writes new rows.
pub(super) fn insert(tx: &impl Transaction, deliveries: &[DeliveryRow]) -> Result<()> {
    let rows: Vec<_> = deliveries.iter().map(DeliveryRow::values).collect();
    execute_rows(tx, DeliveryRow::INSERT, &rows)?;
    Ok(())
}

/// Marks rows settled.
pub(super) fn mark_settled(tx: &impl Transaction, deliveries: &[DeliveryRow]) -> Result<()> {
    let rows: Vec<[Value<'_>; 2]> = deliveries
        .iter()
        .map(|row| {
            let settled = DeliveryRow {
                settled: true,
                ..*row
            };
            [
                Value::Integer(row.number),
                Value::Integer(settled.checksum()),
            ]
        })
        .collect();
    execute_rows(
        tx,
        "UPDATE deliveries SET settled = 1, checksum = ?2 WHERE number = ?1",
        &rows,
    )?;
    Ok(())
}
