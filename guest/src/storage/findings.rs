//! Reading all of a table, whatever is wrong with it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::inspection_types::{CheckedTable, Verification};
use crate::bindings::sqlite::ErrorCode;
use crate::bindings::types::{Corruption, Error};
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::{corrupt, invalid, verify_complete};
use crate::storage::paging::{Cursor, List};
use crate::storage::rows::{RowReader, read_all};
use crate::storage::seam::{Rows, Transaction, Value, clamp};

/// How many problems are listed.
const MOST_PROBLEMS: usize = 1000;

/// What was read so far, and what is wrong with it.
pub(crate) struct Findings {
    tables: Vec<CheckedTable>,
    problems: Vec<Corruption>,
    omitted: u64,
    /// Whether it is known which rows there must be.
    digests: bool,
}

/// Checks the row that the reader is at. Damage is noted, other errors end the walk.
type Check<'c> = &'c mut dyn FnMut(&mut Findings, &mut RowReader<'_>) -> Result<()>;

/// How a table is read in pages.
pub(crate) struct Pages {
    pub(crate) table: &'static str,
    /// Returns the rows from a key on, `?1` or `(?1, ?2)`, as many as the last
    /// parameter says. The key comes first in a row.
    pub(crate) sql: &'static str,
    pub(crate) columns: usize,
    /// Two at least: the row that ends a page is read again with the next one.
    pub(crate) size: u32,
}

/// One table, or a few that belong together, of what is verified.
pub(crate) type Step<'s> = &'s dyn Fn(&mut Findings) -> Result<()>;

/// Runs the step that the cursor of a list names. `damage` is that of the row of digests:
/// then it is unknown which rows there must be.
pub(crate) fn verify_step(
    cursor: Option<&[u8]>,
    list: &List,
    damage: Option<Corruption>,
    steps: &[Step<'_>],
) -> Result<Verification> {
    let cursor = Cursor::resume(cursor, list)?;
    let mut findings = Findings {
        tables: Vec::new(),
        digests: damage.is_none(),
        problems: Vec::new(),
        omitted: 0,
    };
    if cursor.table == 0 {
        findings.problems.extend(damage);
    }
    let step = steps.get(cursor.table);
    step.ok_or_else(|| invalid("the cursor names no step"))?(&mut findings)?;
    let next = cursor.next_table();
    Ok(Verification {
        tables: findings.tables,
        problems: findings.problems,
        omitted: findings.omitted,
        next: (next.table < steps.len()).then(|| next.encode()),
    })
}

impl Findings {
    /// Notes damage and goes on; any other error is one.
    pub(crate) fn note<R>(&mut self, table: &'static str, result: Result<R>) -> Result<Option<R>> {
        let damage = match result {
            Ok(value) => return Ok(Some(value)),
            Err(Error::Corrupt(damage)) => damage,
            Err(Error::Sqlite(error)) if error.code == ErrorCode::Corrupt => Corruption {
                table: table.to_string(),
                key: String::new(),
                reason: error.message,
            },
            Err(error) => return Err(error),
        };
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(damage);
        } else {
            self.omitted = self.omitted.saturating_add(1);
        }
        Ok(None)
    }

    /// Notes that something is wrong unless it is right.
    pub(crate) fn require(
        &mut self,
        table: &'static str,
        key: &str,
        right: bool,
        reason: &str,
    ) -> Result<()> {
        match right {
            true => Ok(()),
            false => self
                .note(table, Err::<(), _>(corrupt(table, key, reason)))
                .map(|_| ()),
        }
    }

    /// The rows that were found are those that were written.
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

    /// Notes columns, for indexes only, that do not say what the row says: an index over
    /// them hides the row. No checksum of a row covers them.
    pub(crate) fn require_index_keys<K: PartialEq>(
        &mut self,
        table: &'static str,
        key: &str,
        stored: K,
        expected: K,
    ) -> Result<()> {
        self.require(
            table,
            key,
            stored == expected,
            "an index has the row under another key",
        )
    }

    /// Whether it is known which rows were written.
    pub(crate) fn has_digests(&self) -> bool {
        self.digests
    }

    /// The number that is given out next, if that is known.
    pub(crate) fn end_of_numbers(&self, next: u64) -> i64 {
        match self.digests {
            true => clamp(next),
            false => i64::MAX,
        }
    }

    /// Notes a row with a number that is given out next.
    pub(crate) fn require_number(
        &mut self,
        table: &'static str,
        number: i64,
        end: i64,
    ) -> Result<()> {
        self.require(
            table,
            &number.to_string(),
            number < end,
            "the row has a number that is given out next",
        )
    }

    /// Notes the rows whose numbers a query returns.
    pub(crate) fn orphans(
        &mut self,
        tx: &impl Transaction,
        table: &'static str,
        sql: &str,
        reason: &str,
    ) -> Result<()> {
        let rows = tx.query(sql, &[]).map_err(Error::from);
        let Some(rows) = self.note(table, rows)? else {
            return Ok(());
        };
        for number in read_all(table, &rows, RowReader::integer)? {
            self.require(table, &number.to_string(), false, reason)?;
        }
        Ok(())
    }

    /// Reads a table by its row numbers.
    pub(crate) fn walk(
        &mut self,
        tx: &impl Transaction,
        pages: &Pages,
        check: Check<'_>,
    ) -> Result<()> {
        self.begin(pages.table);
        // A row may have been moved, so the first is looked for from the lowest
        // number there is.
        let mut last = None;
        loop {
            let from = last.unwrap_or(i64::MIN);
            let params = [Value::Integer(from), Value::Integer(i64::from(pages.size))];
            let Some(rows) = self.query(tx, pages, &params)? else {
                return Ok(());
            };
            let number = |reader: &mut RowReader<'_>| reader.integer();
            match self.check_page(pages, &rows, last, number, check)? {
                next if next.is_some() && rows.count >= pages.size => last = next,
                _ => return Ok(()),
            }
        }
    }

    /// Reads a table without row numbers, by the two names of its key.
    pub(crate) fn walk_names(
        &mut self,
        tx: &impl Transaction,
        pages: &Pages,
        check: Check<'_>,
    ) -> Result<()> {
        self.begin(pages.table);
        let mut last: Option<(String, String)> = None;
        loop {
            let (first, second) = last.clone().unwrap_or_default();
            let params = [
                Value::Text(&first),
                Value::Text(&second),
                Value::Integer(i64::from(pages.size)),
            ];
            let Some(rows) = self.query(tx, pages, &params)? else {
                return Ok(());
            };
            let names = |reader: &mut RowReader<'_>| {
                Ok((reader.text()?.to_string(), reader.text()?.to_string()))
            };
            match self.check_page(pages, &rows, last, names, check)? {
                next if next.is_some() && rows.count >= pages.size => last = next,
                _ => return Ok(()),
            }
        }
    }

    fn begin(&mut self, table: &'static str) {
        self.tables.push(CheckedTable {
            name: table.to_string(),
            rows: 0,
            bytes: 0,
        });
    }

    fn query(
        &mut self,
        tx: &impl Transaction,
        pages: &Pages,
        params: &[Value<'_>],
    ) -> Result<Option<Rows>> {
        let rows = tx.query(pages.sql, params).map_err(Error::from);
        self.note(pages.table, rows)
    }

    /// Checks every row of a page but the one that ended the page before; returns the
    /// key of the last one, and none if there was nothing new, or if the key cannot be
    /// read: then the rest of the table is out of reach.
    fn check_page<K: PartialEq>(
        &mut self,
        pages: &Pages,
        rows: &Rows,
        before: Option<K>,
        key: impl Fn(&mut RowReader<'_>) -> Result<K>,
        check: Check<'_>,
    ) -> Result<Option<K>> {
        let mut reader = RowReader::new(pages.table, rows);
        let mut last = None;
        while reader.advance() {
            let start = reader.clone();
            for _ in 0..pages.columns {
                reader.skip()?;
            }
            last = self.note(pages.table, key(&mut start.clone()))?;
            if last.is_some() && last == before {
                last = None;
                continue;
            }
            if let Some(table) = self.tables.last_mut() {
                table.rows = table.rows.saturating_add(1);
                table.bytes = table.bytes.saturating_add(reader.since(&start));
            }
            let checked = check(self, &mut start.clone());
            self.note(pages.table, checked)?;
        }
        Ok(last)
    }
}
