//! How much a page holds.

use crate::Result;
use crate::storage::corruption::verify_count;
use crate::storage::rows::RowReader;
use crate::storage::seam::{Rows, Transaction, Value, unsigned};

/// How long a page becomes, in bytes. A single item may be longer.
pub(crate) const PAGE_BYTES: usize = 1 << 20;

/// What still fits into a page.
#[derive(Clone)]
pub(crate) struct Room {
    left: usize,
    is_empty: bool,
}

/// Which of the next rows fit.
#[derive(Clone, Copy)]
pub(crate) struct Fitting {
    /// How many.
    pub(crate) rows: i64,
    /// How long they are altogether, in bytes.
    pub(crate) bytes: usize,
    /// Whether there is a row after these, which does not.
    pub(crate) is_cut: bool,
    /// Whether there are no rows after these.
    pub(crate) is_last: bool,
}

impl Fitting {
    /// The rows that were read are those whose lengths were: otherwise an index is corrupt,
    /// and reading would not go on.
    pub(crate) fn require(self, table: &'static str, rows: &Rows) -> Result<()> {
        verify_count(table, u64::from(rows.count), unsigned(self.rows))
    }
}

impl Room {
    /// An empty page.
    pub(crate) fn new() -> Self {
        Self::of(PAGE_BYTES)
    }

    /// Room for so many bytes, or a single item.
    pub(crate) fn of(bytes: usize) -> Self {
        Self {
            left: bytes,
            is_empty: true,
        }
    }

    /// Takes an item.
    pub(crate) fn take(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
        self.is_empty = false;
    }

    /// Whether an item fits. The first one does.
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        self.is_empty || bytes <= self.left
    }

    /// Whether nothing more fits.
    pub(crate) fn is_full(&self) -> bool {
        self.left == 0
    }

    /// Finds out which rows fit. `lengths` returns the lengths of rows in bytes; its last
    /// parameter, which is added here, is how many at most.
    pub(crate) fn fitting(
        &self,
        tx: &impl Transaction,
        table: &'static str,
        lengths: &str,
        params: &[Value<'_>],
        most: i64,
    ) -> Result<Fitting> {
        let mut all = params.to_vec();
        all.push(Value::Integer(most));
        let rows = tx.query(lengths, &all)?;
        let mut reader = RowReader::new(table, &rows);
        let mut page = self.clone();
        let mut fitting = Fitting {
            rows: 0,
            bytes: 0,
            is_cut: false,
            is_last: i64::from(rows.count) < most,
        };
        while reader.advance() {
            let length = usize::try_from(reader.integer()?).unwrap_or(usize::MAX);
            if !page.fits(length) {
                fitting.is_cut = true;
                fitting.is_last = false;
                break;
            }
            page.take(length);
            fitting.rows += 1;
            fitting.bytes = fitting.bytes.saturating_add(length);
        }
        Ok(fitting)
    }
}
