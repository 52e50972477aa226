//! The threads of the process that run the component.
//!
//! There are a few, however many databases are open, and they take turns: a
//! thread takes the lane that has waited longest, runs one of its jobs, and puts
//! it back at the end. A thread that waits for the lock of another process is
//! not counted while it waits: another one is started in its place, up to a
//! bound, and ends when it is not needed any more.
//!
//! Leases come first: one thread more than ordinary jobs may occupy is there for lanes
//! that have an [urgent](Class::Urgent) job. Such a lane runs its jobs in order all the
//! same; if one before the urgent job is ordinary, another thread takes over the watch.
//! So a lease is renewed while every other thread is in a long call.
//!
//! Of the threads that have nothing to do, the one that worked last is woken: its
//! instance and what it read last are still in the caches of its core.

mod idle;
mod lane;
mod reply;
mod worker;

#[cfg(test)]
mod tests;

pub(crate) use lane::{Class, Job, Lane, Refused, Told};
pub(crate) use reply::Reply;
pub(crate) use worker::Worker;

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::{io, thread};

use crate::blocking;
use crate::observability::{TARGET, metrics};
use crate::sqlite::Role;
use crate::sqlite::wait::{self, Observer};
use crate::sync::lock;
use idle::Idle;

/// How many threads there may be for ordinary jobs. So many stores can wait for locks
/// of other processes before they hold up one that does not.
const MOST_THREADS: usize = 64;

/// How many threads there may be altogether, when lanes with urgent jobs need more.
const MOST_URGENT_THREADS: usize = 2 * MOST_THREADS;

thread_local! {
    /// Whether the thread of a pool runs an ordinary job.
    static ORDINARY: Cell<bool> = const { Cell::new(false) };
}

/// The threads, and the lanes that wait for one.
pub(crate) struct Pool {
    this: Weak<Pool>,
    /// How many ordinary jobs run at a time, without those that wait for a lock.
    threads: usize,
    /// Whether it is the one of the process, which metrics are about.
    measured: bool,
    /// The stack of each thread; what the standard library chooses if none is said.
    stack: Option<usize>,
    state: Mutex<State>,
    /// The lanes that have a connection.
    idle: Mutex<Idle>,
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
    /// Those that have an urgent job.
    urgent: VecDeque<Arc<Lane>>,
    /// How many threads there are.
    threads: usize,
    /// Those of them that have nothing to do, the last to stop working last.
    idle: Vec<Arc<Idler>>,
    /// How many of them run an ordinary job, without those that wait.
    ordinary: usize,
    /// How many of them wait for the lock of another connection.
    blocked: usize,
    /// Whether nothing will be queued any more.
    closed: bool,
}

impl State {
    /// Queues a lane. Its class is asked for under the lock of the pool, so that a job
    /// that becomes urgent meanwhile is not missed, see [`Pool::hasten`].
    fn queue(&mut self, lane: Arc<Lane>) {
        match lane.class() {
            Class::Urgent => self.urgent.push_back(lane),
            Class::Ordinary => self.ready.push_back(lane),
        }
    }

    fn waiting(&self) -> usize {
        self.ready.len().saturating_add(self.urgent.len())
    }

    /// How many threads are idle or run an urgent job, which is short.
    fn free(&self) -> usize {
        self.threads
            .saturating_sub(self.ordinary)
            .saturating_sub(self.blocked)
    }

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
            idle: Mutex::new(Idle::new()),
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
    pub(crate) fn schedule(&self, lane: &Arc<Lane>) -> io::Result<()> {
        let mut state = self.state();
        state.queue(Arc::clone(lane));
        self.measure(&state);
        self.staff(&mut state).inspect_err(|_| {
            let State { ready, urgent, .. } = &mut *state;
            for queue in [ready, urgent] {
                queue.retain(|queued| !Arc::ptr_eq(queued, lane));
            }
        })
    }

    /// Moves a lane that has an urgent job now to the others that have. One that is not
    /// queued is being worked on, and is queued as what it is when that is done.
    pub(crate) fn hasten(&self, lane: &Arc<Lane>) {
        let mut state = self.state();
        let queued = state
            .ready
            .iter()
            .position(|ready| Arc::ptr_eq(ready, lane));
        if let Some(lane) = queued.and_then(|index| state.ready.remove(index)) {
            state.urgent.push_back(lane);
            // Without another thread, one of those that there are comes to it.
            let _ = self.staff(&mut state);
        }
    }

