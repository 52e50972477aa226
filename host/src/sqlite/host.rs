//! The seam between the component and SQLite: the generated traits.
//!
//! A component has one database at a time, the one that the running call was
//! made for. So a handle is no index into a table but the number of its call, or
//! of its transaction: one that the component kept from an earlier call refers
//! to nothing, whatever it does with it.

use wasmtime::component::Resource;

use super::connection::Sqlite;
use super::error::failure;
use crate::bindings::sqlite::{
    Error, ErrorCode, Host, HostDatabase, HostTransaction, Rows, TransactionMode, Value,
};
use crate::bindings::types;

/// What `borrow<database>` refers to on this side.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct DatabaseHandle;

/// What `transaction` refers to on this side.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct TransactionHandle;

/// The database of the running call, if there is one.
#[derive(Default)]
pub(crate) struct SqliteContext {
    sqlite: Option<Sqlite>,
    call: u32,
    transaction: u32,
    committed: bool,
}

impl SqliteContext {
    /// Lends a connection, or none, to the calls that follow.
    pub(crate) fn lend(&mut self, sqlite: Option<Sqlite>) {
        self.sqlite = sqlite;
        self.committed = false;
    }

    /// Takes the connection back, without a transaction. None if there was none,
    /// or if it could not be freed of its transaction: then it is closed, which
    /// does the same.
    pub(crate) fn take_back(&mut self) -> Option<Sqlite> {
        let mut sqlite = self.sqlite.take()?;
        if let Err(error) = sqlite.rollback() {
            tracing::error!(%error, "could not roll back; the connection is closed");
            return None;
        }
        Some(sqlite)
    }

    /// Begins a call and answers its handle.
    pub(crate) fn begin_call(&mut self) -> Resource<DatabaseHandle> {
        self.call = self.call.wrapping_add(1);
        Resource::new_borrow(self.call)
    }

    /// Ends a call: a transaction that it left open is rolled back, and its
    /// handles refer to nothing.
    pub(crate) fn end_call(&mut self) -> Result<(), Error> {
        self.call = self.call.wrapping_add(1);
        self.transaction = self.transaction.wrapping_add(1);
        match &mut self.sqlite {
            Some(sqlite) => sqlite.rollback(),
            None => Ok(()),
        }
    }

    /// Whether anything was committed since the connection was lent.
    pub(crate) fn has_committed(&self) -> bool {
        self.committed
    }

    fn database(&mut self, handle: u32) -> Result<&mut Sqlite, Error> {
        match &mut self.sqlite {
            Some(sqlite) if handle == self.call => Ok(sqlite),
            _ => Err(stale("database")),
        }
    }

    fn transaction(&mut self, handle: u32) -> Result<&mut Sqlite, Error> {
        match &mut self.sqlite {
            Some(sqlite) if handle == self.transaction => Ok(sqlite),
            _ => Err(stale("transaction")),
        }
    }
}

fn stale(what: &str) -> Error {
    failure(
        ErrorCode::Misuse,
        format!("the {what} belongs to a call or a transaction that has ended"),
    )
}

impl Host for SqliteContext {}

impl types::Host for SqliteContext {}

impl HostDatabase for SqliteContext {
    fn begin(
        &mut self,
        database: Resource<DatabaseHandle>,
        mode: TransactionMode,
    ) -> wasmtime::Result<Result<Resource<TransactionHandle>, Error>> {
        let begun = self
            .database(database.rep())
            .and_then(|sqlite| sqlite.begin(mode));
        Ok(begun.map(|()| {
            self.transaction = self.transaction.wrapping_add(1);
            Resource::new_own(self.transaction)
        }))
    }

