//! What SQLite did, counted, whichever crate asked for it: both crates of this
//! process use the one SQLite that is linked in.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use anyhow::{Context, Result};
use rusqlite::auto_extension::register_auto_extension;
use rusqlite::ffi;

use crate::allocation;

static LOG: Mutex<Log> = Mutex::new(Log {
    runs: Vec::new(),
    rows: 0,
});

/// What is to be done when a statement with this text has run.
type Hook = (&'static str, Box<dyn FnOnce() + Send>);

static HOOK: Mutex<Option<Hook>> = Mutex::new(None);

struct Log {
    runs: Vec<Run>,
    rows: u64,
}

/// One run of a statement, from its first step to its end.
pub(crate) struct Run {
    pub(crate) sql: String,
    /// Whether it was compiled for this run.
    pub(crate) is_first: bool,
    /// How many rows it stepped over for want of an index.
    pub(crate) scanned: u64,
    /// How often it sorted.
    pub(crate) sorts: u64,
    /// Where it ran.
    pub(crate) thread: ThreadId,
    /// How many bytes that thread had allocated when it ended.
    pub(crate) allocated: u64,
}

impl Run {
    pub(crate) fn takes_the_write_lock(&self) -> bool {
        self.sql.starts_with("BEGIN IMMEDIATE")
    }
}

/// What was run, in the order in which it ended.
pub(crate) struct Trace {
    pub(crate) runs: Vec<Run>,
    /// How many rows the statements answered.
    pub(crate) rows: u64,
}

impl Trace {
    pub(crate) fn count(&self, holds: impl Fn(&Run) -> bool) -> usize {
        self.runs.iter().filter(|run| holds(run)).count()
    }

    /// How many statements were compiled.
    pub(crate) fn compiled(&self) -> usize {
        self.count(|run| run.is_first)
    }

    /// How often the write lock was taken.
    pub(crate) fn locks(&self) -> usize {
        self.count(Run::takes_the_write_lock)
    }

    /// How many rows were stepped over for want of an index.
    pub(crate) fn scanned(&self) -> u64 {
        self.runs.iter().map(|run| run.scanned).sum()
    }

    pub(crate) fn sorts(&self) -> u64 {
        self.runs.iter().map(|run| run.sorts).sum()
    }

    /// How many bytes were allocated between taking the write lock for the first time
    /// and committing.
    pub(crate) fn allocated_under_the_lock(&self) -> Result<u64> {
        let mut runs = self.runs.iter();
        let begin = runs.find(|run| run.takes_the_write_lock());
        let begin = begin.context("it takes the write lock")?;
        let end = runs.find(|run| run.sql == "COMMIT" && run.thread == begin.thread);
        Ok(end.context("it commits")?.allocated - begin.allocated)
    }
}

/// Traces every connection that is opened from now on.
pub(crate) fn start() {
    // SAFETY: `trace_connection` is a function for the life of the process, and it
    // opens and closes no database and registers no extension.
    unsafe { register_auto_extension(trace_connection) }.expect("SQLite takes extensions");
}

/// What was run since the last call.
pub(crate) fn take() -> Trace {
    let mut log = log();
    Trace {
        runs: std::mem::take(&mut log.runs),
        rows: std::mem::take(&mut log.rows),
    }
}

/// Does this, once, when the next statement that contains this text has run, and before
/// its connection runs another one.
pub(crate) fn once_after(text: &'static str, action: impl FnOnce() + Send + 'static) {
    *hook() = Some((text, Box::new(action)));
}

fn hook() -> MutexGuard<'static, Option<Hook>> {
    HOOK.lock().unwrap_or_else(PoisonError::into_inner)
}

fn log() -> MutexGuard<'static, Log> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

unsafe extern "C" fn trace_connection(
    db: *mut ffi::sqlite3,
    _: *mut *mut c_char,
    _: *const ffi::sqlite3_api_routines,
) -> c_int {
    let events = ffi::SQLITE_TRACE_PROFILE | ffi::SQLITE_TRACE_ROW;
    // SAFETY: SQLite calls this with the connection that it opens, and `on_event` has
    // no context that could end before the connection does.
    unsafe { ffi::sqlite3_trace_v2(db, events, Some(on_event), std::ptr::null_mut()) }
}

unsafe extern "C" fn on_event(
    event: c_uint,
    _: *mut c_void,
    statement: *mut c_void,
    _: *mut c_void,
) -> c_int {
    if event == ffi::SQLITE_TRACE_ROW {
        log().rows += 1;
        return 0;
    }
    // SAFETY: of the two events that are asked for this is the end of a run, and then
    // SQLite passes the statement, which lives during the call.
    let run = unsafe { run_of(statement.cast()) };
    let hook = hook().take_if(|(text, _)| run.sql.contains(*text));
    log().runs.push(run);
    if let Some((_, action)) = hook {
        action();
    }
    0
}

/// # Safety
///
/// The statement is alive, and nobody else uses it meanwhile.
unsafe fn run_of(statement: *mut ffi::sqlite3_stmt) -> Run {
    let status = |counter: c_int, reset: bool| {
        // SAFETY: as the caller promises. Only this trace reads these counters, so
        // nobody misses what a reset takes away.
        let count = unsafe { ffi::sqlite3_stmt_status(statement, counter, c_int::from(reset)) };
        u64::try_from(count).unwrap_or_default()
    };
    // SAFETY: a statement has a text, which lives as long as the statement and is
    // copied here.
    let sql = unsafe { CStr::from_ptr(ffi::sqlite3_sql(statement)) };
    Run {
        sql: sql.to_string_lossy().into_owned(),
        is_first: status(ffi::SQLITE_STMTSTATUS_RUN, false) == 1,
        scanned: status(ffi::SQLITE_STMTSTATUS_FULLSCAN_STEP, true),
        sorts: status(ffi::SQLITE_STMTSTATUS_SORT, true),
        thread: std::thread::current().id(),
        allocated: allocation::allocated(),
    }
}