    /// Sees to it that somebody takes what is ready.
    fn staff(&self, state: &mut State) -> io::Result<()> {
        if self.lacks_threads(state) {
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
        if self.takeable(state) > 0 {
            state.wake_one();
        }
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
        blocking::refuse();
        let mut worker = Worker::default();
        let idler = Arc::new(Idler::default());
        let mut last = Class::Ordinary;
        while let Some((lane, class)) = self.next(&idler, last) {
            last = class;
            // Before it gets a connection, so that no connection is unknown.
            let cold = lock(&self.idle).used(&lane);
            let turn = catch_unwind(AssertUnwindSafe(|| lane.run_one(&mut worker)));
            let more = turn.unwrap_or_else(|_| {
                tracing::error!(target: TARGET, "a job panicked outside of the component");
                worker = Worker::default();
                lane.end_turn()
            });
            if let Some(cold) = cold {
                cold.cool();
            }
            self.park_surplus();
            let mut state = self.state();
            if ORDINARY.take() {
                state.ordinary = state.ordinary.saturating_sub(1);
            }
            if more {
                // This thread is there to take it.
                state.queue(lane);
            }
        }
    }

    /// Closes connections if there are too many. Nobody waits for that: the caller has its
    /// answer.
    fn park_surplus(&self) {
        let mut attempts = lock(&self.idle).surplus();
        while attempts > 0
            && let Some(lane) = lock(&self.idle).coldest()
        {
            if !lane.park(self) {
                // It is in use, or its reader is to be closed first.
                lock(&self.idle).keep(&lane);
            }
            attempts -= 1;
        }
    }

    /// Closes the connections of all lanes with which nothing is being done; returns
    /// whether others are about to be such lanes, because their callers have been told.
    pub(crate) fn park_all(&self) -> bool {
        let mut lanes = lock(&self.idle).drain();
        // Readers first.
        lanes.sort_by_key(|lane| lane.role() == Role::Writer);
        let mut are_more = false;
        for lane in lanes {
            if !lane.park(self) {
                are_more |= lane.is_quiet() && lane.is_connected();
                lock(&self.idle).keep(&lane);
            }
        }
        are_more
    }

    /// Forgets a lane that was closed.
    pub(crate) fn forget(&self, lane: &Arc<Lane>) {
        lock(&self.idle).forget(lane);
    }

    /// Queues a lane again that has got jobs while it was worked on.
    pub(crate) fn requeue(&self, lane: &Arc<Lane>) {
        let mut state = self.state();
        state.queue(Arc::clone(lane));
        // The thread that worked on it comes to it otherwise.
        let _ = self.staff(&mut state);
    }

    /// The lane to work on next, and whether its next job is urgent; none if the thread
    /// is not needed any more. `last` is what the thread did last.
    fn next(&self, idler: &Arc<Idler>, last: Class) -> Option<(Arc<Lane>, Class)> {
        let mut state = self.state();
        loop {
            if self.has_spare_threads(&state) {
                state.threads -= 1;
                self.measure(&state);
                // Whatever woke this thread is for another one.
                state.wake_one();
                return None;
            }
            if let Some(lane) = self.take(&mut state, last) {
                let class = lane.next_class();
                if class == Class::Ordinary {
                    ORDINARY.set(true);
                    state.ordinary += 1;
                }
                // This thread may be the one that was kept for urgent jobs, and one that
                // is idle may take what is left.
                let _ = self.staff(&mut state);
                return Some((lane, class));
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

    /// Takes a lane out of its queue: of each kind in turns, so that neither waits for
    /// all of the other.
    fn take(&self, state: &mut State, last: Class) -> Option<Arc<Lane>> {
        let is_ordinary_turn = last == Class::Urgent || state.urgent.is_empty();
        if is_ordinary_turn
            && state.ordinary < self.threads
            && let Some(lane) = state.ready.pop_front()
        {
            return Some(lane);
        }
        state.urgent.pop_front()
    }

    fn measure(&self, state: &State) {
        if self.measured {
            metrics::threads(state.threads);
            metrics::waiting_databases(state.waiting());
        }
    }

    /// How many of the lanes that are queued a thread could take now.
    fn takeable(&self, state: &State) -> usize {
        let room = self.threads.saturating_sub(state.ordinary);
        let ready = state.ready.len().min(room);
        ready.saturating_add(state.urgent.len())
    }

    fn lacks_threads(&self, state: &State) -> bool {
        if self.takeable(state) <= state.idle.len() {
            return false;
        }
        let at_work = state.threads.saturating_sub(state.blocked);
        (at_work <= self.threads && state.threads <= MOST_THREADS)
            || (!state.urgent.is_empty()
                && state.free() == 0
                && state.threads < MOST_URGENT_THREADS)
    }

    fn has_spare_threads(&self, state: &State) -> bool {
        let at_work = state.threads.saturating_sub(state.blocked);
        // The one that asks is free.
        at_work > self.threads + 1 && (state.urgent.is_empty() || state.free() > 1)
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
        if ORDINARY.get() {
            state.ordinary = state.ordinary.saturating_sub(1);
        }
        // This thread exists, so it cannot fail.
        let _ = self.staff(&mut state);
    }

    fn unblocked(&self) {
        let mut state = self.state();
        state.blocked = state.blocked.saturating_sub(1);
        if ORDINARY.get() {
            state.ordinary += 1;
        }
        // An idle thread may be one too many now.
        state.wake_one();
    }
}
