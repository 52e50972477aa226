//! What belongs to one instance of the component.

use std::time::SystemTime;

use wasmtime::ResourceLimiter;

use super::options::Clock;
use crate::sqlite::{SqliteCtx, SqliteView};

/// The most memory that an instance may have. Above the largest request, and
/// below what would make a runaway instance the machine's problem.
const LARGEST_MEMORY: usize = 3 << 30;

/// The data of a wasmtime store.
pub(crate) struct State {
    pub(super) sqlite: SqliteCtx,
    /// The clock of the database that the running call is made for.
    pub(super) clock: Option<Clock>,
    /// What the running call said about how it ended.
    pub(super) outcome: Option<&'static str>,
    pub(super) limits: Limits,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            sqlite: SqliteCtx::default(),
            clock: None,
            outcome: None,
            limits: Limits::default(),
        }
    }

    pub(super) fn now(&mut self) -> SystemTime {
        self.clock
            .as_ref()
            .map_or_else(SystemTime::now, |clock| clock())
    }
}

impl SqliteView for State {
    fn sqlite(&mut self) -> &mut SqliteCtx {
        &mut self.sqlite
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
