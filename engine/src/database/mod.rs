//! A database, and the calls that are made for it.
//!
//! A [`Database`] puts a job into one of its two lanes, a thread of the
//! [`pool`](crate::pool) takes the lane and runs the job on its own instance, and the job
//! calls the component through a [`Call`]. Nothing here depends on a runtime: a database
//! that was opened within one works after that one is gone.

mod call;
mod closing;
pub mod interfaces;
mod open;
mod options;
mod resources;
mod watch;

#[cfg(test)]
mod tests;

pub use call::Call;
pub use closing::{close_within, shutdown};
pub(crate) use options::Clock;
pub use options::{Durability, OpenOptions};
pub use watch::{Probe, Waiter};

use std::future::Future;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use tokio::sync::OwnedSemaphorePermit;
use tracing::Span;

use self::closing::Closed;
use self::open::Deletion;
use self::watch::{Look, Watch};
use crate::blocking;
use crate::component::limit_of;
use crate::error::{Error, MEMORY};
use crate::fork;
use crate::kind::DatabaseKind;
use crate::observability::{self, Failure, Logged, Observed, TARGET};
use crate::pool::{Class, Job, Lane, Refused, Reply, Told, Worker};
use crate::sqlite::{self, DatabaseFile, Layout, Role, Settings, SqliteConnection};
use crate::time::epoch_ms;
use crate::wit::queue::BatchDraft;
use crate::wit::types::BlobProfile;

/// An open database. Clones share it; when the last one is dropped it is closed, after the
/// calls that were made: at once if the thread serves no tokio runtime, and otherwise by a
/// thread of the pool, because closing syncs. [`close`](Self::close) waits for it, and so
/// does whoever opens the file in this process.
///
/// Calls go through one of two lanes. Writes run in order. So do reads, on a
/// connection of their own, and do not wait for writes. A database in memory has
/// one connection and thus one lane, and so has one that is open for reading
/// only.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
    /// Of the calls that are made through this handle.
    class: Class,
}

impl AsRef<Database> for Database {
    fn as_ref(&self) -> &Database {
        self
    }
}

// A panic in a call is caught by the thread of the pool, which rolls back. What is left
// in memory are queues behind locks, so who catches a panic can go on with it.
impl UnwindSafe for Database {}
impl RefUnwindSafe for Database {}

/// What every job of a database needs to know.
pub(crate) struct Context {
    path: PathBuf,
    kind: DatabaseKind,
    /// The session that the database belongs to, once a call has named it.
    session: OnceLock<String>,
    /// Set when the file was found, never if there is none.
    file: OnceLock<Arc<DatabaseFile>>,
    /// The lane of the connection that writes.
    write: Arc<Lane>,
    pub(crate) options: OpenOptions,
    pub(crate) settings: Settings,
    /// Whether all calls read one snapshot.
    snapshot: bool,
}

