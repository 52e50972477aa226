//! Checking everything in a database of processes, and rebuilding what is derived.

use alloc::string::ToString;

use crate::Result;
use crate::bindings::inspection_types::{Repaired, Verification};
use crate::processes::digests::{ProcessDigests, ProcessTransaction};
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::invalid;
use crate::storage::findings::{Findings, Pages, repair_all, verify_step};
use crate::storage::identity as database_identity;
use crate::storage::paging::List;
use crate::storage::rows::{RowReader, read_all, read_one};
use crate::storage::seam::{Environment, Transaction, TransactionMode, Value, unsigned};
use crate::storage::sql::sql;

use super::event_row::{self, EventRow, Wake, key, replay_identity, type_identity};
use super::grant_row::{self, GrantRow, scope_identity, session_identity};
use super::process_row::{self, ProcessRow, identity};
use super::{LAST_PROCESS, TABLE};

/// How many numbers of processes a repair passes over, because they may have been given out
/// to processes that are gone.
const SKIPPED: i64 = 1 << 16;

const PROCESSES: Pages = Pages {
    table: TABLE,
    sql: sql!(
        "SELECT ",
        process_row::COLUMNS,
        ", o.checksum, o.outcome, p.content, p.identity",
        process_row::WHOLE_TABLES,
        "WHERE p.seq >= ?1 ORDER BY p.seq LIMIT ?2"
    ),
    columns: 26,
    size: 64,
};

const EVENTS: Pages = Pages {
    table: event_row::TABLE,
    sql: sql!(
        "SELECT ",
        event_row::COLUMNS,
        ", content, process, type_identity, replay_identity FROM process_events
         WHERE id >= ?1 ORDER BY id LIMIT ?2"
    ),
    columns: 11,
    size: 128,
};

const GRANTS: Pages = Pages {
    table: GrantRow::TABLE,
    sql: sql!(
        "SELECT id, ",
        GrantRow::COLUMNS,
        ", scope_identity, session_identity
         FROM process_grants NOT INDEXED WHERE id >= ?1 ORDER BY id LIMIT ?2"
    ),
    columns: 3 + GrantRow::WIDTH,
    size: 128,
};

/// Rows that belong to a process that is not there, by the table that they are in.
const ORPHANS: [(&str, &str); 2] = [
    (
        "process_states",
        "SELECT o.seq FROM process_states o LEFT JOIN processes p ON p.seq = o.seq
         WHERE p.seq IS NULL LIMIT 100",
    ),
    (
        "process_outcomes",
        "SELECT o.seq FROM process_outcomes o LEFT JOIN processes p ON p.seq = o.seq
         WHERE p.seq IS NULL LIMIT 100",
    ),
];

/// The WIT function `process-inspection.verify`.
pub fn verify(env: &impl Environment, cursor: Option<&[u8]>) -> Result<Verification> {
    let (store, damage) = ProcessTransaction::inspect(env, TransactionMode::Read)?;
    let list = List::of_all("process-inspection.verify", store.digests);
    let mut found = ProcessDigests::default();
    verify_step(cursor, &list, damage, &mut |step, findings| {
        check(&store, step, findings, &mut found)
    })
}

/// The WIT function `repair.processes`.
pub fn repair(env: &impl Environment) -> Result<Repaired> {
    let (store, damage) = ProcessTransaction::inspect(env, TransactionMode::WriteDurable)?;
    let mut found = ProcessDigests::default();
    let findings = repair_all(env, damage, &mut |step, findings| {
        check(&store, step, findings, &mut found)
    })?;
    store.repair(found, findings)
}

