//! Appending events and reading them.

use alloc::string::String;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::process_types::{
    Appended, Awaited, Basis, EventDraft, EventPage, Position, Status, WakePage,
};
use crate::bindings::types::ByteStrings;
use crate::processes::digests::ProcessTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::{corrupt, invalid, verify_complete, verify_order};
use crate::storage::paging::Room;
use crate::storage::rows::RowReader;
use crate::storage::seam::{Environment, Transaction, TransactionMode, Value, clamp, unsigned};
use crate::storage::sql::sql;

use super::event_row::{self, COLUMNS, EventRow, LAST_SEQUENCE, SELECT, TABLE, Wake};
use super::process_row;

/// How many events one query reads.
const PAGE: i64 = 256;

/// A sequence of the caller, no higher than one can be.
fn bounded(sequence: u64) -> i64 {
    clamp(sequence).min(LAST_SEQUENCE)
}

/// The WIT function `process-events.get-basis`.
pub fn get_basis(
    env: &impl Environment,
    process_id: &str,
    known_hash: Option<&str>,
    replay_key: Option<&str>,
) -> Result<Option<Basis>> {
    let tx = env.begin(TransactionMode::Read)?;
    let Some(whole) = process_row::find_whole(&tx, process_id, known_hash)? else {
        return Ok(None);
    };
    let existing = match replay_key {
        Some(replay_key) => event_row::find_replayed(&tx, whole.seq, replay_key)?,
        None => None,
    };
    Ok(Some(Basis {
        process: whole.process,
        existing,
    }))
}

/// The WIT function `process-events.append`.
pub fn append(env: &impl Environment, draft: &EventDraft) -> Result<Appended> {
    if draft.end.is_none() {
        // Only the end of a process changes the digests.
        let tx = env.begin(TransactionMode::WriteDurable)?;
        let (appended, _) = insert(env, &tx, draft)?;
        if let Appended::Sequence(_) = appended {
            tx.commit()?;
        }
        return Ok(appended);
    }
    let mut transaction = ProcessTransaction::write_durably(env)?;
    let (appended, ended) = insert(env, &transaction.tx, draft)?;
    if let Some(checksum) = ended {
        transaction.digests.running.remove(checksum);
        transaction.digests.ended.insert(checksum);
    }
    if let Appended::Sequence(_) = appended {
        transaction.commit()?;
    }
    Ok(appended)
}

/// Writes an event, if nothing is against it. Returns the checksum of the process
/// too, if that ends.
fn insert(
    env: &impl Environment,
    tx: &impl Transaction,
    draft: &EventDraft,
) -> Result<(Appended, Option<i64>)> {
    let Some(mut process) = process_row::find(tx, &draft.process_id)? else {
        return Ok((Appended::Unknown, None));
    };
    let seq = process.seq;
    if draft.process_number != unsigned(seq) {
        return Ok((Appended::Moved, None));
    }
    let existing = || match draft.replay_key.as_deref() {
        Some(replay_key) => event_row::find_replayed(tx, seq, replay_key),
        None => Ok(None),
    };
    let state = &mut process.state;
    let fenced_by = state.fenced_by(draft.fencing_token);
    let has_moved = draft.last_sequence != unsigned(state.last_sequence);
    // Otherwise whoever made the draft has looked for its replay key, and writing
    // the event finds it out if not.
    if fenced_by.is_some() || has_moved {
        let refused = match (existing()?, fenced_by) {
            (Some(existing), _) => Appended::Existing(existing),
            (None, Some(newer)) => Appended::Fenced(newer),
            (None, None) => Appended::Moved,
        };
        return Ok((refused, None));
    }
    if state.last_sequence >= LAST_SEQUENCE {
        return Err(invalid("the process has too many events"));
    }
    state.last_sequence += 1;
    state.updated_at_ms = clamp(draft.occurred_at_ms);
    let event = EventRow::new(process.seq, state.last_sequence, draft);
    if event.wake == Wake::Pending {
        state.wakes.insert(event.checksum());
    }
    if let Some(token) = draft.release.as_deref() {
        state.release(token);
    }
    if !event.insert(tx, &draft.content)? {
        let existing = existing()?.ok_or_else(|| {
            let reason = "only one of two indexes leads to the row";
            corrupt(TABLE, draft.replay_key.as_deref().unwrap_or(""), reason)
        })?;
        return Ok((Appended::Existing(existing), None));
    }
    let mut ended = None;
    if let Some(end) = &draft.end {
        if end.status == Status::Running || !state.is_running() {
            return Err(invalid("the event ends a process that ended, or ends none"));
        }
        state.status = end.status;
        state.ended_at_ms = env.now_ms().max(1);
        state.wait = None;
        state.update_end(tx, process.seq)?;
        process.insert_outcome(tx, &end.outcome)?;
        ended = Some(process.checksum);
    }
    process.state.update(tx, process.seq)?;
    Ok((Appended::Sequence(unsigned(event.sequence)), ended))
}

