//! Reading rows that may be damaged.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Display;

use crate::Result;
use crate::bindings::lash::store::types::{Corruption, Error};
use crate::checksum::SetDigest;
use crate::seam::{Rows, Transaction, Value};

/// An error that says which row of which table is damaged, and how.
pub(crate) fn corrupt(table: &str, key: impl Display, reason: &str) -> Error {
    Error::Corrupt(Corruption {
        table: table.to_string(),
        key: key.to_string(),
        reason: reason.to_string(),
    })
}

/// Reads the packed values of a query in order. The packing is specified by the
/// WIT record `sqlite.rows`.
pub(crate) struct RowReader<'a> {
    table: &'static str,
    rest: &'a [u8],
    remaining: u32,
}

impl<'a> RowReader<'a> {
    /// Reads rows of `table`, the name that errors give.
    pub(crate) fn new(table: &'static str, rows: &'a Rows) -> Self {
        Self {
            table,
            rest: &rows.cells,
            remaining: rows.count,
        }
    }

    /// Moves to the next row; false after the last. Every value of a row must be
    /// read before the next one.
    pub(crate) fn advance(&mut self) -> bool {
        let more = self.remaining > 0;
        self.remaining = self.remaining.saturating_sub(1);
        more
    }

    fn damaged(&self, reason: &str) -> Error {
        corrupt(self.table, "", reason)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(length) {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(head)
            }
            None => Err(self.damaged("a row ends early")),
        }
    }

    fn tag(&mut self) -> Result<u8> {
        self.take(1).map(|tag| tag.first().copied().unwrap_or(0))
    }

    fn word(&mut self) -> Result<i64> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(i64::from_le_bytes(bytes))
    }

    fn sized(&mut self) -> Result<&'a [u8]> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        self.take(u32::from_le_bytes(bytes) as usize)
    }

    /// An integer.
    pub(crate) fn integer(&mut self) -> Result<i64> {
        match self.optional_integer()? {
            Some(value) => Ok(value),
            None => Err(self.damaged("an integer is missing")),
        }
    }

    /// An integer or NULL.
    pub(crate) fn optional_integer(&mut self) -> Result<Option<i64>> {
        match self.tag()? {
            0 => Ok(None),
            1 => self.word().map(Some),
            _ => Err(self.damaged("a value is no integer")),
        }
    }

    /// Text.
    pub(crate) fn text(&mut self) -> Result<&'a str> {
        match self.optional_text()? {
            Some(value) => Ok(value),
            None => Err(self.damaged("a text is missing")),
        }
    }

    /// Text or NULL.
    pub(crate) fn optional_text(&mut self) -> Result<Option<&'a str>> {
        match self.tag()? {
            0 => Ok(None),
            3 => match core::str::from_utf8(self.sized()?) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(self.damaged("a text is not UTF-8")),
            },
            _ => Err(self.damaged("a value is no text")),
        }
    }

    /// Bytes.
    pub(crate) fn blob(&mut self) -> Result<&'a [u8]> {
        match self.optional_blob()? {
            Some(value) => Ok(value),
            None => Err(self.damaged("a blob is missing")),
        }
    }

    /// Bytes or NULL.
    pub(crate) fn optional_blob(&mut self) -> Result<Option<&'a [u8]>> {
        match self.tag()? {
            0 => Ok(None),
            4 => self.sized().map(Some),
            _ => Err(self.damaged("a value is no blob")),
        }
    }
}

/// The bytes of a checksum column agree with what was read.
pub(crate) fn verify(
    table: &'static str,
    key: impl Display,
    stored: i64,
    computed: i64,
) -> Result<()> {
    if stored == computed {
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
/// row, must not lead to one either: one damaged page can not hide a row from
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

/// A set of rows does not have the rows that were written.
pub(crate) fn incomplete(table: &'static str, found: u64, expected: u64) -> Error {
    corrupt(
        table,
        format!("{found} of {expected} rows"),
        "rows are missing, or there are rows that were never written",
    )
}
