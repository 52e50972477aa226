//! Records for export, in pages of bounded size.
//!
//! A page goes through one table after another until it is full. Where it stopped is
//! in the cursor, with the digest of the rows of the table that were read so far, so
//! that a row that is missing is noticed whatever page it would have been on.

mod cursor;
mod record;

pub(crate) use cursor::{Cursor, Key};
pub(crate) use record::RecordBuilder;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::export_types::{Exported, Page as ExportPage};
use crate::storage::rows::RowReader;
use crate::storage::seam::{Transaction, Value};

/// How long a page becomes, in bytes. A single record may be longer.
const PAGE_BYTES: usize = 1 << 20;

/// How many rows one query reads.
const ROWS: i64 = 256;

/// The records of a page.
#[derive(Default)]
pub(crate) struct Page {
    records: Vec<Exported>,
    bytes: usize,
    /// Whether the next record does not fit.
    ended: bool,
}

impl Page {
    /// Adds a record.
    pub(crate) fn push(&mut self, record: RecordBuilder) {
        let (record, bytes) = record.finish();
        self.bytes = self.bytes.saturating_add(bytes);
        self.records.push(record);
    }

    /// Whether there is enough for one page.
    pub(crate) fn is_full(&self) -> bool {
        self.ended || self.bytes >= PAGE_BYTES
    }
}

/// Reads the page that begins at a cursor. `read` reads on in the table of the cursor and
/// returns whether that was the end of it; none if there is no such table.
pub(crate) fn read_page(
    cursor: Option<&[u8]>,
    mut read: impl FnMut(&mut Cursor, &mut Page) -> Option<Result<bool>>,
) -> Result<ExportPage> {
    let mut cursor = cursor.map_or_else(|| Ok(Cursor::default()), Cursor::decode)?;
    let mut page = Page::default();
    let mut more = true;
    while more && !page.is_full() {
        match read(&mut cursor, &mut page).transpose()? {
            Some(true) => cursor = cursor.next_table(),
            Some(false) => {}
            None => more = false,
        }
    }
    Ok(ExportPage {
        records: page.records,
        next: more.then(|| cursor.encode()),
    })
}

/// How a table is read in the order of its numbers.
pub(crate) struct Numbered {
    pub(crate) table: &'static str,
    /// Returns the lengths of rows from the number `?1` on, `?2` at most, where rows
    /// can be so long that not many fit into memory.
    pub(crate) lengths: Option<&'static str>,
    /// Answers rows from the number `?1` on, `?2` at most. The number comes first.
    pub(crate) rows: &'static str,
}

impl Numbered {
    /// Reads rows into the page until it is full; returns whether these were the last.
    pub(crate) fn read(
        &self,
        tx: &impl Transaction,
        cursor: &mut Cursor,
        page: &mut Page,
        export: &mut dyn FnMut(&mut Cursor, &mut Page, &mut RowReader<'_>) -> Result<()>,
    ) -> Result<bool> {
        while !page.is_full() {
            // A row may have been moved: the first is looked for from the lowest
            // number there is.
            let from = match cursor.next {
                Key::Number(number) => number,
                _ => i64::MIN,
            };
            let limit = self.fitting(tx, from, page)?;
            if limit == 0 {
                page.ended = true;
                return Ok(false);
            }
            let rows = tx.query(self.rows, &[Value::Integer(from), Value::Integer(limit)])?;
            let mut reader = RowReader::new(self.table, &rows);
            while reader.advance() {
                let number = reader.clone().integer()?;
                export(cursor, page, &mut reader)?;
                match number.checked_add(1) {
                    Some(next) => cursor.next = Key::Number(next),
                    None => return Ok(true),
                }
            }
            if i64::from(rows.count) < limit || rows.count == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many rows still fit into the page; one at least if it is empty, or if there
    /// are none.
    fn fitting(&self, tx: &impl Transaction, from: i64, page: &Page) -> Result<i64> {
        let Some(lengths) = self.lengths else {
            return Ok(ROWS);
        };
        let rows = tx.query(lengths, &[Value::Integer(from), Value::Integer(ROWS)])?;
        let mut reader = RowReader::new(self.table, &rows);
        let (mut count, mut bytes) = (0, page.bytes);
        while reader.advance() {
            let length = usize::try_from(reader.integer()?).unwrap_or(usize::MAX);
            bytes = bytes.saturating_add(length);
            if bytes > PAGE_BYTES {
                break;
            }
            count += 1;
        }
        let alone = page.records.is_empty() || rows.count == 0;
        Ok(if alone { count.max(1) } else { count })
    }
}

/// How a table without numbers is read, in the order of the two names of its key.
pub(crate) struct Named {
    pub(crate) table: &'static str,
    /// Answers rows from the names `(?1, ?2)` on, `?3` at most. The names come first.
    pub(crate) rows: &'static str,
}

impl Named {
    /// Reads rows into the page until it is full; returns whether these were the last.
    pub(crate) fn read(
        &self,
        tx: &impl Transaction,
        cursor: &mut Cursor,
        page: &mut Page,
        export: &mut dyn FnMut(&mut Cursor, &mut Page, &mut RowReader<'_>) -> Result<()>,
    ) -> Result<bool> {
        while !page.is_full() {
            let (first, second) = match &cursor.next {
                Key::Names(first, second) => (first.clone(), second.clone()),
                _ => (String::new(), String::new()),
            };
            let rows = tx.query(
                self.rows,
                &[
                    Value::Text(&first),
                    Value::Text(&second),
                    Value::Integer(ROWS),
                ],
            )?;
            let mut reader = RowReader::new(self.table, &rows);
            while reader.advance() {
                let mut names = reader.clone();
                let first = names.text()?.to_string();
                // The name that comes next after this one.
                let second = [names.text()?, "\0"].concat();
                export(cursor, page, &mut reader)?;
                cursor.next = Key::Names(first, second);
            }
            if i64::from(rows.count) < ROWS {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
