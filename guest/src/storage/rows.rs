//! Reading the rows of a query.

use alloc::vec::Vec;

use crate::Result;
use crate::bindings::types::Error;
use crate::storage::corruption::corrupt;
use crate::storage::seam::Rows;

/// Reads the packed values of a query in order. The packing is specified by the
/// WIT record `sqlite.rows`.
#[derive(Clone)]
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

    /// Reads the row that this reader is at by another one, and passes over it, whatever it
    /// holds. It has so many values.
    pub(crate) fn split_row(&mut self, width: usize) -> Result<Self> {
        let row = self.clone();
        for _ in 0..width {
            self.skip()?;
        }
        Ok(row)
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

    /// 0 or 1. Another integer is not taken for one of them, because then it might
    /// agree with the checksum.
    pub(crate) fn flag(&mut self) -> Result<bool> {
        match self.integer()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.damaged("a value is no flag")),
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

    /// Passes over a value if it is NULL; returns whether it was.
    pub(crate) fn skip_null(&mut self) -> bool {
        match self.rest.strip_prefix(&[0]) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Passes over a value of any type.
    pub(crate) fn skip(&mut self) -> Result<()> {
        match self.tag()? {
            0 => Ok(()),
            1 | 2 => self.word().map(|_| ()),
            _ => self.sized().map(|_| ()),
        }
    }

    /// How many bytes were read since a former state of the reader.
    pub(crate) fn since(&self, former: &Self) -> u64 {
        former.rest.len().saturating_sub(self.rest.len()) as u64
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

/// How many rows to make room for. The count is only the host's word, but every row has a
/// value and every value a byte.
pub(crate) fn capacity(rows: &Rows) -> usize {
    (rows.count as usize).min(rows.cells.len())
}

/// Reads the first row of a query, if there is one.
pub(crate) fn read_one<'r, R>(
    table: &'static str,
    rows: &'r Rows,
    read: impl FnOnce(&mut RowReader<'r>) -> Result<R>,
) -> Result<Option<R>> {
    let mut reader = RowReader::new(table, rows);
    if reader.advance() {
        read(&mut reader).map(Some)
    } else {
        Ok(None)
    }
}

/// Reads all rows of a query.
pub(crate) fn read_all<'r, R>(
    table: &'static str,
    rows: &'r Rows,
    mut read: impl FnMut(&mut RowReader<'r>) -> Result<R>,
) -> Result<Vec<R>> {
    let mut reader = RowReader::new(table, rows);
    let mut all = Vec::with_capacity(capacity(rows));
    while reader.advance() {
        all.push(read(&mut reader)?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integers(values: &[i64]) -> Rows {
        let cells = values.iter().flat_map(|value| {
            let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
            [1, a, b, c, d, e, f, g, h]
        });
        Rows {
            count: u32::try_from(values.len()).unwrap(),
            cells: cells.collect(),
        }
    }

    #[test]
    fn one_row_or_all_are_read() {
        let rows = integers(&[1, 2]);
        assert_eq!(read_one("t", &rows, RowReader::integer).unwrap(), Some(1));
        assert_eq!(read_all("t", &rows, RowReader::integer).unwrap(), [1, 2]);
        let none = integers(&[]);
        assert_eq!(read_one("t", &none, RowReader::integer).unwrap(), None);
        assert!(read_all("t", &none, RowReader::text).unwrap().is_empty());
        assert!(read_all("t", &rows, RowReader::text).is_err());
    }

    /// The count was believed, so that a host which said 4,294,967,295 for no rows at all
    /// ended the process: it was asked for hundreds of GB.
    #[test]
    fn a_count_without_rows_takes_no_memory() {
        let rows = Rows {
            count: u32::MAX,
            cells: Vec::new(),
        };
        assert_eq!(capacity(&rows), 0);
        assert!(read_all("t", &rows, RowReader::integer).is_err());
    }

    #[test]
    fn a_flag_is_0_or_1_and_nothing_else() {
        let flags = read_all("t", &integers(&[0, 1]), RowReader::flag).unwrap();
        assert_eq!(flags, [false, true]);
        for value in [-1, 2, 256, i64::MIN] {
            assert!(read_one("t", &integers(&[value]), RowReader::flag).is_err());
        }
    }
}
