//! Lists and exports, in pages of bounded size.
//!
//! Where a page stopped is in the cursor, with the digest of the rows of the table that
//! were read so far, so that a row that is missing is noticed whatever page it would have
//! been on. A page of an export goes through one table after another until it is full, and
//! leaves out what is corrupt.

mod cursor;
mod record;
mod room;

pub(crate) use cursor::{Cursor, Key, List};
pub(crate) use record::RecordBuilder;
use room::Fitting;
pub(crate) use room::{PAGE_BYTES, Room};

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::export_types::{Exported, Page as ExportPage};
use crate::bindings::types::Corruption;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::{self, verify_complete, verify_order};
use crate::storage::rows::RowReader;
use crate::storage::seam::{Transaction, Value};

/// How many rows one query reads.
const ROWS: i64 = 256;

/// A page of items.
pub(crate) struct ItemPage<I> {
    items: Vec<I>,
    room: Room,
    /// Whether the next item does not fit.
    is_cut: bool,
    /// What an export leaves out.
    problems: Vec<Corruption>,
    /// Whether it is known which rows there must be.
    digests: bool,
}

/// A page of an export.
pub(crate) type Page = ItemPage<Exported>;

impl<I> ItemPage<I> {
    pub(crate) fn new() -> Self {
        Self {
            items: Vec::new(),
            room: Room::new(),
            is_cut: false,
            problems: Vec::new(),
            digests: true,
        }
    }

    /// Adds an item of about so many bytes.
    pub(crate) fn add(&mut self, item: I, bytes: usize) {
        self.room.take(bytes);
        self.items.push(item);
    }

    /// Whether there is enough for one page.
    pub(crate) fn is_full(&self) -> bool {
        self.is_cut || self.room.is_full()
    }

    /// Finds out which rows fit, as [`Room::fitting`].
    pub(crate) fn fitting(
        &mut self,
        tx: &impl Transaction,
        table: &'static str,
        lengths: &str,
        params: &[Value<'_>],
        most: i64,
    ) -> Result<Fitting> {
        let fitting = self.room.fitting(tx, table, lengths, params, most)?;
        self.is_cut = fitting.is_cut;
        Ok(fitting)
    }

    /// The items.
    pub(crate) fn into_items(self) -> Vec<I> {
        self.items
    }
}

impl Page {
    /// Adds a record.
    pub(crate) fn push(&mut self, record: RecordBuilder) {
        let (record, bytes) = record.finish();
        self.add(record, bytes);
    }

    /// Notes what is corrupt and goes on; any other error is one.
    pub(crate) fn note<R>(&mut self, table: &'static str, result: Result<R>) -> Result<Option<R>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                let damage = corruption::damage(table, error)?;
                self.room.take(damage.key.len() + PROBLEM_BYTES);
                self.problems.push(damage);
                Ok(None)
            }
        }
    }

    /// Notes that the rows of a table are not those that were written.
    pub(crate) fn complete(
        &mut self,
        table: &'static str,
        found: SetDigest,
        expected: SetDigest,
    ) -> Result<()> {
        if self.digests {
            self.note(table, verify_complete(table, found, expected))?;
        }
        Ok(())
    }

    /// Ends reading rows of a table. If that failed at a row, reading goes on after it, at
    /// `failed`; otherwise the rest of the table is out of reach.
    fn after(
        &mut self,
        table: &'static str,
        ended: Result<bool>,
        cursor: &mut Cursor,
        failed: Option<Key>,
    ) -> Result<bool> {
        match (self.note(table, ended)?, failed) {
            (Some(ended), _) => Ok(ended),
            (None, Some(next)) => {
                cursor.next = next;
                Ok(false)
            }
            (None, None) => Ok(true),
        }
    }
}

/// What a problem takes of a page, without its key, in bytes.
const PROBLEM_BYTES: usize = 128;

/// Reads the page that begins at a cursor. `read` reads on in the table of the cursor and
/// returns whether that was the end of it; none if there is no such table. `damage` is that
/// of the row of digests: then it is unknown which rows there must be.
pub(crate) fn read_page(
    cursor: Option<&[u8]>,
    list: &List,
    damage: Option<Corruption>,
    mut read: impl FnMut(&mut Cursor, &mut Page) -> Option<Result<bool>>,
) -> Result<ExportPage> {
    let mut cursor = Cursor::resume(cursor, list)?;
    let mut page = Page::new();
    page.digests = damage.is_none();
    if cursor.is_start() {
        page.problems.extend(damage);
    }
    let mut more = true;
    while more && !page.is_full() {
        match read(&mut cursor, &mut page).transpose()? {
            Some(true) => cursor = cursor.next_table(),
            Some(false) => {}
            None => more = false,
        }
    }
    Ok(ExportPage {
        records: page.items,
        problems: page.problems,
        next: more.then(|| cursor.encode()),
    })
}

