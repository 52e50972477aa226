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
    Changed, Process, ProcessPage, Registered, Registration, Selection, Status,
};
use crate::format;
use crate::processes::digests::ProcessDigests;
use crate::processes::digests::ProcessTransaction;
use crate::storage::corruption::{invalid, verify_complete};
use crate::storage::digests::Digests;
use crate::storage::paging::{Cursor, ItemPage, List, Numbered};
use crate::storage::seam::{Environment, Transaction, TransactionMode, clamp};
use crate::storage::sql::sql;

pub use events::{
    acknowledge_wake, after, append, first_of_type, get_basis, get_position, last_sequences,
    recent, wakes_after,
};
pub use export::read_page;
pub use handles::{
    grant_handle, is_granted, of_process, of_scope, revoke, revoke_session, transfer,
};
pub use import::{add_events, add_handles, add_processes};
pub use leases::{claim, release, renew};
pub use retention::{prunable, prune};
pub use statistics::statistics;
pub use verify::{repair, verify};

use process_row::{ProcessRow, SELECT_WHOLE};
use state_row::State;

const TABLE: &str = "processes";

/// The highest number of a process, which is the upper half of the keys of its
/// events.
const LAST_PROCESS: i64 = i32::MAX as i64;

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

/// How `list` reads processes, with their lengths.
const ALL: Numbered = Numbered {
    table: TABLE,
    lengths: Some(sql!(
        process_row::LENGTHS,
        "WHERE p.seq >= ?1 ORDER BY p.seq LIMIT ?2"
    )),
    rows: process_row::FROM,
};

/// The same for those that run.
const RUNNING: Numbered = Numbered {
    table: TABLE,
    lengths: Some(sql!(process_row::LENGTHS, RUNNING_FROM)),
    rows: sql!(SELECT_WHOLE, RUNNING_FROM),
};

const RUNNING_FROM: &str = "WHERE p.seq IN (
         SELECT seq FROM process_states WHERE status = 0 AND seq >= ?1 ORDER BY seq LIMIT ?2)
     ORDER BY p.seq";

/// The WIT function `processes.list`.
pub fn list(
    env: &impl Environment,
    selection: Selection,
    cursor: Option<&[u8]>,
) -> Result<ProcessPage> {
    let stored = ProcessTransaction::read(env)?;
    let ProcessDigests {
        running,
        ended: over,
        ..
    } = stored.digests;
    let function = "processes.list";
    let (rows, list) = match selection {
        Selection::All => (ALL, List::of(function, &[b"all"], &[running, over])),
        Selection::Running => (RUNNING, List::of(function, &[b"running"], &[running])),
    };
    let mut cursor = Cursor::resume(cursor, &list)?;
    let mut page = ItemPage::new();
    let tx = &stored.tx;
    let ended = rows.read(tx, &mut cursor, &mut page, &mut |cursor, page, reader| {
        let whole = ProcessRow::read_whole(reader, None)?;
        match whole.process.status {
            Status::Running => cursor.found.insert(whole.checksum),
            _ => cursor.hidden.insert(whole.checksum),
        }
        let bytes = whole.bytes();
        page.add(whole.process, bytes);
        Ok(())
    })?;
    let found_over = cursor.hidden;
    let next = cursor.finish(TABLE, running, ended)?;
    if ended && selection == Selection::All {
        verify_complete(TABLE, found_over, over)?;
    }
    Ok(ProcessPage {
        processes: page.into_items(),
        next,
    })
}

/// The WIT function `processes.set-external-ref`.
pub fn set_external_ref(
    env: &impl Environment,
    id: &str,
    known_hash: Option<&str>,
    external_ref: Vec<u8>,
    fencing_token: Option<u64>,
) -> Result<Changed> {
    change(env, id, known_hash, fencing_token, |state| {
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
    fencing_token: Option<u64>,
) -> Result<Changed> {
    change(env, id, known_hash, fencing_token, |state| {
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
    fencing_token: Option<u64>,
    apply: impl FnOnce(&mut State) -> bool,
) -> Result<Changed> {
    let tx = env.begin(TransactionMode::WriteDurable)?;
    let Some(mut process) = process_row::find(&tx, id)? else {
        return Ok(Changed::Unknown);
    };
    if let Some(newer) = process.state.fenced_by(fencing_token) {
        return Ok(Changed::Fenced(newer));
    }
    process.state.updated_at_ms = env.now_ms();
    if !apply(&mut process.state) {
        return Ok(Changed::Ended);
    }
    process.state.update(&tx, process.seq)?;
    let changed = process_row::find_whole(&tx, id, known_hash)?;
    tx.commit()?;
    Ok(changed.map_or(Changed::Unknown, |whole| Changed::Process(whole.process)))
}
