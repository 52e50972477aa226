//! The one transaction of a connection, and the statements in it.
//!
//! What holds: a statement runs only within a transaction that the host has
//! opened, and a transaction ends in [`SqliteConnection::commit`] or in
//! [`SqliteConnection::rollback`]. If SQLite ends one by itself, as it does when the disk
//! is full, every later statement is refused instead of being committed one by
//! one.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, Statement, ToSql, ffi};

use super::authorizer::Installed;
use super::connection::{REMOVAL_TIMEOUT, Role, SqliteConnection, log_lost, of_file};
use super::error::{Error, ErrorCode, failure};
use super::rows::Packer;
use super::wait::retry_while_busy;
use crate::bindings::sqlite::{Rows, TransactionMode, Value};
use crate::sync::lock;

/// How long a transaction may run before its statements are interrupted: a
/// guard against a query that never ends, not a promise.
const LONGEST_TRANSACTION: Duration = Duration::from_secs(300);

const BEGIN_READING: &str = "BEGIN DEFERRED";
const BEGIN_WRITING: &str = "BEGIN IMMEDIATE";
const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";

const DATA_VERSION: &str = "PRAGMA data_version";

/// The host's own statements. They are in the statement cache, where the
/// authorizer is not asked any more, so the component must not name them.
const COMMANDS: [&str; 5] = [BEGIN_READING, BEGIN_WRITING, COMMIT, ROLLBACK, DATA_VERSION];

/// How many instructions SQLite runs before it looks at the clock: so many that it costs
/// nothing.
const INSTRUCTIONS: i32 = 100_000;

/// The same for a component that is not trusted: one instruction may have to do with a
/// value of many megabytes.
const INSTRUCTIONS_OF_UNTRUSTED: i32 = 100;

/// What a commit waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Synchronous {
    /// That the database is on the disk, and its journal gone: until there is a log. SQLite
    /// notices only some of what a loss of power does to a journal.
    Extra,
    /// Nothing. The log is flushed before it is copied into the database.
    Normal,
    /// That the log is on the disk.
    Full,
}

impl Synchronous {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Extra => "EXTRA",
            Self::Normal => "NORMAL",
            Self::Full => "FULL",
        }
    }
}

/// A snapshot that is kept from one transaction to the next.
pub(super) struct Pin {
    /// Whether one of these is open.
    in_use: bool,
    /// Whether it is kept for the calls of one job only.
    until_returned: bool,
}

/// When the running transaction is interrupted.
#[derive(Clone)]
pub(super) struct Deadline(Arc<Mutex<Option<Instant>>>);

/// How many pages one transaction gives back: others wait for the write lock
/// meanwhile.
const VACUUM_PAGES: usize = 1000;

impl Deadline {
    pub(super) fn install(connection: &mut Connection, limited: bool) -> rusqlite::Result<Self> {
        let instructions = if limited {
            INSTRUCTIONS_OF_UNTRUSTED
        } else {
            INSTRUCTIONS
        };
        let deadline = Self(Arc::new(Mutex::new(None)));
        let watched = deadline.clone();
        let hook = move || watched.has_passed();
        connection
            .progress_handler(instructions, Some(hook))
            .installed()?;
        Ok(deadline)
    }

    fn set(&self, at: Option<Instant>) {
        *lock(&self.0) = at;
    }

    fn has_passed(&self) -> bool {
        lock(&self.0).is_some_and(|at| Instant::now() >= at)
    }
}

