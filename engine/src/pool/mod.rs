//! The threads of the process that run the component.
//!
//! There are a few, however many databases are open, and they take turns: a
//! thread takes the lane that has waited longest, runs one of its jobs, and puts
//! it back at the end. A thread that waits for the lock of another process is
//! not counted while it waits: another one is started in its place, up to a
//! bound, and ends when it is not needed any more.
//!
//! Of the threads that have nothing to do, the one that worked last is woken: its
//! instance and what it read last are still in the caches of its core.

mod lane;
mod reply;
mod worker;

pub(crate) use lane::{Job, Lane, Told};
pub(crate) use reply::Reply;
pub(crate) use worker::Worker;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::{io, thread};

use lru::LruCache;

use crate::observability::{TARGET, metrics};
use crate::sqlite::wait::{self, Observer};
use crate::sync::lock;

/// How many threads there may be altogether. So many stores can wait for locks
/// of other processes before they hold up one that does not.
const MOST_THREADS: usize = 64;

/// How many connections keep their caches: those that were used last. What the
/// others had read they read again.
const WARM_LANES: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// The threads, and the lanes that wait for one.
pub(crate) struct Pool {
    this: Weak<Pool>,
    threads: usize,
    /// Whether it is the one of the process, which metrics are about.
    measured: bool,
    /// The stack of each thread; what the standard library chooses if none is said.
    stack: Option<usize>,
    state: Mutex<State>,
    /// The lanes that were used last, by their address.
    warm: Mutex<LruCache<usize, Weak<Lane>>>,
}

/// A thread that has nothing to do.
#[derive(Default)]
struct Idler {
    wake: Condvar,
    /// Changed under the pool's lock only.
    woken: AtomicBool,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Arc<Lane>>,
    /// How many threads there are.
    threads: usize,
    /// Those of them that have nothing to do, the last to stop working last.
    idle: Vec<Arc<Idler>>,
    /// How many of them wait for the lock of another connection.
    blocked: usize,
    /// Whether nothing will be queued any more.
    closed: bool,
}

impl State {
    fn wake_one(&mut self) {
        if let Some(idler) = self.idle.pop() {
            idler.woken.store(true, Ordering::Relaxed);
            idler.wake.notify_one();
        }
    }
}

impl Pool {
    /// The pool of the process. It has no thread until there is work.
    pub(crate) fn global() -> &'static Self {
        static POOL: OnceLock<Arc<Pool>> = OnceLock::new();
        POOL.get_or_init(|| {
            let cores = thread::available_parallelism().map_or(2, usize::from);
            Pool::new(cores.clamp(2, 4), true, None)
        })
    }

    /// A pool for a component that may keep its threads busy: as many databases as it
    /// holds up in this way hold up no other one.
    pub(crate) fn patient(stack: usize) -> Arc<Self> {
        Self::new(MOST_THREADS, false, Some(stack))
    }

    fn new(threads: usize, measured: bool, stack: Option<usize>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            threads,
            measured,
            stack,
            state: Mutex::new(State::default()),
            warm: Mutex::new(LruCache::new(WARM_LANES)),
        })
    }

    /// Ends the threads, each when it has nothing more to do.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        while !state.idle.is_empty() {
            state.wake_one();
        }
    }

    /// Queues a lane that has jobs. Fails if there is no thread and none can be
    /// started; the lane is not queued then.
    pub(crate) fn schedule(&self, lane: Arc<Lane>) -> io::Result<()> {
        let mut state = self.state();
        state.ready.push_back(lane);
        self.measure(&state);
        self.staff(&mut state).inspect_err(|_| {
            state.ready.pop_back();
        })
    }

    /// Sees to it that somebody takes what is ready.
    fn staff(&self, state: &mut State) -> io::Result<()> {
        if state.ready.len() > state.idle.len() && self.lacks_threads(state) {
            match self.start() {
                Ok(()) => state.threads += 1,
                // The others will come to it.
                Err(error) if state.threads > 0 => {
                    tracing::warn!(target: TARGET, %error, "could not start a thread");
                }
                Err(error) => return Err(error),
            }
        }
        self.measure(state);
        state.wake_one();
        Ok(())
    }

    fn start(&self) -> io::Result<()> {
        let Some(pool) = self.this.upgrade() else {
            return Err(io::Error::other("the threads have ended"));
        };
        let mut thread = thread::Builder::new().name("lash-wasm-store".to_owned());
        if let Some(stack) = self.stack {
            thread = thread.stack_size(stack);
        }
        thread.spawn(move || pool.run()).map(drop)
    }

    fn run(self: Arc<Self>) {
        wait::observe(Arc::clone(&self) as Arc<dyn Observer>);
        let mut worker = Worker::default();
        let idler = Arc::new(Idler::default());
        while let Some(lane) = self.next(&idler) {
            let turn = catch_unwind(AssertUnwindSafe(|| lane.run_one(&mut worker)));
            let more = turn.unwrap_or_else(|_| {
                tracing::error!(target: TARGET, "a job panicked outside of the component");
                worker = Worker::default();
                lane.end_turn()
            });
            self.keep_warm(&lane);
            if more {
                let mut state = self.state();
                state.ready.push_back(lane);
                // This thread is there to take it.
            }
        }
    }

    /// Notes that a lane was used, and frees the memory of the one that has not
    /// been for longest.
    fn keep_warm(&self, lane: &Arc<Lane>) {
        let address = Arc::as_ptr(lane).addr();
        let evicted = lock(&self.warm).push(address, Arc::downgrade(lane));
        if let Some((evicted, cold)) = evicted
            && evicted != address
            && let Some(cold) = cold.upgrade()
        {
            cold.cool();
        }
    }

    /// The lane to work on next; none if the thread is not needed any more.
    fn next(&self, idler: &Arc<Idler>) -> Option<Arc<Lane>> {
        let mut state = self.state();
        loop {
            if self.has_spare_threads(&state) {
                state.threads -= 1;
                self.measure(&state);
                // Whatever woke this thread is for another one.
                state.wake_one();
                return None;
            }
            if let Some(lane) = state.ready.pop_front() {
                self.measure(&state);
                return Some(lane);
            }
            if state.closed {
                state.threads -= 1;
                return None;
            }
            idler.woken.store(false, Ordering::Relaxed);
            state.idle.push(Arc::clone(idler));
            while !idler.woken.load(Ordering::Relaxed) {
                state = idler
                    .wake
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn measure(&self, state: &State) {
        if self.measured {
            metrics::threads(state.threads);
            metrics::waiting_databases(state.ready.len());
        }
    }

    fn lacks_threads(&self, state: &State) -> bool {
        state.threads.saturating_sub(state.blocked) < self.threads && state.threads < MOST_THREADS
    }

    fn has_spare_threads(&self, state: &State) -> bool {
        state.threads.saturating_sub(state.blocked) > self.threads
    }

    /// How many threads there are.
    #[cfg(test)]
    pub(crate) fn threads(&self) -> usize {
        self.state().threads
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Observer for Pool {
    fn blocked(&self) {
        let mut state = self.state();
        state.blocked += 1;
        // This thread exists, so it cannot fail.
        let _ = self.staff(&mut state);
    }

    fn unblocked(&self) {
        let mut state = self.state();
        state.blocked = state.blocked.saturating_sub(1);
        // An idle thread may be one too many now.
        state.wake_one();
    }
}
