//! Rows of `process_events`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::import_types::ImportedEvent;
use crate::bindings::process_types::{Event, EventDraft};
use crate::bindings::sqlite::ErrorCode;
use crate::bindings::types::Error;
use crate::storage::checksum::{self, Checksum};
use crate::storage::corruption::{self, confirm_found, corrupt, verify};
use crate::storage::rows::{RowReader, read_one};
use crate::storage::seam::{
    Transaction, Value, execute_rows, optional_integer, optional_text, unsigned,
};
use crate::storage::sql::sql;
use crate::storage::table::{Column, codes};

pub(super) const TABLE: &str = "process_events";

/// The highest sequence of an event, which is the lower half of its key.
pub(super) const LAST_SEQUENCE: i64 = u32::MAX as i64;

/// Whether an event is to wake somebody.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wake {
    Nobody,
    Pending,
    Acknowledged,
}

const INSERT: &str = "INSERT INTO process_events (id, process, type, type_identity, replay_key,
        replay_identity, payload_hash, wake, content_hash, checksum, content)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

codes! {
    Wake, "the state of the wake is unknown" {
        Nobody = 0,
        Pending = 1,
        Acknowledged = 2,
    }
}

/// An event without its content.
pub(super) struct EventRow {
    process: i64,
    pub(super) sequence: i64,
    pub(super) kind: String,
    pub(super) replay_key: Option<String>,
    pub(super) payload_hash: String,
    pub(super) wake: Wake,
    content_hash: i64,
}

/// What [`EventRow::read`] reads.
pub(super) const COLUMNS: &str = "id, type, replay_key, payload_hash, wake, content_hash, checksum";

/// Selects events with their contents.
pub(super) const SELECT: &str = sql!("SELECT ", COLUMNS, ", content FROM process_events ");

/// The key of an event.
pub(super) fn key(process: i64, sequence: i64) -> i64 {
    (process << 32) | sequence
}

fn content_hash(content: &[u8]) -> i64 {
    checksum::content_hash("process_events.content_hash", content)
}

pub(super) fn type_identity(process: i64, kind: &str) -> i64 {
    checksum::identity(
        "process_events.type_identity",
        &[&process.to_le_bytes(), kind.as_bytes()],
    )
}

pub(super) fn replay_identity(process: i64, replay_key: &str) -> i64 {
    checksum::identity(
        "process_events.replay_identity",
        &[&process.to_le_bytes(), replay_key.as_bytes()],
    )
}

impl EventRow {
    /// The event that a draft becomes.
    pub(super) fn new(process: i64, sequence: i64, draft: &EventDraft) -> Self {
        Self {
            process,
            sequence,
            kind: draft.event_type.clone(),
            replay_key: draft.replay_key.clone(),
            payload_hash: draft.payload_hash.clone(),
            wake: if draft.wakes {
                Wake::Pending
            } else {
                Wake::Nobody
            },
            content_hash: content_hash(&draft.content),
        }
    }

    /// The event that an imported one becomes.
    pub(super) fn imported(process: i64, sequence: i64, wake: Wake, event: &ImportedEvent) -> Self {
        Self {
            process,
            sequence,
            kind: event.event_type.clone(),
            replay_key: event.replay_key.clone(),
            payload_hash: event.payload_hash.clone(),
            wake,
            content_hash: content_hash(&event.content),
        }
    }

    /// Reads and checks [`COLUMNS`] of an event of this process; returns the checksum too.
    pub(super) fn read(reader: &mut RowReader<'_>, process: i64) -> Result<(Self, i64)> {
        let id = reader.integer()?;
        confirm_found(TABLE, id, id >> 32 == process)?;
        let kind = reader.text()?.to_string();
        let replay_key = reader.optional_text()?.map(ToString::to_string);
        let payload_hash = reader.text()?.to_string();
        let wake = Wake::decode(reader.integer()?).map_err(|reason| corrupt(TABLE, id, reason))?;
        let row = Self {
            process,
            sequence: id & LAST_SEQUENCE,
            kind,
            replay_key,
            payload_hash,
            wake,
            content_hash: reader.integer()?,
        };
        let stored = reader.integer()?;
        verify(TABLE, row.name(), stored, row.checksum())?;
        Ok((row, stored))
    }

    /// Checks content that was read.
    pub(super) fn verify_content(&self, content: &[u8]) -> Result<()> {
        verify(TABLE, self.name(), self.content_hash, content_hash(content))
    }

    /// Reads and checks the content that comes next in a row.
    pub(super) fn verified(&self, reader: &mut RowReader<'_>) -> Result<Vec<u8>> {
        let content = reader.blob()?;
        self.verify_content(content)?;
        Ok(content.to_vec())
    }

    /// Reads the content.
    pub(super) fn content(&self, tx: &impl Transaction) -> Result<Vec<u8>> {
        let rows = tx.query(
            "SELECT content FROM process_events WHERE id = ?1",
            &[Value::Integer(key(self.process, self.sequence))],
        )?;
        let content = read_one(TABLE, &rows, RowReader::blob)?
            .ok_or_else(|| missing(self.process, self.sequence))?;
        self.verify_content(content)?;
        Ok(content.to_vec())
    }

    /// What errors call the row.
    fn name(&self) -> String {
        format!("{} of process {}", self.sequence, self.process)
    }

