//! Rows of `deliveries`: that an occurrence is to start a process for a
//! subscription.

use alloc::vec::Vec;

use crate::Result;
use crate::storage::checksum::Checksum;
use crate::storage::corruption::verify;
use crate::storage::rows::{self, RowReader};
use crate::storage::seam::{Rows, Transaction, Value, execute_rows};

pub(super) const TABLE: &str = "deliveries";

/// A row of `deliveries`.
#[derive(Clone, Copy)]
pub(super) struct DeliveryRow {
    pub(super) number: i64,
    pub(super) occurrence: i64,
    pub(super) subscription: i64,
    pub(super) created_at_ms: i64,
    pub(super) settled: bool,
}

impl DeliveryRow {
    /// Reads and checks what [`select_deliveries`] selects.
    pub(super) fn read(reader: &mut RowReader<'_>) -> Result<Self> {
        let number = reader.integer()?;
        let occurrence = reader.integer()?;
        let subscription = reader.integer()?;
        let created_at_ms = reader.integer()?;
        let row = Self {
            number,
            occurrence,
            subscription,
            created_at_ms,
            settled: reader.flag()?,
        };
        verify(TABLE, number, reader.integer()?, row.checksum())?;
        Ok(row)
    }

    /// Reads and checks all rows that a query returned.
    pub(super) fn read_all(rows: &Rows) -> Result<Vec<Self>> {
        rows::read_all(TABLE, rows, Self::read)
    }

    pub(super) fn checksum(&self) -> i64 {
        Checksum::of(TABLE)
            .integer(self.number)
            .integer(self.occurrence)
            .integer(self.subscription)
            .integer(self.created_at_ms)
            .integer(i64::from(self.settled))
            .finish()
    }
}

/// A query for all columns of the deliveries that a condition selects.
macro_rules! select_deliveries {
    ($condition:literal) => {
        concat!(
            "SELECT number, occurrence, subscription, created_at_ms, settled, checksum ",
            "FROM deliveries ",
            $condition
        )
    };
}
pub(super) use select_deliveries;

/// Writes new rows.
pub(super) fn insert(tx: &impl Transaction, deliveries: &[DeliveryRow]) -> Result<()> {
    let rows: Vec<[Value<'_>; 6]> = deliveries
        .iter()
        .map(|row| {
            [
                Value::Integer(row.number),
                Value::Integer(row.occurrence),
                Value::Integer(row.subscription),
                Value::Integer(row.created_at_ms),
                Value::Integer(i64::from(row.settled)),
                Value::Integer(row.checksum()),
            ]
        })
        .collect();
    execute_rows(
        tx,
        "INSERT INTO deliveries (number, occurrence, subscription, created_at_ms, settled,
             checksum)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        &rows,
    )?;
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
