//! What belongs to one instance of the component.

use std::time::{SystemTime, UNIX_EPOCH};

use wasmtime::ResourceLimiter;

use super::options::Clock;
use crate::bindings::wasi;
use crate::sqlite::SqliteContext;

/// The most memory that an instance may have. Above the largest request, and
/// below what would make a runaway instance the machine's problem.
const LARGEST_MEMORY: usize = 3 << 30;

/// The data of a wasmtime store.
pub(crate) struct State {
    pub(super) sqlite: SqliteContext,
    /// The clock of the database that the running call is made for.
    pub(super) clock: Option<Clock>,
    pub(super) limits: Limits,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            sqlite: SqliteContext::default(),
            clock: None,
            limits: Limits::default(),
        }
    }
}

/// Bounds the memory of an instance, and remembers how much it has.
#[derive(Default)]
pub(super) struct Limits {
    pub(super) memory: usize,
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > LARGEST_MEMORY {
            return Ok(false);
        }
        self.memory = desired;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        _desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

impl wasi::clocks::wall_clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<wasi::clocks::wall_clock::Datetime> {
        let now = match &self.clock {
            Some(clock) => clock(),
            None => SystemTime::now(),
        };
        // Leases that were computed from a wrong time would never be noticed.
        let since = now
            .duration_since(UNIX_EPOCH)
            .map_err(|_| wasmtime::Error::msg("the clock shows a time before 1970"))?;
        Ok(wasi::clocks::wall_clock::Datetime {
            seconds: since.as_secs(),
            nanoseconds: since.subsec_nanos(),
        })
    }
}

impl wasi::random::random::Host for State {
    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        getrandom::u64().map_err(|error| wasmtime::Error::msg(error.to_string()))
    }
}
