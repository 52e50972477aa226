//! Limits of statements and of the database, for a component that is not trusted.

use std::time::Instant;

use rusqlite::Connection;
use rusqlite::limits::Limit as Setting;

use super::connection::{SqliteConnection, most_indexes};
use super::error::{Error, ErrorCode, failure};
use super::screen::{self, Definition};
use crate::bindings::sqlite::Value;
use crate::limits::{Limit, Limits};

/// What SQLite bounds by itself, for every component that is not trusted: as low as its
/// makers advise, and far above what a store needs. Where SQLite was built with less,
/// that holds.
const SETTINGS: &[(Setting, usize)] = &[
    (Setting::SQLITE_LIMIT_ATTACHED, 0),
    (Setting::SQLITE_LIMIT_COLUMN, screen::COLUMNS),
    (Setting::SQLITE_LIMIT_COMPOUND_SELECT, 50),
    (Setting::SQLITE_LIMIT_EXPR_DEPTH, 100),
    (Setting::SQLITE_LIMIT_FUNCTION_ARG, 20),
    (Setting::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100),
    (Setting::SQLITE_LIMIT_TRIGGER_DEPTH, 10),
    (Setting::SQLITE_LIMIT_VDBE_OP, 25_000),
    (Setting::SQLITE_LIMIT_WORKER_THREADS, 0),
];

/// Sets what SQLite itself bounds.
pub(super) fn apply(connection: &Connection, limits: &Limits) -> rusqlite::Result<()> {
    let set = |setting, value: usize| {
        connection.set_limit(setting, i32::try_from(value).unwrap_or(i32::MAX))
    };
    for &(setting, value) in SETTINGS {
        set(setting, value)?;
    }
    set(Setting::SQLITE_LIMIT_LENGTH, limits.row_bytes)?;
    // The connection has a limit already.
    let sql = usize::try_from(connection.limit(Setting::SQLITE_LIMIT_SQL_LENGTH)?).unwrap_or(0);
    set(Setting::SQLITE_LIMIT_SQL_LENGTH, limits.sql_bytes.min(sql))?;
    set(Setting::SQLITE_LIMIT_VARIABLE_NUMBER, limits.parameters)?;
    // In memory, what a statement sorts or makes distinct would be bounded by nothing.
    connection.pragma_update(None, "temp_store", "FILE")
}

/// Bounds the size of the database, which stays as large as it is.
pub(super) fn bound_database(connection: &Connection, bytes: u64) -> rusqlite::Result<()> {
    let page: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let page = u64::try_from(page).unwrap_or(1).max(1);
    let pages = (bytes / page).clamp(1, u64::from(u32::MAX - 1));
    // Returns the new limit, so that it is no update to rusqlite.
    connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
}

/// What the running call has left.
#[derive(Default)]
pub(super) struct Allowance {
    statements: u64,
    /// The limit that was reached last, and the error that said so.
    reached: Option<Reached>,
}

/// A limit of which the component was told by an error.
#[derive(Clone, Copy)]
struct Reached {
    limit: Limit,
    code: ErrorCode,
}

impl Allowance {
    pub(super) fn of_call(limits: &Limits) -> Self {
        Self {
            statements: limits.statements_per_call,
            reached: None,
        }
    }

    /// Another export is called: what the one before was told is not about it.
    pub(super) fn forget_reached(&mut self) {
        self.reached = None;
    }

    /// The limit that an error with this code is about.
    pub(super) fn reached(&self, code: ErrorCode) -> Option<Limit> {
        let reached = self.reached.filter(|reached| reached.code == code);
        reached.map(|reached| reached.limit)
    }

    /// Takes some statements; if there are not so many left, none is run.
    pub(super) fn take(&mut self, limits: Option<&Limits>, statements: usize) -> Result<(), Limit> {
        let Some(limits) = limits else {
            return Ok(());
        };
        let statements = u64::try_from(statements).unwrap_or(u64::MAX).max(1);
        match self.statements.checked_sub(statements) {
            Some(left) => {
                self.statements = left;
                Ok(())
            }
            None => Err(Limit::Statements(limits.statements_per_call)),
        }
    }

    /// Notes which limit an error says to be reached.
    pub(super) fn note(&mut self, limits: Option<&Limits>, call: Option<Instant>, error: &Error) {
        let Some(limits) = limits else {
            return;
        };
        let is_late = call.is_some_and(|call| Instant::now() >= call);
        let is_sqlites = error.extended_code != 0;
        let limit = match error.code {
            ErrorCode::Interrupted | ErrorCode::Busy if is_late => {
                Limit::CallTime(limits.call_time)
            }
            ErrorCode::Interrupted => Limit::StatementTime(limits.statement_time),
            ErrorCode::Full => Limit::Database(limits.database_bytes),
            ErrorCode::TooBig if is_sqlites => Limit::Row(limits.row_bytes),
            ErrorCode::TooBig => match error.message.as_str() {
                LONG_SQL => Limit::Sql(limits.sql_bytes),
                MANY_PARAMETERS => Limit::Parameters(limits.parameters),
                _ => Limit::Result(limits.result_bytes),
            },
            _ => return,
        };
        let code = error.code;
        self.reached = Some(Reached { limit, code });
    }
}

