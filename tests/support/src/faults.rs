//! Faults at the seam: a database that fails at a statement of one's choice, with a
//! clock and random numbers that are the same in every run.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use lash_wasm_store_guest::bindings::sqlite::{Error, ErrorCode};
use lash_wasm_store_guest::seam::{Environment, Rows, Transaction, TransactionMode, Value};

use crate::fixtures;
use crate::native::{NativeEnvironment, NativeTransaction};

/// What goes wrong at a statement. `BEGIN` and `COMMIT` are statements too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails. One that runs for many rows of parameters fails after half of them.
    Error,
    /// It succeeds, and then the logic is cut off, as by a trap.
    Trap,
    /// It succeeds, and an error is answered.
    LostAnswer,
}

/// What the logic asked for.
#[derive(Clone, Debug)]
pub enum Step {
    /// A transaction.
    Begin(TransactionMode),
    /// A statement within it.
    Statement(String),
    /// That it is committed.
    Commit,
}

/// How a call ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended<T> {
    /// With an answer, which may be an error.
    Answered(T),
    /// By [`Fault::Trap`].
    Trapped,
}

/// What unwinds out of the logic. No panic hook sees it.
struct Trap;

/// The error of [`Fault::Error`] and [`Fault::LostAnswer`].
pub fn injected() -> Error {
    Error {
        code: ErrorCode::Io,
        extended_code: 0,
        message: "injected".to_owned(),
    }
}

/// A database in memory that fails when it is told to.
pub struct FaultyEnvironment {
    inner: NativeEnvironment,
    armed: Cell<Option<(usize, Fault)>>,
    steps: RefCell<Vec<Step>>,
    now_ms: Cell<i64>,
    random: Cell<u64>,
}

impl FaultyEnvironment {
    /// An empty database.
    pub fn empty() -> Self {
        Self::on(NativeEnvironment::memory())
    }

    /// A copy of what [`image`](Self::image) answered.
    pub fn from_image(image: &[u8]) -> Self {
        Self::on(NativeEnvironment::from_image(image))
    }

    fn on(inner: NativeEnvironment) -> Self {
        Self {
            inner,
            armed: Cell::default(),
            steps: RefCell::default(),
            now_ms: Cell::default(),
            random: Cell::default(),
        }
    }

    /// The bytes of the database.
    pub fn image(&mut self) -> Vec<u8> {
        self.inner.image()
    }

    /// Sets the clock, in ms since 1970. It stands still.
    pub fn set_time(&self, now_ms: i64) {
        self.now_ms.set(now_ms);
    }

    /// Begins another sequence of random numbers.
    pub fn seed(&self, seed: u32) {
        self.random.set(u64::from(seed) << 32);
    }

    /// Runs a call, of which a step, counted from 0, ends in a fault.
    ///
    /// # Panics
    ///
    /// As the call, and if the step is not reached.
    pub fn run_with<T>(
        &self,
        step: usize,
        fault: Fault,
        call: impl FnOnce(&Self) -> T,
    ) -> Ended<T> {
        self.steps.take();
        self.armed.set(Some((step, fault)));
        let ended = catch_unwind(AssertUnwindSafe(|| call(self)));
        assert!(self.armed.take().is_none(), "step {step} is not reached");
        match ended {
            Ok(answer) => Ended::Answered(answer),
            Err(panic) if panic.is::<Trap>() => Ended::Trapped,
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Runs a call undisturbed; answers its steps too.
    pub fn run<T>(&self, call: impl FnOnce(&Self) -> T) -> (T, Vec<Step>) {
        self.steps.take();
        let answer = call(self);
        (answer, self.steps.take())
    }

    /// Changes rows behind the back of the logic.
    pub fn damage(&self, sql: &str) {
        let connection = self.inner.connection();
        connection.execute_batch(sql).expect("the damage is done");
    }

    /// Everything that is stored: header, schema and rows, as text.
    pub fn dump(&self) -> String {
        let connection = self.inner.connection();
        let number = |pragma| -> i64 {
            let read = connection.pragma_query_value(None, pragma, |row| row.get(0));
            read.expect(pragma)
        };
        let (application, version) = (number("application_id"), number("user_version"));
        let sql = "SELECT coalesce(group_concat(sql, ';'), '') FROM sqlite_master";
        let schema: String = connection
            .query_row(sql, [], |row| row.get(0))
            .expect("a schema");
        let rows = fixtures::dump(connection);
        format!("{application} {version}\n{schema}\n{rows}")
    }

    /// What SQLite says of the file's structure: `ok`, if nothing is wrong.
    pub fn integrity(&self) -> String {
        self.inner
            .connection()
            .pragma_query_value(None, "integrity_check", |row| row.get(0))
            .expect("a check")
    }

    /// Runs one step, or lets it fail; `partly` is what happens before it fails.
    fn step<T>(
        &self,
        step: Step,
        run: impl FnOnce() -> Result<T, Error>,
        partly: impl FnOnce(),
    ) -> Result<T, Error> {
        let number = self.steps.borrow().len();
        self.steps.borrow_mut().push(step);
        let fault = match self.armed.get() {
            Some((armed, fault)) if armed == number => fault,
            _ => return run(),
        };
        self.armed.take();
        match fault {
            Fault::Error => {
                partly();
                Err(injected())
            }
            Fault::Trap => {
                // What was begun must still be open while the logic unwinds.
                let _open = run();
                resume_unwind(Box::new(Trap))
            }
            Fault::LostAnswer => run().and(Err(injected())),
        }
    }
}

impl Environment for FaultyEnvironment {
    type Transaction<'a> = FaultyTransaction<'a>;

    fn begin(&self, mode: TransactionMode) -> Result<FaultyTransaction<'_>, Error> {
        let inner = self.step(Step::Begin(mode), || self.inner.begin(mode), || ())?;
        Ok(FaultyTransaction {
            environment: self,
            inner,
        })
    }

    fn now_ms(&self) -> i64 {
        self.now_ms.get()
    }

    fn random(&self) -> u64 {
        self.random.set(self.random.get() + 1);
        BuildHasherDefault::<DefaultHasher>::default().hash_one(self.random.get())
    }
}

/// An open transaction of a [`FaultyEnvironment`].
pub struct FaultyTransaction<'a> {
    environment: &'a FaultyEnvironment,
    inner: NativeTransaction<'a>,
}

impl Transaction for FaultyTransaction<'_> {
    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64, Error> {
        let step = Step::Statement(sql.to_owned());
        let run = || self.inner.execute(sql, params);
        self.environment.step(step, run, || ())
    }

    fn execute_many(&self, sql: &str, rows: &[&[Value<'_>]]) -> Result<u64, Error> {
        let step = Step::Statement(sql.to_owned());
        let run = || self.inner.execute_many(sql, rows);
        let half = || {
            let half = &rows[..rows.len() / 2];
            // It may fail by itself, which is an error too.
            let _ = self.inner.execute_many(sql, half);
        };
        self.environment.step(step, run, half)
    }

    fn query(&self, sql: &str, params: &[Value<'_>]) -> Result<Rows, Error> {
        let step = Step::Statement(sql.to_owned());
        let run = || self.inner.query(sql, params);
        self.environment.step(step, run, || ())
    }

    fn commit(self) -> Result<(), Error> {
        let Self { environment, inner } = self;
        environment.step(Step::Commit, || inner.commit(), || ())
    }
}
