//! Lending a connection to a component for the length of a call.
//!
//! A component has one database at a time, the one that the running call was
//! made for. So a handle is no index into a table but the number of its call, or
//! of its transaction: one that the component kept from an earlier call refers
//! to nothing, whatever it does with it.

use std::time::Instant;

use wasmtime::component::Resource;

use super::connection::SqliteConnection;
use super::error::{Error, ErrorCode, failure};
use super::host::{Database, Transaction};
use super::limits::Allowance;
use super::traffic::Traffic;
use crate::limits::Limit;
use crate::observability::TARGET;

/// The database that the component of a wasmtime store has, if it has one.
///
/// It belongs into the data of the store, where [`SqliteView`](super::SqliteView)
/// finds it. A call of an export goes like this:
///
/// 1. [`lend`](Self::lend) a connection.
/// 2. [`begin_call`](Self::begin_call), and call the export with the handle that
///    it returns.
/// 3. [`end_call`](Self::end_call), whatever the export returned.
/// 4. [`take_back`](Self::take_back) the connection, or call again.
///
/// A component sees the connection between 2 and 3 only, through the handle of
/// this call. Every other handle, of an earlier call or of a transaction that has
/// ended, returns `misuse` and reaches nothing.
///
/// If the export trapped, 3 and 4 are the same, and the wasmtime store is to be
/// thrown away: the component's memory may be in any state. The database is not,
/// because the transaction was rolled back.
#[derive(Default)]
pub struct SqliteCtx {
    connection: Option<SqliteConnection>,
    call: u32,
    transaction: u32,
    committed: bool,
    pub(super) allowance: Allowance,
    pub(super) traffic: Traffic,
}

impl SqliteCtx {
    /// A context without a database.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lends a connection to the calls that follow. One that was lent before and
    /// not taken back is closed.
    ///
    /// Of [`Settings::limits`](super::Settings::limits), the time of a call and its
    /// statements are counted from now on: calls that follow share them, until the
    /// connection is lent again.
    pub fn lend(&mut self, connection: SqliteConnection) {
        self.lend_since(connection, Instant::now());
    }

    /// As [`lend`](Self::lend), and the time of the call is counted from `begun` on.
    pub(crate) fn lend_since(&mut self, mut connection: SqliteConnection, begun: Instant) {
        self.forget_handles();
        self.allowance = connection.begin_call(begun);
        self.connection = Some(connection);
        self.committed = false;
    }

    /// Takes the connection back, without a transaction. None if none was lent, or
    /// if its transaction could not be rolled back: then it is closed, which does
    /// the same, and [`SqliteConnection::open`] gives another one.
    pub fn take_back(&mut self) -> Option<SqliteConnection> {
        self.forget_handles();
        self.committed = false;
        self.roll_back_or_close();
        let mut connection = self.connection.take()?;
        connection.end_call();
        match connection.release_snapshot() {
            Ok(()) => Some(connection),
            Err(error) => {
                tracing::error!(target: TARGET, %error, "could not roll back; the connection is closed");
                None
            }
        }
    }

    /// Begins a call and returns the database, to be the first argument of the
    /// export. It is a borrow, so nothing has to be done with it afterwards.
    ///
    /// A call that was begun before and not ended is ended.
    pub fn begin_call(&mut self) -> Resource<Database> {
        self.forget_handles();
        self.allowance.forget_reached();
        self.roll_back_or_close();
        Resource::new_borrow(self.call)
    }

    /// Whether the next call makes room on the disk, and may use what is kept in reserve.
    pub(crate) fn make_room(&mut self, making: bool) {
        if let Some(connection) = &mut self.connection {
            connection.makes_room = making;
        }
    }

    /// Lets all read transactions from now on have one snapshot, until the connection is
    /// taken back.
    pub(crate) fn keep_snapshot(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.keep_snapshot();
        }
    }

    /// Ends the call: a transaction that it left open is rolled back, and its
    /// handles refer to nothing.
    ///
    /// # Errors
    ///
    /// If SQLite cannot roll back: the connection should be taken back then, which
    /// closes it. [`ErrorCode::Interrupted`] if a file that is read without its log was written
    /// to meanwhile: what the call returned must not be used.
    pub fn end_call(&mut self) -> Result<(), Error> {
        self.forget_handles();
        match &mut self.connection {
            Some(connection) => {
                connection.rollback()?;
                connection.check_unchanged()
            }
            None => Ok(()),
        }
    }

    /// Whether a transaction was committed since the connection was lent: whether a
    /// call that ended in a trap has had an effect all the same.
    #[must_use]
    pub fn has_committed(&self) -> bool {
        self.committed
    }

    /// Which limit of [`Settings::limits`](super::Settings::limits) an error with this
    /// code is about that the running call answers: the one that was reached last, if the
    /// component was told of it by such an error. One that was told and went on may fail
    /// for other reasons later.
    #[must_use]
    pub fn reached(&self, code: ErrorCode) -> Option<Limit> {
        self.allowance.reached(code)
    }

    /// What the component has read and written since this was asked last.
    pub fn take_traffic(&mut self) -> Traffic {
        std::mem::take(&mut self.traffic)
    }

    /// Whether the file of the database, or its log, was moved, removed or replaced.
    pub(crate) fn is_displaced(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connection| connection.displaced)
    }

    pub(super) fn database(
        &mut self,
        handle: &Resource<Database>,
    ) -> Result<&mut SqliteConnection, Error> {
        match &mut self.connection {
            Some(connection) if handle.rep() == self.call => Ok(connection),
            _ => Err(stale("database")),
        }
    }

    pub(super) fn transaction(
        &mut self,
        handle: &Resource<Transaction>,
    ) -> Result<&mut SqliteConnection, Error> {
        match &mut self.connection {
            Some(connection) if handle.rep() == self.transaction => Ok(connection),
            _ => Err(stale("transaction")),
        }
    }

    /// A transaction was begun: this is its handle.
    pub(super) fn begun(&mut self) -> Resource<Transaction> {
        self.transaction = self.transaction.wrapping_add(1);
        Resource::new_own(self.transaction)
    }

    /// The handle of the transaction is used up.
    pub(super) fn ended(&mut self, committed: bool) {
        self.transaction = self.transaction.wrapping_add(1);
        self.committed |= committed;
    }

    /// Takes so many statements from what the call has left. There is none for a handle
    /// that refers to nothing.
    pub(super) fn allow(&mut self, statements: usize) -> Result<(), Limit> {
        match &self.connection {
            Some(connection) => self.allowance.take(connection.limits(), statements),
            None => Ok(()),
        }
    }

    /// Notes what an answer says about limits.
    pub(super) fn noted<T>(&mut self, answer: Result<T, Error>) -> Result<T, Error> {
        if let (Err(error), Some(connection)) = (&answer, &self.connection) {
            self.allowance
                .note(connection.limits(), connection.call, error);
        }
        answer
    }

    fn forget_handles(&mut self) {
        self.call = self.call.wrapping_add(1);
        self.transaction = self.transaction.wrapping_add(1);
    }

    fn roll_back_or_close(&mut self) {
        let rolled_back = self.connection.as_mut().map(SqliteConnection::rollback);
        if let Some(Err(error)) = rolled_back {
            tracing::error!(target: TARGET, %error, "could not roll back; the connection is closed");
            self.connection = None;
        }
    }
}

fn stale(what: &str) -> Error {
    failure(
        ErrorCode::Misuse,
        format!("the {what} belongs to a call or a transaction that has ended"),
    )
}
