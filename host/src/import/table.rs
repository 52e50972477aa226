//! Reading a table of the source, a page at a time, and going on after what is damaged.

use std::cell::Cell;

use lash_store_engine::Call;
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection};

use super::error::ImportError;
use super::report::Imported;
use super::run::Run;
use super::source::is_damage;
use crate::EngineError;
use crate::error::Error;

/// How many bytes of values one page has, but for a single row that is longer.
const PAGE_BYTES: u64 = 1 << 20;

/// How many rows one page has.
const PAGE_ROWS: usize = 1024;

/// Why a row cannot be brought over.
pub(super) type Reason = String;

/// A table of the source.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Its columns, separated by commas. The first one names a row in a loss.
    pub(super) columns: &'static str,
}

/// A row of the source. Columns are counted from 0, as [`Table::columns`] names them.
pub(super) struct SourceRow<'r> {
    row: &'r rusqlite::Row<'r>,
    /// What was read besides, in bytes.
    besides: Cell<u64>,
}

impl<'r> SourceRow<'r> {
    /// A row of a query whose first column is the rowid.
    pub(super) fn new(row: &'r rusqlite::Row<'r>) -> Self {
        Self {
            row,
            besides: Cell::new(0),
        }
    }

    fn value(&self, column: usize) -> Result<ValueRef<'r>, Reason> {
        // The first column of the query is the rowid.
        self.row
            .get_ref(column + 1)
            .map_err(|error| error.to_string())
    }

    fn wrong(&self, column: usize, expected: &str) -> Reason {
        let name = self.row.as_ref().column_name(column + 1).unwrap_or("?");
        format!("the column {name} is no {expected}")
    }

    /// Text that may be NULL.
    pub(super) fn optional_text(&self, column: usize) -> Result<Option<&'r str>, Reason> {
        match self.value(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(text) => match std::str::from_utf8(text) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(self.wrong(column, "UTF-8")),
            },
            _ => Err(self.wrong(column, "text")),
        }
    }

    /// Text.
    pub(super) fn text(&self, column: usize) -> Result<&'r str, Reason> {
        self.optional_text(column)?
            .ok_or_else(|| self.wrong(column, "text"))
    }

    /// An integer that may be NULL.
    pub(super) fn optional_integer(&self, column: usize) -> Result<Option<i64>, Reason> {
        match self.value(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(value) => Ok(Some(value)),
            _ => Err(self.wrong(column, "integer")),
        }
    }

    /// An integer.
    pub(super) fn integer(&self, column: usize) -> Result<i64, Reason> {
        self.optional_integer(column)?
            .ok_or_else(|| self.wrong(column, "integer"))
    }

    /// A time in ms since 1970, or a duration. The native crate writes numbers above
    /// 2^63-1 as negative ones; they count as 2^63-1.
    pub(super) fn time(&self, column: usize) -> Result<u64, Reason> {
        Ok(time(self.integer(column)?))
    }

    /// A time that may be NULL.
    pub(super) fn optional_time(&self, column: usize) -> Result<Option<u64>, Reason> {
        Ok(self.optional_integer(column)?.map(time))
    }

    /// A number that is not negative.
    pub(super) fn unsigned(&self, column: usize) -> Result<u64, Reason> {
        u64::try_from(self.integer(column)?).map_err(|_| self.wrong(column, "number from 0 on"))
    }

    /// Bytes.
    pub(super) fn blob(&self, column: usize) -> Result<&'r [u8], Reason> {
        match self.value(column)? {
            ValueRef::Blob(bytes) => Ok(bytes),
            _ => Err(self.wrong(column, "blob")),
        }
    }

    /// Says that as many bytes were read besides the row, of which a page has no more
    /// than of rows.
    pub(super) fn brings(&self, bytes: usize) {
        self.besides.set(self.besides.get() + bytes as u64);
    }

    /// What the row is called in a loss.
    fn name(&self) -> String {
        match self.value(0) {
            Ok(ValueRef::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            Ok(ValueRef::Integer(number)) => number.to_string(),
            _ => self
                .row
                .get::<_, i64>(0)
                .map_or_else(|_| String::new(), |row| format!("row {row}")),
        }
    }

    fn bytes(&self, columns: usize) -> u64 {
        (0..columns)
            .map(|column| match self.value(column) {
                Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => bytes.len() as u64,
                _ => 8,
            })
            .sum()
    }
}

fn time(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(i64::MAX.unsigned_abs())
}

