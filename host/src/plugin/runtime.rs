//! The engine of plugins, and the clock that interrupts them.
//!
//! It is another engine than that of the store's own component, because it compiles
//! interruption into the code, which costs time. A thread advances its epoch while a
//! plugin runs; engine and thread exist as long as a plugin is loaded.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::{Config, Engine, OptLevel};

/// How long an epoch is.
const TICK: Duration = Duration::from_millis(10);

/// The engine that all plugins share.
pub(super) struct Runtime {
    pub(super) engine: Engine,
    running: AtomicUsize,
    ticker: OnceLock<Thread>,
}

impl Runtime {
    /// The one of the process.
    pub(super) fn shared() -> wasmtime::Result<Arc<Self>> {
        static SHARED: Mutex<Weak<Runtime>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = shared.upgrade() {
            return Ok(runtime);
        }
        let runtime = Self::start()?;
        *shared = Arc::downgrade(&runtime);
        Ok(runtime)
    }

    fn start() -> wasmtime::Result<Arc<Self>> {
        let runtime = Arc::new(Self {
            engine: Engine::new(&config())?,
            running: AtomicUsize::new(0),
            ticker: OnceLock::new(),
        });
        let weak = Arc::downgrade(&runtime);
        let ticker = thread::Builder::new()
            .name("lash-plugin-clock".to_owned())
            .spawn(move || tick(&weak))?;
        runtime.ticker.get_or_init(|| ticker.thread().clone());
        Ok(runtime)
    }

    /// How many epochs pass in this time at least.
    pub(super) fn epochs(time: Duration) -> u64 {
        let epochs = time.as_millis().div_ceil(TICK.as_millis());
        // One is going on already, and passes early.
        u64::try_from(epochs)
            .unwrap_or(u64::MAX / 2)
            .saturating_add(1)
    }

    /// Keeps the clock going.
    pub(super) fn running(&self) -> Running<'_> {
        if self.running.fetch_add(1, Ordering::SeqCst) == 0 {
            self.wake();
        }
        Running(self)
    }

    fn wake(&self) {
        if let Some(ticker) = self.ticker.get() {
            ticker.unpark();
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.wake();
    }
}

/// While this exists, a plugin runs.
pub(super) struct Running<'r>(&'r Runtime);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Advances the epoch until the runtime is gone, and sleeps while nothing runs.
fn tick(runtime: &Weak<Runtime>) {
    while let Some(alive) = runtime.upgrade() {
        let busy = alive.running.load(Ordering::SeqCst) > 0;
        if busy {
            alive.engine.increment_epoch();
        }
        drop(alive);
        if busy {
            thread::sleep(TICK);
        } else {
            thread::park();
        }
    }
}

/// No cache: what is not trusted is compiled from the bytes that were given.
fn config() -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.cranelift_opt_level(OptLevel::Speed);
    config.epoch_interruption(true);
    config
}