/// A parameter, bound from where it is.
struct Bound<'a>(&'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Integer(value) => ValueRef::Integer(*value),
            Value::Real(value) => ValueRef::Real(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

impl SqliteConnection {
    /// Whether a transaction is open.
    pub(crate) fn in_transaction(&self) -> bool {
        match self.pinned {
            Some(Pin { in_use, .. }) => in_use,
            None => !self.connection.is_autocommit(),
        }
    }

    /// Keeps what the database holds now: every transaction that follows reads this
    /// one snapshot, whatever others commit, until the connection is closed. None of
    /// them can write.
    ///
    /// Until then the write-ahead log cannot be begun anew, and grows with what others
    /// write.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Misuse`] if a transaction is open; otherwise what SQLite says.
    pub fn pin(&mut self) -> Result<(), Error> {
        if self.in_transaction() || self.pinned.is_some() {
            return Err(misuse("a transaction is open already"));
        }
        self.command(BEGIN_READING)?;
        // A transaction has a snapshot only once it has read.
        if let Err(error) = self.application_id() {
            self.command(ROLLBACK)?;
            return Err(error);
        }
        self.pinned = Some(Pin {
            in_use: false,
            until_returned: false,
        });
        Ok(())
    }

    /// Lets all transactions from now on read one snapshot, that of the first, until
    /// [`release_snapshot`](Self::release_snapshot). None of them can write.
    pub(super) fn keep_snapshot(&mut self) {
        self.keeping = true;
    }

    /// Ends what [`keep_snapshot`](Self::keep_snapshot) began.
    pub(super) fn release_snapshot(&mut self) -> Result<(), Error> {
        self.keeping = false;
        if self.pinned.as_ref().is_some_and(|pin| pin.until_returned) {
            self.pinned = None;
            self.rollback()?;
        }
        Ok(())
    }

    /// Opens the transaction.
    pub(crate) fn begin(&mut self, mode: TransactionMode) -> Result<(), Error> {
        if self.in_transaction() {
            return Err(misuse("a transaction is open already"));
        }
        self.check_log()?;
        if self.keeping && mode != TransactionMode::Read {
            return Err(reading_only());
        }
        if self.keeping && self.pinned.is_none() {
            self.command(BEGIN_READING)?;
            self.pinned = Some(Pin {
                in_use: false,
                until_returned: true,
            });
        }
        if let Some(pin) = &mut self.pinned {
            if mode != TransactionMode::Read {
                return Err(reading_only());
            }
            if self.connection.is_autocommit() {
                return Err(misuse("the snapshot was lost after an error"));
            }
            pin.in_use = true;
            self.reading = true;
            self.deadline.set(self.latest(LONGEST_TRANSACTION));
            return Ok(());
        }
        match mode {
            TransactionMode::Read => self.command(BEGIN_READING)?,
            TransactionMode::Write => self.begin_writing(Synchronous::Normal)?,
            TransactionMode::WriteDurable if self.settings.durable => {
                self.begin_writing(Synchronous::Full)?;
            }
            TransactionMode::WriteDurable => self.begin_writing(Synchronous::Normal)?,
        }
        self.reading = mode == TransactionMode::Read;
        self.deadline.set(self.latest(LONGEST_TRANSACTION));
        Ok(())
    }

    /// When what begins now and may take `longest` ends at the latest.
    fn latest(&self, longest: Duration) -> Option<Instant> {
        let end = Instant::now().checked_add(longest);
        match self.call {
            Some(call) => Some(end.map_or(call, |end| end.min(call))),
            None => end,
        }
    }

    fn begin_writing(&mut self, synchronous: Synchronous) -> Result<(), Error> {
        if self.role != Role::Writer {
            return Err(reading_only());
        }
        if let Some(longest) = self.limits().map(|limits| limits.database_bytes) {
            // Many transactions of one call would make the log as long as they like.
            self.tidy();
            self.bound_log(longest)?;
        }
        self.check_room()?;
        if self.synchronous != synchronous && (self.file.is_none() || self.log.is_open()) {
            let _granted = self.permission.grant();
            self.connection
                .pragma_update(None, "synchronous", synchronous.name())?;
            self.synchronous = synchronous;
        }
        // The wait is ours, so that others may work meanwhile; other statements
        // wait in SQLite, and hardly ever.
        self.connection.busy_timeout(Duration::ZERO)?;
        let left = self.call.map_or(Duration::MAX, |call| {
            call.saturating_duration_since(Instant::now())
        });
        let timeout = self.settings.busy_timeout.min(left);
        let begun = retry_while_busy(timeout, || self.command(BEGIN_WRITING));
        self.connection.busy_timeout(self.settings.busy_timeout)?;
        Ok(begun?)
    }

    /// Fails if the disk has less room than is kept in reserve.
    fn check_room(&self) -> Result<(), Error> {
        let reserve = self.settings.disk_reserve;
        let Some(file) = self
            .file
            .as_ref()
            .filter(|_| reserve > 0 && !self.makes_room)
        else {
            return Ok(());
        };
        let free = file.free_space().map_err(of_file)?;
        if free < reserve {
            let message = format!("the disk has {free} bytes left, and {reserve} are kept free");
            return Err(failure(ErrorCode::Full, message));
        }
        Ok(())
    }

    /// Runs one statement; returns how many rows it changed.
    pub(crate) fn execute(&self, sql: &str, params: &[Value]) -> Result<u64, Error> {
        self.check_statement(sql, params)?;
        let mut statement = self.prepare(sql)?;
        self.run(&mut statement, params)
    }

    /// Runs one statement for every row of parameters; returns how many rows it
    /// changed altogether.
    pub(crate) fn execute_many(&self, sql: &str, rows: &[Vec<Value>]) -> Result<u64, Error> {
        self.check_statement(sql, &[])?;
        let mut statement = self.prepare(sql)?;
        let mut changed = 0_u64;
        for params in rows {
            self.check_statement(sql, params)?;
            changed = changed.saturating_add(self.run(&mut statement, params)?);
        }
        Ok(changed)
    }

    /// Runs one statement and returns its rows.
    pub(crate) fn query(&self, sql: &str, params: &[Value]) -> Result<Rows, Error> {
        self.check_statement(sql, params)?;
        let mut statement = self.prepare(sql)?;
        bind(&mut statement, params)?;
        let columns = statement.column_count();
        let mut packer = Packer::new(self.settings.result_bytes);
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            packer.row()?;
            for column in 0..columns {
                packer.value(row.get_ref(column)?)?;
            }
        }
        Ok(packer.finish())
    }

    /// Commits. If that fails, the transaction is rolled back.
    pub(crate) fn commit(&mut self) -> Result<(), Error> {
        self.check_open()?;
        if self.pinned.is_some() {
            return self.rollback();
        }
        if !self.reading
            && let Err(error) = self.check_place()
        {
            self.rollback()?;
            return Err(error);
        }
        let result = self.command(COMMIT).map_err(of_commit);
        self.deadline.set(None);
        match result {
            Ok(()) if self.reading || self.log.committed() || !self.has_lost_its_log() => Ok(()),
            Ok(()) => self.save_log().map_err(|error| Error {
                code: ErrorCode::OutcomeUnknown,
                ..error
            }),
            Err(error) => {
                self.rollback()?;
                Err(error)
            }
        }
    }

    /// Fails if the file is no longer where others look for it: what would be committed to it
    /// would be lost.
    fn check_place(&mut self) -> Result<(), Error> {
        match &self.file {
            Some(file) => file.check().map_err(|error| {
                self.displaced = true;
                failure(ErrorCode::Io, format!("{error}; nothing was committed"))
            }),
            None => Ok(()),
        }
    }

    /// Fails if the log was found removed.
    fn check_log(&mut self) -> Result<(), Error> {
        match &self.file {
            Some(file) if file.log_is_lost() => {
                self.displaced = true;
                Err(log_lost(file))
            }
            _ => Ok(()),
        }
    }

    /// Whether the log of this connection was removed, though the database was not.
    pub(crate) fn has_lost_its_log(&self) -> bool {
        let Some(file) = &self.file else {
            return false;
        };
        if self.log.is_in_place() || file.log_is_lost() {
            return false;
        }
        // Who removes the database removes its log first.
        let _opening = file.opening(REMOVAL_TIMEOUT);
        file.is_in_place()
    }

    /// Rolls the transaction back, if one is open.
    pub(crate) fn rollback(&mut self) -> Result<(), Error> {
        self.deadline.set(None);
        if let Some(pin) = &mut self.pinned {
            // It has changed nothing, and the next one reads the same.
            pin.in_use = false;
        } else if self.in_transaction() {
            self.command(ROLLBACK)?;
        }
        Ok(())
    }

    /// Whether another connection, of this process or another one, has committed
    /// since this was asked last. True when it is asked for the first time.
    pub(crate) fn has_changed(&mut self) -> Result<bool, Error> {
        let _granted = self.permission.grant();
        let mut statement = self.connection.prepare_cached(DATA_VERSION)?;
        let version: i64 = statement.query_row([], |row| row.get(0))?;
        Ok(self.data_version.replace(version) != Some(version))
    }

    /// Gives some of the pages that are no longer needed back to the file system;
    /// returns whether there are more. Only the host can do that: it is a pragma.
    ///
    /// To be called after something was removed, until it returns false.
    ///
    /// # Errors
    ///
    /// As the transaction that it is: [`ErrorCode::Busy`], [`ErrorCode::ReadOnly`],
    /// and [`ErrorCode::Misuse`] if one is open.
    pub fn incremental_vacuum(&mut self) -> Result<bool, Error> {
        self.begin(TransactionMode::Write)?;
        match self.free_pages() {
            Ok(more) => {
                self.commit()?;
                Ok(more)
            }
            Err(error) => {
                self.rollback()?;
                Err(error.into())
            }
        }
    }

    /// Makes all indexes anew from their tables, in one transaction.
    ///
    /// # Errors
    ///
    /// As [`incremental_vacuum`](Self::incremental_vacuum); [`ErrorCode::Corrupt`] if a table
    /// cannot be read, [`ErrorCode::Constraint`] if it has two rows with one key.
    pub(crate) fn rebuild_indexes(&mut self) -> Result<(), Error> {
        self.begin(TransactionMode::WriteDurable)?;
        let rebuilt = {
            let _granted = self.permission.grant();
            self.connection.execute_batch("REINDEX")
        };
        match rebuilt {
            Ok(()) => self.commit(),
            Err(error) => {
                self.rollback()?;
                Err(error.into())
            }
        }
    }

    fn free_pages(&self) -> rusqlite::Result<bool> {
        let _granted = self.permission.grant();
        let mut statement = self
            .connection
            .prepare(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
        let mut rows = statement.raw_query();
        // Every step frees one page.
        while rows.next()?.is_some() {}
        let free: i64 = self
            .connection
            .query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
        // A file of another making may have no room for it.
        let automatic: i64 = self
            .connection
            .query_row("PRAGMA auto_vacuum", [], |row| row.get(0))?;
        Ok(free > 0 && automatic != 0)
    }

    fn run(&self, statement: &mut Statement<'_>, params: &[Value]) -> Result<u64, Error> {
        bind(statement, params)?;
        let before = self.connection.total_changes();
        let changed = statement.raw_execute()?;
        // A statement that changes no row leaves the count of the one before.
        if self.connection.total_changes() == before {
            return Ok(0);
        }
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    /// A statement of the component's.
    fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, Error> {
        self.check_open()?;
        if COMMANDS.contains(&sql.trim()) {
            return Err(failure(ErrorCode::Denied, "not authorized"));
        }
        self.screen(sql)?;
        if let Some(limits) = self.limits() {
            self.deadline.set(self.latest(limits.statement_time));
        }
        let statement = self.connection.prepare_cached(sql);
        let statement = statement.map_err(Error::of_text)?;
        if self.reading && !statement.readonly() {
            let reason = "the transaction was begun for reading only";
            return Err(failure(ErrorCode::ReadOnly, reason));
        }
        Ok(statement)
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.in_transaction() && !self.connection.is_autocommit() {
            return Ok(());
        }
        Err(misuse("the transaction was rolled back after an error"))
    }

    /// Runs one of [`COMMANDS`].
    fn command(&self, sql: &'static str) -> rusqlite::Result<()> {
        let _granted = self.permission.grant();
        self.connection.prepare_cached(sql)?.execute(())?;
        Ok(())
    }
}

fn bind(statement: &mut Statement<'_>, params: &[Value]) -> Result<(), Error> {
    if statement.parameter_count() != params.len() {
        return Err(misuse(format!(
            "the statement has {} parameters, {} were given",
            statement.parameter_count(),
            params.len()
        )));
    }
    for (index, value) in params.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, Bound(value))?;
    }
    Ok(())
}

