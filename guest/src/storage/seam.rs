//! The only door between the logic and the world.
//!
//! Faults, crashes and clocks are injected here without touching logic.

use crate::bindings::sqlite;
use alloc::vec::Vec;

pub use crate::bindings::sqlite::{Rows, TransactionMode, Value};

/// A database, a clock and a source of random numbers.
pub trait Environment {
    /// What [`begin`](Self::begin) opens. Dropping it rolls it back.
    type Transaction<'a>: Transaction
    where
        Self: 'a;

    /// Opens a transaction. The WIT item `sqlite.database.begin` is the
    /// specification.
    fn begin(&self, mode: TransactionMode) -> Result<Self::Transaction<'_>, sqlite::Error>;

    /// The time in ms since 1970, clamped to `0..=i64::MAX`.
    fn now_ms(&self) -> i64;

    /// 64 random bits that nobody can predict.
    fn random(&self) -> u64;
}

/// An open transaction. The WIT resource `sqlite.transaction` is the
/// specification.
pub trait Transaction {
    /// Runs a statement that returns no rows; returns how many it changed.
    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64, sqlite::Error>;

    /// Runs a statement once for every row of parameters.
    fn execute_many(&self, sql: &str, rows: &[&[Value<'_>]]) -> Result<u64, sqlite::Error>;

    /// Runs a statement and returns all its rows.
    fn query(&self, sql: &str, params: &[Value<'_>]) -> Result<Rows, sqlite::Error>;

    /// Commits; on an error nothing is committed.
    fn commit(self) -> Result<(), sqlite::Error>;
}

/// Runs a statement once for every row of parameters.
pub(crate) fn execute_rows<const N: usize>(
    tx: &impl Transaction,
    sql: &str,
    rows: &[[Value<'_>; N]],
) -> Result<u64, sqlite::Error> {
    let rows: Vec<&[Value<'_>]> = rows.iter().map(|row| &row[..]).collect();
    tx.execute_many(sql, &rows)
}

/// Text or NULL.
pub(crate) fn optional_text(value: Option<&str>) -> Value<'_> {
    value.map_or(Value::Null, Value::Text)
}

/// An integer or NULL.
pub(crate) fn optional_integer<'a>(value: Option<i64>) -> Value<'a> {
    value.map_or(Value::Null, Value::Integer)
}

/// Bytes or NULL.
pub(crate) fn optional_blob(value: Option<&[u8]>) -> Value<'_> {
    value.map_or(Value::Null, Value::Blob)
}

/// Clamps a time or duration of the caller to what SQLite stores.
pub(crate) fn clamp(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Gives a stored count, time or sequence back to the caller.
pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
