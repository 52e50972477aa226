//! The imports of the component, on the host that can be broken.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{CachedStatement, ErrorCode as Sqlite};
use wasmtime::component::Resource;

use super::values::{Param, pack};
use super::{Mutant, Mutation};
use bindings::lash::store::sqlite::{
    Database, Error, ErrorCode, Host, HostDatabase, HostTransaction, Rows, Transaction,
    TransactionMode, Value,
};
use bindings::wasi::clocks::wall_clock::{self, Datetime};
use bindings::wasi::random::random;

/// What wasmtime generates from `wit/`.
#[allow(unused_qualifications)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "host-conformance",
        imports: { default: trappable },
    });
}

type Answer<T> = wasmtime::Result<Result<T, Error>>;

impl Mutant {
    fn begin(&mut self, mode: TransactionMode) -> Result<u32, Error> {
        if self.open {
            if self.is(Mutation::SecondBeginWorks) {
                return Ok(self.transaction);
            }
            return Err(misuse("a transaction is open already"));
        }
        self.begun += 1;
        if self.begun > 1 && self.is(Mutation::OneTransactionPerCall) {
            return Err(misuse("a call has one transaction"));
        }
        let reading = mode == TransactionMode::Read;
        let begin = match reading {
            true if self.is(Mutation::ReadHasNoTransaction) => "SELECT 1",
            true if self.is(Mutation::ReadBeginsImmediate) => "BEGIN IMMEDIATE",
            true => "BEGIN",
            false if self.is(Mutation::BeginIsDeferred) => "BEGIN",
            false => "BEGIN IMMEDIATE",
        };
        self.command(begin).map_err(|error| {
            let mut error = Error::from(error);
            if self.is(Mutation::BusyIsOther) {
                error.code = ErrorCode::Other;
            }
            error
        })?;
        self.transaction += 1;
        self.open = true;
        self.mode = mode;
        Ok(self.transaction)
    }

    fn check(&self, transaction: &Resource<Transaction>) -> Result<(), Error> {
        let stale = transaction.rep() != self.transaction && !self.is(Mutation::StaleHandlesWork);
        let ended = self.connection.is_autocommit()
            && !self.is(Mutation::RunsOutsideOfTransaction)
            && !self.is(Mutation::ReadHasNoTransaction);
        if stale || ended || !self.open {
            return Err(misuse("the transaction has ended"));
        }
        Ok(())
    }

    fn prepare(
        &self,
        transaction: &Resource<Transaction>,
        sql: &str,
    ) -> Result<CachedStatement<'_>, Error> {
        self.check(transaction)?;
        if self.is(Mutation::NoUpsert) && sql.contains("ON CONFLICT") {
            return Err(misuse("unknown to this version"));
        }
        let sql = match sql.split_once(';') {
            Some((first, _)) if self.is(Mutation::RunsFirstStatement) => first,
            _ => sql,
        };
        let statement = self.connection.prepare_cached(sql)?;
        let reading = self.mode == TransactionMode::Read && !self.is(Mutation::ReadMayWrite);
        if reading && !statement.readonly() {
            return Err(error(ErrorCode::ReadOnly, "for reading only"));
        }
        Ok(statement)
    }

    fn bind(&self, statement: &mut CachedStatement<'_>, params: &[Value]) -> Result<(), Error> {
        let wanted = statement.parameter_count();
        if wanted != params.len() && !self.is(Mutation::MissingParametersAreNull) {
            return Err(misuse("the number of parameters is wrong"));
        }
        for (index, value) in params.iter().take(wanted).enumerate() {
            let position = match self.is(Mutation::ParametersAreReversed) {
                true => wanted - index,
                false => index + 1,
            };
            let param = Param {
                value,
                mutation: self.mutation,
            };
            statement.raw_bind_parameter(position, param)?;
        }
        Ok(())
    }

    fn run(&self, statement: &mut CachedStatement<'_>, params: &[Value]) -> Result<u64, Error> {
        self.bind(statement, params)?;
        if self.is(Mutation::ExecuteMayReturnRows) && statement.column_count() > 0 {
            return Ok(0);
        }
        let before = self.connection.total_changes();
        let changed = statement.raw_execute()?;
        if self.connection.total_changes() == before && !self.is(Mutation::StaleChanges) {
            return Ok(0);
        }
        Ok(changed as u64)
    }

    fn answer<T>(&mut self, params: &[Value], result: Result<T, Error>) -> Answer<T> {
        let Err(mut error) = result else {
            return Ok(result);
        };
        if error.extended_code != 0 {
            match self.mutation {
                Some(Mutation::ErrorsAreOther) => error.code = ErrorCode::Other,
                Some(Mutation::ErrorsAreConstraint) => error.code = ErrorCode::Constraint,
                Some(Mutation::MessageHasParameters) => error.message += &format!("{params:?}"),
                Some(Mutation::FailureRollsBack) => self.roll_back()?,
                _ => {}
            }
        }
        Ok(Err(error))
    }
}

