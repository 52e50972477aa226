//! Writing processes, several at a time.

use lash_store_engine::Call;
use lash_store_engine::wit::process_import::{ImportedEvent, ImportedProcess, Wake};

use super::events::{self, Events, History, Page, repeated_key};
use super::record::{PROCESSES, Process};
use crate::error::Error;
use crate::import::error::ImportError;
use crate::import::report::Imported;
use crate::import::run::Run;
use crate::import::table::put_each;

/// How many bytes are written at a time, but for what is longer by itself.
const BYTES: u64 = 1 << 20;

/// How many processes are written at a time.
const PROCESSES_AT_ONCE: usize = 256;

/// Processes that are to be written, and what was written before them.
#[derive(Default)]
pub(super) struct Batch {
    processes: Vec<ImportedProcess>,
    /// What each of them counts.
    counts: Vec<Counts>,
    bytes: u64,
    written: Counts,
}

/// Rows and bytes of each table.
#[derive(Clone, Copy, Default)]
struct Counts {
    processes: (u64, u64),
    events: (u64, u64),
    acknowledgements: (u64, u64),
    leases: (u64, u64),
}

/// What a row without text has, in bytes: its numbers.
const ROW_BYTES: u64 = 16;

impl Counts {
    fn of(process: &Process) -> Self {
        let leases = u64::from(process.has_lease_row);
        Self {
            processes: (1, process.bytes),
            leases: (leases, leases.saturating_mul(ROW_BYTES)),
            ..Self::default()
        }
    }

    fn count(&mut self, events: &[ImportedEvent]) {
        for event in events {
            let acknowledged = u64::from(event.wake == Wake::Acknowledged);
            self.add(&Self {
                events: (1, event.content.len() as u64),
                acknowledgements: (acknowledged, acknowledged.saturating_mul(ROW_BYTES)),
                ..Self::default()
            });
        }
    }

    fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.processes, other.processes),
            (&mut self.events, other.events),
            (&mut self.acknowledgements, other.acknowledgements),
            (&mut self.leases, other.leases),
        ] {
            sum.0 = sum.0.saturating_add(more.0);
            sum.1 = sum.1.saturating_add(more.1);
        }
    }
}

impl Batch {
    /// Adds a process with its events, if all of them can be brought over.
    pub(super) fn add(
        &mut self,
        run: &mut Run<'_>,
        events: &Events,
        mut process: Process,
    ) -> Result<(), ImportError> {
        let name = process.imported.registration.id.clone();
        let mut history = History::of(&name);
        let first = events.page(run, &name, i64::MIN, &mut history)?;
        let mut last = first.last;
        while let Some(after) = last {
            // Only read, to see whether they are whole.
            last = events.page(run, &name, after, &mut history)?.last;
        }
        let is_long = first.last.is_some();
        if !history.is_lost
            && is_long
            && let Some(key) = run
                .source
                .read(|connection| repeated_key(connection, &name))
                .map_err(|error| run.source.unreadable(error))?
        {
            history.is_lost = true;
            let reason = format!("two events have the replay key `{key}`");
            run.losses.note(events::TABLE, &name, reason);
        }
        let lost = match &history.end {
            _ if history.is_lost => Some("it is left out, because an event is lost"),
            end if end.map(|(state, _)| state) != process.terminal => {
                Some("the status is not that of its events")
            }
            _ => None,
        };
        if let Some(reason) = lost {
            run.losses.note(PROCESSES.name, name, reason);
            return Ok(());
        }
        if let (Some(end), Some((_, ended_at_ms))) = (&mut process.imported.end, history.end) {
            end.ended_at_ms = ended_at_ms;
        }
        self.push(process, first.events, first.bytes);
        if is_long {
            self.write_long(run, events, &name, first.last)?;
        } else if self.bytes >= BYTES || self.processes.len() >= PROCESSES_AT_ONCE {
            self.write(run)?;
        }
        Ok(())
    }

    fn push(&mut self, process: Process, events: Vec<ImportedEvent>, bytes: u64) {
        let mut counts = Counts::of(&process);
        counts.count(&events);
        self.counts.push(counts);
        self.bytes = self
            .bytes
            .saturating_add(process.bytes)
            .saturating_add(bytes);
        self.processes.push(ImportedProcess {
            events,
            ..process.imported
        });
    }

    /// Writes the process that was added last, and the events that come after.
    fn write_long(
        &mut self,
        run: &mut Run<'_>,
        events: &Events,
        name: &str,
        mut last: Option<i64>,
    ) -> Result<(), ImportError> {
        if !self.write(run)? {
            return Ok(());
        }
        while let Some(after) = last {
            let page = events.page(run, name, after, &mut History::after(name, after))?;
            last = page.last;
            self.written.count(&page.events);
            write_events(run, name, after, page)?;
        }
        Ok(())
    }

    /// Writes what was added; false if the last one was refused.
    fn write(&mut self, run: &mut Run<'_>) -> Result<bool, ImportError> {
        let processes = std::mem::take(&mut self.processes);
        let counts = std::mem::take(&mut self.counts);
        self.bytes = 0;
        let names: Vec<String> = processes
            .iter()
            .map(|process| process.registration.id.clone())
            .collect();
        let refused = match processes.is_empty() {
            true => Vec::new(),
            false => run.write(move |call| put_each(call, &processes, &add_processes))?,
        };
        let last = names.len().saturating_sub(1);
        let is_last_refused = refused
            .last()
            .is_some_and(|(position, _)| *position == last);
        let mut refused = refused.into_iter().peekable();
        for (position, (name, counts)) in names.into_iter().zip(counts).enumerate() {
            match refused.next_if(|(refused, _)| *refused == position) {
                Some((_, reason)) => run.losses.note(PROCESSES.name, name, reason),
                None => self.written.add(&counts),
            }
        }
        Ok(!is_last_refused)
    }

    /// Writes the rest, and says what was written.
    pub(super) fn finish(mut self, run: &mut Run<'_>) -> Result<(), ImportError> {
        self.write(run)?;
        for (table, (rows, bytes)) in [
            (PROCESSES.name, self.written.processes),
            (events::TABLE, self.written.events),
            ("process_wake_acks", self.written.acknowledgements),
            ("process_leases", self.written.leases),
        ] {
            run.records.push(Imported {
                table: table.to_owned(),
                rows,
                bytes,
            });
        }
        Ok(())
    }
}

fn add_processes(call: &mut Call<'_>, processes: &[ImportedProcess]) -> Result<(), Error> {
    Ok(call.process_import().add_processes(processes)?)
}

fn write_events(
    run: &Run<'_>,
    process_id: &str,
    last_sequence: i64,
    page: Page,
) -> Result<(), ImportError> {
    let process_id = process_id.to_owned();
    let last_sequence = last_sequence.unsigned_abs();
    run.write(move |call| {
        Ok(call
            .process_import()
            .add_events(&process_id, last_sequence, &page.events)?)
    })
}