    pub(super) fn checksum(&self) -> i64 {
        Checksum::of(TABLE)
            .integer(self.process)
            .integer(self.sequence)
            .bytes(self.kind.as_bytes())
            .optional(self.replay_key.as_deref().map(str::as_bytes))
            .bytes(self.payload_hash.as_bytes())
            .integer(self.wake.code())
            .integer(self.content_hash)
            .finish()
    }

    /// The values that [`INSERT`] wants.
    fn values<'a>(&'a self, content: &'a [u8]) -> [Value<'a>; 11] {
        let replay_key = self.replay_key.as_deref();
        [
            Value::Integer(key(self.process, self.sequence)),
            Value::Integer(self.process),
            Value::Text(&self.kind),
            Value::Integer(type_identity(self.process, &self.kind)),
            optional_text(replay_key),
            optional_integer(
                replay_key.map(|replay_key| replay_identity(self.process, replay_key)),
            ),
            Value::Text(&self.payload_hash),
            Value::Integer(self.wake.code()),
            Value::Integer(self.content_hash),
            Value::Integer(self.checksum()),
            Value::Blob(content),
        ]
    }

    /// Writes a new event; false if there is one with its replay key.
    pub(super) fn insert(&self, tx: &impl Transaction, content: &[u8]) -> Result<bool> {
        match tx.execute(INSERT, &self.values(content)) {
            Ok(_) => Ok(true),
            Err(error) if error.code == ErrorCode::Constraint => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the state of the wake.
    pub(super) fn update_wake(&self, tx: &impl Transaction) -> Result<()> {
        tx.execute(
            "UPDATE process_events SET wake = ?2, checksum = ?3 WHERE id = ?1",
            &[
                Value::Integer(key(self.process, self.sequence)),
                Value::Integer(self.wake.code()),
                Value::Integer(self.checksum()),
            ],
        )?;
        Ok(())
    }
}

/// Writes new events with their contents; false if one of them is there already.
pub(super) fn insert_all(tx: &impl Transaction, events: &[(EventRow, &[u8])]) -> Result<bool> {
    let rows: Vec<[Value<'_>; 11]> = events
        .iter()
        .map(|(row, content)| row.values(content))
        .collect();
    match execute_rows(tx, INSERT, &rows) {
        Ok(_) => Ok(true),
        Err(error) if error.code == ErrorCode::Constraint => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Reads an event without its content, and its checksum.
pub(super) fn find(tx: &impl Transaction, process: i64, sequence: i64) -> Result<(EventRow, i64)> {
    let rows = tx.query(
        sql!("SELECT ", COLUMNS, " FROM process_events WHERE id = ?1"),
        &[Value::Integer(key(process, sequence))],
    )?;
    let (row, checksum) = read_one(TABLE, &rows, |reader| EventRow::read(reader, process))?
        .ok_or_else(|| missing(process, sequence))?;
    confirm_found(TABLE, sequence, row.sequence == sequence)?;
    Ok((row, checksum))
}

/// Reads the event with a replay key. Two indexes have unique entries for it, so
/// an event that this index does not lead to cannot be written again.
pub(super) fn find_replayed(
    tx: &impl Transaction,
    process: i64,
    replay_key: &str,
) -> Result<Option<Event>> {
    let rows = tx.query(
        sql!(SELECT, "WHERE process = ?1 AND replay_key = ?2"),
        &[Value::Integer(process), Value::Text(replay_key)],
    )?;
    read_one(TABLE, &rows, |reader| {
        let (row, _) = EventRow::read(reader, process)?;
        let found = row.replay_key.as_deref() == Some(replay_key);
        confirm_found(TABLE, replay_key, found)?;
        Ok(Event {
            sequence: unsigned(row.sequence),
            content: row.verified(reader)?,
            payload_hash: row.payload_hash,
        })
    })
}

/// Reads the first event of a type after a sequence.
pub(super) fn find_first_of_type(
    tx: &impl Transaction,
    process: i64,
    kind: &str,
    sequence: i64,
) -> Result<Option<Vec<u8>>> {
    let rows = tx.query(
        sql!(
            SELECT,
            "INDEXED BY process_events_type
             WHERE process = ?1 AND type = ?2 AND id > ?3 ORDER BY id LIMIT 1"
        ),
        &[
            Value::Integer(process),
            Value::Text(kind),
            Value::Integer(key(process, sequence)),
        ],
    )?;
    // The other index must lead to the same one, or an event before it is hidden.
    let other = tx.query(
        "SELECT id FROM process_events INDEXED BY process_events_type_identity
         WHERE type_identity = ?1 AND id > ?2 ORDER BY id LIMIT 1",
        &[
            Value::Integer(type_identity(process, kind)),
            Value::Integer(key(process, sequence)),
        ],
    )?;
    let first = read_one(TABLE, &rows, |reader| {
        let (row, _) = EventRow::read(reader, process)?;
        confirm_found(TABLE, kind, row.kind == kind && row.sequence > sequence)?;
        let content = row.verified(reader)?;
        Ok((key(process, row.sequence), content))
    })?;
    let other = read_one(TABLE, &other, RowReader::integer)?;
    if other != first.as_ref().map(|(id, _)| *id) {
        return Err(corrupt(TABLE, kind, "two indexes lead to different rows"));
    }
    Ok(first.map(|(_, content)| content))
}

/// An event that the state of its process counts is not there.
pub(super) fn missing(process: i64, sequence: i64) -> Error {
    corruption::missing(TABLE, format!("{sequence} of process {process}"))
}