    fn drop(&mut self, _: Resource<DatabaseHandle>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl HostTransaction for SqliteContext {
    fn execute(
        &mut self,
        transaction: Resource<TransactionHandle>,
        sql: String,
        params: Vec<Value>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        Ok(self
            .transaction(transaction.rep())
            .and_then(|sqlite| sqlite.execute(&sql, &params)))
    }

    fn execute_many(
        &mut self,
        transaction: Resource<TransactionHandle>,
        sql: String,
        rows: Vec<Vec<Value>>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        Ok(self
            .transaction(transaction.rep())
            .and_then(|sqlite| sqlite.execute_many(&sql, &rows)))
    }

    fn query(
        &mut self,
        transaction: Resource<TransactionHandle>,
        sql: String,
        params: Vec<Value>,
    ) -> wasmtime::Result<Result<Rows, Error>> {
        Ok(self
            .transaction(transaction.rep())
            .and_then(|sqlite| sqlite.query(&sql, &params)))
    }

    fn commit(
        &mut self,
        transaction: Resource<TransactionHandle>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let result = self.transaction(transaction.rep()).and_then(Sqlite::commit);
        self.committed |= result.is_ok();
        self.transaction = self.transaction.wrapping_add(1);
        Ok(result)
    }

    fn drop(&mut self, transaction: Resource<TransactionHandle>) -> wasmtime::Result<()> {
        if let Ok(sqlite) = self.transaction(transaction.rep()) {
            sqlite.rollback()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::Settings;

    fn context() -> SqliteContext {
        let mut context = SqliteContext::default();
        context.lend(Some(Sqlite::memory(&Settings::default()).unwrap()));
        context
    }

    fn begin(context: &mut SqliteContext) -> (Resource<DatabaseHandle>, u32) {
        let database = context.begin_call();
        let borrowed = Resource::new_borrow(database.rep());
        let transaction = context
            .begin(borrowed, TransactionMode::Write)
            .unwrap()
            .unwrap();
        (database, transaction.rep())
    }

    fn execute(context: &mut SqliteContext, transaction: u32, sql: &str) -> Result<u64, Error> {
        let transaction = Resource::new_borrow(transaction);
        HostTransaction::execute(context, transaction, sql.to_owned(), vec![]).unwrap()
    }

    fn tables(context: &mut SqliteContext) -> u32 {
        let (_, transaction) = begin(context);
        let sql = "SELECT name FROM sqlite_schema".to_owned();
        let transaction = Resource::new_borrow(transaction);
        let rows = HostTransaction::query(context, transaction, sql, vec![])
            .unwrap()
            .unwrap();
        context.end_call().unwrap();
        rows.count
    }

    #[test]
    fn dropping_a_transaction_rolls_it_back() {
        let mut context = context();
        let (_, transaction) = begin(&mut context);
        execute(&mut context, transaction, "CREATE TABLE t (a)").unwrap();
        HostTransaction::drop(&mut context, Resource::new_own(transaction)).unwrap();
        context.end_call().unwrap();
        assert_eq!(tables(&mut context), 0);
        assert!(!context.has_committed());
    }

    #[test]
    fn the_end_of_the_call_rolls_back_what_was_left_open() {
        let mut context = context();
        let (_, transaction) = begin(&mut context);
        execute(&mut context, transaction, "CREATE TABLE t (a)").unwrap();
        context.end_call().unwrap();
        assert_eq!(tables(&mut context), 0);
    }

    #[test]
    fn handles_of_an_earlier_call_refer_to_nothing() {
        let mut context = context();
        let (database, transaction) = begin(&mut context);
        context.end_call().unwrap();
        let _ = begin(&mut context);
        let old = Resource::new_borrow(database.rep());
        let error = context
            .begin(old, TransactionMode::Read)
            .unwrap()
            .err()
            .unwrap();
        assert_eq!(error.code, ErrorCode::Misuse);
        let error = execute(&mut context, transaction, "SELECT 1").unwrap_err();
        assert_eq!(error.code, ErrorCode::Misuse);
        // Nor does dropping one end the transaction that is open now.
        HostTransaction::drop(&mut context, Resource::new_own(transaction)).unwrap();
        assert!(context.sqlite.as_ref().unwrap().in_transaction());
    }

    #[test]
    fn a_committed_transaction_cannot_be_used() {
        let mut context = context();
        let (_, transaction) = begin(&mut context);
        HostTransaction::commit(&mut context, Resource::new_own(transaction))
            .unwrap()
            .unwrap();
        assert!(context.has_committed());
        let error = execute(&mut context, transaction, "SELECT 1").unwrap_err();
        assert_eq!(error.code, ErrorCode::Misuse);
    }

    #[test]
    fn without_a_database_every_handle_is_stale() {
        let mut context = SqliteContext::default();
        let database = context.begin_call();
        let error = context
            .begin(database, TransactionMode::Read)
            .unwrap()
            .err()
            .unwrap();
        assert_eq!(error.code, ErrorCode::Misuse);
    }
}
