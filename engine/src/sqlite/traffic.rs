//! How much a component reads and writes, counted where it crosses over.

use crate::bindings::sqlite::{Rows, Value};

/// What went between a component and SQLite.
///
/// Rows and bytes are counted, never looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Rows that queries returned.
    pub rows_read: u64,
    /// The bytes of these rows, packed as the component gets them.
    pub bytes_read: u64,
    /// Rows that were inserted, updated or deleted, also by transactions that were
    /// rolled back.
    pub rows_written: u64,
    /// The bytes of texts, blobs and numbers that were handed to the statements which
    /// did so.
    pub bytes_written: u64,
}

impl Traffic {
    pub(super) fn read(&mut self, rows: &Rows) {
        let count = u64::from(rows.count);
        self.rows_read = self.rows_read.saturating_add(count);
        self.bytes_read = self.bytes_read.saturating_add(rows.cells.len() as u64);
    }

    pub(super) fn wrote(&mut self, rows: u64, params: &[Value]) {
        self.rows_written = self.rows_written.saturating_add(rows);
        self.bytes_written = self.bytes_written.saturating_add(bytes(params));
    }

    pub(super) fn wrote_many(&mut self, rows: u64, params: &[Vec<Value>]) {
        self.wrote(rows, &[]);
        for params in params {
            self.wrote(0, params);
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.rows_read = self.rows_read.saturating_add(other.rows_read);
        self.bytes_read = self.bytes_read.saturating_add(other.bytes_read);
        self.rows_written = self.rows_written.saturating_add(other.rows_written);
        self.bytes_written = self.bytes_written.saturating_add(other.bytes_written);
    }
}

fn bytes(params: &[Value]) -> u64 {
    params.iter().map(length).fold(0, u64::saturating_add)
}

fn length(value: &Value) -> u64 {
    match value {
        Value::Null => 0,
        Value::Integer(_) | Value::Real(_) => 8,
        Value::Text(text) => text.len() as u64,
        Value::Blob(blob) => blob.len() as u64,
    }
}
