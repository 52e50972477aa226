//! Exporting all processes.

use crate::Result;
use crate::bindings::export_types::Page as ExportPage;
use crate::bindings::process_types::Status;
use crate::processes::digests::ProcessTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::{verify_complete, verify_count};
use crate::storage::paging::{self, Cursor, List, Numbered, Page, RecordBuilder};
use crate::storage::rows::{RowReader, read_one};
use crate::storage::seam::{Environment, Transaction, TransactionMode, Value, unsigned};
use crate::storage::sql::sql;

use super::TABLE;
use super::event_row::{self, EventRow, LAST_SEQUENCE, Wake, key};
use super::grant_row::{self, GrantRow};
use super::process_row::{self, ProcessRow};

const PROCESSES: Numbered = Numbered {
    table: TABLE,
    lengths: Some(
        "SELECT length(p.content) + ifnull(length(o.outcome), 0)
         FROM processes p NOT INDEXED LEFT JOIN process_outcomes o ON o.seq = p.seq
         WHERE p.seq >= ?1 ORDER BY p.seq LIMIT ?2",
    ),
    rows: process_row::FROM,
};

const EVENTS: Numbered = Numbered {
    table: event_row::TABLE,
    lengths: Some(
        "SELECT length(content) FROM process_events NOT INDEXED
         WHERE id >= ?1 ORDER BY id LIMIT ?2",
    ),
    rows: sql!(
        event_row::SELECT,
        "NOT INDEXED WHERE id >= ?1 ORDER BY id LIMIT ?2"
    ),
};

const GRANTS: Numbered = Numbered {
    table: GrantRow::TABLE,
    lengths: Some(
        "SELECT length(descriptor) FROM process_grants NOT INDEXED
         WHERE id >= ?1 ORDER BY id LIMIT ?2",
    ),
    rows: grant_row::FROM,
};

/// The WIT function `process-export.read-page`.
pub fn read_page(env: &impl Environment, cursor: Option<&[u8]>) -> Result<ExportPage> {
    let (store, damage) = ProcessTransaction::inspect(env, TransactionMode::Read)?;
    let list = List::of_all("process-export.read-page", store.digests);
    paging::read_page(cursor, &list, damage, |cursor, page| match cursor.table {
        0 => Some(export_processes(&store, cursor, page)),
        1 => Some(export_events(&store.tx, cursor, page)),
        2 => Some(export_grants(&store.tx, cursor, page)),
        _ => None,
    })
}

fn export_processes<T: Transaction>(
    store: &ProcessTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<bool> {
    let ended = PROCESSES.export(&store.tx, cursor, page, &mut |cursor, page, reader| {
        let row = ProcessRow::read(reader)?;
        match row.state.is_running() {
            true => cursor.found.insert(row.checksum),
            false => cursor.hidden.insert(row.checksum),
        }
        page.note(TABLE, verify_belongings(&store.tx, &row))?;
        let (seq, created_at_ms, state) = (row.seq, row.created_at_ms, row.state.clone());
        let process = row.read_rest(reader, None)?.process;
        let status = match process.status {
            Status::Running => "running",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
        };
        let leased = state.lease_token.is_some();
        let lease_time = |time| leased.then_some(time);
        let ended_at = (!state.is_running()).then_some(state.ended_at_ms);
        page.push(
            RecordBuilder::new("process")
                .number("sequence", seq)
                .text("id", &process.id)
                .text("registration_hash", &process.registration_hash)
                .text("status", status)
                .number("created_at_ms", created_at_ms)
                .number("updated_at_ms", state.updated_at_ms)
                .optional_number("ended_at_ms", ended_at)
                .number("last_event", state.last_sequence)
                .number("fencing_token", state.fencing_token)
                .optional_text("lease_owner", state.lease_owner.as_deref())
                .optional_text("lease_token", state.lease_token.as_deref())
                .optional_number("leased_at_ms", lease_time(state.lease_claimed_ms))
                .optional_number("lease_expires_at_ms", lease_time(state.lease_expires_ms))
                .optional_payload("wait", process.wait)
                .optional_payload("external_ref", process.external_ref)
                .optional_payload("outcome", process.outcome)
                .optional_payload("content", process.content),
        );
        Ok(())
    })?;
    if ended {
        page.complete(TABLE, cursor.found, store.digests.running)?;
        page.complete(TABLE, cursor.hidden, store.digests.ended)?;
    }
    Ok(ended)
}

/// All events and handles of a process are there.
fn verify_belongings(tx: &impl Transaction, row: &ProcessRow) -> Result<()> {
    let rows = tx.query(
        "SELECT count(*) FROM process_events WHERE id >= ?1 AND id <= ?2",
        &[
            Value::Integer(key(row.seq, 0)),
            Value::Integer(key(row.seq, LAST_SEQUENCE)),
        ],
    )?;
    let events = read_one(event_row::TABLE, &rows, RowReader::integer)?.unwrap_or(0);
    verify_count(
        event_row::TABLE,
        unsigned(events),
        unsigned(row.state.last_sequence),
    )?;
    let mut grants = SetDigest::default();
    for (_, checksum) in grant_row::of_process(tx, row.seq)? {
        grants.insert(checksum);
    }
    verify_complete(GrantRow::TABLE, grants, row.state.grants)
}

fn export_events(tx: &impl Transaction, cursor: &mut Cursor, page: &mut Page) -> Result<bool> {
    EVENTS.export(tx, cursor, page, &mut |_, page, reader| {
        let process = reader.clone().integer()? >> 32;
        let (row, _) = EventRow::read(reader, process)?;
        let content = row.verified(reader)?;
        let wake = match row.wake {
            Wake::Nobody => "nobody",
            Wake::Pending => "pending",
            Wake::Acknowledged => "acknowledged",
        };
        page.push(
            RecordBuilder::new("process_event")
                .number("process", process)
                .number("sequence", row.sequence)
                .text("type", &row.kind)
                .optional_text("replay_key", row.replay_key.as_deref())
                .text("payload_hash", &row.payload_hash)
                .text("wake", wake)
                .payload("content", content),
        );
        Ok(())
    })
}

fn export_grants(tx: &impl Transaction, cursor: &mut Cursor, page: &mut Page) -> Result<bool> {
    GRANTS.export(tx, cursor, page, &mut |_, page, reader| {
        reader.integer()?;
        let (row, _) = GrantRow::read_with_checksum(reader)?;
        page.push(
            RecordBuilder::new("process_handle")
                .number("process", row.process)
                .text("scope_id", &row.scope_id)
                .text("session_id", &row.session_id)
                .payload("descriptor", row.descriptor),
        );
        Ok(())
    })
}
