//! What the component imports: SQLite, a clock and random numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode as Sqlite};
use wasmtime::component::Resource;

/// What wasmtime generates from `wit/`.
#[allow(missing_docs, unreachable_pub)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "../../../wit",
        world: "store",
        imports: { default: trappable },
    });
}

use bindings::lash::store::sqlite::{
    Database, Error, ErrorCode, Host as SqliteHost, HostDatabase, HostTransaction, Rows,
    Transaction, TransactionMode, Value,
};
use bindings::lash::store::{
    effect_types, format_types, host_event_types, process_types, session_types, types,
};
use bindings::wasi::clocks::wall_clock::{self, Datetime};
use bindings::wasi::random::random;

type Answer<T> = wasmtime::Result<Result<T, Error>>;

/// One connection, lent to one call at a time.
pub struct Imports {
    connection: Connection,
    trusted: Arc<AtomicBool>,
    /// The number of the open transaction. A handle of another one is stale.
    transaction: u32,
    /// Whether the open transaction may only read.
    reading: bool,
    /// Shown to the component instead of the time, for tests.
    pub now: Option<Duration>,
}

impl Imports {
    /// Sets on a connection what `wit/sqlite.wit` asks for.
    pub fn new(mut connection: Connection, busy_timeout: Duration) -> rusqlite::Result<Self> {
        connection.busy_timeout(busy_timeout)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        let trusted = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&trusted);
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            if asked.load(Ordering::Relaxed) || allowed(&context.action) {
                Authorization::Allow
            } else {
                Authorization::Deny
            }
        }))?;
        Ok(Self {
            connection,
            trusted,
            transaction: 0,
            reading: false,
            now: None,
        })
    }

    /// Puts the file into WAL mode, which takes no lock if it is in it already.
    pub fn use_wal(&self) -> rusqlite::Result<()> {
        self.command("PRAGMA journal_mode = WAL")
    }

    /// Rolls back what a call left open.
    pub fn end_call(&mut self) -> rusqlite::Result<()> {
        self.transaction = self.transaction.wrapping_add(1);
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.command("ROLLBACK")
    }

    /// Runs a statement of the host's own. It is not cached, so that the component
    /// cannot find it compiled.
    fn command(&self, sql: &str) -> rusqlite::Result<()> {
        self.trusted.store(true, Ordering::Relaxed);
        let result = self.connection.execute_batch(sql);
        self.trusted.store(false, Ordering::Relaxed);
        result
    }

    fn begin(&mut self, mode: TransactionMode) -> Result<u32, Error> {
        if !self.connection.is_autocommit() {
            return Err(misuse("a transaction is open already"));
        }
        self.command(match mode {
            TransactionMode::Read => "BEGIN",
            TransactionMode::Write => "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE",
            TransactionMode::WriteDurable => "PRAGMA synchronous = FULL; BEGIN IMMEDIATE",
        })?;
        self.reading = mode == TransactionMode::Read;
        self.transaction = self.transaction.wrapping_add(1);
        Ok(self.transaction)
    }

    fn check(&self, transaction: &Resource<Transaction>) -> Result<(), Error> {
        if transaction.rep() == self.transaction && !self.connection.is_autocommit() {
            return Ok(());
        }
        Err(misuse("the transaction has ended"))
    }

    fn prepare(
        &self,
        transaction: &Resource<Transaction>,
        sql: &str,
    ) -> Result<CachedStatement<'_>, Error> {
        self.check(transaction)?;
        let statement = self.connection.prepare_cached(sql)?;
        if self.reading && !statement.readonly() {
            return Err(failure(ErrorCode::ReadOnly, "the transaction only reads"));
        }
        Ok(statement)
    }

    fn run(&self, statement: &mut CachedStatement<'_>, params: &[Value]) -> Result<u64, Error> {
        bind(statement, params)?;
        let before = self.connection.total_changes();
        let changed = statement.raw_execute()?;
        // A statement that changes nothing leaves the count of the one before.
        let any = self.connection.total_changes() != before;
        Ok(if any { changed as u64 } else { 0 })
    }
}

impl SqliteHost for Imports {}
impl types::Host for Imports {}
impl format_types::Host for Imports {}
impl session_types::Host for Imports {}
impl process_types::Host for Imports {}
impl host_event_types::Host for Imports {}
impl effect_types::Host for Imports {}

impl HostDatabase for Imports {
    fn begin(
        &mut self,
        _: Resource<Database>,
        mode: TransactionMode,
    ) -> Answer<Resource<Transaction>> {
        Ok(self.begin(mode).map(Resource::new_own))
    }

