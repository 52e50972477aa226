//! How the rows of a query are packed into one list of bytes, see `rows` in
//! `wit/sqlite.wit`: lists of lists of values cost two to four times as much to
//! hand over.

use rusqlite::types::ValueRef;

use super::error::{Error, ErrorCode, failure};
use crate::bindings::sqlite::Rows;

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;

/// Packs rows until they are larger than a limit.
pub(super) struct Packer {
    rows: Rows,
    limit: usize,
}

impl Packer {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            rows: Rows {
                count: 0,
                cells: Vec::new(),
            },
            limit,
        }
    }

    /// Counts a row, the values of which follow.
    pub(super) fn row(&mut self) -> Result<(), Error> {
        self.rows.count = self.rows.count.checked_add(1).ok_or_else(too_big)?;
        Ok(())
    }

    /// Adds the next value of the row.
    pub(super) fn value(&mut self, value: ValueRef<'_>) -> Result<(), Error> {
        match value {
            ValueRef::Null => self.fixed(NULL, &[]),
            ValueRef::Integer(value) => self.fixed(INTEGER, &value.to_le_bytes()),
            ValueRef::Real(value) => self.fixed(REAL, &value.to_le_bytes()),
            ValueRef::Text(bytes) => self.bytes(TEXT, bytes),
            ValueRef::Blob(bytes) => self.bytes(BLOB, bytes),
        }
    }

    pub(super) fn finish(self) -> Rows {
        self.rows
    }

    fn bytes(&mut self, tag: u8, bytes: &[u8]) -> Result<(), Error> {
        let length = u32::try_from(bytes.len()).map_err(|_| too_big())?;
        // Before the copy, so that the limit also bounds what is allocated.
        self.check(5_usize.saturating_add(bytes.len()))?;
        self.fixed(tag, &length.to_le_bytes())?;
        self.rows.cells.extend_from_slice(bytes);
        Ok(())
    }

    fn fixed(&mut self, tag: u8, bytes: &[u8]) -> Result<(), Error> {
        self.check(1 + bytes.len())?;
        self.rows.cells.push(tag);
        self.rows.cells.extend_from_slice(bytes);
        Ok(())
    }

    fn check(&self, more: usize) -> Result<(), Error> {
        if self.rows.cells.len().saturating_add(more) > self.limit {
            return Err(too_big());
        }
        Ok(())
    }
}

fn too_big() -> Error {
    failure(
        ErrorCode::TooBig,
        "the rows are larger than what one query may answer",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_storage_class_is_packed_as_the_interface_says() {
        let mut packer = Packer::new(1024);
        packer.row().unwrap();
        packer.value(ValueRef::Null).unwrap();
        packer.value(ValueRef::Integer(-2)).unwrap();
        packer.row().unwrap();
        packer.value(ValueRef::Real(1.5)).unwrap();
        packer.value(ValueRef::Text("é".as_bytes())).unwrap();
        packer.value(ValueRef::Blob(&[])).unwrap();
        let rows = packer.finish();
        assert_eq!(rows.count, 2);
        let mut expected = vec![0, 1];
        expected.extend((-2_i64).to_le_bytes());
        expected.push(2);
        expected.extend(1.5_f64.to_le_bytes());
        expected.extend([3, 2, 0, 0, 0, 0xc3, 0xa9]);
        expected.extend([4, 0, 0, 0, 0]);
        assert_eq!(rows.cells, expected);
    }

    #[test]
    fn the_limit_is_exact() {
        let mut packer = Packer::new(6);
        packer.value(ValueRef::Blob(&[7])).unwrap();
        let error = packer.value(ValueRef::Null).unwrap_err();
        assert_eq!(error.code, ErrorCode::TooBig);

        let mut packer = Packer::new(5);
        assert!(packer.value(ValueRef::Blob(&[7])).is_err());
        assert!(packer.finish().cells.is_empty());
    }
}
