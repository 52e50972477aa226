//! What the logic does, seen at its seam to the database.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lash_wasm_store_guest::Result;
use lash_wasm_store_guest::bindings::format_types::Initialized;
use lash_wasm_store_guest::bindings::sqlite::Error;
use lash_wasm_store_guest::seam::{Environment, Rows, Transaction, TransactionMode, Value};

use crate::native::{NativeEnvironment, NativeTransaction};

/// How many statements the host keeps compiled for a connection.
pub const STATEMENT_CACHE: usize = 64;

/// All of these together must be kept compiled.
#[track_caller]
pub fn assert_fits_the_cache(texts: &BTreeSet<String>) {
    // The host's own BEGIN, COMMIT and ROLLBACK are in the cache too.
    let count = texts.len() + 4;
    assert!(count <= STATEMENT_CACHE, "{count} statements");
}

/// None of these may read a table or an index from one end to the other, nor sort.
/// Answers how many searches by an index there are.
#[track_caller]
pub fn assert_no_scan(recorder: &Recorder, texts: &BTreeSet<String>) -> usize {
    let mut searches = 0;
    for sql in texts {
        for step in recorder.plan(sql) {
            let scans = step.contains("SCAN") || step.contains("TEMP B-TREE");
            assert!(!scans, "{step}: {sql}");
            searches += usize::from(step.contains("SEARCH"));
        }
    }
    assert!(searches > 0, "{texts:?}");
    searches
}

/// A database in memory that notes what passes the seam.
pub struct Recorder {
    inner: NativeEnvironment,
    begun: RefCell<Vec<TransactionMode>>,
    statements: RefCell<Vec<String>>,
    rows: Cell<u64>,
    passed_ms: Cell<i64>,
}

impl Recorder {
    /// Makes a database by the function `initialize` of its kind.
    pub fn new(initialize: impl FnOnce(&NativeEnvironment) -> Result<Initialized>) -> Self {
        let inner = NativeEnvironment::memory();
        initialize(&inner).expect("a schema");
        Self {
            inner,
            begun: RefCell::default(),
            statements: RefCell::default(),
            rows: Cell::default(),
            passed_ms: Cell::default(),
        }
    }

    /// The statements that ran since the last call.
    pub fn statements(&self) -> Vec<String> {
        self.statements.take()
    }

    /// The transactions that were begun since the last call.
    pub fn begun(&self) -> Vec<TransactionMode> {
        self.begun.take()
    }

    /// Lets time pass.
    pub fn advance(&self, ms: i64) {
        self.passed_ms.set(self.passed_ms.get() + ms);
    }

    /// How many rows were answered since the last call.
    pub fn rows(&self) -> u64 {
        self.rows.take()
    }

    /// How many steps SQLite's virtual machine takes for a call, about.
    pub fn steps(&mut self, call: impl FnOnce(&Self)) -> u64 {
        let steps = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&steps);
        let count = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            false
        };
        let connection = self.inner.connection_mut();
        // rusqlite 0.37 returns nothing here. Without a handler there are no steps.
        let _ = connection.progress_handler(1, Some(count));
        call(self);
        let connection = self.inner.connection_mut();
        let _ = connection.progress_handler(0, None::<fn() -> bool>);
        steps.load(Ordering::Relaxed)
    }

    /// How SQLite runs a statement, one step a line.
    pub fn plan(&self, sql: &str) -> Vec<String> {
        let connection = self.inner.connection();
        let explain = format!("EXPLAIN QUERY PLAN {sql}");
        let mut statement = connection.prepare(&explain).expect(sql);
        let mut rows = statement.raw_query();
        let mut steps = Vec::new();
        while let Some(row) = rows.next().expect(sql) {
            steps.push(row.get("detail").expect(sql));
        }
        steps
    }

    fn note(&self, sql: &str) {
        self.statements.borrow_mut().push(sql.to_owned());
    }
}

impl Environment for Recorder {
    type Transaction<'a> = Recorded<'a>;

    fn begin(&self, mode: TransactionMode) -> std::result::Result<Recorded<'_>, Error> {
        self.begun.borrow_mut().push(mode);
        Ok(Recorded {
            recorder: self,
            inner: self.inner.begin(mode)?,
        })
    }

    fn now_ms(&self) -> i64 {
        self.inner.now_ms() + self.passed_ms.get()
    }

    fn random(&self) -> u64 {
        self.inner.random()
    }
}

/// An open transaction of a [`Recorder`].
pub struct Recorded<'a> {
    recorder: &'a Recorder,
    inner: NativeTransaction<'a>,
}

impl Transaction for Recorded<'_> {
    fn execute(&self, sql: &str, params: &[Value<'_>]) -> std::result::Result<u64, Error> {
        self.recorder.note(sql);
        self.inner.execute(sql, params)
    }

    fn execute_many(&self, sql: &str, rows: &[&[Value<'_>]]) -> std::result::Result<u64, Error> {
        self.recorder.note(sql);
        self.inner.execute_many(sql, rows)
    }

    fn query(&self, sql: &str, params: &[Value<'_>]) -> std::result::Result<Rows, Error> {
        self.recorder.note(sql);
        let rows = self.inner.query(sql, params)?;
        let answered = self.recorder.rows.get() + u64::from(rows.count);
        self.recorder.rows.set(answered);
        Ok(rows)
    }

    fn commit(self) -> std::result::Result<(), Error> {
        self.inner.commit()
    }
}
