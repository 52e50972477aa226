//! Databases of processes.
//!
//! A process comes over with its record, its lease and all of its events, or not at all:
//! without one of them it would go on as if that had not been. A handle, or the
//! acknowledgement of a wake, is left out by itself.

mod batch;
mod events;
mod record;
mod rest;

use batch::Batch;
use events::Events;

use super::error::ImportError;
use super::run::Run;

/// Brings everything over.
pub(super) fn import(run: &mut Run<'_>) -> Result<(), ImportError> {
    let events = Events::of(run)?;
    let mut batch = Batch::default();
    run.each(&record::PROCESSES, record::read, |run, process| {
        batch.add(run, &events, process)
    })?;
    batch.finish(run)?;
    rest::import(run)
}
