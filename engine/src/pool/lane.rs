//! The jobs of one connection, in order.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Pool;
use super::worker::Worker;
use crate::observability::metrics;
use crate::sqlite::{Role, SqliteConnection};
use crate::sync::lock;

/// How many calls of a lane may wait at a time. Further ones wait outside, where they
/// cost less. So reads do not wait for writes there either.
const WAITING_CALLS: usize = 1024;

/// Does the work of a job, and returns how to tell the caller.
pub(crate) type Job = Box<dyn FnOnce(&mut Worker, &mut Option<SqliteConnection>) -> Told + Send>;

/// Tells the caller.
pub(crate) type Told = Box<dyn FnOnce() + Send>;

/// Whether a job may wait for long jobs of other lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// It may.
    Ordinary,
    /// It may not: a lease would run out meanwhile. It is short itself.
    Urgent,
}

/// Why a lane does not take a job.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Its database was closed.
    Closed,
    /// There is no thread, and none can be started.
    NoThread(io::Error),
}

/// A connection, and what is to be done with it.
///
/// A component that is not trusted has an instance here, which serves this lane alone:
/// one that served another database after this could carry over what it has read.
///
/// At most one thread works on a lane at a time. It answers a caller first and
/// tidies up then, so that nobody waits for a checkpoint.
pub(crate) struct Lane {
    role: Role,
    /// Whether a connection that was closed can be opened again.
    reopens: bool,
    /// The lane whose connection is to be closed before the one of this lane.
    reader: Option<Arc<Lane>>,
    permits: Arc<Semaphore>,
    queue: Mutex<Queue>,
    /// Instead of the one of the thread.
    worker: Option<Mutex<Worker>>,
    connection: Mutex<Option<SqliteConnection>>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<(Class, Job)>,
    /// How many of them are urgent.
    urgent: usize,
    /// Whether the lane is in the pool's queue, or a thread works on it.
    scheduled: bool,
    /// Whether a job runs: its caller has not been told yet.
    working: bool,
    /// Whether it takes no more jobs.
    closed: bool,
    /// What to do when the last job is done and the connection closed.
    finished: Option<Told>,
}