/// Why a commit failed. If flushing the log failed after it was written, nobody can tell
/// whether the transaction survives.
fn of_commit(error: rusqlite::Error) -> Error {
    let error = Error::from(error);
    match error.extended_code {
        ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC => Error {
            code: ErrorCode::OutcomeUnknown,
            ..error
        },
        _ => error,
    }
}

fn reading_only() -> Error {
    failure(ErrorCode::ReadOnly, "the database is open for reading only")
}

fn misuse(message: impl Into<String>) -> Error {
    failure(ErrorCode::Misuse, message)
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::sqlite::screen;
    use crate::sqlite::{DatabaseFile, Settings};
    use crate::testing::Directory;

    fn memory() -> SqliteConnection {
        let mut sqlite = SqliteConnection::memory(&Settings::default()).unwrap();
        sqlite.begin(TransactionMode::Write).unwrap();
        sqlite
            .execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b)", &[])
            .unwrap();
        sqlite.commit().unwrap();
        sqlite
    }

    /// The host's own statement was in the cache, where the authorizer is not asked.
    #[test]
    fn a_statement_of_the_host_is_not_the_components() {
        let mut sqlite = memory();
        assert!(sqlite.has_changed().unwrap());
        sqlite.begin(TransactionMode::Read).unwrap();
        for sql in [
            DATA_VERSION,
            " PRAGMA data_version\n",
            "pragma data_version",
        ] {
            let error = sqlite.query(sql, &[]).unwrap_err();
            assert_eq!(error.code, ErrorCode::Denied, "{sql}");
        }
    }

    /// Many indexes of a column that is long keep as many copies of it.
    #[test]
    fn a_table_has_few_indexes_if_the_component_is_not_trusted() {
        let settings = Settings {
            limits: Some(crate::Limits::default()),
            ..Settings::default()
        };
        let mut sqlite = SqliteConnection::memory(&settings).unwrap();
        sqlite.begin(TransactionMode::Write).unwrap();
        sqlite.execute("CREATE TABLE t (a)", &[]).unwrap();
        for index in 0..screen::INDEXES {
            let sql = format!("CREATE INDEX i{index} ON t (a)");
            sqlite.execute(&sql, &[]).unwrap();
        }
        let error = sqlite.execute("CREATE INDEX i ON t (a)", &[]).unwrap_err();
        assert_eq!(error.code, ErrorCode::Denied);
    }

    /// A connection that can write reads like one that cannot.
    #[test]
    fn a_transaction_that_reads_does_not_write() {
        let mut sqlite = memory();
        for sql in [
            "INSERT INTO t VALUES (1, 2)",
            "CREATE TABLE u (a)",
            "PRAGMA user_version = 9",
        ] {
            sqlite.begin(TransactionMode::Read).unwrap();
            let error = sqlite.execute(sql, &[]).unwrap_err();
            assert_eq!(error.code, ErrorCode::ReadOnly, "{sql}");
            sqlite.rollback().unwrap();
            sqlite.begin(TransactionMode::Write).unwrap();
            sqlite.execute(sql, &[]).unwrap();
            sqlite.rollback().unwrap();
        }
        assert_eq!(count(&mut sqlite), 0);
    }

    /// SQLite compiled such a statement anew whenever it ran, because it asked for the
    /// value of the bound limit while it planned.
    #[test]
    fn a_statement_with_a_bound_limit_is_compiled_once() {
        let mut sqlite = memory();
        sqlite.begin(TransactionMode::Write).unwrap();
        let sql = "SELECT a FROM t WHERE a > ?1 ORDER BY a LIMIT ?2";
        for limit in 1..5 {
            let params = [Value::Integer(0), Value::Integer(limit)];
            sqlite.query(sql, &params).unwrap();
        }
        let statement = sqlite.prepare(sql).unwrap();
        assert_eq!(statement.get_status(StatementStatus::Run), 4);
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }

    fn count(sqlite: &mut SqliteConnection) -> i64 {
        sqlite.begin(TransactionMode::Read).unwrap();
        let rows = sqlite.query("SELECT count(*) FROM t", &[]).unwrap();
        sqlite.rollback().unwrap();
        i64::from_le_bytes(rows.cells[1..9].try_into().unwrap())
    }

    fn write(sqlite: &mut SqliteConnection, sql: &str) {
        sqlite.begin(TransactionMode::Write).unwrap();
        sqlite.execute(sql, &[]).unwrap();
        sqlite.commit().unwrap();
    }

    fn file(path: &std::path::Path, busy_timeout: Duration) -> SqliteConnection {
        let settings = Settings {
            busy_timeout,
            ..Settings::default()
        };
        let file = Arc::new(DatabaseFile::create(path).unwrap());
        let mut sqlite = SqliteConnection::open(&file, Role::Writer, &settings).unwrap();
        sqlite.convert_to_wal().unwrap();
        sqlite.accept().unwrap();
        sqlite
    }

    #[test]
    fn a_pinned_connection_reads_one_snapshot_and_writes_nothing() {
        let directory = Directory::new();
        let path = directory.path("a.db");
        let mut writer = file(&path, Duration::from_secs(1));
        write(&mut writer, "CREATE TABLE t (a)");
        let file = Arc::new(DatabaseFile::existing(&path).unwrap());
        let settings = Settings::default();
        for role in [Role::Reader, Role::Writer] {
            let mut pinned = SqliteConnection::open(&file, role, &settings).unwrap();
            pinned.accept().unwrap();
            let before = count(&mut pinned);
            pinned.pin().unwrap();
            assert_eq!(pinned.pin().unwrap_err().code, ErrorCode::Misuse);
            write(&mut writer, "INSERT INTO t VALUES (1)");
            assert_eq!(count(&mut pinned), before);
            for mode in [TransactionMode::Write, TransactionMode::WriteDurable] {
                assert_eq!(pinned.begin(mode).unwrap_err().code, ErrorCode::ReadOnly);
            }
            pinned.begin(TransactionMode::Read).unwrap();
            let second = pinned.begin(TransactionMode::Read).unwrap_err();
            assert_eq!(second.code, ErrorCode::Misuse);
            let error = pinned.execute("DELETE FROM t", &[]).unwrap_err();
            assert_eq!(error.code, ErrorCode::ReadOnly);
            pinned.commit().unwrap();
            let outside = pinned.query("SELECT a FROM t", &[]).unwrap_err();
            assert_eq!(outside.code, ErrorCode::Misuse);
            write(&mut writer, "INSERT INTO t VALUES (2)");
            assert_eq!(count(&mut pinned), before);
            pinned.tidy();
            drop(pinned);
            assert_eq!(count(&mut writer), before + 2);
        }
    }

    #[test]
    fn a_log_that_was_not_flushed_may_be_durable() {
        let of_code = |code| {
            let error = ffi::Error::new(code);
            of_commit(rusqlite::Error::SqliteFailure(error, None)).code
        };
        assert_eq!(of_code(ffi::SQLITE_IOERR_FSYNC), ErrorCode::OutcomeUnknown);
        assert_eq!(of_code(ffi::SQLITE_IOERR_WRITE), ErrorCode::Io);
        assert_eq!(of_code(ffi::SQLITE_FULL), ErrorCode::Full);
    }

    #[test]
    fn a_snapshot_is_kept_until_it_is_released() {
        let directory = Directory::new();
        let path = directory.path("a.db");
        let mut writer = file(&path, Duration::from_secs(1));
        write(&mut writer, "CREATE TABLE t (a)");
        let mut other = file(&path, Duration::from_secs(1));
        other.keep_snapshot();
        assert_eq!(count(&mut other), 0);
        write(&mut writer, "INSERT INTO t VALUES (1)");
        assert_eq!(count(&mut other), 0);
        let refused = other.begin(TransactionMode::Write).unwrap_err();
        assert_eq!(refused.code, ErrorCode::ReadOnly);
        other.release_snapshot().unwrap();
        assert_eq!(count(&mut other), 1);
        write(&mut other, "INSERT INTO t VALUES (2)");
        assert_eq!(count(&mut writer), 2);
    }

    #[test]
    fn a_transaction_is_all_or_nothing() {
        let mut sqlite = memory();
        sqlite.begin(TransactionMode::Write).unwrap();
        sqlite
            .execute("INSERT INTO t VALUES (1, 'x')", &[])
            .unwrap();
        sqlite.rollback().unwrap();
        assert_eq!(count(&mut sqlite), 0);

        sqlite.begin(TransactionMode::WriteDurable).unwrap();
        let rows = [[Value::Integer(1)], [Value::Integer(2)]].map(Vec::from);
        let changed = sqlite.execute_many("INSERT INTO t (a) VALUES (?1)", &rows);
        assert_eq!(changed.unwrap(), 2);
        sqlite.commit().unwrap();
        assert_eq!(count(&mut sqlite), 2);
    }

    #[test]
    fn a_second_transaction_is_misuse() {
        let mut sqlite = memory();
        sqlite.begin(TransactionMode::Read).unwrap();
        for mode in [TransactionMode::Read, TransactionMode::Write] {
            assert_eq!(sqlite.begin(mode).unwrap_err().code, ErrorCode::Misuse);
        }
    }

    #[test]
    fn the_rules_of_the_interface_are_misuse() {
        let mut sqlite = memory();
        let outside = sqlite.execute("DELETE FROM t", &[]).unwrap_err();
        assert_eq!(outside.code, ErrorCode::Misuse);
        assert_eq!(sqlite.commit().unwrap_err().code, ErrorCode::Misuse);
        sqlite.begin(TransactionMode::Write).unwrap();
        for (sql, params) in [
            ("DELETE FROM t; DELETE FROM t", vec![]),
            ("DELETE FROM t WHERE a = ?1", vec![]),
            ("DELETE FROM t", vec![Value::Null]),
            ("SELECT 1", vec![]),
            ("", vec![]),
        ] {
            let error = sqlite.execute(sql, &params).unwrap_err();
            assert_eq!(error.code, ErrorCode::Misuse, "{sql}: {}", error.message);
        }
    }

    /// The host's own commands must not be found in the statement cache.
    #[test]
    fn the_hosts_commands_stay_denied_after_the_host_used_them() {
        let mut sqlite = memory();
        sqlite.begin(TransactionMode::Write).unwrap();
        for sql in [
            "COMMIT",
            "ROLLBACK",
            "BEGIN IMMEDIATE",
            "PRAGMA synchronous = NORMAL",
        ] {
            let error = sqlite.execute(sql, &[]).unwrap_err();
            assert_eq!(error.code, ErrorCode::Denied, "{sql}");
        }
        assert!(sqlite.in_transaction());
    }

    #[test]
    fn only_changed_rows_are_counted() {
        let mut sqlite = memory();
        sqlite.begin(TransactionMode::Write).unwrap();
        let insert = "INSERT INTO t (a) VALUES (?1)";
        assert_eq!(sqlite.execute(insert, &[Value::Integer(1)]).unwrap(), 1);
        assert_eq!(sqlite.execute("PRAGMA user_version = 3", &[]).unwrap(), 0);
        assert_eq!(sqlite.execute("CREATE TABLE u (a)", &[]).unwrap(), 0);
        assert_eq!(sqlite.execute("DELETE FROM t WHERE a = 9", &[]).unwrap(), 0);
    }

    #[test]
    fn values_come_back_as_they_were_bound() {
        let mut sqlite = memory();
        sqlite.begin(TransactionMode::Read).unwrap();
        let rows = sqlite
            .query(
                "SELECT ?1, ?2, ?3, ?4, ?5",
                &[
                    Value::Null,
                    Value::Integer(i64::MIN),
                    Value::Real(0.5),
                    Value::Text("a\0b".to_owned()),
                    Value::Blob(vec![]),
                ],
            )
            .unwrap();
        let mut expected = vec![0, 1];
        expected.extend(i64::MIN.to_le_bytes());
        expected.push(2);
        expected.extend(0.5_f64.to_le_bytes());
        expected.extend(b"\x03\x03\0\0\0a\0b\x04\0\0\0\0");
        assert_eq!((rows.count, rows.cells), (1, expected));
    }

    #[test]
    fn a_result_that_is_too_big_is_refused() {
        let settings = Settings {
            result_bytes: 100,
            ..Settings::default()
        };
        let mut sqlite = SqliteConnection::memory(&settings).unwrap();
        sqlite.begin(TransactionMode::Read).unwrap();
        let endless =
            "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r";
        assert_eq!(
            sqlite.query(endless, &[]).unwrap_err().code,
            ErrorCode::TooBig
        );
    }

    #[test]
    fn a_query_without_end_is_interrupted() {
        let mut sqlite = memory();
        sqlite.begin(TransactionMode::Read).unwrap();
        sqlite
            .deadline
            .set(Some(Instant::now() + Duration::from_millis(50)));
        let endless =
            "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n FROM r) SELECT count(*) FROM r";
        let error = sqlite.query(endless, &[]).unwrap_err();
        assert_eq!(error.code, ErrorCode::Interrupted);
    }

    /// SQLite may roll back by itself, for example when the disk is full. What
    /// the component then still does must not be committed one by one.
    #[test]
    fn after_a_rollback_by_sqlite_no_statement_runs() {
        let mut sqlite = memory();
        sqlite.begin(TransactionMode::Write).unwrap();
        let insert = "INSERT OR ROLLBACK INTO t (a) VALUES (1)";
        sqlite.execute(insert, &[]).unwrap();
        let error = sqlite.execute(insert, &[]).unwrap_err();
        assert_eq!(error.code, ErrorCode::Constraint);
        assert!(!sqlite.in_transaction());
        let error = sqlite.execute(insert, &[]).unwrap_err();
        assert_eq!(error.code, ErrorCode::Misuse);
        assert_eq!(sqlite.commit().unwrap_err().code, ErrorCode::Misuse);
        assert_eq!(count(&mut sqlite), 0);
    }

    /// The same within one call of `execute-many`, which runs many statements.
    #[test]
    fn after_a_rollback_by_sqlite_the_rows_that_follow_are_not_stored() {
        let mut sqlite = memory();
        sqlite.begin(TransactionMode::Write).unwrap();
        let rows = [1, 1, 2].map(|a| vec![Value::Integer(a)]);
        let insert = "INSERT OR ROLLBACK INTO t (a) VALUES (?1)";
        assert!(sqlite.execute_many(insert, &rows).is_err());
        assert_eq!(count(&mut sqlite), 0);
    }

    #[test]
    fn a_full_database_is_told_and_nothing_is_stored() {
        let mut sqlite = memory();
        {
            let _granted = sqlite.permission.grant();
            // Returns the new limit, so that it is no command.
            let sql = "PRAGMA max_page_count = 4";
            sqlite.connection.query_row(sql, [], |_| Ok(())).unwrap();
        }
        sqlite.begin(TransactionMode::Write).unwrap();
        let rows = vec![vec![Value::Blob(vec![0; 4000])]; 10];
        let insert = "INSERT INTO t (b) VALUES (?1)";
        let error = sqlite.execute_many(insert, &rows).unwrap_err();
        assert_eq!(error.code, ErrorCode::Full);
        sqlite.rollback().unwrap();
        assert_eq!(count(&mut sqlite), 0);
    }

    #[test]
    fn a_writer_waits_for_the_lock_and_gives_up_at_the_timeout() {
        let directory = Directory::new();
        let path = directory.path("a.db");
        let mut sqlite = file(&path, Duration::from_millis(50));
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();

        let started = Instant::now();
        let error = sqlite.begin(TransactionMode::Write).unwrap_err();
        assert_eq!(error.code, ErrorCode::Busy);
        assert!(started.elapsed() >= Duration::from_millis(50));

        // A reader does not wait.
        sqlite.begin(TransactionMode::Read).unwrap();
        sqlite.rollback().unwrap();

        let mut sqlite = file(&path, Duration::from_secs(60));
        let release = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            other.execute_batch("COMMIT").unwrap();
        });
        sqlite.begin(TransactionMode::Write).unwrap();
        release.join().unwrap();
        sqlite.commit().unwrap();
    }

    #[test]
    fn durability_is_chosen_by_transaction_and_by_setting() {
        let synchronous = |durable, mode| {
            let settings = Settings {
                durable,
                ..Settings::default()
            };
            let mut sqlite = SqliteConnection::memory(&settings).unwrap();
            sqlite.begin(mode).unwrap();
            sqlite.synchronous
        };
        use Synchronous::{Full, Normal};
        assert_eq!(synchronous(true, TransactionMode::WriteDurable), Full);
        assert_eq!(synchronous(true, TransactionMode::Write), Normal);
        assert_eq!(synchronous(false, TransactionMode::WriteDurable), Normal);
    }

    #[test]
    fn a_long_log_is_copied_when_it_is_asked_for_and_then_begins_anew() {
        let directory = Directory::new();
        let path = directory.path("a.db");
        let length = |name: &str| std::fs::metadata(directory.path(name)).unwrap().len();
        let mut sqlite = file(&path, Duration::from_secs(1));
        sqlite.begin(TransactionMode::Write).unwrap();
        sqlite
            .execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b)", &[])
            .unwrap();
        sqlite.commit().unwrap();
        let before = length("a.db");
        let fill = |sqlite: &mut SqliteConnection, pages| {
            sqlite.begin(TransactionMode::Write).unwrap();
            let rows = vec![vec![Value::Blob(vec![1; 4000])]; pages];
            sqlite
                .execute_many("INSERT INTO t (b) VALUES (?1)", &rows)
                .unwrap();
            sqlite.commit().unwrap();
        };
        // Not by the commit, and not while it is short.
        fill(&mut sqlite, 700);
        sqlite.tidy();
        fill(&mut sqlite, 700);
        assert_eq!(length("a.db"), before);
        sqlite.tidy();
        let copied = length("a.db");
        assert!(copied > 1400 * 4000, "{copied}");

        // The file of the log is cut, so that its length tells again.
        let long = length("a.db-wal");
        fill(&mut sqlite, 1);
        assert!(length("a.db-wal") < long);
        sqlite.tidy();
        assert_eq!(length("a.db"), copied);
        fill(&mut sqlite, 1400);
        sqlite.tidy();
        assert!(length("a.db") > copied + 1400 * 4000);
        drop(sqlite);
        assert!(!directory.path("a.db-wal").exists());
    }

    #[test]
    fn free_pages_are_given_back() {
        let directory = Directory::new();
        let path = directory.path("a.db");
        let file = Arc::new(DatabaseFile::create(&path).unwrap());
        let mut sqlite = SqliteConnection::open(&file, Role::Writer, &Settings::default()).unwrap();
        sqlite.prepare_empty().unwrap();
        sqlite.convert_to_wal().unwrap();
        sqlite.accept().unwrap();
        sqlite.begin(TransactionMode::Write).unwrap();
        sqlite.execute("CREATE TABLE t (b)", &[]).unwrap();
        let rows = vec![vec![Value::Blob(vec![1; 4000])]; 100];
        sqlite
            .execute_many("INSERT INTO t (b) VALUES (?1)", &rows)
            .unwrap();
        sqlite.execute("DELETE FROM t", &[]).unwrap();
        sqlite.commit().unwrap();
        while sqlite.incremental_vacuum().unwrap() {}
        let pages: i64 = {
            let _granted = sqlite.permission.grant();
            let sql = "PRAGMA page_count";
            sqlite
                .connection
                .query_row(sql, [], |row| row.get(0))
                .unwrap()
        };
        assert!(pages < 10, "{pages}");
    }
}
