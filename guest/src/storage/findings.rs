//! Reading all of a table, whatever is wrong with it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::inspection_types::{CheckedTable, Repaired, Verification};
use crate::bindings::types::{Corruption, Error};
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::{self, corrupt, verify_complete, verify_order};
use crate::storage::identity;
use crate::storage::numbers;
use crate::storage::paging::{Cursor, List};
use crate::storage::rows::{RowReader, read_all};
use crate::storage::seam::{
    Environment, Rows, Transaction, Value, clamp, optional_integer, unsigned,
};

/// How many problems are listed.
const MOST_PROBLEMS: usize = 1000;

/// What was read so far, and what is wrong with it.
pub(crate) struct Findings {
    tables: Vec<CheckedTable>,
    problems: Vec<Corruption>,
    omitted: u64,
    /// Whether it is known which rows there must be.
    digests: bool,
    /// `None` if nothing may be changed.
    repair: Option<Repair>,
}

/// Rebuilding what is derived from other rows.
struct Repair {
    now_ms: i64,
    /// For a database whose identity is corrupt.
    identity: [u8; 16],
    rebuilt: Vec<Corruption>,
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

/// Checks the table with a number, or the few that belong together; returns whether there
/// are further ones.
pub(crate) type Steps<'s> = &'s mut dyn FnMut(usize, &mut Findings) -> Result<bool>;

/// Runs the step that the cursor of a list names. `damage` is that of the row of digests:
/// then it is unknown which rows there must be.
pub(crate) fn verify_step(
    cursor: Option<&[u8]>,
    list: &List,
    damage: Option<Corruption>,
    check: Steps<'_>,
) -> Result<Verification> {
    let cursor = Cursor::resume(cursor, list)?;
    let mut findings = Findings::new(damage.is_none());
    if cursor.table == 0 {
        findings.problems.extend(damage);
    }
    let more = check(cursor.table, &mut findings)?;
    Ok(Verification {
        tables: findings.tables,
        problems: findings.problems,
        omitted: findings.omitted,
        next: more.then(|| cursor.next_table().encode()),
    })
}

/// Runs all steps, and rebuilds on the way what is derived from what they read.
pub(crate) fn repair_all(
    env: &impl Environment,
    damage: Option<Corruption>,
    check: Steps<'_>,
) -> Result<Findings> {
    let mut findings = Findings::new(damage.is_none());
    findings.repair = Some(Repair {
        now_ms: env.now_ms(),
        identity: identity::random(env),
        rebuilt: damage.into_iter().collect(),
    });
    let mut step = 0;
    while check(step, &mut findings)? {
        step += 1;
    }
    Ok(findings)
}

impl Findings {
    fn new(digests: bool) -> Self {
        Self {
            tables: Vec::new(),
            problems: Vec::new(),
            omitted: 0,
            digests,
            repair: None,
        }
    }

    /// What a repair did. Nothing may be written if anything but derived data is corrupt:
    /// then all of it is a problem.
    pub(crate) fn into_repaired(self) -> Repaired {
        let Self {
            mut problems,
            omitted,
            repair,
            ..
        } = self;
        let mut rebuilt = repair.map_or_else(Vec::new, |repair| repair.rebuilt);
        if !problems.is_empty() {
            problems.append(&mut rebuilt);
        }
        Repaired {
            rebuilt,
            problems,
            omitted,
        }
    }

    /// The identity that a repair gives a database whose own is corrupt.
    pub(crate) fn new_identity(&self) -> Option<[u8; 16]> {
        self.repair.as_ref().map(|repair| repair.identity)
    }

    /// The time of a repair.
    pub(crate) fn repair_time(&self) -> Option<i64> {
        self.repair.as_ref().map(|repair| repair.now_ms)
    }