/// Checks the tables of a step, and adds what they hold to `found`.
fn check<T: Transaction>(
    store: &ProcessTransaction<T>,
    step: usize,
    findings: &mut Findings,
    found: &mut ProcessDigests,
) -> Result<bool> {
    match step {
        0 => {
            database_identity::verify_row(&store.tx, findings)?;
            verify_processes(store, findings, found)?;
        }
        1 => verify_events(&store.tx, findings)?,
        2 => verify_grants(&store.tx, findings)?,
        3 => ORPHANS.iter().try_for_each(|(table, sql)| {
            let reason = "the process of the row is missing";
            findings.orphans(&store.tx, table, sql, reason)
        })?,
        _ => return Err(invalid("the cursor names no step")),
    }
    Ok(step < 3)
}

/// Checks every process with its state and its outcome, its handles, and that its last
/// event is there.
fn verify_processes<T: Transaction>(
    store: &ProcessTransaction<T>,
    findings: &mut Findings,
    known: &mut ProcessDigests,
) -> Result<()> {
    let digests = &store.digests;
    let (mut last, mut last_token) = (0, 0);
    let mut running = SetDigest::default();
    let mut ended = SetDigest::default();
    let next = findings.end_of_numbers(digests.next_process);
    let next_token = findings.end_of_numbers(digests.next_fencing_token);
    findings.walk(&store.tx, &PROCESSES, &mut |findings, reader| {
        let row = ProcessRow::read(reader)?;
        last = row.seq.max(last);
        last_token = row.state.fencing_token.max(last_token);
        match row.state.is_running() {
            true => running.insert(row.checksum),
            false => ended.insert(row.checksum),
        }
        let id = row.id.clone();
        let state = &row.state;
        let mut grants = SetDigest::default();
        let found = grant_row::of_process(&store.tx, row.seq);
        let found = findings.note(GrantRow::TABLE, found)?.unwrap_or_default();
        for (_, checksum) in &found {
            grants.insert(*checksum);
        }
        let last = key(row.seq, state.last_sequence);
        let has_last = state.last_sequence == 0
            || count(
                &store.tx,
                "SELECT count(*) FROM process_events WHERE id = ?1",
                last,
            )? == 1;
        for (right, reason) in [
            (
                grants == state.grants,
                "the handles are not those that were granted",
            ),
            (has_last, "the last event is missing"),
            (
                state.fencing_token < next_token,
                "the fencing token is one that is given out next",
            ),
            (
                state.lease_token.is_some() == (state.lease_expires_ms != 0),
                "the lease is not whole",
            ),
            (
                state.is_running() == (state.ended_at_ms == 0),
                "the status does not fit the time of the end",
            ),
        ] {
            findings.require(TABLE, &id, right, reason)?;
        }
        findings.require_number(TABLE, row.seq, next)?;
        let seq = row.seq;
        row.read_rest(reader, None)?;
        findings.require_index_keys(
            &store.tx,
            (TABLE, &id, seq),
            [reader.optional_integer()?],
            [Some(identity(&id))],
            "UPDATE processes SET identity = ?2 WHERE seq = ?1",
        )
    })?;
    findings.complete(TABLE, running, digests.running)?;
    findings.complete(TABLE, ended, digests.ended)?;
    known.running = running;
    known.ended = ended;
    known.next_fencing_token = findings.next_number(digests.next_fencing_token, last_token);
    known.next_process = match findings.has_digests() {
        true => digests.next_process,
        // Time is too large a number for these.
        false => unsigned(last.saturating_add(SKIPPED).min(LAST_PROCESS)),
    };
    Ok(())
}

/// The events of a process, as far as they were read.
struct Events {
    process: i64,
    last_sequence: i64,
    wakes: SetDigest,
    /// Whether each was read, and is the one after the one before.
    whole: bool,
}

