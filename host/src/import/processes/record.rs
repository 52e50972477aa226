//! Rows of `processes`, each with its lease.

use lash_core::{ProcessRecord, ProcessRegistration, ProcessStatus, ProcessTerminalState};
use lash_store_engine::wit::process_import::{ImportedEnd, ImportedLease, ImportedProcess};
use lash_store_engine::wit::processes::{Registration, Status};
use rusqlite::Connection;

use crate::import::json::{Object, decode, require};
use crate::import::table::{Reason, SourceRow, Table};

pub(super) const PROCESSES: Table = Table {
    name: "processes",
    columns: "process_id, registration_hash, owner_scope_id, host_profile_id, created_at_ms,
        updated_at_ms, status, record_json",
};

/// The members of a record that were registered.
const REGISTRATION: [&str; 6] = [
    "id",
    "input",
    "event_types",
    "provenance",
    "env_ref",
    "wake_target",
];

/// A process, as far as its row and its lease say.
pub(super) struct Process {
    /// Without its events, and without the time at which it ended.
    pub(super) imported: ImportedProcess,
    /// How it ended.
    pub(super) terminal: Option<ProcessTerminalState>,
    /// Whether it was ever leased.
    pub(super) has_lease_row: bool,
    pub(super) bytes: u64,
}

/// Reads a process.
pub(super) fn read(connection: &Connection, row: &SourceRow<'_>) -> Result<Process, Reason> {
    let json = row.text(7)?;
    let record: ProcessRecord = decode("the record", json)?;
    require(
        record.id == row.text(0)?
            && record.registration_hash == row.text(1)?
            && record.originator_scope_id() == row.text(2)?
            && record.host_profile_id() == row.text(3)?
            && record.created_at_ms == row.unsigned(4)?
            && record.updated_at_ms == row.unsigned(5)?
            && record.status.label() == row.text(6)?,
        "the record does not agree with its columns",
    )?;
    let object = Object::parse(json)?;
    let content = object.pick(&REGISTRATION);
    decode::<ProcessRegistration>("what was registered", &String::from_utf8_lossy(&content))?;
    let stored = |name, is_there| {
        let member = object.get(name).filter(|_| is_there);
        member.map(|text| text.as_bytes().to_vec())
    };
    let lease = LeaseRow::of(connection, &record.id)?;
    let has_lease_row = lease.is_some();
    let lease = lease.unwrap_or_default();
    Ok(Process {
        imported: ImportedProcess {
            created_at_ms: record.created_at_ms,
            updated_at_ms: record.updated_at_ms,
            external_ref: stored("external_ref", record.external_ref.is_some()),
            wait: stored("wait", record.wait.is_some()),
            end: end(&record.status, object.get("status"))?,
            fencing_token: lease.fencing_token,
            lease: lease.lease,
            events: Vec::new(),
            registration: Registration {
                id: record.id,
                hash: record.registration_hash,
                content,
            },
        },
        terminal: record.status.terminal_state(),
        has_lease_row,
        bytes: json.len() as u64,
    })
}

/// How a process ended, but for the time.
fn end(status: &ProcessStatus, json: Option<&str>) -> Result<Option<ImportedEnd>, Reason> {
    let status = match status {
        ProcessStatus::Running => return Ok(None),
        ProcessStatus::Completed { .. } => Status::Completed,
        ProcessStatus::Failed { .. } => Status::Failed,
        ProcessStatus::Cancelled { .. } => Status::Cancelled,
    };
    let object = Object::parse(json.unwrap_or_default())?;
    let outcome = object.get("await_output").unwrap_or_default();
    Ok(Some(ImportedEnd {
        status,
        outcome: outcome.as_bytes().to_vec(),
        ended_at_ms: 0,
    }))
}

/// A row of `process_leases`.
#[derive(Default)]
struct LeaseRow {
    fencing_token: u64,
    lease: Option<ImportedLease>,
}

impl LeaseRow {
    /// The lease on a process, held or not; none if it never had one.
    fn of(connection: &Connection, process_id: &str) -> Result<Option<Self>, Reason> {
        let failed = |error: rusqlite::Error| format!("its lease cannot be read: {error}");
        let mut statement = connection
            .prepare_cached(
                "SELECT rowid, lease_owner_id, lease_token, lease_fencing_token,
                     lease_claimed_at_ms, lease_expires_at_ms
                 FROM process_leases WHERE process_id = ?1",
            )
            .map_err(failed)?;
        let mut rows = statement.query([process_id]).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else {
            return Ok(None);
        };
        let row = Self::read(&SourceRow::new(row));
        row.map(Some)
            .map_err(|reason| format!("its lease: {reason}"))
    }

    fn read(row: &SourceRow<'_>) -> Result<Self, Reason> {
        let lease = match (row.optional_text(0)?, row.optional_text(1)?) {
            (Some(owner_id), Some(token)) => Some(ImportedLease {
                owner_id: owner_id.to_owned(),
                token: token.to_owned(),
                claimed_at_ms: row.unsigned(3)?,
                expires_at_ms: row.time(4)?,
            }),
            (None, None) => None,
            _ => return Err("it has an owner or a token, and not both".to_owned()),
        };
        Ok(Self {
            fencing_token: row.unsigned(2)?,
            lease,
        })
    }
}