    fn drop(&mut self, _: Resource<Database>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl HostTransaction for Imports {
    fn execute(
        &mut self,
        this: Resource<Transaction>,
        sql: String,
        params: Vec<Value>,
    ) -> Answer<u64> {
        Ok((|| self.run(&mut self.prepare(&this, &sql)?, &params))())
    }

    fn execute_many(
        &mut self,
        this: Resource<Transaction>,
        sql: String,
        rows: Vec<Vec<Value>>,
    ) -> Answer<u64> {
        Ok((|| {
            let mut statement = self.prepare(&this, &sql)?;
            rows.iter().try_fold(0, |changed, params| {
                Ok(changed + self.run(&mut statement, params)?)
            })
        })())
    }

    fn query(
        &mut self,
        this: Resource<Transaction>,
        sql: String,
        params: Vec<Value>,
    ) -> Answer<Rows> {
        Ok((|| {
            let mut statement = self.prepare(&this, &sql)?;
            bind(&mut statement, &params)?;
            let columns = statement.column_count();
            let mut answer = Rows {
                count: 0,
                cells: Vec::new(),
            };
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                answer.count += 1;
                for column in 0..columns {
                    pack(&mut answer.cells, row.get_ref(column)?);
                }
            }
            Ok(answer)
        })())
    }

    fn commit(&mut self, this: Resource<Transaction>) -> Answer<()> {
        if let Err(error) = self.check(&this) {
            return Ok(Err(error));
        }
        let result = self.command("COMMIT");
        self.end_call()?;
        Ok(result.map_err(Error::from))
    }

    fn drop(&mut self, this: Resource<Transaction>) -> wasmtime::Result<()> {
        if this.rep() == self.transaction {
            self.end_call()?;
        }
        Ok(())
    }
}

impl wall_clock::Host for Imports {
    fn now(&mut self) -> wasmtime::Result<Datetime> {
        let now = match self.now {
            Some(now) => now,
            None => SystemTime::now().duration_since(UNIX_EPOCH)?,
        };
        Ok(Datetime {
            seconds: now.as_secs(),
            nanoseconds: now.subsec_nanos(),
        })
    }
}

impl random::Host for Imports {
    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        getrandom::u64().map_err(|error| wasmtime::Error::msg(error.to_string()))
    }
}

/// Transactions are the host's, and so is everything beyond the tables.
fn allowed(action: &AuthAction<'_>) -> bool {
    match action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Insert { .. }
        | AuthAction::Update { .. }
        | AuthAction::Delete { .. }
        | AuthAction::CreateTable { .. }
        | AuthAction::CreateIndex { .. }
        | AuthAction::Reindex { .. }
        | AuthAction::Recursive => true,
        AuthAction::Function { function_name } => *function_name != "load_extension",
        AuthAction::Pragma { pragma_name, .. } => {
            matches!(*pragma_name, "application_id" | "user_version")
        }
        _ => false,
    }
}

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

fn bind(statement: &mut CachedStatement<'_>, params: &[Value]) -> Result<(), Error> {
    if statement.parameter_count() != params.len() {
        return Err(misuse("the number of parameters is wrong"));
    }
    for (index, value) in params.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, Bound(value))?;
    }
    Ok(())
}

fn pack(cells: &mut Vec<u8>, value: ValueRef<'_>) {
    let mut put = |tag: u8, parts: [&[u8]; 2]| {
        cells.push(tag);
        parts.iter().for_each(|part| cells.extend_from_slice(part));
    };
    match value {
        ValueRef::Null => put(0, [&[], &[]]),
        ValueRef::Integer(value) => put(1, [&value.to_le_bytes(), &[]]),
        ValueRef::Real(value) => put(2, [&value.to_le_bytes(), &[]]),
        // SQLite holds no value of 2 GiB or more.
        ValueRef::Text(value) => put(3, [&(value.len() as u32).to_le_bytes(), value]),
        ValueRef::Blob(value) => put(4, [&(value.len() as u32).to_le_bytes(), value]),
    }
}

fn misuse(message: &str) -> Error {
    failure(ErrorCode::Misuse, message)
}

fn failure(code: ErrorCode, message: &str) -> Error {
    Error {
        code,
        extended_code: 0,
        message: message.to_owned(),
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let (cause, message) = match &error {
            rusqlite::Error::SqliteFailure(cause, message) => (cause, message.as_ref()),
            rusqlite::Error::SqlInputError { error, msg, .. } => (error, Some(msg)),
            _ => return misuse(&error.to_string()),
        };
        Self {
            code: match cause.code {
                Sqlite::DatabaseBusy | Sqlite::DatabaseLocked => ErrorCode::Busy,
                Sqlite::ReadOnly => ErrorCode::ReadOnly,
                Sqlite::DiskFull => ErrorCode::Full,
                Sqlite::DatabaseCorrupt => ErrorCode::Corrupt,
                Sqlite::NotADatabase => ErrorCode::NotADatabase,
                Sqlite::ConstraintViolation => ErrorCode::Constraint,
                Sqlite::TooBig => ErrorCode::TooBig,
                Sqlite::OperationInterrupted => ErrorCode::Interrupted,
                Sqlite::AuthorizationForStatementDenied => ErrorCode::Denied,
                Sqlite::SystemIoFailure | Sqlite::CannotOpen => ErrorCode::Io,
                Sqlite::ApiMisuse | Sqlite::ParameterOutOfRange => ErrorCode::Misuse,
                _ => ErrorCode::Other,
            },
            extended_code: cause.extended_code,
            message: message.cloned().unwrap_or_else(|| cause.to_string()),
        }
    }
}
