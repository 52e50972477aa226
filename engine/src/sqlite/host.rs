//! The seam between the component and SQLite: the generated traits.

use wasmtime::component::{HasSelf, Linker, Resource};

use super::ctx::SqliteCtx;
use super::error::ErrorCode;
use crate::bindings::sqlite::{
    Error, Host, HostDatabase, HostTransaction, Rows, TransactionMode, Value,
};
use crate::bindings::{sqlite, types};

/// What the resource `database` is on the side of the host. To be named in
/// `with:` of an embedder's own `bindgen!`; [`SqliteCtx::begin_call`] makes one.
pub struct Database(());

/// What the resource `transaction` is on the side of the host. To be named in
/// `with:` of an embedder's own `bindgen!`.
pub struct Transaction(());

/// Where [`SqliteCtx`] is in the data of a wasmtime store.
pub trait SqliteView: 'static {
    /// The context. It must be the same one every time.
    fn sqlite(&mut self) -> &mut SqliteCtx;
}

/// Adds what a component imports from `lash:store` to a linker: the interface `sqlite`,
/// and `types`. The other interfaces of types need not be in a linker, because they
/// have no functions and no resources.
///
/// # Errors
///
/// If the linker has one of the two already.
pub fn add_to_linker<T: SqliteView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    sqlite::add_to_linker::<T, HasSelf<SqliteCtx>>(linker, T::sqlite)?;
    types::add_to_linker::<T, HasSelf<SqliteCtx>>(linker, T::sqlite)
}

impl Host for SqliteCtx {}

impl types::Host for SqliteCtx {}

impl HostDatabase for SqliteCtx {
    fn begin(
        &mut self,
        database: Resource<Database>,
        mode: TransactionMode,
    ) -> wasmtime::Result<Result<Resource<Transaction>, Error>> {
        self.allow(1)?;
        let begun = self
            .database(&database)
            .and_then(|connection| connection.begin(mode));
        Ok(match self.noted(begun) {
            Ok(()) => Ok(self.begun()),
            Err(error) => Err(error.into()),
        })
    }