/// Checks every event, and that each process has as many as it says. The events of a
/// process lie side by side.
fn verify_events(tx: &impl Transaction, findings: &mut Findings) -> Result<()> {
    let mut current: Option<Events> = None;
    findings.walk(tx, &EVENTS, &mut |findings, reader| {
        let process = reader.clone().integer()? >> 32;
        if current
            .as_ref()
            .is_none_or(|events| events.process != process)
        {
            let before = current.replace(Events {
                process,
                last_sequence: 0,
                wakes: SetDigest::default(),
                whole: true,
            });
            verify_last(tx, findings, before)?;
        }
        let Some(events) = &mut current else {
            return Ok(());
        };
        let read = EventRow::read(reader, process);
        let read = read.and_then(|(row, checksum)| {
            row.verify_content(reader.blob()?)?;
            Ok((row, checksum))
        });
        let Some((row, checksum)) = findings.note(event_row::TABLE, read)? else {
            events.whole = false;
            return Ok(());
        };
        let follows = row.sequence == events.last_sequence.saturating_add(1);
        if events.whole {
            findings.require(
                event_row::TABLE,
                &process.to_string(),
                follows,
                "an event of the process is missing",
            )?;
        }
        events.whole &= follows;
        events.last_sequence = row.sequence;
        if row.wake == Wake::Pending {
            events.wakes.insert(checksum);
        }
        let replay_key = row.replay_key.as_deref();
        findings.require_index_keys(
            tx,
            (
                event_row::TABLE,
                &process.to_string(),
                key(process, row.sequence),
            ),
            [
                reader.optional_integer()?,
                reader.optional_integer()?,
                reader.optional_integer()?,
            ],
            [
                Some(process),
                Some(type_identity(process, &row.kind)),
                replay_key.map(|replay_key| replay_identity(process, replay_key)),
            ],
            "UPDATE process_events SET process = ?2, type_identity = ?3, replay_identity = ?4
             WHERE id = ?1",
        )
    })?;
    verify_last(tx, findings, current)
}

/// Compares the events of a process with what its state says of them.
fn verify_last(
    tx: &impl Transaction,
    findings: &mut Findings,
    events: Option<Events>,
) -> Result<()> {
    let Some(events) = events else {
        return Ok(());
    };
    let rows = tx.query(
        sql!(process_row::SELECT, "WHERE p.seq = ?1"),
        &[Value::Integer(events.process)],
    )?;
    let key = events.process.to_string();
    let read = read_one(TABLE, &rows, ProcessRow::read);
    // A damaged process is named where all of them are checked.
    let Ok(found) = read else { return Ok(()) };
    let known = found.is_some();
    findings.require(event_row::TABLE, &key, known, "events belong to no process")?;
    if let Some(row) = found.filter(|_| events.whole) {
        let right =
            row.state.last_sequence == events.last_sequence && row.state.wakes == events.wakes;
        findings.require(
            TABLE,
            &row.id,
            right,
            "the events are not those that were appended",
        )?;
    }
    Ok(())
}

fn verify_grants(tx: &impl Transaction, findings: &mut Findings) -> Result<()> {
    findings.walk(tx, &GRANTS, &mut |findings, reader| {
        let id = reader.integer()?;
        let (row, _) = GrantRow::read_with_checksum(reader)?;
        findings.require_index_keys(
            tx,
            (GrantRow::TABLE, &row.scope_id, id),
            [reader.optional_integer()?, reader.optional_integer()?],
            [
                Some(scope_identity(&row.scope_id)),
                Some(session_identity(&row.session_id)),
            ],
            "UPDATE process_grants SET scope_identity = ?2, session_identity = ?3 WHERE id = ?1",
        )?;
        let known = count(
            tx,
            "SELECT count(*) FROM processes WHERE seq = ?1",
            row.process,
        )? == 1;
        findings.require(
            GrantRow::TABLE,
            &row.scope_id,
            known,
            "the process of the handle is missing",
        )
    })
}

fn count(tx: &impl Transaction, sql: &str, number: i64) -> Result<i64> {
    let rows = tx.query(sql, &[Value::Integer(number)])?;
    Ok(read_all(TABLE, &rows, RowReader::integer)?.iter().sum())
}
