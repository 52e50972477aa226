//! Errors of corrupt data, and of requests that do not fit what is stored.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Display;

use crate::Result;
use crate::bindings::sqlite::ErrorCode;
use crate::bindings::types::{Corruption, Error};
use crate::storage::checksum::SetDigest;
use crate::storage::fuzzing;
use crate::storage::seam::{Transaction, Value};

/// An error that says which row of which table is damaged, and how.
pub(crate) fn corrupt(table: &str, key: impl Display, reason: &str) -> Error {
    Error::Corrupt(Corruption {
        table: table.to_string(),
        key: key.to_string(),
        reason: reason.to_string(),
    })
}

/// A row comes after the one before it. A page of the file that leads back to itself would
/// be read for ever.
pub(crate) fn verify_order(table: &str, key: impl Display, in_order: bool) -> Result<()> {
    match in_order {
        true => Ok(()),
        false => Err(corrupt(
            table,
            key,
            "the row is out of order, and those after it are not read",
        )),
    }
}

/// What is corrupt, if an error says that something is.
pub(crate) fn damage(table: &str, error: Error) -> Result<Corruption> {
    match error {
        Error::Corrupt(damage) => Ok(damage),
        Error::Sqlite(error) if error.code == ErrorCode::Corrupt => Ok(Corruption {
            table: table.to_string(),
            key: String::new(),
            reason: error.message,
        }),
        error => Err(error),
    }
}

/// The error of a row that another one refers to, or that a count includes.
pub(crate) fn missing(table: &str, key: impl Display) -> Error {
    corrupt(table, key, "the row is missing")
}

/// The bytes of a checksum column agree with what was read.
pub(crate) fn verify(
    table: &'static str,
    key: impl Display,
    stored: i64,
    computed: i64,
) -> Result<()> {
    if stored == computed || fuzzing::accepts_any_checksum() {
        Ok(())
    } else {
        Err(corrupt(table, key, "the checksum does not match"))
    }
}

/// An index led to a row; it must be the one that was looked for.
pub(crate) fn confirm_found(table: &'static str, key: impl Display, found: bool) -> Result<()> {
    if found {
        Ok(())
    } else {
        Err(corrupt(table, key, "the index leads to another row"))
    }
}

/// An index led to no row. A second index, over a checksum of what identifies the
/// row, must not lead to one either: one damaged page cannot hide a row from
/// both. `sql` looks the row up by that index.
pub(crate) fn confirm_absent(
    tx: &impl Transaction,
    table: &'static str,
    key: impl Display,
    sql: &str,
    params: &[Value<'_>],
) -> Result<()> {
    match tx.query(sql, params)?.count {
        0 => Ok(()),
        _ => Err(corrupt(
            table,
            key,
            "only one of two indexes leads to the row",
        )),
    }
}

/// Text for errors that name several things.
pub(crate) fn invalid(reason: impl Into<String>) -> Error {
    Error::Invalid(reason.into())
}

/// A row that is there already is the caller's mistake.
pub(crate) fn refuse_known(error: Error, reason: &str) -> Error {
    match error {
        Error::Sqlite(error) if error.code == ErrorCode::Constraint => invalid(reason),
        error => error,
    }
}

/// A row that was to be added must not have been stored already.
pub(crate) fn refuse_repeated(added: u64, key: &str) -> Result<()> {
    match added {
        0 => Err(invalid([key, " is stored already"].concat())),
        _ => Ok(()),
    }
}

/// The rows that were read are those that were written.
pub(crate) fn verify_complete(
    table: &'static str,
    found: SetDigest,
    expected: SetDigest,
) -> Result<()> {
    if found == expected {
        Ok(())
    } else {
        Err(incomplete(table, found.count, expected.count))
    }
}

/// As many rows were found, or removed, as were written.
pub(crate) fn verify_count(table: &'static str, found: u64, expected: u64) -> Result<()> {
    if found == expected {
        Ok(())
    } else {
        Err(incomplete(table, found, expected))
    }
}

fn incomplete(table: &'static str, found: u64, expected: u64) -> Error {
    corrupt(
        table,
        format!("{found} of {expected} rows"),
        "rows are missing, or there are rows that were never written",
    )
}
