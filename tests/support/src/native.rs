//! The guest's logic compiled natively, on SQLite without a sandbox: for tests of
//! the logic by itself, and as the control of benchmarks.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use lash_wasm_store_guest::bindings::sqlite::{Error, ErrorCode};
use lash_wasm_store_guest::seam::{Environment, Rows, Transaction, TransactionMode, Value};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, MAIN_DB, ToSql, params_from_iter};

/// A database, the system's clock and random numbers.
pub struct NativeEnvironment {
    connection: Connection,
    counter: Cell<u64>,
    random: RandomState,
}

impl NativeEnvironment {
    /// Opens a file in WAL mode with `synchronous = NORMAL`.
    pub fn open(path: &Path) -> Self {
        let connection = Connection::open(path).expect("the file opens");
        connection
            .execute_batch(
                "PRAGMA auto_vacuum = INCREMENTAL;
                 PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = NORMAL;
                 PRAGMA foreign_keys = ON;
                 PRAGMA busy_timeout = 15000;",
            )
            .expect("settings");
        Self::on(connection)
    }

    /// Makes a database in memory.
    pub fn memory() -> Self {
        Self::on(Connection::open_in_memory().expect("a database"))
    }

    /// Makes a database in memory that is a copy of what [`image`](Self::image)
    /// answered.
    pub fn from_image(image: &[u8]) -> Self {
        let mut connection = Connection::open_in_memory().expect("a database");
        connection
            .deserialize_read_exact(MAIN_DB, image, image.len(), false)
            .expect("a copy");
        Self::on(connection)
    }

    /// The bytes of the database.
    pub fn image(&mut self) -> Vec<u8> {
        let image = self.connection.serialize(MAIN_DB);
        image.expect("an image").to_vec()
    }

    fn on(connection: Connection) -> Self {
        connection.set_prepared_statement_cache_capacity(64);
        Self {
            connection,
            counter: Cell::new(0),
            random: RandomState::new(),
        }
    }

    /// The connection, to look at tables or damage them.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl NativeEnvironment {
    /// The connection, to watch what it does.
    pub(crate) fn connection_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl Environment for NativeEnvironment {
    type Transaction<'a> = NativeTransaction<'a>;

    fn begin(&self, mode: TransactionMode) -> Result<NativeTransaction<'_>, Error> {
        let begin = match mode {
            TransactionMode::Read => "BEGIN DEFERRED",
            TransactionMode::Write | TransactionMode::WriteDurable => "BEGIN IMMEDIATE",
        };
        let mut statement = self.connection.prepare_cached(begin).map_err(error)?;
        statement.execute([]).map_err(error)?;
        Ok(NativeTransaction {
            connection: &self.connection,
            open: true,
        })
    }

    fn now_ms(&self) -> i64 {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
    }

    fn random(&self) -> u64 {
        self.counter.set(self.counter.get() + 1);
        self.random.hash_one(self.counter.get())
    }
}

/// An open transaction; dropping it rolls it back.
pub struct NativeTransaction<'a> {
    connection: &'a Connection,
    open: bool,
}

impl NativeTransaction<'_> {
    fn run(&self, sql: &str) -> Result<(), Error> {
        let mut statement = self.connection.prepare_cached(sql).map_err(error)?;
        statement.execute([]).map_err(error)?;
        Ok(())
    }
}

impl Drop for NativeTransaction<'_> {
    fn drop(&mut self) {
        if self.open {
            // Nothing is left to be rolled back if SQLite did so by itself.
            let _ = self.run("ROLLBACK");
        }
    }
}

impl Transaction for NativeTransaction<'_> {
    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64, Error> {
        let mut statement = self.connection.prepare_cached(sql).map_err(error)?;
        let changed = statement
            .execute(params_from_iter(params.iter().map(Param)))
            .map_err(error)?;
        Ok(changed as u64)
    }

    fn execute_many(&self, sql: &str, rows: &[&[Value<'_>]]) -> Result<u64, Error> {
        let mut statement = self.connection.prepare_cached(sql).map_err(error)?;
        let mut changed = 0;
        for row in rows {
            changed += statement
                .execute(params_from_iter(row.iter().map(Param)))
                .map_err(error)?;
        }
        Ok(changed as u64)
    }

    fn query(&self, sql: &str, params: &[Value<'_>]) -> Result<Rows, Error> {
        let mut statement = self.connection.prepare_cached(sql).map_err(error)?;
        let columns = statement.column_count();
        let mut rows = statement
            .query(params_from_iter(params.iter().map(Param)))
            .map_err(error)?;
        let mut packed = Rows {
            count: 0,
            cells: Vec::new(),
        };
        while let Some(row) = rows.next().map_err(error)? {
            packed.count += 1;
            for column in 0..columns {
                push(&mut packed.cells, row.get_ref(column).map_err(error)?);
            }
        }
        Ok(packed)
    }

    fn commit(mut self) -> Result<(), Error> {
        self.run("COMMIT")?;
        self.open = false;
        Ok(())
    }
}

/// A value as a parameter of a statement.
pub(crate) struct Param<'p, 'v>(pub(crate) &'p Value<'v>);

impl ToSql for Param<'_, '_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Integer(value) => ValueRef::Integer(*value),
            Value::Real(value) => ValueRef::Real(*value),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Packs a value as the WIT record `sqlite.rows` says.
fn push(cells: &mut Vec<u8>, value: ValueRef<'_>) {
    let mut sized = |tag: u8, bytes: &[u8]| {
        cells.push(tag);
        cells.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        cells.extend_from_slice(bytes);
    };
    match value {
        ValueRef::Text(text) => sized(3, text),
        ValueRef::Blob(bytes) => sized(4, bytes),
        ValueRef::Null => cells.push(0),
        ValueRef::Integer(value) => {
            cells.push(1);
            cells.extend_from_slice(&value.to_le_bytes());
        }
        ValueRef::Real(value) => {
            cells.push(2);
            cells.extend_from_slice(&value.to_le_bytes());
        }
    }
}

fn error(error: rusqlite::Error) -> Error {
    let code = match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => ErrorCode::Constraint,
        Some(rusqlite::ErrorCode::DatabaseBusy) => ErrorCode::Busy,
        Some(rusqlite::ErrorCode::DatabaseCorrupt) => ErrorCode::Corrupt,
        _ => ErrorCode::Other,
    };
    Error {
        code,
        extended_code: error
            .sqlite_error()
            .map_or(0, |failure| failure.extended_code),
        message: error.to_string(),
    }
}
