//! The registry of processes: registrations, events, handles and leases.
//!
//! What an event means is computed by the embedder, from a process and its number
//! of events. The event is appended only if both are as they were: nothing of the
//! payload is understood here.

pub(crate) mod digests;
mod event_row;
mod events;
mod export;
mod grant_row;
mod handles;
mod import;
mod leases;
mod process_row;
mod retention;
mod schema;
mod state_row;
mod statistics;
mod verify;

use alloc::vec::Vec;

use crate::Result;
use crate::bindings::format_types::Initialized;
use crate::bindings::process_types::{
    Changed, Process, Registered, Registration, Selection, Status,
};
use crate::format;
use crate::processes::digests::ProcessDigests;
use crate::processes::digests::ProcessTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::{confirm_found, invalid, verify_complete};
use crate::storage::digests::Digests;
use crate::storage::rows::RowReader;
use crate::storage::seam::{Environment, Transaction, TransactionMode, Value, clamp};
use crate::storage::sql::sql;

pub use events::{
    acknowledge_wake, after, append, first_of_type, get_basis, get_position, last_sequences,
    wakes_after,
};
pub use export::read_page;
pub use handles::{
    grant_handle, is_granted, of_process, of_scope, revoke, revoke_session, transfer,
};
pub use import::{add_events, add_handles, add_processes};
pub use leases::{claim, release, renew};
pub use retention::{prunable, prune};
pub use statistics::statistics;
pub use verify::verify;

use process_row::{ProcessRow, SELECT_WHOLE};
use state_row::State;

const TABLE: &str = "processes";

/// The highest number of a process, which is the upper half of the keys of its
/// events.
const LAST_PROCESS: i64 = i32::MAX as i64;

/// How many processes one query of `list` reads.
const PAGE: i64 = 64;

/// The WIT function `processes.initialize`.
pub fn initialize(env: &impl Environment) -> Result<Initialized> {
    format::initialize(env, &format::PROCESSES, schema::STATEMENTS, |tx| {
        ProcessDigests::new().store(tx)
    })
}

/// The WIT function `processes.register`.
pub fn register(env: &impl Environment, registration: &Registration) -> Result<Registered> {
    let mut transaction = ProcessTransaction::write_durably(env)?;
    let hash = registration.hash.as_str();
    if let Some(whole) = process_row::find_whole(&transaction.tx, &registration.id, Some(hash))? {
        let stored = whole.process;
        return Ok(if stored.registration_hash == hash {
            Registered::Process(stored)
        } else {
            Registered::Conflict(stored.registration_hash)
        });
    }
    let seq = clamp(transaction.digests.next_process);
    if seq > LAST_PROCESS {
        return Err(invalid("there were too many processes"));
    }
    transaction.digests.next_process = transaction.digests.next_process.saturating_add(1);
    let now_ms = env.now_ms();
    let state = State::new(now_ms, leases::next_fencing_token(&mut transaction)?);
    let process = ProcessRow::new(registration, seq, now_ms, state);
    process.insert(&transaction.tx, &registration.content)?;
    transaction.digests.running.insert(process.checksum);
    transaction.commit()?;
    Ok(Registered::Process(process.into_process(None, None)))
}

/// The WIT function `processes.get`.
pub fn get(env: &impl Environment, id: &str, known_hash: Option<&str>) -> Result<Option<Process>> {
    let tx = env.begin(TransactionMode::Read)?;
    let whole = process_row::find_whole(&tx, id, known_hash)?;
    Ok(whole.map(|whole| whole.process))
}

/// The WIT function `processes.list`.
pub fn list(env: &impl Environment, selection: Selection) -> Result<Vec<Process>> {
    let transaction = ProcessTransaction::read(env)?;
    let sql = match selection {
        Selection::All => sql!(SELECT_WHOLE, "WHERE p.seq > ?1 ORDER BY p.seq LIMIT ?2"),
        Selection::Running => sql!(
            SELECT_WHOLE,
            "WHERE p.seq IN (
                 SELECT seq FROM process_states WHERE status = 0 AND seq > ?1
                 ORDER BY seq LIMIT ?2)
             ORDER BY p.seq"
        ),
    };
    let mut running = SetDigest::default();
    let mut ended = SetDigest::default();
    let mut processes = Vec::new();
    let mut last = 0;
    loop {
        let rows = transaction
            .tx
            .query(sql, &[Value::Integer(last), Value::Integer(PAGE)])?;
        let mut reader = RowReader::new(TABLE, &rows);
        while reader.advance() {
            let whole = ProcessRow::read_whole(&mut reader, None)?;
            match whole.process.status {
                Status::Running => running.insert(whole.checksum),
                _ => ended.insert(whole.checksum),
            }
            confirm_found(TABLE, whole.seq, whole.seq > last)?;
            last = whole.seq;
            processes.push(whole.process);
        }
        if i64::from(rows.count) < PAGE {
            break;
        }
    }
    verify_complete(TABLE, running, transaction.digests.running)?;
    if selection == Selection::All {
        verify_complete(TABLE, ended, transaction.digests.ended)?;
    }
    processes.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    Ok(processes)
}

/// The WIT function `processes.set-external-ref`.
pub fn set_external_ref(
    env: &impl Environment,
    id: &str,
    known_hash: Option<&str>,
    external_ref: Vec<u8>,
) -> Result<Changed> {
    change(env, id, known_hash, |state| {
        state.external_ref = Some(external_ref);
        true
    })
}

/// The WIT function `processes.set-wait`.
pub fn set_wait(
    env: &impl Environment,
    id: &str,
    known_hash: Option<&str>,
    wait: Option<Vec<u8>>,
) -> Result<Changed> {
    change(env, id, known_hash, |state| {
        let allowed = wait.is_none() || state.is_running();
        state.wait = wait;
        allowed
    })
}

/// Changes the state of a process, unless `apply` returns that it ended.
fn change(
    env: &impl Environment,
    id: &str,
    known_hash: Option<&str>,
    apply: impl FnOnce(&mut State) -> bool,
) -> Result<Changed> {
    let tx = env.begin(TransactionMode::WriteDurable)?;
    let Some(mut process) = process_row::find(&tx, id)? else {
        return Ok(Changed::Unknown);
    };
    process.state.updated_at_ms = env.now_ms();
    if !apply(&mut process.state) {
        return Ok(Changed::Ended);
    }
    process.state.update(&tx, process.seq)?;
    let changed = process_row::find_whole(&tx, id, known_hash)?;
    tx.commit()?;
    Ok(changed.map_or(Changed::Unknown, |whole| Changed::Process(whole.process)))
}
