//! What belongs to one instance of the component.

use std::time::SystemTime;

use wasmtime::ResourceLimiter;

use crate::database::Clock;
use crate::limits::{Limit, Limits};
use crate::sqlite::{SqliteCtx, SqliteView};

/// The most memory that an instance of the embedded component may have. Above the largest request, and
/// below what would make a runaway instance the machine's problem.
const LARGEST_MEMORY: usize = 3 << 30;

/// How many instances, tables and memories an instance of the embedded component may
/// consist of: wasmtime's own figure.
const DEFAULT_INSTANCES: usize = 10_000;

/// The data of a wasmtime store.
pub(crate) struct State {
    pub(crate) sqlite: SqliteCtx,
    /// The clock of the database that the running call is made for.
    pub(crate) clock: Option<Clock>,
    /// What the running call said about how it ended.
    pub(crate) outcome: Option<&'static str>,
    pub(crate) growth: Growth,
}

impl State {
    pub(crate) fn new(limits: Option<&Limits>, clock: Option<Clock>) -> Self {
        Self {
            sqlite: SqliteCtx::default(),
            clock,
            outcome: None,
            growth: Growth::new(limits),
        }
    }

    pub(crate) fn now(&mut self) -> SystemTime {
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

/// Bounds what an instance consists of, and remembers how much memory it has.
pub(crate) struct Growth {
    /// All memories together.
    pub(crate) memory: usize,
    /// The elements of all tables together.
    elements: usize,
    limits: Option<Limits>,
}

impl Growth {
    pub(crate) fn new(limits: Option<&Limits>) -> Self {
        Self {
            memory: 0,
            elements: 0,
            limits: limits.copied(),
        }
    }

    fn instances_of(&self) -> usize {
        self.limits
            .map_or(DEFAULT_INSTANCES, |limits| limits.instances)
    }
}

impl ResourceLimiter for Growth {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        match self.limits {
            // As a trap, because what it does otherwise is not known.
            Some(limits) if total > limits.memory_bytes => {
                return Err(Limit::Memory(limits.memory_bytes).into());
            }
            None if total > LARGEST_MEMORY => return Ok(false),
            _ => {}
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self
            .elements
            .saturating_add(desired.saturating_sub(current));
        if let Some(limits) = self.limits
            && total > limits.table_elements
        {
            return Err(Limit::TableElements(limits.table_elements).into());
        }
        self.elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instances_of()
    }

    fn tables(&self) -> usize {
        self.instances_of()
    }

    fn memories(&self) -> usize {
        self.instances_of()
    }
}