impl Host for Mutant {}

impl HostDatabase for Mutant {
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

impl HostTransaction for Mutant {
    fn execute(
        &mut self,
        this: Resource<Transaction>,
        sql: String,
        params: Vec<Value>,
    ) -> Answer<u64> {
        let changed = self
            .prepare(&this, &sql)
            .and_then(|mut statement| self.run(&mut statement, &params));
        self.answer(&params, changed)
    }

    fn execute_many(
        &mut self,
        this: Resource<Transaction>,
        sql: String,
        rows: Vec<Vec<Value>>,
    ) -> Answer<u64> {
        let result = self.prepare(&this, &sql).and_then(|mut statement| {
            let mut changed = 0;
            let mut failed = None;
            for params in &rows {
                match self.run(&mut statement, params) {
                    Ok(more) => changed += more,
                    Err(error) if self.is(Mutation::ManyGoesOn) => failed = Some(error),
                    Err(error) => return Err(error),
                }
                if self.is(Mutation::ManyRunsOnce) {
                    break;
                }
            }
            failed.map_or(Ok(changed), Err)
        });
        self.answer(&[], result)
    }

    fn query(
        &mut self,
        this: Resource<Transaction>,
        sql: String,
        params: Vec<Value>,
    ) -> Answer<Rows> {
        let mut answer = Rows {
            count: 0,
            cells: Vec::new(),
        };
        if self.is(Mutation::AllowsExtensions) && sql.contains("load_extension") {
            return Ok(Ok(answer));
        }
        let result = (|| {
            let mut statement = self.prepare(&this, &sql)?;
            self.bind(&mut statement, &params)?;
            let mut names: Vec<String> = Vec::new();
            let mut columns = Vec::new();
            for (index, name) in statement.column_names().enumerate() {
                if !self.is(Mutation::ColumnsAreByName) || !names.iter().any(|known| known == name)
                {
                    columns.push(index);
                }
                names.push(name.to_owned());
            }
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                if answer.count == 1000 && self.is(Mutation::RowsAreLimited) {
                    break;
                }
                answer.count += 1;
                for &column in &columns {
                    pack(self.mutation, &mut answer.cells, row.get_ref(column)?);
                }
            }
            Ok(answer)
        })();
        self.answer(&params, result)
    }

    fn commit(&mut self, this: Resource<Transaction>) -> Answer<()> {
        let result = self.check(&this).and_then(|()| {
            let rolls_back = self.is(Mutation::CommitRollsBack)
                || self.mode == TransactionMode::WriteDurable
                    && self.is(Mutation::DurableCommitRollsBack);
            let command = match rolls_back {
                true => "ROLLBACK",
                false if self.connection.is_autocommit() => return Ok(()),
                false => "COMMIT",
            };
            Ok(self.command(command)?)
        });
        // A handle that is stale has no transaction to roll back.
        if result.is_ok() || this.rep() == self.transaction {
            self.open = false;
            if !self.is(Mutation::FailedCommitStaysOpen) {
                self.roll_back()?;
            }
        }
        self.answer(&[], result)
    }

    fn drop(&mut self, this: Resource<Transaction>) -> wasmtime::Result<()> {
        if this.rep() == self.transaction && !self.is(Mutation::DropLeavesOpen) {
            self.roll_back()?;
        }
        Ok(())
    }
}

impl wall_clock::Host for Mutant {
    fn now(&mut self) -> wasmtime::Result<Datetime> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        Ok(Datetime {
            seconds: match self.is(Mutation::ClockCountsMilliseconds) {
                true => now.as_millis() as u64,
                false => now.as_secs(),
            },
            nanoseconds: now.subsec_nanos(),
        })
    }
}

impl random::Host for Mutant {
    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        use std::hash::{BuildHasher, RandomState};
        Ok(match self.is(Mutation::RandomIsConstant) {
            true => 4,
            false => RandomState::new().hash_one(()),
        })
    }
}

fn error(code: ErrorCode, message: &str) -> Error {
    Error {
        code,
        extended_code: 0,
        message: message.to_owned(),
    }
}

fn misuse(message: &str) -> Error {
    error(ErrorCode::Misuse, message)
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let cause = match &error {
            rusqlite::Error::SqliteFailure(cause, _) => cause,
            rusqlite::Error::SqlInputError { error: cause, .. } => cause,
            _ => return misuse(&error.to_string()),
        };
        Self {
            code: match cause.code {
                Sqlite::DatabaseBusy => ErrorCode::Busy,
                Sqlite::ConstraintViolation => ErrorCode::Constraint,
                Sqlite::AuthorizationForStatementDenied => ErrorCode::Denied,
                Sqlite::ApiMisuse => ErrorCode::Misuse,
                _ => ErrorCode::Other,
            },
            extended_code: cause.extended_code,
            message: cause.to_string(),
        }
    }
}