impl Lane {
    /// A lane whose jobs run on the worker of the thread that takes it, or on one of
    /// its own.
    pub(crate) fn new(
        role: Role,
        own_worker: bool,
        reopens: bool,
        reader: Option<Arc<Self>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            role,
            reopens,
            reader,
            permits: Arc::new(Semaphore::new(WAITING_CALLS)),
            queue: Mutex::new(Queue::default()),
            worker: own_worker.then(Mutex::default),
            connection: Mutex::new(None),
        })
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Waits for room in the queue, which is taken until the permit is dropped.
    pub(crate) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed, so there is always a permit in the end.
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    /// Adds a job. If there is no thread that could do it and none can be
    /// started, all jobs of the lane are dropped, which tells their callers.
    pub(crate) fn push(
        self: &Arc<Self>,
        pool: &Pool,
        class: Class,
        job: Job,
    ) -> Result<(), Refused> {
        {
            let mut queue = self.queue();
            if queue.closed {
                return Err(Refused::Closed);
            }
            queue.jobs.push_back((class, job));
            let is_first_urgent = class == Class::Urgent && queue.urgent == 0;
            if class == Class::Urgent {
                queue.urgent += 1;
            }
            metrics::waiting_calls(queue.jobs.len());
            if queue.scheduled {
                drop(queue);
                if is_first_urgent {
                    pool.hasten(self);
                }
                return Ok(());
            }
            queue.scheduled = true;
        }
        pool.schedule(self).map_err(|error| {
            let jobs = {
                let mut queue = self.queue();
                queue.scheduled = false;
                queue.urgent = 0;
                std::mem::take(&mut queue.jobs)
            };
            drop(jobs);
            Refused::NoThread(error)
        })
    }

    /// Whether any of its jobs is urgent.
    pub(crate) fn class(&self) -> Class {
        match self.queue().urgent {
            0 => Class::Ordinary,
            _ => Class::Urgent,
        }
    }

    /// Whether its next job is urgent.
    pub(crate) fn next_class(&self) -> Class {
        let queue = self.queue();
        queue
            .jobs
            .front()
            .map_or(Class::Ordinary, |(class, _)| *class)
    }

    /// Runs the next job; returns whether there are more.
    pub(crate) fn run_one(&self, worker: &mut Worker) -> bool {
        let job = {
            let mut queue = self.queue();
            let job = queue.jobs.pop_front();
            queue.working = job.is_some();
            if matches!(job, Some((Class::Urgent, _))) {
                queue.urgent = queue.urgent.saturating_sub(1);
            }
            job
        };
        if let Some((_, job)) = job {
            let mut own = self.worker.as_ref().map(lock);
            let told = job(own.as_deref_mut().unwrap_or(worker), &mut self.connection());
            drop(own);
            self.queue().working = false;
            // Without the connection, because what is dropped here may be the
            // last handle of the database, which closes it.
            told();
            self.tidy();
        }
        self.end_turn()
    }

    /// Ends what a thread began with [`Lane::run_one`], which may have panicked;
    /// returns whether there are more jobs. The connection of a lane that takes no more is
    /// closed here.
    pub(crate) fn end_turn(&self) -> bool {
        let finished = {
            let mut queue = self.queue();
            if queue.jobs.is_empty() {
                queue.finished.take()
            } else {
                None
            }
        };
        if let Some(finished) = finished {
            self.take();
            finished();
        }
        let mut queue = self.queue();
        queue.working = false;
        queue.scheduled = !queue.jobs.is_empty() || queue.finished.is_some();
        queue.scheduled
    }

    /// Whether all callers have been told.
    pub(crate) fn is_quiet(&self) -> bool {
        let queue = self.queue();
        !queue.working && queue.jobs.is_empty()
    }

    /// Takes no more jobs.
    pub(crate) fn refuse(&self) {
        self.queue().closed = true;
    }

    /// Takes no more jobs, closes the connection when the last one is done, and calls
    /// `finished` then. This happens on a thread of the pool, or `here` and now if
    /// nothing is being done.
    pub(crate) fn finish(self: &Arc<Self>, pool: &Pool, here: bool, finished: Told) {
        {
            let mut queue = self.queue();
            queue.closed = true;
            queue.finished = Some(finished);
            if queue.scheduled {
                return;
            }
            queue.scheduled = true;
        }
        if here || pool.schedule(self).is_err() {
            self.end_turn();
        }
    }

    /// Whether the connection can be closed and opened again, unseen.
    pub(crate) fn reopens(&self) -> bool {
        self.reopens
    }

    /// Closes the connection, which is opened again when it is needed; returns whether
    /// it is closed. Not while something is being done with it, and that of a writer not
    /// before that of its reader: the last one that is closed copies the log into the
    /// database, and only one that may write can.
    pub(crate) fn park(self: &Arc<Self>, pool: &Pool) -> bool {
        if self
            .reader
            .as_ref()
            .is_some_and(|reader| reader.is_connected())
        {
            return false;
        }
        {
            let mut queue = self.queue();
            if queue.scheduled || queue.closed {
                return false;
            }
            queue.scheduled = true;
        }
        self.take();
        if self.end_turn() {
            pool.requeue(self);
        }
        true
    }

    pub(crate) fn is_connected(&self) -> bool {
        // What is locked is in use.
        self.connection
            .try_lock()
            .map_or(true, |connection| connection.is_some())
    }

    /// Frees the memory that the connection does not need to be one. Not if
    /// something is being done with it.
    pub(crate) fn cool(&self) {
        if let Ok(mut connection) = self.connection.try_lock()
            && let Some(sqlite) = connection.as_mut()
        {
            sqlite.release_memory();
        }
        if let Some(Ok(mut worker)) = self.worker.as_ref().map(Mutex::try_lock) {
            *worker = Worker::default();
        }
    }

    fn tidy(&self) {
        if let Some(sqlite) = self.connection().as_mut() {
            sqlite.tidy();
        }
    }

    fn take(&self) {
        drop(self.connection().take());
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    fn connection(&self) -> MutexGuard<'_, Option<SqliteConnection>> {
        lock(&self.connection)
    }
}