impl Context {
    /// The file, `:memory:` if there is none.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What people call this kind of database.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind.name()
    }

    /// The session, if this is the database of one, and its name is known yet.
    pub(crate) fn session(&self) -> Option<&str> {
        self.session.get().map(String::as_str)
    }

    /// Notes which session the database belongs to.
    pub(crate) fn name_session(&self, session_id: &str) {
        if self.kind == DatabaseKind::Session {
            self.session.get_or_init(|| session_id.to_owned());
        }
    }

    /// Keeps hold of the file for the connections to come.
    fn hold(&self, file: Arc<DatabaseFile>) {
        self.file.get_or_init(|| file);
    }

    /// Another process keeps the file for longer than a call waits.
    fn busy(&self) -> Error {
        Error::Busy {
            path: self.path.clone(),
            waited: self.options.busy_timeout,
        }
    }

    /// Lets the connection that writes save the log that was removed.
    fn save_log(&self) {
        let job: Job = Box::new(|_, slot| {
            // It logs what comes of it.
            if let Some(sqlite) = slot {
                let _ = sqlite.save_log();
            }
            Box::new(|| ())
        });
        // A lane that is closed saves it then.
        let pool = self.options.component.pool();
        if let Err(error) = self.write.push(pool, Class::Urgent, job) {
            tracing::warn!(target: TARGET, ?error, "could not save the log");
        }
    }

    /// Why the component stopped: a limit that it had reached, if that is known.
    pub(crate) fn trapped(
        &self,
        error: wasmtime::Error,
        operation: &'static str,
        committed: bool,
    ) -> Error {
        let limits = self.options.component.limits();
        match limits.and_then(|limits| limit_of(limits, &error)) {
            Some(limit) => Error::Limit {
                path: self.path.clone(),
                operation,
                limit,
                committed,
                source: None,
            },
            None => Error::trapped(&self.path, operation, committed, error),
        }
    }

    /// Whether this is a fork of the process that opened the database.
    pub(crate) fn is_forked(&self) -> bool {
        fork::is_forked()
    }

    /// Fails in a fork, before any lock is taken: a thread of the parent may hold it.
    fn check_process(&self) -> Result<(), Error> {
        match self.is_forked() {
            true => Err(Error::Forked {
                path: self.path.clone(),
            }),
            false => Ok(()),
        }
    }

    pub(crate) fn sqlite_error(&self, error: sqlite::Error) -> Error {
        Error::from_sqlite(error, &self.path, self.options.busy_timeout)
    }

    /// Opens the connection of a lane that has none: the reader's, which is
    /// opened when it is first needed, or one that had to be closed.
    fn connect(&self, role: Role) -> Result<SqliteConnection, Error> {
        if self.snapshot {
            return Err(Error::component(
                &self.path,
                "open",
                "the snapshot was lost, because its connection had to be closed",
            ));
        }
        let Some(file) = self.file.get() else {
            return Err(Error::component(
                &self.path,
                "open",
                "a database in memory was lost, because it could not be rolled back",
            ));
        };
        SqliteConnection::open(file, role, &self.settings)
            .and_then(|mut sqlite| sqlite.accept().map(|()| sqlite))
            .map_err(|error| self.open_error(file, error))
    }

    /// Why the file could not be opened, or what has become of it.
    fn open_error(&self, file: &DatabaseFile, error: sqlite::Error) -> Error {
        if file.is_in_place() && !file.log_is_lost() {
            return self.sqlite_error(error);
        }
        Error::Displaced {
            path: self.path.clone(),
            reason: error.message,
        }
    }
}

struct Inner {
    context: Arc<Context>,
    watch: OnceLock<Arc<Watch>>,
    /// Set when it takes no more calls.
    closed: OnceLock<Closed>,
    write: Arc<Lane>,
    read: Arc<Lane>,
}

impl Inner {
    fn close(&self, here: bool) -> Closed {
        let closed = self.closed.get_or_init(|| closing::begin(self, here));
        if let Some(watch) = self.watch.get() {
            watch.wake_all();
        }
        closed.clone()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.context.is_forked() {
            // Its connections are the parent's: they must never be closed here.
            mem::forget(Arc::clone(&self.context));
            mem::forget(Arc::clone(&self.read));
            mem::forget(Arc::clone(&self.write));
            return;
        }
        closing::dropped(self);
        // Closing syncs, which a thread of a runtime must not wait for. Another one that
        // has all its results finds the file closed.
        let is_allowed = blocking::is_allowed();
        let is_quiet = self.read.is_quiet() && self.write.is_quiet();
        let closed = self.close(is_allowed);
        if is_allowed && is_quiet {
            blocking::wait(closed.wait());
        }
    }
}

impl Database {
    /// Opens a file, creates it if it is not there, and calls `initialize` if it
    /// is empty. As with SQLite, the path `:memory:` is no file.
    pub async fn open(
        path: &Path,
        kind: DatabaseKind,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        if path == Path::new(MEMORY) {
            return Self::memory(kind, options).await;
        }
        Opening::file(path, kind, options, true).wait().await
    }

    /// As [`Database::open`], but creates nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if there is no file, or nothing in it.
    pub async fn open_existing(
        path: &Path,
        kind: DatabaseKind,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        Opening::file(path, kind, options, false).wait().await
    }

