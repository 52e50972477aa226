//! What a check expects, and how it says that it got something else.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Debug;

use crate::bindings::lash::store::second_connection;
use crate::bindings::lash::store::sqlite::{
    Database, Error, ErrorCode, Rows, Transaction, TransactionMode, Value,
};

/// Begins a transaction.
pub(crate) fn begin(db: &Database, mode: TransactionMode) -> Result<Transaction, String> {
    done("begin", db.begin(mode))
}

/// Runs a statement without parameters in a transaction of its own and commits.
pub(crate) fn committed(db: &Database, sql: &str) -> Result<u64, String> {
    let tx = begin(db, TransactionMode::Write)?;
    let changed = execute(&tx, sql)?;
    commit(tx)?;
    Ok(changed)
}

/// Runs a statement without parameters.
pub(crate) fn execute(tx: &Transaction, sql: &str) -> Result<u64, String> {
    done(sql, tx.execute(sql, &[]))
}

/// Commits.
pub(crate) fn commit(tx: Transaction) -> Result<(), String> {
    done("commit", Transaction::commit(tx))
}

/// Runs a query with parameters.
pub(crate) fn query(tx: &Transaction, sql: &str, params: &[Value<'_>]) -> Result<Rows, String> {
    done(sql, tx.query(sql, params))
}

/// The integer that a query returns.
pub(crate) fn integer(tx: &Transaction, sql: &str) -> Result<i64, String> {
    let rows = query(tx, sql, &[])?;
    match rows.cells.split_first() {
        Some((1, bytes)) if rows.count == 1 => match <[u8; 8]>::try_from(bytes) {
            Ok(bytes) => Ok(i64::from_le_bytes(bytes)),
            Err(_) => Err(format!("{sql}: not one integer: {:?}", rows.cells)),
        },
        _ => Err(format!(
            "{sql}: not one integer: {} rows, {:?}",
            rows.count, rows.cells
        )),
    }
}

/// The integer that a query answers in a transaction of its own, dropped behind
/// it.
pub(crate) fn read_integer(db: &Database, sql: &str) -> Result<i64, String> {
    integer(&begin(db, TransactionMode::Read)?, sql)
}

/// Runs a statement on the driver's connection; returns the first integer, if there
/// is one.
pub(crate) fn elsewhere(sql: &str) -> Result<Option<i64>, String> {
    let integers = second_connection::run(sql)
        .map_err(|error| format!("second connection: {sql}: {error}"))?;
    Ok(integers.first().copied())
}

/// Whether the driver's connection can take the write lock, which it gives back.
pub(crate) fn lock_is_free() -> bool {
    second_connection::run("BEGIN IMMEDIATE").is_ok() && second_connection::run("ROLLBACK").is_ok()
}

/// What must succeed.
pub(crate) fn done<T>(what: &str, result: Result<T, Error>) -> Result<T, String> {
    result.map_err(|error| {
        format!(
            "{what}: answered {:?} ({}): {}",
            error.code, error.extended_code, error.message
        )
    })
}

/// What must fail.
pub(crate) fn failed<T: Debug>(what: &str, result: Result<T, Error>) -> Result<Error, String> {
    match result {
        Ok(value) => Err(format!("{what}: answered {value:?} instead of an error")),
        Err(error) => Ok(error),
    }
}

/// What must fail with a code.
pub(crate) fn refused<T: Debug>(
    what: &str,
    code: ErrorCode,
    result: Result<T, Error>,
) -> Result<(), String> {
    let error = failed(what, result)?;
    if error.code == code {
        return Ok(());
    }
    Err(format!(
        "{what}: answered {:?} instead of {code:?}: {}",
        error.code, error.message
    ))
}

/// What must be equal.
pub(crate) fn same<T: Debug + PartialEq>(
    what: impl ToString,
    found: &T,
    expected: &T,
) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "{}: found {found:?} instead of {expected:?}",
        what.to_string()
    ))
}

/// What must hold.
pub(crate) fn holds(what: &str, condition: bool) -> Result<(), String> {
    if condition {
        return Ok(());
    }
    Err(what.to_string())
}

/// Values packed as the WIT record `rows` says.
pub(crate) fn packed(values: &[Value<'_>]) -> Vec<u8> {
    let mut cells = Vec::new();
    for value in values {
        match value {
            Value::Null => cells.push(0),
            Value::Integer(value) => {
                cells.push(1);
                cells.extend(value.to_le_bytes());
            }
            Value::Real(value) => {
                cells.push(2);
                cells.extend(value.to_le_bytes());
            }
            Value::Text(text) => sized(&mut cells, 3, text.as_bytes()),
            Value::Blob(bytes) => sized(&mut cells, 4, bytes),
        }
    }
    cells
}

fn sized(cells: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    cells.push(tag);
    // Lengths of memory of a 32-bit machine fit.
    cells.extend((bytes.len() as u32).to_le_bytes());
    cells.extend(bytes);
}
