//! The threads that run a plugin.
//!
//! One that has nothing to do is kept for a while, because to start one costs more than
//! most calls.

use crate::sync::lock;
use std::io;
use std::sync::mpsc::{self, SendError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// How long a thread that has nothing to do is kept.
const KEPT: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// Threads with the stack for one plugin. Those that have nothing to do end with it.
pub(super) struct Threads {
    stack: usize,
    idle: Arc<Idle>,
}

/// Those that have nothing to do, the last to stop working last.
#[derive(Default)]
struct Idle(Mutex<Vec<(ThreadId, Sender<Job>)>>);

impl Threads {
    pub(super) fn new(stack: usize) -> Self {
        Self {
            stack,
            idle: Arc::default(),
        }
    }

    /// Runs `job` on a thread that does nothing else meanwhile.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut job: Job = Box::new(job);
        while let Some(thread) = self.idle.pop() {
            match thread.send(job) {
                Ok(()) => return Ok(()),
                Err(SendError(unsent)) => job = unsent,
            }
        }
        let idle = Arc::downgrade(&self.idle);
        thread::Builder::new()
            .name("lash-plugin".to_owned())
            .stack_size(self.stack)
            .spawn(move || work(job, &idle))
            .map(drop)
    }
}

impl Idle {
    fn pop(&self) -> Option<Sender<Job>> {
        self.threads().pop().map(|(_, thread)| thread)
    }

    fn threads(&self) -> MutexGuard<'_, Vec<(ThreadId, Sender<Job>)>> {
        lock(&self.0)
    }
}

fn work(first: Job, idle: &Weak<Idle>) {
    let mut next = Some(first);
    while let Some(job) = next {
        job();
        next = wait(idle);
    }
}

/// The next job; none if this thread is not needed any more.
fn wait(idle: &Weak<Idle>) -> Option<Job> {
    let this = thread::current().id();
    let (sender, jobs) = mpsc::channel();
    idle.upgrade()?.threads().push((this, sender));
    match jobs.recv_timeout(KEPT) {
        Ok(job) => return Some(job),
        Err(mpsc::RecvTimeoutError::Disconnected) => return None,
        Err(mpsc::RecvTimeoutError::Timeout) => {}
    }
    let removed = {
        let idle = idle.upgrade()?;
        let mut threads = idle.threads();
        let place = threads.iter().position(|(thread, _)| *thread == this);
        place.map(|place| threads.remove(place))
    };
    match removed {
        Some(_) => None,
        // Somebody has taken it off the list, and is about to send.
        None => jobs.recv().ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::mpsc::{self, Sender};
    use std::thread::{self, ThreadId};

    use super::Threads;

    thread_local! {
        /// Dropped when the thread ends.
        static ALIVE: RefCell<Option<Sender<()>>> = const { RefCell::new(None) };
    }

    /// The thread that ran a job, when it has become idle.
    fn run(threads: &Threads, job: impl FnOnce() + Send + 'static) -> ThreadId {
        let before = threads.idle.threads().len();
        let (sender, ran) = mpsc::channel();
        threads
            .run(move || {
                job();
                sender.send(thread::current().id()).unwrap();
            })
            .unwrap();
        let ran = ran.recv().unwrap();
        while threads.idle.threads().len() < before.max(1) {
            thread::yield_now();
        }
        ran
    }

    #[test]
    fn a_thread_that_has_nothing_to_do_runs_the_next_job() {
        let threads = Threads::new(1 << 20);
        let first = run(&threads, || {});
        assert_eq!(first, run(&threads, || {}));
    }

    #[test]
    fn a_thread_that_has_nothing_to_do_ends_with_the_plugin() {
        let threads = Threads::new(1 << 20);
        let (alive, ended) = mpsc::channel();
        run(&threads, || ALIVE.set(Some(alive)));
        drop(threads);
        assert!(ended.recv().is_err());
    }
}
