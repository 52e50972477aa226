//! Calls that are long for as long as a test wants.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::SystemTime;

use lash_wasm_store::StoreBuilder;
use lash_wasm_store_testing::child;

/// A clock that stops those who look at it, once it is closed.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<State>);

#[derive(Default)]
struct State {
    closed: AtomicBool,
    stopped: AtomicUsize,
    opened: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    pub(crate) fn builder(&self) -> StoreBuilder {
        let state = Arc::clone(&self.0);
        StoreBuilder::new().clock(move || {
            if state.closed.load(Ordering::SeqCst) {
                state.stopped.fetch_add(1, Ordering::SeqCst);
                let mut opened = state.opened.lock().unwrap();
                while !*opened {
                    opened = state.changed.wait(opened).unwrap();
                }
            }
            SystemTime::now()
        })
    }

    pub(crate) fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn open(&self) {
        *self.0.opened.lock().unwrap() = true;
        self.0.changed.notify_all();
    }

    pub(crate) async fn until_stopped(&self, calls: usize) {
        while self.0.stopped.load(Ordering::SeqCst) < calls {
            tokio::task::yield_now().await;
        }
    }

    /// As many as there are threads for such calls.
    pub(crate) async fn until_all_threads_are_stopped(&self) {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        self.until_stopped(cores.clamp(2, 4)).await;
    }
}

/// Runs a test again in a process of its own.
pub(crate) fn alone(test: impl Fn()) {
    let status = child::command(test, "here".as_ref()).status().unwrap();
    assert!(status.success());
}
