//! The clock by which calls of a component that is not trusted are interrupted.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use wasmtime::Engine;

/// How often the engine's epoch is moved on.
const TICK: Duration = Duration::from_millis(10);

/// Moves the epoch of an engine on until it is dropped.
pub(super) struct Ticker {
    _stop: mpsc::Sender<()>,
}

impl Ticker {
    pub(super) fn start(engine: &Engine) -> io::Result<Self> {
        let engine = engine.weak();
        let (stop, stopped) = mpsc::channel();
        thread::Builder::new()
            .name("lash-wasm-store".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    let Some(engine) = engine.upgrade() else {
                        return;
                    };
                    engine.increment_epoch();
                }
            })?;
        Ok(Self { _stop: stop })
    }

    /// How many ticks from now it is `time` later, at least.
    pub(super) fn ticks(&self, time: Duration) -> u64 {
        let ticks = time.as_nanos().div_ceil(TICK.as_nanos());
        // The next tick may come at once.
        u64::try_from(ticks)
            .unwrap_or(u64::MAX >> 1)
            .min(u64::MAX >> 1)
            + 1
    }
}
