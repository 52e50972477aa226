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

/// A connection, and what is to be done with it.
///
/// A component that is not trusted has an instance here, which serves this lane alone:
/// one that served another database after this could carry over what it has read.
///
/// At most one thread works on a lane at a time. It answers a caller first and
/// tidies up then, so that nobody waits for a checkpoint.
pub(crate) struct Lane {
    role: Role,
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
    /// Whether a job runs.
    working: bool,
    /// Whether the connection is to be closed.
    closed: bool,
}

impl Lane {
    /// A lane whose jobs run on the worker of the thread that takes it, or on one of
    /// its own.
    pub(crate) fn new(role: Role, own_worker: bool) -> Arc<Self> {
        Arc::new(Self {
            role,
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
    pub(crate) fn push(self: &Arc<Self>, pool: &Pool, class: Class, job: Job) -> io::Result<()> {
        {
            let mut queue = self.queue();
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
        pool.schedule(self).inspect_err(|_| {
            let jobs = {
                let mut queue = self.queue();
                queue.scheduled = false;
                queue.urgent = 0;
                std::mem::take(&mut queue.jobs)
            };
            drop(jobs);
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
    /// returns whether there are more jobs.
    pub(crate) fn end_turn(&self) -> bool {
        let mut queue = self.queue();
        queue.working = false;
        queue.scheduled = !queue.jobs.is_empty();
        let close = queue.closed && !queue.scheduled;
        let more = queue.scheduled;
        drop(queue);
        if close {
            self.take();
        }
        more
    }

    /// Closes the connection, at once if nothing is being done with it, and
    /// otherwise when that is done. At once means that a caller that has all
    /// its results finds the file closed.
    pub(crate) fn close(&self) {
        let busy = {
            let mut queue = self.queue();
            queue.closed = true;
            queue.working || !queue.jobs.is_empty()
        };
        if !busy {
            self.take();
        }
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

    /// Closes the connection. Two threads may want to: the one that comes second must
    /// not go on before the first has closed it, so it is closed within the lock.
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
