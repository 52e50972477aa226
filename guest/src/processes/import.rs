//! Adding processes that were kept elsewhere.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::format;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::import_types::{
    ImportedEvent, ImportedHandle, ImportedProcess, Wake as ImportedWake,
};
use crate::bindings::process_types::Status;
use crate::processes::digests::ProcessTransaction;
use crate::storage::corruption::invalid;
use crate::storage::numbers;
use crate::storage::seam::{Environment, Transaction, TransactionMode, clamp, unsigned};

use super::LAST_PROCESS;
use super::event_row::{self, EventRow, LAST_SEQUENCE, Wake};
use super::grant_row::{self, GrantRow};
use super::process_row::{self, ProcessRow};
use super::state_row::State;

/// The WIT function `process-import.add-processes`.
pub fn add_processes(env: &impl Environment, processes: &[ImportedProcess]) -> Result<()> {
    let mut transaction = ProcessTransaction::write_durably(env)?;
    for process in processes {
        add_process(&mut transaction, process)?;
    }
    transaction.commit()
}

fn add_process<T: Transaction>(
    transaction: &mut ProcessTransaction<T>,
    process: &ImportedProcess,
) -> Result<()> {
    let ProcessTransaction { tx, digests, .. } = transaction;
    let id = &process.registration.id;
    if process_row::find(tx, id)?.is_some() {
        return Err(invalid(format!("process `{id}` is there already")));
    }
    let seq = clamp(digests.next_process);
    if seq > LAST_PROCESS {
        return Err(invalid("there were too many processes"));
    }
    let mut state = imported_state(process)?;
    if process.fencing_token > numbers::LAST {
        return Err(invalid(format!("the fencing token of `{id}` is too high")));
    }
    add_events_to(tx, seq, &mut state, &process.events)?;
    let created_at_ms = clamp(process.created_at_ms);
    let row = ProcessRow::new(&process.registration, seq, created_at_ms, state);
    row.insert(tx, &process.registration.content)?;
    match &process.end {
        Some(end) => {
            row.insert_outcome(tx, &end.outcome)?;
            digests.ended.insert(row.checksum);
        }
        None => digests.running.insert(row.checksum),
    }
    digests.next_process = digests.next_process.saturating_add(1);
    digests.next_fencing_token = digests.next_fencing_token.max(process.fencing_token + 1);
    Ok(())
}

/// What a process is imported with, before its events and handles.
fn imported_state(process: &ImportedProcess) -> Result<State> {
    let id = &process.registration.id;
    let refused = |reason: &str| Err(invalid(format!("process `{id}`: {reason}")));
    let fencing_token = clamp(process.fencing_token);
    let mut state = State::new(clamp(process.updated_at_ms), fencing_token);
    state.external_ref.clone_from(&process.external_ref);
    state.wait.clone_from(&process.wait);
    if let Some(end) = &process.end {
        if end.status == Status::Running {
            return refused("it ends and still runs");
        }
        if process.wait.is_some() {
            return refused("it ended and still waits");
        }
        state.status = end.status;
        // 0 is that of a process that runs.
        state.ended_at_ms = clamp(end.ended_at_ms).max(1);
    }
    if let Some(lease) = &process.lease {
        if fencing_token == 0 || lease.expires_at_ms == 0 {
            return refused("its lease has no fencing token, or never was live");
        }
        state.lease_owner = Some(lease.owner_id.clone());
        state.lease_token = Some(lease.token.clone());
        state.lease_claimed_ms = clamp(lease.claimed_at_ms);
        state.lease_expires_ms = clamp(lease.expires_at_ms);
    }
    Ok(state)
}

/// The WIT function `process-import.add-events`.
pub fn add_events(
    env: &impl Environment,
    process_id: &str,
    last_sequence: u64,
    events: &[ImportedEvent],
) -> Result<()> {
    let tx = env.begin(TransactionMode::WriteDurable)?;
    let known = process_row::find(&tx, process_id)?;
    let Some(mut process) = known.filter(|row| unsigned(row.state.last_sequence) == last_sequence)
    else {
        return Err(invalid(format!(
            "`{process_id}` has another number of events"
        )));
    };
    add_events_to(&tx, process.seq, &mut process.state, events)?;
    process.state.update(&tx, process.seq)?;
    tx.commit()?;
    Ok(())
}

/// Writes events, and counts them in the state.
fn add_events_to(
    tx: &impl Transaction,
    seq: i64,
    state: &mut State,
    events: &[ImportedEvent],
) -> Result<()> {
    let mut rows = Vec::with_capacity(events.len());
    for event in events {
        if state.last_sequence >= LAST_SEQUENCE {
            return Err(invalid("the process has too many events"));
        }
        state.last_sequence += 1;
        let wake = match event.wake {
            ImportedWake::Nobody => Wake::Nobody,
            ImportedWake::Pending => Wake::Pending,
            ImportedWake::Acknowledged => Wake::Acknowledged,
        };
        let row = EventRow::imported(seq, state.last_sequence, wake, event);
        if wake == Wake::Pending {
            state.wakes.insert(row.checksum());
        }
        rows.push((row, event.content.as_slice()));
    }
    if rows.is_empty() || event_row::insert_all(tx, &rows)? {
        Ok(())
    } else {
        Err(invalid("two events of a process have the same replay key"))
    }
}

/// The WIT function `process-import.add-handles`.
pub fn add_handles(env: &impl Environment, handles: &[ImportedHandle]) -> Result<()> {
    let tx = env.begin(TransactionMode::WriteDurable)?;
    let mut processes: BTreeMap<&str, ProcessRow> = BTreeMap::new();
    for handle in handles {
        let process = match processes.entry(&handle.process_id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(find(&tx, &handle.process_id)?),
        };
        add_handle(&tx, process, handle)?;
    }
    for process in processes.into_values() {
        process.state.update(&tx, process.seq)?;
    }
    tx.commit()?;
    Ok(())
}

fn find(tx: &impl Transaction, id: &str) -> Result<ProcessRow> {
    process_row::find(tx, id)?.ok_or_else(|| invalid(format!("process `{id}` is not there")))
}

fn add_handle(
    tx: &impl Transaction,
    process: &mut ProcessRow,
    handle: &ImportedHandle,
) -> Result<()> {
    let grant = GrantRow {
        scope_id: handle.scope_id.clone(),
        process: process.seq,
        session_id: handle.session_id.clone(),
        descriptor: handle.descriptor.clone(),
    };
    if grant_row::find(tx, &grant.scope_id, grant.process)?.is_some() {
        return Err(invalid("the scope has a handle of the process already"));
    }
    grant.insert(tx)?;
    process.state.grants.insert(grant.checksum());
    Ok(())
}