/// How many statements are remembered to be harmless: as many as are kept compiled.
const MOST_HARMLESS: usize = 64;

const LONG_SQL: &str = "the statement is longer than is allowed";
const MANY_PARAMETERS: &str = "there are more parameters than are allowed";

impl SqliteConnection {
    /// A call begins: its time is counted from `begun` on.
    pub(super) fn begin_call(&mut self, begun: Instant) -> Allowance {
        let Some(limits) = self.settings.limits else {
            return Allowance::default();
        };
        self.call = begun.checked_add(limits.call_time);
        Allowance::of_call(&limits)
    }

    /// The call has ended: what the host does from now on has its own time.
    pub(super) fn end_call(&mut self) {
        self.call = None;
    }

    pub(super) fn limits(&self) -> Option<&Limits> {
        self.settings.limits.as_ref()
    }

    /// Refuses a statement that is too long, or has too many parameters, before SQLite
    /// sees it.
    pub(super) fn check_statement(&self, sql: &str, params: &[Value]) -> Result<(), Error> {
        let Some(limits) = self.limits() else {
            return Ok(());
        };
        if sql.len() > limits.sql_bytes {
            return Err(failure(ErrorCode::TooBig, LONG_SQL));
        }
        if params.len() > limits.parameters {
            return Err(failure(ErrorCode::TooBig, MANY_PARAMETERS));
        }
        Ok(())
    }

    /// Refuses a statement of a component that is not trusted, which would ask too much
    /// of SQLite before anything bounds it.
    pub(super) fn screen(&self, sql: &str) -> Result<(), Error> {
        if self.limits().is_none() || self.harmless.borrow().contains(sql) {
            return Ok(());
        }
        let refused = |refusal| failure(ErrorCode::Denied, format!("not authorized: {refusal}"));
        match screen::statement(sql).map_err(refused)? {
            Some(Definition::Index) if most_indexes(&self.connection)? >= screen::INDEXES => {
                return Err(refused(screen::MANY_INDEXES));
            }
            Some(_) => {}
            None => {
                let mut harmless = self.harmless.borrow_mut();
                if harmless.len() >= MOST_HARMLESS {
                    harmless.clear();
                }
                harmless.insert(sql.to_owned());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bindings::sqlite::TransactionMode;
    use crate::sqlite::{Settings, SqliteCtx};

    fn settings(limits: Limits) -> Settings {
        Settings {
            limits: Some(limits),
            ..Settings::default()
        }
    }

    /// Long enough for SQLite to look at the time.
    fn count(connection: &mut SqliteConnection) -> Result<(), Error> {
        let sql = "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT 10000)
                   SELECT count(*) FROM r";
        connection.begin(TransactionMode::Read)?;
        let counted = connection.query(sql, &[]).map(drop);
        connection.rollback()?;
        counted
    }

    /// What the host did with a connection between two calls, such as giving pages back,
    /// was stopped at the time at which the call before would have had to be over.
    #[test]
    fn the_time_of_a_call_is_not_that_of_what_the_host_does_afterwards() {
        let settings = settings(Limits::default().call_time(Duration::ZERO));
        let mut context = SqliteCtx::new();
        let mut connection = SqliteConnection::memory(&settings).unwrap();
        connection.call = Some(Instant::now());
        assert_eq!(
            count(&mut connection).unwrap_err().code,
            ErrorCode::Interrupted
        );
        context.lend(connection);
        let mut connection = context.take_back().unwrap();
        count(&mut connection).unwrap();
    }

    /// Making an instance takes time too, and did not count.
    #[test]
    fn the_time_of_a_call_is_counted_from_when_it_was_begun() {
        let settings = settings(Limits::default());
        let mut connection = SqliteConnection::memory(&settings).unwrap();
        let begun = Instant::now();
        connection.begin_call(begun);
        assert_eq!(connection.call, Some(begun + Limits::default().call_time));
    }

    /// A component that had reached a limit and gone on was said to have reached it,
    /// whatever it failed for later.
    #[test]
    fn a_limit_is_what_errors_of_its_kind_are_about() {
        let limits = Limits::default();
        let mut allowance = Allowance::of_call(&limits);
        let long = failure(ErrorCode::TooBig, LONG_SQL);
        allowance.note(Some(&limits), None, &long);
        let expected = Some(Limit::Sql(limits.sql_bytes));
        assert_eq!(allowance.reached(ErrorCode::TooBig), expected);
        assert_eq!(allowance.reached(ErrorCode::Denied), None);
        allowance.note(
            Some(&limits),
            None,
            &failure(ErrorCode::Denied, "not authorized"),
        );
        assert_eq!(allowance.reached(ErrorCode::TooBig), expected);
        allowance.forget_reached();
        assert_eq!(allowance.reached(ErrorCode::TooBig), None);
    }
}
