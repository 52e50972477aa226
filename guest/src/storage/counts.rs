//! Counting rows by one statement.

use crate::Result;
use crate::storage::corruption::corrupt;
use crate::storage::rows::RowReader;
use crate::storage::seam::{Transaction, Value, unsigned};

/// The numbers in the one row that a statement returns, NULL as 0.
pub(crate) fn counts<const N: usize>(
    tx: &impl Transaction,
    table: &'static str,
    sql: &str,
    params: &[Value<'_>],
) -> Result<[u64; N]> {
    let rows = tx.query(sql, params)?;
    let mut reader = RowReader::new(table, &rows);
    if !reader.advance() {
        return Err(corrupt(table, "", "nothing was counted"));
    }
    let mut numbers = [0; N];
    for number in &mut numbers {
        *number = reader.optional_integer()?.map_or(0, unsigned);
    }
    Ok(numbers)
}