    /// Notes what a repair has rebuilt.
    pub(crate) fn rebuilt(&mut self, damage: Corruption) {
        match &mut self.repair {
            Some(repair) if repair.rebuilt.len() < MOST_PROBLEMS => repair.rebuilt.push(damage),
            _ => self.omitted = self.omitted.saturating_add(1),
        }
    }

    /// Takes back the problems that were noted after the first `count`; they were those of
    /// derived data.
    pub(crate) fn take_problems(&mut self, count: usize) -> Vec<Corruption> {
        self.problems.split_off(count.min(self.problems.len()))
    }

    /// How many problems were noted.
    pub(crate) fn problem_count(&self) -> usize {
        self.problems.len()
    }

    /// Notes damage and goes on; any other error is one.
    pub(crate) fn note<R>(&mut self, table: &'static str, result: Result<R>) -> Result<Option<R>> {
        let damage = match result {
            Ok(value) => return Ok(Some(value)),
            Err(error) => corruption::damage(table, error)?,
        };
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(damage);
        } else {
            self.omitted = self.omitted.saturating_add(1);
        }
        Ok(None)
    }

    /// Notes that derived data is wrong unless it is right, or has a repair rebuild it.
    pub(crate) fn require_derived(
        &mut self,
        table: &'static str,
        key: &str,
        right: bool,
        reason: &str,
        rebuild: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        if right || self.repair.is_none() {
            return self.require(table, key, right, reason);
        }
        rebuild()?;
        self.rebuilt(Corruption {
            table: table.to_string(),
            key: key.to_string(),
            reason: reason.to_string(),
        });
        Ok(())
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
    /// them hides the row. No checksum of a row covers them. `sql` writes them, with the
    /// number of the row as `?1`.
    pub(crate) fn require_index_keys<const N: usize>(
        &mut self,
        tx: &impl Transaction,
        row: (&'static str, &str, i64),
        stored: [Option<i64>; N],
        expected: [Option<i64>; N],
        sql: &str,
    ) -> Result<()> {
        let (table, key, number) = row;
        self.require_derived(
            table,
            key,
            stored == expected,
            "an index has the row under another key",
            || {
                let mut params = alloc::vec![Value::Integer(number)];
                params.extend(expected.map(optional_integer));
                tx.execute(sql, &params)?;
                Ok(())
            },
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

    /// The number that is given out next: as it is stored, or if that is corrupt, one that
    /// was not given out yet, if there was less than one in every ms since 1970.
    pub(crate) fn next_number(&self, stored: u64, highest: i64) -> u64 {
        match (self.digests, &self.repair) {
            (false, Some(repair)) => {
                unsigned(highest.saturating_add(1).max(repair.now_ms)).min(numbers::LAST)
            }
            _ => stored,
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
    /// read or is not after the one before: then the rest of the table is out of reach.
    fn check_page<K: PartialOrd>(
        &mut self,
        pages: &Pages,
        rows: &Rows,
        before: Option<K>,
        key: impl Fn(&mut RowReader<'_>) -> Result<K>,
        check: Check<'_>,
    ) -> Result<Option<K>> {
        let mut reader = RowReader::new(pages.table, rows);
        let mut last = before;
        let mut found = false;
        while reader.advance() {
            let start = reader.clone();
            for _ in 0..pages.columns {
                reader.skip()?;
            }
            let key = self.note(pages.table, key(&mut start.clone()))?;
            if !found && key.is_some() && key == last {
                continue;
            }
            let in_order = verify_order(pages.table, "", key.is_none() || key > last);
            if self.note(pages.table, in_order)?.is_none() {
                return Ok(None);
            }
            found = key.is_some();
            last = key.or(last);
            if let Some(table) = self.tables.last_mut() {
                table.rows = table.rows.saturating_add(1);
                table.bytes = table.bytes.saturating_add(reader.since(&start));
            }
            let checked = check(self, &mut start.clone());
            self.note(pages.table, checked)?;
        }
        Ok(last.filter(|_| found))
    }
}