/// A row that was read.
struct Read<T> {
    name: String,
    bytes: u64,
    item: T,
}

/// Some rows that follow each other.
struct Page<T> {
    read: Vec<Read<T>>,
    /// The names of rows that could not be read, and why.
    refused: Vec<(String, Reason)>,
    bytes: u64,
    /// The number of the last row; none if there is nothing more.
    last: Option<i64>,
}

impl Run<'_> {
    /// Brings a table over: `read` makes something of a row, with the source to look
    /// things up in, and `put` writes several of these. If `put` refuses some, they are
    /// written one by one, and those that are refused then are losses.
    pub(super) fn table<T: Send + 'static>(
        &mut self,
        table: &Table,
        mut read: impl FnMut(&Connection, &SourceRow<'_>) -> Result<T, Reason>,
        put: impl Fn(&mut Call<'_>, &[T]) -> Result<(), Error> + Clone + Send + 'static,
    ) -> Result<(), ImportError> {
        let mut imported = Imported {
            table: table.name.to_owned(),
            rows: 0,
            bytes: 0,
        };
        let mut after = Some(i64::MIN);
        while let Some(last) = after {
            let page = self.page(table, last, &mut read)?;
            after = page.last;
            for (name, reason) in page.refused {
                self.losses.note(table.name, name, reason);
            }
            let (names, items): (Vec<(String, u64)>, Vec<T>) = page
                .read
                .into_iter()
                .map(|row| ((row.name, row.bytes), row.item))
                .unzip();
            let put = put.clone();
            let refused = match items.is_empty() {
                true => Vec::new(),
                false => self.write(move |call| put_each(call, &items, &put))?,
            };
            let mut refused = refused.into_iter().peekable();
            for (position, (name, bytes)) in names.into_iter().enumerate() {
                match refused.next_if(|(refused, _)| *refused == position) {
                    Some((_, reason)) => self.losses.note(table.name, name, reason),
                    None => {
                        imported.rows += 1;
                        imported.bytes += bytes;
                    }
                }
            }
            self.advance(page.bytes)?;
        }
        self.records.push(imported);
        Ok(())
    }

    /// Reads a table, and hands over what `read` makes of each row. Whoever gets it writes
    /// it, and says what was imported.
    pub(super) fn each<T>(
        &mut self,
        table: &Table,
        mut read: impl FnMut(&Connection, &SourceRow<'_>) -> Result<T, Reason>,
        mut take: impl FnMut(&mut Self, T) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let mut after = Some(i64::MIN);
        while let Some(last) = after {
            let page = self.page(table, last, &mut read)?;
            after = page.last;
            for (name, reason) in page.refused {
                self.losses.note(table.name, name, reason);
            }
            for row in page.read {
                take(self, row.item)?;
            }
            self.advance(page.bytes)?;
        }
        Ok(())
    }

    /// Reads a table of one row; none if it is empty, or if the row is a loss.
    pub(super) fn row<T>(
        &mut self,
        table: &Table,
        mut read: impl FnMut(&SourceRow<'_>) -> Result<T, Reason>,
    ) -> Result<Option<T>, ImportError> {
        let page = self.page(table, i64::MIN, &mut |_, row| read(row))?;
        for (name, reason) in page.refused {
            self.losses.note(table.name, name, reason);
        }
        let mut rows = page.read.into_iter();
        let first = rows.next();
        for row in rows {
            self.losses
                .note(table.name, row.name, "there is more than one row");
        }
        self.records.push(Imported {
            table: table.name.to_owned(),
            rows: first.iter().len() as u64,
            bytes: first.as_ref().map_or(0, |row| row.bytes),
        });
        self.advance(page.bytes)?;
        Ok(first.map(|row| row.item))
    }

    /// Reads the rows behind one. If the file is damaged there, as many as there are
    /// before the damage; if there are none, it goes on behind it.
    fn page<T>(
        &mut self,
        table: &Table,
        after: i64,
        read: &mut impl FnMut(&Connection, &SourceRow<'_>) -> Result<T, Reason>,
    ) -> Result<Page<T>, ImportError> {
        let (mut page, failure) = self
            .source
            .read(|connection| read_page(connection, table, after, read));
        let reason = match failure {
            Some(error) if !is_damage(&error) => return Err(self.source.unreadable(error)),
            Some(error) => format!("{error}"),
            None => "the rows behind are not in their order".to_owned(),
        };
        // Where pages refer to each other in a circle, the rows come again and again.
        if page.last.is_some_and(|last| last <= after) {
            let next = self
                .source
                .read(|connection| behind_damage(connection, table, after));
            let name = match after {
                i64::MIN => "the first rows".to_owned(),
                after => format!("behind row {after}"),
            };
            page.refused.push((name, reason));
            page.last = next;
        }
        Ok(page)
    }
}

fn select<'c>(connection: &'c Connection, table: &Table) -> rusqlite::Result<CachedStatement<'c>> {
    // Rows are looked for by their number alone, so that no index can hide one.
    connection.prepare_cached(&format!(
        "SELECT rowid, {} FROM {} NOT INDEXED WHERE rowid > ?1 ORDER BY rowid",
        table.columns, table.name
    ))
}

fn read_page<T>(
    connection: &Connection,
    table: &Table,
    after: i64,
    read: &mut impl FnMut(&Connection, &SourceRow<'_>) -> Result<T, Reason>,
) -> (Page<T>, Option<rusqlite::Error>) {
    let mut page = Page {
        read: Vec::new(),
        refused: Vec::new(),
        bytes: 0,
        last: Some(after),
    };
    let mut fill = || {
        let mut statement = select(connection, table)?;
        let columns = statement.column_count().saturating_sub(1);
        let mut rows = statement.query([after])?;
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(0)?;
            let row = SourceRow::new(row);
            let item = read(connection, &row);
            let bytes = row.bytes(columns) + row.besides.get();
            match item {
                Ok(item) => page.read.push(Read {
                    name: row.name(),
                    bytes,
                    item,
                }),
                Err(reason) => page.refused.push((row.name(), reason)),
            }
            page.bytes += bytes;
            page.last = Some(number);
            let rows = page.read.len() + page.refused.len();
            if page.bytes >= PAGE_BYTES || rows >= PAGE_ROWS {
                return Ok(());
            }
        }
        page.last = None;
        Ok(())
    };
    let failure = fill().err();
    (page, failure)
}

/// How many row numbers behind a damaged page are tried one by one: more than a page has
/// rows.
const NEAR: i64 = 4096;

/// A row number behind `after` from which on the table can be read; none if there is no
/// such number.
///
/// Rows on a damaged page cannot be found by reading on, but those on the pages behind
/// it can be looked for by their numbers.
fn behind_damage(connection: &Connection, table: &Table, after: i64) -> Option<i64> {
    let readable = |from: i64| {
        select(connection, table)
            .and_then(|mut statement| match statement.query([from])?.next()? {
                Some(row) => Ok(row.get::<_, i64>(0)? > from),
                None => Ok(true),
            })
            .unwrap_or(false)
    };
    let damaged = after.max(0);
    // One by one while it is likely that the page behind is near and whole.
    let near = damaged.saturating_add(NEAR);
    if let Some(found) = (damaged.checked_add(1)?..=near).find(|from| readable(*from)) {
        return Some(found);
    }
    let first = near;
    let mut step = 1_i64;
    while !readable(first.checked_add(step)?) {
        step = step.checked_mul(2)?;
    }
    // Between the last number that did not do and the first that did.
    let (mut unreadable, mut found) = (first + step / 2, first + step);
    while found - unreadable > 1 {
        let middle = unreadable + (found - unreadable) / 2;
        match readable(middle) {
            true => found = middle,
            false => unreadable = middle,
        }
    }
    Some(found)
}

/// Writes items, one by one if they are refused together; returns the positions of
/// those that are refused, and why.
pub(super) fn put_each<T>(
    call: &mut Call<'_>,
    items: &[T],
    put: &impl Fn(&mut Call<'_>, &[T]) -> Result<(), Error>,
) -> Result<Vec<(usize, Reason)>, Error> {
    match put(call, items) {
        Ok(()) => return Ok(Vec::new()),
        Err(Error::Engine(EngineError::Invalid { .. } | EngineError::MissingBlob { .. })) => {}
        Err(error) => return Err(error),
    }
    let mut refused = Vec::new();
    for (position, item) in items.iter().enumerate() {
        match put(call, std::slice::from_ref(item)) {
            Ok(()) => {}
            Err(Error::Engine(EngineError::Invalid { reason, .. })) => {
                refused.push((position, reason))
            }
            Err(Error::Engine(EngineError::MissingBlob { blob, .. })) => {
                refused.push((position, format!("the blob {blob} is missing")));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}