    fn drop(&mut self, _: Resource<Database>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl HostTransaction for SqliteCtx {
    fn execute(
        &mut self,
        transaction: Resource<Transaction>,
        sql: String,
        params: Vec<Value>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        self.allow(1)?;
        let changed = self
            .transaction(&transaction)
            .and_then(|connection| connection.execute(&sql, &params));
        let changed = self.noted(changed);
        if let Ok(rows) = changed {
            self.traffic.wrote(rows, &params);
        }
        Ok(changed.map_err(Error::from))
    }

    fn execute_many(
        &mut self,
        transaction: Resource<Transaction>,
        sql: String,
        rows: Vec<Vec<Value>>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        self.allow(rows.len())?;
        let changed = self
            .transaction(&transaction)
            .and_then(|connection| connection.execute_many(&sql, &rows));
        let changed = self.noted(changed);
        if let Ok(changed) = changed {
            self.traffic.wrote_many(changed, &rows);
        }
        Ok(changed.map_err(Error::from))
    }

    fn query(
        &mut self,
        transaction: Resource<Transaction>,
        sql: String,
        params: Vec<Value>,
    ) -> wasmtime::Result<Result<Rows, Error>> {
        self.allow(1)?;
        let rows = self
            .transaction(&transaction)
            .and_then(|connection| connection.query(&sql, &params));
        let rows = self.noted(rows);
        if let Ok(rows) = &rows {
            self.traffic.read(rows);
        }
        Ok(rows.map_err(Error::from))
    }

    fn commit(
        &mut self,
        transaction: Resource<Transaction>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let committed = match self.transaction(&transaction) {
            Ok(connection) => {
                let committed = connection.commit();
                let unknown = |error: &super::error::Error| error.code == ErrorCode::OutcomeUnknown;
                // What may be durable counts as committed.
                self.ended(committed.as_ref().err().is_none_or(unknown));
                committed
            }
            Err(stale) => Err(stale),
        };
        Ok(self.noted(committed).map_err(Error::from))
    }

    fn drop(&mut self, transaction: Resource<Transaction>) -> wasmtime::Result<()> {
        if let Ok(connection) = self.transaction(&transaction) {
            let rolled_back = connection.rollback();
            self.ended(false);
            rolled_back?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::sqlite::ErrorCode;
    use crate::sqlite::{Settings, SqliteConnection, Traffic};

    fn context() -> SqliteCtx {
        let mut context = SqliteCtx::default();
        context.lend(SqliteConnection::memory(&Settings::default()).unwrap());
        context
    }

    fn begin(context: &mut SqliteCtx) -> (Resource<Database>, u32) {
        let database = context.begin_call();
        let borrowed = Resource::new_borrow(database.rep());
        let transaction = context
            .begin(borrowed, TransactionMode::Write)
            .unwrap()
            .unwrap();
        (database, transaction.rep())
    }

    fn execute(context: &mut SqliteCtx, transaction: u32, sql: &str) -> Result<u64, Error> {
        let transaction = Resource::new_borrow(transaction);
        HostTransaction::execute(context, transaction, sql.to_owned(), vec![]).unwrap()
    }

    fn tables(context: &mut SqliteCtx) -> u32 {
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
    fn rows_and_bytes_are_counted_once() {
        let mut context = context();
        let (_, transaction) = begin(&mut context);
        execute(&mut context, transaction, "CREATE TABLE t (a, b)").unwrap();
        let row = |text: &str| vec![Value::Integer(1), Value::Text(text.to_owned())];
        let insert = "INSERT INTO t VALUES (?1, ?2)".to_owned();
        let handle = || Resource::new_borrow(transaction);
        let many = vec![row("123"), row("")];
        HostTransaction::execute_many(&mut context, handle(), insert.clone(), many)
            .unwrap()
            .unwrap();
        HostTransaction::execute(&mut context, handle(), insert, row("45"))
            .unwrap()
            .unwrap();
        let select = "SELECT b FROM t WHERE b = ?1".to_owned();
        let key = vec![Value::Text("123".to_owned())];
        HostTransaction::query(&mut context, handle(), select, key)
            .unwrap()
            .unwrap();
        let expected = Traffic {
            rows_read: 1,
            bytes_read: 8,
            rows_written: 3,
            bytes_written: 8 + 3 + 8 + 8 + 2,
        };
        assert_eq!(context.take_traffic(), expected);
        assert_eq!(context.take_traffic(), Traffic::default());
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
        let (_, running) = begin(&mut context);
        let old = Resource::new_borrow(database.rep());
        let error = context
            .begin(old, TransactionMode::Read)
            .unwrap()
            .err()
            .unwrap();
        assert_eq!(error.code, ErrorCode::Misuse);
        let error = execute(&mut context, transaction, "SELECT 1").unwrap_err();
        assert_eq!(error.code, ErrorCode::Misuse);
        // Nor do dropping and committing it end the transaction that is open now.
        HostTransaction::drop(&mut context, Resource::new_own(transaction)).unwrap();
        let committed = HostTransaction::commit(&mut context, Resource::new_own(transaction));
        assert_eq!(committed.unwrap().unwrap_err().code, ErrorCode::Misuse);
        assert!(!context.has_committed());
        execute(&mut context, running, "CREATE TABLE t (a)").unwrap();
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
        let mut context = SqliteCtx::new();
        assert!(context.take_back().is_none());
        context.end_call().unwrap();
        let database = context.begin_call();
        let error = context
            .begin(database, TransactionMode::Read)
            .unwrap()
            .err()
            .unwrap();
        assert_eq!(error.code, ErrorCode::Misuse);
    }

    /// What an embedder does that forgets to end its calls, or does so twice.
    #[test]
    fn calls_in_the_wrong_order_leak_nothing() {
        // Another call, another connection, or no connection while a call runs.
        let disturb: [fn(&mut SqliteCtx); 3] = [
            |context| {
                context.begin_call();
            },
            |context| context.lend(SqliteConnection::memory(&Settings::default()).unwrap()),
            |context| {
                let connection = context.take_back().unwrap();
                assert!(!connection.in_transaction());
                context.lend(connection);
            },
        ];
        for disturb in disturb {
            let mut context = context();
            let (database, transaction) = begin(&mut context);
            execute(&mut context, transaction, "CREATE TABLE t (a)").unwrap();
            disturb(&mut context);
            let error = execute(&mut context, transaction, "SELECT 1").unwrap_err();
            assert_eq!(error.code, ErrorCode::Misuse);
            let begun = context.begin(database, TransactionMode::Read).unwrap();
            assert_eq!(begun.unwrap_err().code, ErrorCode::Misuse);
            context.end_call().unwrap();
            context.end_call().unwrap();
            assert_eq!(tables(&mut context), 0);
        }
    }
}