/// The lengths of the events of a process after one, and before one.
const LENGTHS_AFTER: &str = "SELECT length(content) FROM process_events \
                             WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3";
const LENGTHS_BEFORE: &str = "SELECT length(content) FROM process_events \
                              WHERE id > ?1 AND id <= ?2 ORDER BY id DESC LIMIT ?3";

/// The WIT function `process-events.after`.
pub fn after(env: &impl Environment, process_id: &str, sequence: u64) -> Result<Option<EventPage>> {
    let tx = env.begin(TransactionMode::Read)?;
    let Some(process) = process_row::find(&tx, process_id)? else {
        return Ok(None);
    };
    let end = process.state.last_sequence;
    read_events(&tx, process.seq, bounded(sequence).min(end), end).map(Some)
}

/// The WIT function `process-events.recent`.
pub fn recent(env: &impl Environment, process_id: &str, limit: u32) -> Result<Option<EventPage>> {
    let tx = env.begin(TransactionMode::Read)?;
    let Some(process) = process_row::find(&tx, process_id)? else {
        return Ok(None);
    };
    let end = process.state.last_sequence;
    let mut room = Room::new();
    let mut first = end;
    let least = end.saturating_sub(i64::from(limit)).max(0);
    while first > least {
        let most = PAGE.min(first - least);
        let range = [
            Value::Integer(event_row::key(process.seq, least)),
            Value::Integer(event_row::key(process.seq, first)),
        ];
        let fitting = room.fitting(&tx, TABLE, LENGTHS_BEFORE, &range, most)?;
        if fitting.rows < most && !fitting.is_cut {
            return Err(event_row::missing(process.seq, first - fitting.rows));
        }
        first -= fitting.rows;
        room.take(fitting.bytes);
        if fitting.is_cut {
            break;
        }
    }
    read_events(&tx, process.seq, first, end).map(Some)
}

/// Reads a page of the events after a sequence, of a process that has events up to `end`.
fn read_events(tx: &impl Transaction, process: i64, sequence: i64, end: i64) -> Result<EventPage> {
    let mut last = sequence;
    let mut room = Room::new();
    let mut events = ByteStrings::new();
    while last < end && !room.is_full() {
        let range = [
            Value::Integer(event_row::key(process, last)),
            Value::Integer(event_row::key(process, LAST_SEQUENCE)),
        ];
        let fitting = room.fitting(tx, TABLE, LENGTHS_AFTER, &range, PAGE)?;
        if fitting.rows == 0 && fitting.is_cut {
            break;
        }
        let [after, until] = range;
        let rows = tx.query(
            sql!(SELECT, "WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3"),
            &[after, until, Value::Integer(fitting.rows)],
        )?;
        let mut reader = RowReader::new(TABLE, &rows);
        while reader.advance() {
            let (event, _) = EventRow::read(&mut reader, process)?;
            last += 1;
            if event.sequence != last {
                return Err(event_row::missing(process, last));
            }
            let content = reader.blob()?;
            event.verify_content(content)?;
            room.take(content.len());
            events.push(content);
        }
        if rows.count == 0 {
            return Err(event_row::missing(process, last + 1));
        }
    }
    Ok(EventPage {
        first_sequence: unsigned(sequence.saturating_add(1)),
        events,
        more: last < end,
    })
}

