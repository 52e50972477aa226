//! A database, and the calls that are made for it.
//!
//! A [`Database`] puts a job into one of its two lanes, a thread of the
//! [`pool`](crate::pool) takes the lane and runs the job on its own instance, and the job
//! calls the component through a [`Call`]. Nothing here depends on a runtime: a database
//! that was opened within one works after that one is gone.

mod call;
pub mod interfaces;
mod open;
mod options;
mod watch;

#[cfg(test)]
mod tests;

pub use call::Call;
pub(crate) use options::Clock;
pub use options::{Durability, OpenOptions};
pub use watch::{Probe, Waiter};

use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Span;

use self::watch::{Look, Watch};
use crate::component::limit_of;
use crate::error::{Error, MEMORY};
use crate::kind::DatabaseKind;
use crate::observability::{self, Failure, Logged, Observed, TARGET};
use crate::pool::{Job, Lane, Reply, Told, Worker};
use crate::sqlite::{self, DatabaseFile, Layout, Role, Settings, SqliteConnection};
use crate::time::epoch_ms;
use crate::wit::queue::BatchDraft;
use crate::wit::types::BlobProfile;

/// How many calls of one database may wait at a time. Further ones wait outside,
/// where they cost less.
const WAITING_CALLS: usize = 1024;

/// An open database. Clones share it; when the last one is dropped it is closed.
///
/// Calls go through one of two lanes. Writes run in order. So do reads, on a
/// connection of their own, and do not wait for writes. A database in memory has
/// one connection and thus one lane, and so has one that is open for reading
/// only.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
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
    pub(crate) fn hold(&self, file: DatabaseFile) -> &Arc<DatabaseFile> {
        self.file.get_or_init(|| Arc::new(file))
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
        let sqlite = match self.file.get() {
            Some(file) => SqliteConnection::open(file, role, &self.settings),
            None => {
                return Err(Error::component(
                    &self.path,
                    "open",
                    "a database in memory was lost, because it could not be rolled back",
                ));
            }
        };
        sqlite
            .and_then(|sqlite| sqlite.accept().map(|()| sqlite))
            .map_err(|error| self.sqlite_error(error))
    }
}

struct Inner {
    context: Arc<Context>,
    watch: OnceLock<Arc<Watch>>,
    write: Arc<Lane>,
    read: Arc<Lane>,
    permits: Arc<Semaphore>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The writer last: the last connection that is closed copies the log into
        // the database, and only one that may write can.
        self.read.close();
        self.write.close();
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
        Opening::file(path, kind, options).wait().await
    }

    /// As [`Database::open`], and blocks the thread. The path must be a file's.
    pub fn open_blocking(
        path: &Path,
        kind: DatabaseKind,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        Opening::file(path, kind, options).wait_blocking()
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

    /// The file, `:memory:` if there is none.
    pub fn path(&self) -> &Path {
        self.inner.context.path()
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
        let observed = self.observe(operation);
        let given = self.submit(lane, observed, None, reply, self.job(lane, operation, job));
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
        let observed = self.observe(operation);
        if let Err(error) = self.submit(lane, observed, None, Reply::Nobody, work) {
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
            read(connected(slot, &context, role)?).map_err(|error| context.sqlite_error(error))
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
        let observed = self.observe(operation);
        // The semaphore is never closed, so there is always a permit in the end.
        let permit = Arc::clone(&self.inner.permits).acquire_owned().await.ok();
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
        lane.push(self.inner.context.options.component.pool(), job)
            .map_err(|error| Error::no_thread(self.path(), operation, error))
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
        Some(sqlite) => Ok(sqlite),
        None => Ok(slot.insert(context.connect(role)?)),
    }
}

/// A database that has no connection yet, and how it gets one.
struct Opening<W> {
    database: Database,
    work: W,
}

impl Opening<()> {
    fn file(
        path: &Path,
        kind: DatabaseKind,
        options: &OpenOptions,
    ) -> Opening<impl Work<(), Error> + use<>> {
        let database = Self::database(path, kind, options, Role::Writer, Some(Role::Reader), false);
        let context = Arc::clone(&database.inner.context);
        let work = move |worker: &mut Worker, slot: &mut Option<SqliteConnection>| {
            *slot = Some(open::file(worker, &context, kind)?);
            Ok(())
        };
        Opening { database, work }
    }

    fn memory(kind: DatabaseKind, options: &OpenOptions) -> Opening<impl Work<(), Error> + use<>> {
        let database = Self::database(Path::new(MEMORY), kind, options, Role::Writer, None, false);
        let context = Arc::clone(&database.inner.context);
        let work = move |worker: &mut Worker, slot: &mut Option<SqliteConnection>| {
            *slot = Some(open::memory(worker, &context, kind)?);
            Ok(())
        };
        Opening { database, work }
    }

    fn read_only(
        path: &Path,
        kind: DatabaseKind,
        options: &OpenOptions,
        snapshot: bool,
    ) -> Opening<impl Work<(), Error> + use<>> {
        let database = Self::database(path, kind, options, Role::Reader, None, snapshot);
        let context = Arc::clone(&database.inner.context);
        let work = move |worker: &mut Worker, slot: &mut Option<SqliteConnection>| {
            let mut sqlite = open::read_only(worker, &context, kind)?;
            if snapshot {
                sqlite.pin().map_err(|error| context.sqlite_error(error))?;
            }
            *slot = Some(sqlite);
            Ok(())
        };
        Opening { database, work }
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
        let write = Lane::new(write, own_worker);
        let read = read.map_or_else(|| Arc::clone(&write), |role| Lane::new(role, own_worker));
        let context = Arc::new(Context {
            path: path.to_path_buf(),
            kind,
            session: OnceLock::new(),
            file: OnceLock::new(),
            options: options.clone(),
            settings: options.settings(),
            snapshot,
        });
        Database {
            inner: Arc::new(Inner {
                context,
                watch: OnceLock::new(),
                write,
                read,
                permits: Arc::new(Semaphore::new(WAITING_CALLS)),
            }),
        }
    }
}

impl<W: Work<(), Error>> Opening<W> {
    async fn wait(self) -> Result<Database, Error> {
        let Self { database, work } = self;
        database.run(&database.inner.write, "open", work).await?;
        Ok(database)
    }

    fn wait_blocking(self) -> Result<Database, Error> {
        let Self { database, work } = self;
        database.run_blocking(&database.inner.write, "open", work)?;
        Ok(database)
    }
}