    /// Removes a file, and what SQLite has put next to it. If it is a database of this kind,
    /// `retire` marks it first, so that every handle in every process sees that it is deleted.
    /// Whatever else it is, is removed as it is; a missing file is no error.
    ///
    /// Any number of processes may open, create and delete the same path at a time: what is
    /// removed is the file that was marked, never one that took its place.
    ///
    /// # Errors
    ///
    /// Those of `retire`, but for [`Error::Retired`] and those that say that the file is corrupt
    /// or the disk full; [`Error::Busy`] if others keep the write lock, or a snapshot from before the
    /// mark, for longer than the busy timeout; [`Error::Io`] if a file cannot be removed.
    pub async fn delete(
        path: &Path,
        kind: DatabaseKind,
        options: &OpenOptions,
        retire: fn(&mut Call<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let deletion = Deletion::Any(retire);
        Opening::delete(path, kind, options, deletion)
            .wait()
            .await?;
        Ok(())
    }

    /// Completes a deletion that was interrupted, or is not done yet: removes a database of
    /// this kind of which `visit` fails with [`Error::Retired`], and nothing else.
    ///
    /// # Errors
    ///
    /// As [`Database::delete`], and those of `visit`.
    pub async fn delete_retired(
        path: &Path,
        kind: DatabaseKind,
        options: &OpenOptions,
        visit: fn(&mut Call<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let deletion = Deletion::Retired(visit);
        Opening::delete(path, kind, options, deletion)
            .wait()
            .await?;
        Ok(())
    }

    /// As [`Database::open`], and blocks the thread. The path must be a file's.
    pub fn open_blocking(
        path: &Path,
        kind: DatabaseKind,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        Opening::file(path, kind, options, true).wait_blocking()
    }

    /// Makes a private database in memory.
    pub async fn memory(kind: DatabaseKind, options: &OpenOptions) -> Result<Self, Error> {
        Opening::memory(kind, options).wait().await
    }

    /// Opens a file for reading. It must exist and be a database already.
    pub async fn open_readonly(
        path: &Path,
        kind: DatabaseKind,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        Opening::read_only(path, kind, options, false).wait().await
    }

    /// As [`Database::open_readonly`], and every call reads the snapshot of this moment,
    /// whatever others commit.
    pub async fn open_snapshot(
        path: &Path,
        kind: DatabaseKind,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        Opening::read_only(path, kind, options, true).wait().await
    }

    /// Closes the database for all of its handles, and waits until it is closed: calls that
    /// were made are done first, later ones fail with [`Error::Closed`]. The log is copied
    /// into the file, unless another handle or process has it open too. It is closed even
    /// if the future is dropped.
    pub async fn close(&self) {
        if !self.inner.context.is_forked() {
            self.inner.close(false).wait().await;
        }
    }

    /// As [`close`](Self::close), and blocks the thread.
    pub fn close_blocking(&self) {
        if !self.inner.context.is_forked() {
            blocking::wait(self.inner.close(true).wait());
        }
    }

    pub(crate) fn check_process(&self) -> Result<(), Error> {
        self.inner.context.check_process()
    }

    /// Whether it takes no more calls.
    pub(crate) fn is_closed(&self) -> bool {
        self.inner.closed.get().is_some()
    }

    /// The file, `:memory:` if there is none.
    pub fn path(&self) -> &Path {
        self.inner.context.path()
    }

    /// What the database holds.
    pub fn kind(&self) -> DatabaseKind {
        self.inner.context.kind
    }

    /// A handle of the same database for calls that must not wait for long calls of
    /// other databases, because a lease would run out meanwhile: to claim, to renew, to
    /// complete, to release. A thread of the process is kept for them, so they must be
    /// short. Calls of one database run in order all the same.
    #[must_use]
    pub fn urgent(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            class: Class::Urgent,
        }
    }

    /// Runs a job that reads. `operation` is what errors call it.
    ///
    /// If the future is dropped before the job has begun, the job is not done;
    /// afterwards it is done to its end.
    pub fn read<R, E>(
        &self,
        operation: &'static str,
        job: impl FnOnce(&mut Call<'_>) -> Result<R, E> + Send + 'static,
    ) -> impl Future<Output = Result<R, E>> + Send
    where
        R: Send + 'static,
        E: JobError,
    {
        self.run(
            &self.inner.read,
            operation,
            self.job(&self.inner.read, operation, job),
        )
    }

    /// Runs a job that may write, after all that were given before.
    pub fn write<R, E>(
        &self,
        operation: &'static str,
        job: impl FnOnce(&mut Call<'_>) -> Result<R, E> + Send + 'static,
    ) -> impl Future<Output = Result<R, E>> + Send
    where
        R: Send + 'static,
        E: JobError,
    {
        self.run(
            &self.inner.write,
            operation,
            self.job(&self.inner.write, operation, job),
        )
    }

    /// As [`Database::write`], but the job is given when this is called, and done
    /// even if the future is dropped.
    pub fn write_surely<R, E>(
        &self,
        operation: &'static str,
        job: impl FnOnce(&mut Call<'_>) -> Result<R, E> + Send + 'static,
    ) -> impl Future<Output = Result<R, E>> + Send
    where
        R: Send + 'static,
        E: JobError,
    {
        let lane = &self.inner.write;
        let (reply, answer) = Reply::certain();
        let given = self.check_process().and_then(|()| {
            let observed = self.observe(operation);
            self.submit(lane, observed, None, reply, self.job(lane, operation, job))
        });
        async move {
            given?;
            answer
                .await
                .unwrap_or_else(|_| Err(self.lost(operation).into()))
        }
    }

    /// As [`Database::write`], but nobody waits for it: a failure is logged.
    pub fn write_detached<E: JobError>(
        &self,
        operation: &'static str,
        job: impl FnOnce(&mut Call<'_>) -> Result<(), E> + Send + 'static,
    ) {
        let lane = &self.inner.write;
        let work = self.job(lane, operation, move |call| {
            job(call).inspect_err(|error| {
                tracing::warn!(target: TARGET, operation, error = %Logged(error), "the call failed");
            })
        });
        let submitted = self.check_process().and_then(|()| {
            let observed = self.observe(operation);
            self.submit(lane, observed, None, Reply::Nobody, work)
        });
        if let Err(error) = submitted {
            tracing::warn!(target: TARGET, operation, error = %Logged(&error), "the call was not made");
        }
    }

    /// As [`Database::read`], and blocks the thread. It works on any thread but
    /// those that run jobs.
    pub fn read_blocking<R, E>(
        &self,
        operation: &'static str,
        job: impl FnOnce(&mut Call<'_>) -> Result<R, E> + Send + 'static,
    ) -> Result<R, E>
    where
        R: Send + 'static,
        E: JobError,
    {
        self.run_blocking(
            &self.inner.read,
            operation,
            self.job(&self.inner.read, operation, job),
        )
    }

    /// As [`Database::write`], and blocks the thread. It works on any thread but
    /// those that run jobs.
    pub fn write_blocking<R, E>(
        &self,
        operation: &'static str,
        job: impl FnOnce(&mut Call<'_>) -> Result<R, E> + Send + 'static,
    ) -> Result<R, E>
    where
        R: Send + 'static,
        E: JobError,
    {
        self.run_blocking(
            &self.inner.write,
            operation,
            self.job(&self.inner.write, operation, job),
        )
    }

    /// Notes which session the database belongs to, for those who read spans.
    pub fn name_session(&self, session_id: &str) {
        self.inner.context.name_session(session_id);
    }

    /// A span for what takes several calls.
    pub fn operation(&self, operation: &'static str) -> Span {
        let span = observability::span(operation, self.path());
        if let Some(session_id) = self.inner.context.session() {
            span.record("session", session_id);
        }
        span
    }

    /// Begins to wait for a topic. What changes after this is not missed, so it is
    /// to be called before reading.
    pub fn waiter(&self, topic: String, probe: Probe) -> Waiter {
        Arc::clone(self.watch()).waiter(self.clone(), topic, probe)
    }

    /// Wakes everybody in this process who waits for the topic, through whatever
    /// handle of the file.
    pub fn notify(&self, topic: &str) {
        self.watch().notify(topic);
    }

    /// How the blobs are compressed that plugins store.
    pub(crate) fn plugin_blobs(&self) -> BlobProfile {
        self.inner.context.options.plugin_blobs
    }

    /// Whether a plugin may put the work into the queue of a session of the application.
    pub(crate) fn is_deliverable(&self, draft: &BatchDraft) -> bool {
        (self.inner.context.options.deliverable)(draft)
    }

    /// Whether others than this handle can change the database.
    pub(crate) fn is_shared(&self) -> bool {
        self.inner.context.file.get().is_some()
    }

    fn watch(&self) -> &Arc<Watch> {
        self.inner.watch.get_or_init(|| {
            let file = self.inner.context.file.get();
            Watch::of(file.map(|file| file.path().to_path_buf()))
        })
    }

    /// Finds out for those who wait whether anything has changed.
    pub(crate) fn look(&self, look: Look, probe: Probe) {
        const OPERATION: &str = "look for changes";
        let lane = &self.inner.read;
        let context = Arc::clone(&self.inner.context);
        let role = lane.role();
        let work = move |worker: &mut Worker, slot: &mut Option<SqliteConnection>| {
            let changed = connected(slot, &context, role)
                .and_then(|sqlite| {
                    let changed = sqlite.has_changed();
                    changed.map_err(|error| context.sqlite_error(error))
                })
                .and_then(|changed| {
                    let topics = look.due(changed);
                    if !topics.is_empty() {
                        let call = |call: &mut Call<'_>| probe(call, &topics);
                        look.compare(&topics, &worker.call(&context, OPERATION, slot, call)?);
                    }
                    Ok(())
                });
            if let Err(error) = &changed {
                tracing::warn!(target: TARGET, error = %Logged(error), "could not look for changes");
                look.wake_all();
            }
            changed
        };
        let observed = Observed::unseen(&self.inner.context, OPERATION);
        if let Err(error) = self.submit(lane, observed, None, Reply::Nobody, work) {
            tracing::warn!(target: TARGET, error = %Logged(&error), "could not look for changes");
        }
    }

    /// Makes the file smaller after something was removed. What was removed is
    /// removed, whether or not this succeeds: an error would deny it.
    pub async fn give_back_pages(&self) {
        if let Err(error) = self.incremental_vacuum().await {
            let error = Logged(&error);
            tracing::warn!(target: TARGET, %error, "could not give unused pages back to the file system");
        }
    }

    /// Gives the pages that are no longer needed back to the file system, some at a
    /// time, so that others can write in between.
    pub async fn incremental_vacuum(&self) -> Result<(), Error> {
        let lane = &self.inner.write;
        let role = lane.role();
        loop {
            let context = Arc::clone(&self.inner.context);
            let step = move |_: &mut Worker, slot: &mut Option<SqliteConnection>| {
                connected(slot, &context, role)?
                    .incremental_vacuum()
                    .map_err(|error| context.sqlite_error(error))
            };
            if !self.run(lane, "incremental vacuum", step).await? {
                return Ok(());
            }
        }
    }

    /// Has SQLite check the file; returns what is wrong, in its words.
    pub(crate) async fn integrity_problems(&self) -> Result<Vec<String>, Error> {
        self.with_reader("check integrity", SqliteConnection::integrity_problems)
            .await
    }

    /// Has SQLite make all indexes anew; false if a table is too corrupt for that.
    pub(crate) async fn rebuild_indexes(&self) -> Result<bool, Error> {
        let lane = &self.inner.write;
        let role = lane.role();
        let context = Arc::clone(&self.inner.context);
        let work = move |_: &mut Worker, slot: &mut Option<SqliteConnection>| {
            let rebuilt = connected(slot, &context, role)?.rebuild_indexes();
            match rebuilt.map_err(|error| (error.code, context.sqlite_error(error))) {
                Ok(()) => Ok(true),
                Err((sqlite::ErrorCode::Corrupt | sqlite::ErrorCode::Constraint, _)) => Ok(false),
                Err((_, error)) => Err(error),
            }
        };
        self.run(lane, "rebuild indexes", work).await
    }

    /// How the file is laid out.
    pub(crate) async fn layout(&self) -> Result<Layout, Error> {
        self.with_reader("read layout", SqliteConnection::layout)
            .await
    }

    /// Uses the connection that reads, without the component.
    async fn with_reader<R: Send + 'static>(
        &self,
        operation: &'static str,
        read: fn(&mut SqliteConnection) -> Result<R, sqlite::Error>,
    ) -> Result<R, Error> {
        let lane = &self.inner.read;
        let role = lane.role();
        let context = Arc::clone(&self.inner.context);
        let work = move |_: &mut Worker, slot: &mut Option<SqliteConnection>| {
            let sqlite = connected(slot, &context, role)?;
            read(sqlite)
                .and_then(|result| sqlite.check_unchanged().map(|()| result))
                .map_err(|error| context.sqlite_error(error))
        };
        self.run(lane, operation, work).await
    }

    /// The time in ms since 1970, by the clock that the database goes by.
    pub fn now_ms(&self) -> u64 {
        epoch_ms(self.now())
    }

    /// The time, by the clock that the database goes by.
    pub fn now(&self) -> SystemTime {
        self.inner.context.options.now()
    }

    /// A job that calls the component.
    fn job<R, E, F>(
        &self,
        lane: &Lane,
        operation: &'static str,
        job: F,
    ) -> impl Work<R, E> + use<R, E, F>
    where
        R: Send + 'static,
        E: JobError,
        F: FnOnce(&mut Call<'_>) -> Result<R, E> + Send + 'static,
    {
        let context = Arc::clone(&self.inner.context);
        let role = lane.role();
        move |worker: &mut Worker, slot: &mut Option<SqliteConnection>| {
            connected(slot, &context, role)?;
            worker.call(&context, operation, slot, job)
        }
    }

    async fn run<R: Send + 'static, E: JobError>(
        &self,
        lane: &Arc<Lane>,
        operation: &'static str,
        work: impl Work<R, E>,
    ) -> Result<R, E> {
        self.check_process()?;
        let observed = self.observe(operation);
        let permit = lane.permit().await;
        let (reply, answer) = Reply::future();
        self.submit(lane, observed, permit, reply, work)?;
        answer
            .await
            .unwrap_or_else(|_| Err(self.lost(operation).into()))
    }

    fn run_blocking<R: Send + 'static, E: JobError>(
        &self,
        lane: &Arc<Lane>,
        operation: &'static str,
        work: impl Work<R, E>,
    ) -> Result<R, E> {
        self.check_process()?;
        // Needs no permit: a thread that waits cannot make a second call.
        let (reply, answer) = Reply::thread();
        self.submit(lane, self.observe(operation), None, reply, work)?;
        answer
            .recv()
            .unwrap_or_else(|_| Err(self.lost(operation).into()))
    }

    fn submit<R: Send + 'static, E: JobError>(
        &self,
        lane: &Arc<Lane>,
        observed: Observed,
        permit: Option<OwnedSemaphorePermit>,
        reply: Reply<Result<R, E>>,
        work: impl Work<R, E>,
    ) -> Result<(), Error> {
        let operation = observed.operation();
        let job: Job = Box::new(move |worker, slot| -> Told {
            if reply.is_abandoned() {
                observed.abandon();
                return Box::new(|| ());
            }
            let answer = observed.during(|| work(worker, slot));
            observed.end(&answer, &worker.take_report());
            drop(permit);
            Box::new(move || reply.send(answer))
        });
        lane.push(self.inner.context.options.component.pool(), self.class, job)
            .map_err(|refused| match refused {
                Refused::Closed => Error::Closed {
                    path: self.path().to_path_buf(),
                },
                Refused::NoThread(error) => Error::no_thread(self.path(), operation, error),
            })
    }

    fn observe(&self, operation: &'static str) -> Observed {
        Observed::begin(&self.inner.context, operation)
    }

    fn lost(&self, operation: &'static str) -> Error {
        Error::component(
            self.path(),
            operation,
            "the thread that ran the call has stopped",
        )
    }
}

/// What a job does, with a worker and the connection of its lane.
trait Work<R, E>:
    FnOnce(&mut Worker, &mut Option<SqliteConnection>) -> Result<R, E> + Send + 'static
{
}

impl<R, E, W> Work<R, E> for W where
    W: FnOnce(&mut Worker, &mut Option<SqliteConnection>) -> Result<R, E> + Send + 'static
{
}

/// What a job may end with: [`Error`], or an error of the program's own that an [`Error`]
/// turns into.
pub trait JobError: Failure + From<Error> + Send + 'static {}

impl<E: Failure + From<Error> + Send + 'static> JobError for E {}

/// The connection of a lane, which is opened if there is none.
fn connected<'a>(
    slot: &'a mut Option<SqliteConnection>,
    context: &Context,
    role: Role,
) -> Result<&'a mut SqliteConnection, Error> {
    match slot {
        Some(sqlite) => {
            if role == Role::Reader && sqlite.has_lost_its_log() {
                context.save_log();
            }
            if !context.snapshot && sqlite.is_outdated() {
                *sqlite = context.connect(role)?;
            }
            Ok(sqlite)
        }
        None => Ok(slot.insert(resources::with_room(context, || context.connect(role))?)),
    }
}

/// A database that has no connection yet, and how it gets one.
struct Opening<W> {
    database: Database,
    operation: &'static str,
    work: W,
}

impl Opening<()> {
    fn file(
        path: &Path,
        kind: DatabaseKind,
        options: &OpenOptions,
        create: bool,
    ) -> Opening<impl Work<(), Error> + use<>> {
        let database = Self::database(path, kind, options, Role::Writer, Some(Role::Reader), false);
        let context = Arc::clone(&database.inner.context);
        let work = move |worker: &mut Worker, slot: &mut Option<SqliteConnection>| {
            let open = || open::file(worker, &context, kind, create);
            *slot = Some(resources::with_room(&context, open)?);
            Ok(())
        };
        Opening {
            database,
            operation: open::OPERATION,
            work,
        }
    }

    fn delete(
        path: &Path,
        kind: DatabaseKind,
        options: &OpenOptions,
        deletion: Deletion,
    ) -> Opening<impl Work<(), Error> + use<>> {
        let database = Self::database(path, kind, options, Role::Writer, None, false);
        let context = Arc::clone(&database.inner.context);
        let work = move |worker: &mut Worker, _: &mut Option<SqliteConnection>| {
            open::delete(worker, &context, kind, deletion)
        };
        Opening {
            database,
            operation: "delete",
            work,
        }
    }

    fn memory(kind: DatabaseKind, options: &OpenOptions) -> Opening<impl Work<(), Error> + use<>> {
        let database = Self::database(Path::new(MEMORY), kind, options, Role::Writer, None, false);
        let context = Arc::clone(&database.inner.context);
        let work = move |worker: &mut Worker, slot: &mut Option<SqliteConnection>| {
            *slot = Some(open::memory(worker, &context, kind)?);
            Ok(())
        };
        Opening {
            database,
            operation: open::OPERATION,
            work,
        }
    }

    fn read_only(
        path: &Path,
        kind: DatabaseKind,
        options: &OpenOptions,
        snapshot: bool,
    ) -> Opening<impl Work<(), Error> + use<>> {
        let database = Self::database(path, kind, options, Role::ReadOnly, None, snapshot);
        let context = Arc::clone(&database.inner.context);
        let work = move |worker: &mut Worker, slot: &mut Option<SqliteConnection>| {
            let open = || open::read_only(worker, &context, kind);
            let mut sqlite = resources::with_room(&context, open)?;
            if snapshot {
                sqlite.pin().map_err(|error| context.sqlite_error(error))?;
            }
            *slot = Some(sqlite);
            Ok(())
        };
        Opening {
            database,
            operation: open::OPERATION,
            work,
        }
    }

    /// A database with a lane for everything, or with one for reads beside it.
    fn database(
        path: &Path,
        kind: DatabaseKind,
        options: &OpenOptions,
        write: Role,
        read: Option<Role>,
        snapshot: bool,
    ) -> Database {
        let own_worker = options.component.limits().is_some();
        let reopens = path != Path::new(MEMORY) && !snapshot;
        let reader = read.map(|role| Lane::new(role, own_worker, reopens, None));
        let write = Lane::new(write, own_worker, reopens, reader.clone());
        let read = reader.unwrap_or_else(|| Arc::clone(&write));
        let context = Arc::new(Context {
            path: path.to_path_buf(),
            kind,
            session: OnceLock::new(),
            file: OnceLock::new(),
            write: Arc::clone(&write),
            options: options.clone(),
            settings: options.settings(),
            snapshot,
        });
        let inner = Arc::new(Inner {
            context,
            watch: OnceLock::new(),
            closed: OnceLock::new(),
            write,
            read,
        });
        Database {
            inner,
            class: Class::Ordinary,
        }
    }
}

impl<W: Work<(), Error>> Opening<W> {
    async fn wait(self) -> Result<Database, Error> {
        let Self {
            database,
            operation,
            work,
        } = self;
        let context = &database.inner.context;
        context.check_process()?;
        closing::opened(&database.inner);
        for closed in closing::of(context.path()) {
            closed.wait().await;
        }
        database.run(&database.inner.write, operation, work).await?;
        Ok(database)
    }

    fn wait_blocking(self) -> Result<Database, Error> {
        let Self {
            database,
            operation,
            work,
        } = self;
        let context = &database.inner.context;
        context.check_process()?;
        closing::opened(&database.inner);
        for closed in closing::of(context.path()) {
            blocking::wait(closed.wait());
        }
        database.run_blocking(&database.inner.write, operation, work)?;
        Ok(database)
    }
}