/// The WIT function `process-events.wakes-after`.
pub fn wakes_after(
    env: &impl Environment,
    process_id: &str,
    sequence: u64,
) -> Result<Option<WakePage>> {
    let tx = env.begin(TransactionMode::Read)?;
    let Some(process) = process_row::find(&tx, process_id)? else {
        return Ok(None);
    };
    let asked_after = bounded(sequence);
    let mut room = Room::new();
    let mut events = ByteStrings::new();
    let mut next = None;
    let mut found = SetDigest::default();
    let mut last = 0;
    let mut read = PAGE;
    // All that are pending, to see that none is missing; the content only of those on the
    // page.
    while read == PAGE {
        let rows = tx.query(
            sql!(
                "SELECT ",
                COLUMNS,
                ", length(content) FROM process_events INDEXED BY process_events_wakes
                 WHERE process = ?1 AND wake = 1 AND id > ?2 ORDER BY id LIMIT ?3"
            ),
            &[
                Value::Integer(process.seq),
                Value::Integer(event_row::key(process.seq, last)),
                Value::Integer(PAGE),
            ],
        )?;
        read = i64::from(rows.count);
        let mut reader = RowReader::new(TABLE, &rows);
        while reader.advance() {
            let (event, checksum) = EventRow::read(&mut reader, process.seq)?;
            let length = usize::try_from(reader.integer()?).unwrap_or(usize::MAX);
            verify_order(TABLE, event.sequence, event.sequence > last)?;
            found.insert(checksum);
            if event.sequence > asked_after && next.is_none() {
                if room.fits(length) {
                    room.take(length);
                    events.push(&event.content(&tx)?);
                } else {
                    next = Some(unsigned(last));
                }
            }
            last = event.sequence;
        }
    }
    verify_complete(TABLE, found, process.state.wakes)?;
    Ok(Some(WakePage { events, next }))
}

/// The WIT function `process-events.first-of-type`.
pub fn first_of_type(
    env: &impl Environment,
    process_id: &str,
    event_type: &str,
    sequence: u64,
) -> Result<Awaited> {
    let tx = env.begin(TransactionMode::Read)?;
    let Some(process) = process_row::find(&tx, process_id)? else {
        return Ok(Awaited::Unknown);
    };
    let found = event_row::find_first_of_type(&tx, process.seq, event_type, bounded(sequence))?;
    Ok(match found {
        Some(content) => Awaited::Event(content),
        None => Awaited::NoneUntil(unsigned(process.state.last_sequence)),
    })
}

/// The WIT function `process-events.acknowledge-wake`.
pub fn acknowledge_wake(env: &impl Environment, process_id: &str, sequence: u64) -> Result<bool> {
    let tx = env.begin(TransactionMode::WriteDurable)?;
    let Some(mut process) = process_row::find(&tx, process_id)? else {
        return Ok(false);
    };
    let sequence = clamp(sequence);
    if sequence == 0 || sequence > process.state.last_sequence {
        return Ok(true);
    }
    let (mut event, checksum) = event_row::find(&tx, process.seq, sequence)?;
    if event.wake == Wake::Pending {
        event.wake = Wake::Acknowledged;
        event.update_wake(&tx)?;
        process.state.wakes.remove(checksum);
        process.state.update(&tx, process.seq)?;
        tx.commit()?;
    }
    Ok(true)
}

/// The WIT function `process-events.get-position`.
pub fn get_position(env: &impl Environment, process_id: &str) -> Result<Option<Position>> {
    let tx = env.begin(TransactionMode::Read)?;
    let Some(process) = process_row::find(&tx, process_id)? else {
        return Ok(None);
    };
    let outcome = process.outcome(&tx)?;
    Ok(Some(Position {
        last_sequence: unsigned(process.state.last_sequence),
        status: process.state.status,
        outcome,
    }))
}

/// The WIT function `process-events.last-sequences`.
pub fn last_sequences(env: &impl Environment, process_ids: &[String]) -> Result<Vec<Option<u64>>> {
    let tx = env.begin(TransactionMode::Read)?;
    let mut sequences = Vec::with_capacity(process_ids.len());
    for process_id in process_ids {
        let process = process_row::find(&tx, process_id)?;
        sequences.push(process.map(|process| unsigned(process.state.last_sequence)));
    }
    Ok(sequences)
}