/// How a table is read in the order of its numbers.
pub(crate) struct Numbered {
    pub(crate) table: &'static str,
    /// Returns the lengths of rows from the number `?1` on, `?2` at most, where rows
    /// can be so long that not many fit into memory.
    pub(crate) lengths: Option<&'static str>,
    /// Returns rows from the number `?1` on, `?2` at most. The number comes first.
    pub(crate) rows: &'static str,
}

impl Numbered {
    /// Reads rows into the page until it is full; returns whether these were the last.
    pub(crate) fn read<I>(
        &self,
        tx: &impl Transaction,
        cursor: &mut Cursor,
        page: &mut ItemPage<I>,
        visitor: Visitor<'_, I>,
    ) -> Result<bool> {
        while !page.is_full() {
            // A row may have been moved: the first is looked for from the lowest
            // number there is.
            let from = match cursor.next {
                Key::Number(number) => number,
                _ => i64::MIN,
            };
            let limit = match self.lengths {
                Some(lengths) => {
                    let from = [Value::Integer(from)];
                    let fitting = page.fitting(tx, self.table, lengths, &from, ROWS)?;
                    // Without a length there may be a row all the same.
                    if fitting.is_cut { fitting.rows } else { ROWS }
                }
                None => ROWS,
            };
            if limit == 0 {
                return Ok(false);
            }
            let rows = tx.query(self.rows, &[Value::Integer(from), Value::Integer(limit)])?;
            let mut reader = RowReader::new(self.table, &rows);
            let mut left = rows.count;
            while left > 0 && !page.room.is_full() && reader.advance() {
                let number = reader.clone().integer()?;
                let in_order = !matches!(cursor.next, Key::Number(next) if number < next);
                verify_order(self.table, number, in_order)?;
                visitor(cursor, page, &mut reader)?;
                match number.checked_add(1) {
                    Some(next) => cursor.next = Key::Number(next),
                    None => return Ok(true),
                }
                left -= 1;
            }
            if left == 0 && (i64::from(rows.count) < limit || rows.count == 0) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Numbered {
    /// As [`read`](Self::read), and goes on after a row that is corrupt.
    pub(crate) fn export(
        &self,
        tx: &impl Transaction,
        cursor: &mut Cursor,
        page: &mut Page,
        visitor: Visitor<'_, Exported>,
    ) -> Result<bool> {
        let mut failed = None;
        let ended = self.read(tx, cursor, page, &mut |cursor, page, reader| {
            let number = reader.clone().integer()?;
            visitor(cursor, page, reader)
                .inspect_err(|_| failed = number.checked_add(1).map(Key::Number))
        });
        page.after(self.table, ended, cursor, failed)
    }
}

/// Reads the row that the reader is at, and adds what it is to the page.
type Visitor<'v, I> =
    &'v mut dyn FnMut(&mut Cursor, &mut ItemPage<I>, &mut RowReader<'_>) -> Result<()>;

/// How a table without numbers is read, in the order of the two names of its key.
pub(crate) struct Named {
    pub(crate) table: &'static str,
    /// Returns rows from the names `(?1, ?2)` on, `?3` at most. The names come first.
    pub(crate) rows: &'static str,
}

impl Named {
    /// Reads rows into the page until it is full; returns whether these were the last.
    pub(crate) fn read<I>(
        &self,
        tx: &impl Transaction,
        cursor: &mut Cursor,
        page: &mut ItemPage<I>,
        visitor: Visitor<'_, I>,
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
            let mut left = rows.count;
            while left > 0 && !page.is_full() && reader.advance() {
                let mut names = reader.clone();
                let first = names.text()?.to_string();
                // The name that comes next after this one.
                let second = [names.text()?, "\0"].concat();
                let next = Key::Names(first, second);
                verify_order(self.table, "", cursor.next < next)?;
                visitor(cursor, page, &mut reader)?;
                cursor.next = next;
                left -= 1;
            }
            if left == 0 && i64::from(rows.count) < ROWS {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// As [`read`](Self::read), and goes on after a row that is corrupt.
    pub(crate) fn export(
        &self,
        tx: &impl Transaction,
        cursor: &mut Cursor,
        page: &mut Page,
        visitor: Visitor<'_, Exported>,
    ) -> Result<bool> {
        let mut failed = None;
        let ended = self.read(tx, cursor, page, &mut |cursor, page, reader| {
            let mut names = reader.clone();
            let first = names.text()?.to_string();
            let second = [names.text()?, "\0"].concat();
            visitor(cursor, page, reader).inspect_err(|_| failed = Some(Key::Names(first, second)))
        });
        page.after(self.table, ended, cursor, failed)
    }
}
