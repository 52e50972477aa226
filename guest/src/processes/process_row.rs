//! Rows of `processes` and `process_outcomes`: what never changes about a process.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::process_types::{Process, Registration};
use crate::storage::checksum::{self, Checksum};
use crate::storage::corruption::{confirm_absent, confirm_found, corrupt, missing, verify};
use crate::storage::rows::{RowReader, read_one};
use crate::storage::seam::{Transaction, Value, optional_text, unsigned};
use crate::storage::sql::sql;

use super::state_row::State;

const TABLE: &str = "processes";
const OUTCOMES: &str = "process_outcomes";

/// What [`ProcessRow::read`] reads: a process and its state.
pub(super) const COLUMNS: &str = "\
    p.seq, p.id, p.registration_hash, p.created_at_ms, p.content_hash, p.checksum, s.status, \
    s.updated_at_ms, s.ended_at_ms, s.last_sequence, s.grant_count, s.grant_sum, s.wake_count, \
    s.wake_sum, s.fencing_token, s.lease_owner, s.lease_token, s.lease_claimed_ms, \
    s.lease_expires_ms, s.checksum, s.wait, s.external_ref";

const TABLES: &str = " FROM processes p LEFT JOIN process_states s ON s.seq = p.seq ";

/// The tables of whole processes.
pub(super) const WHOLE_TABLES: &str =
    sql!(TABLES, "LEFT JOIN process_outcomes o ON o.seq = p.seq ");

/// Selects processes with their states.
pub(super) const SELECT: &str = sql!("SELECT ", COLUMNS, TABLES);

/// Selects whole processes: what [`ProcessRow::read_rest`] reads too.
pub(super) const SELECT_WHOLE: &str = sql!(
    "SELECT ",
    COLUMNS,
    ", o.checksum, o.outcome, p.content",
    WHOLE_TABLES
);

/// About how long a whole process is, in bytes.
pub(super) const LENGTH: &str = "\
    length(p.id) + length(p.content) + ifnull(length(o.outcome), 0) + \
    ifnull(length(s.wait), 0) + ifnull(length(s.external_ref), 0)";

/// Selects about how long whole processes are, in bytes.
pub(super) const LENGTHS: &str = sql!("SELECT ", LENGTH, WHOLE_TABLES);

/// The whole processes from a number on, in order.
pub(super) const FROM: &str = sql!(SELECT_WHOLE, "WHERE p.seq >= ?1 ORDER BY p.seq LIMIT ?2");

/// What a process is, with its state.
pub(super) struct ProcessRow {
    pub(super) seq: i64,
    pub(super) id: String,
    pub(super) registration_hash: String,
    pub(super) created_at_ms: i64,
    content_hash: i64,
    /// That of the row of `processes`.
    pub(super) checksum: i64,
    pub(super) state: State,
}

/// A process with its content and its outcome.
pub(super) struct Whole {
    pub(super) seq: i64,
    /// That of the row of `processes`.
    pub(super) checksum: i64,
    pub(super) process: Process,
}

impl Whole {
    /// About how long it is, as [`LENGTH`] says.
    pub(super) fn bytes(&self) -> usize {
        let Process {
            id,
            content,
            outcome,
            wait,
            external_ref,
            ..
        } = &self.process;
        [content, outcome, wait, external_ref]
            .into_iter()
            .flatten()
            .map(Vec::len)
            .sum::<usize>()
            .saturating_add(id.len())
    }
}

pub(super) fn identity(id: &str) -> i64 {
    checksum::identity("processes.identity", &[id.as_bytes()])
}

fn content_hash(content: &[u8]) -> i64 {
    checksum::content_hash("processes.content_hash", content)
}

fn outcome_checksum(seq: i64, outcome: &[u8]) -> i64 {
    Checksum::of(OUTCOMES).integer(seq).bytes(outcome).finish()
}

impl ProcessRow {
    /// A new process.
    pub(super) fn new(registration: &Registration, seq: i64, now_ms: i64, state: State) -> Self {
        let mut row = Self {
            seq,
            id: registration.id.clone(),
            registration_hash: registration.hash.clone(),
            created_at_ms: now_ms,
            content_hash: content_hash(&registration.content),
            checksum: 0,
            state,
        };
        row.checksum = row.compute_checksum();
        row
    }

    /// Reads and checks [`COLUMNS`].
    pub(super) fn read(reader: &mut RowReader<'_>) -> Result<Self> {
        let seq = reader.integer()?;
        let id = reader.text()?.to_string();
        let registration_hash = reader.text()?.to_string();
        let created_at_ms = reader.integer()?;
        let content_hash = reader.integer()?;
        let checksum = reader.integer()?;
        let row = Self {
            seq,
            id,
            registration_hash,
            created_at_ms,
            content_hash,
            checksum,
            state: State::read(reader, seq)?,
        };
        verify(TABLE, &row.id, checksum, row.compute_checksum())?;
        Ok(row)
    }

    /// Reads and checks a whole process. The content of what was registered with
    /// `known_hash` was not selected.
    pub(super) fn read_whole(
        reader: &mut RowReader<'_>,
        known_hash: Option<&str>,
    ) -> Result<Whole> {
        Self::read(reader)?.read_rest(reader, known_hash)
    }

    /// Reads and checks the outcome and the content.
    pub(super) fn read_rest(
        self,
        reader: &mut RowReader<'_>,
        known_hash: Option<&str>,
    ) -> Result<Whole> {
        let stored = reader.optional_integer()?;
        let outcome = self.check_outcome(stored, reader.optional_blob()?)?;
        let content = if known_hash == Some(&self.registration_hash) {
            reader.optional_blob()?;
            None
        } else {
            let content = reader.blob()?;
            verify(TABLE, &self.id, self.content_hash, content_hash(content))?;
            Some(content.to_vec())
        };
        Ok(Whole {
            seq: self.seq,
            checksum: self.checksum,
            process: self.into_process(content, outcome),
        })
    }

    /// Skips what [`read_rest`](Self::read_rest) reads.
    pub(super) fn skip_rest(reader: &mut RowReader<'_>) -> Result<()> {
        reader.optional_integer()?;
        reader.optional_blob()?;
        reader.optional_blob()?;
        Ok(())
    }

    fn compute_checksum(&self) -> i64 {
        Checksum::of(TABLE)
            .integer(self.seq)
            .bytes(self.id.as_bytes())
            .bytes(self.registration_hash.as_bytes())
            .integer(self.created_at_ms)
            .integer(self.content_hash)
            .finish()
    }

    /// An outcome is there if, and only if, the process ended.
    fn check_outcome(
        &self,
        stored: Option<i64>,
        outcome: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>> {
        match (stored, outcome) {
            (Some(stored), Some(outcome)) if !self.state.is_running() => {
                verify(
                    OUTCOMES,
                    &self.id,
                    stored,
                    outcome_checksum(self.seq, outcome),
                )?;
                Ok(Some(outcome.to_vec()))
            }
            (None, None) if self.state.is_running() => Ok(None),
            (None, None) => Err(missing(OUTCOMES, &self.id)),
            _ => Err(corrupt(
                OUTCOMES,
                &self.id,
                "the row does not fit the status",
            )),
        }
    }

    /// Reads the outcome; none while the process runs.
    pub(super) fn outcome(&self, tx: &impl Transaction) -> Result<Option<Vec<u8>>> {
        let rows = tx.query(
            "SELECT checksum, outcome FROM process_outcomes WHERE seq = ?1",
            &[Value::Integer(self.seq)],
        )?;
        let found = read_one(OUTCOMES, &rows, |reader| {
            Ok((reader.integer()?, reader.blob()?))
        })?;
        let (stored, outcome) = found.unzip();
        self.check_outcome(stored, outcome)
    }

    /// Writes the outcome.
    pub(super) fn insert_outcome(&self, tx: &impl Transaction, outcome: &[u8]) -> Result<()> {
        tx.execute(
            "INSERT INTO process_outcomes (seq, checksum, outcome) VALUES (?1, ?2, ?3)",
            &[
                Value::Integer(self.seq),
                Value::Integer(outcome_checksum(self.seq, outcome)),
                Value::Blob(outcome),
            ],
        )?;
        Ok(())
    }

    /// Writes a new process.
    pub(super) fn insert(&self, tx: &impl Transaction, content: &[u8]) -> Result<()> {
        tx.execute(
            "INSERT INTO processes (seq, id, identity, registration_hash, created_at_ms,
                 content_hash, checksum, content)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            &[
                Value::Integer(self.seq),
                Value::Text(&self.id),
                Value::Integer(identity(&self.id)),
                Value::Text(&self.registration_hash),
                Value::Integer(self.created_at_ms),
                Value::Integer(self.content_hash),
                Value::Integer(self.checksum),
                Value::Blob(content),
            ],
        )?;
        self.state.insert(tx, self.seq)
    }

    /// Removes the process with its state and its outcome.
    pub(super) fn delete(&self, tx: &impl Transaction) -> Result<()> {
        let seq = [Value::Integer(self.seq)];
        tx.execute("DELETE FROM processes WHERE seq = ?1", &seq)?;
        tx.execute("DELETE FROM process_states WHERE seq = ?1", &seq)?;
        tx.execute("DELETE FROM process_outcomes WHERE seq = ?1", &seq)?;
        Ok(())
    }

    pub(super) fn into_process(
        self,
        content: Option<Vec<u8>>,
        outcome: Option<Vec<u8>>,
    ) -> Process {
        Process {
            id: self.id,
            number: unsigned(self.seq),
            registration_hash: self.registration_hash,
            content,
            created_at_ms: unsigned(self.created_at_ms),
            updated_at_ms: unsigned(self.state.updated_at_ms),
            external_ref: self.state.external_ref,
            wait: self.state.wait,
            status: self.state.status,
            outcome,
            last_sequence: unsigned(self.state.last_sequence),
        }
    }
}

/// Reads a process without its content and outcome.
pub(super) fn find(tx: &impl Transaction, id: &str) -> Result<Option<ProcessRow>> {
    let rows = tx.query(sql!(SELECT, "WHERE p.id = ?1"), &[Value::Text(id)])?;
    match read_one(TABLE, &rows, ProcessRow::read)? {
        Some(row) => {
            confirm_found(TABLE, id, row.id == id)?;
            Ok(Some(row))
        }
        None => confirm_unknown(tx, id),
    }
}

/// Reads the process with a number that another row has.
pub(super) fn find_numbered(tx: &impl Transaction, seq: i64) -> Result<ProcessRow> {
    let rows = tx.query(sql!(SELECT, "WHERE p.seq = ?1"), &[Value::Integer(seq)])?;
    let row = read_one(TABLE, &rows, ProcessRow::read)?.ok_or_else(|| missing(TABLE, seq))?;
    confirm_found(TABLE, seq, row.seq == seq)?;
    Ok(row)
}

/// Reads a process, without its content if it was registered with `known_hash`.
pub(super) fn find_whole(
    tx: &impl Transaction,
    id: &str,
    known_hash: Option<&str>,
) -> Result<Option<Whole>> {
    let rows = tx.query(
        sql!(
            "SELECT ",
            COLUMNS,
            ", o.checksum, o.outcome,
             CASE WHEN p.registration_hash = ?2 THEN NULL ELSE p.content END",
            WHOLE_TABLES,
            "WHERE p.id = ?1"
        ),
        &[Value::Text(id), optional_text(known_hash)],
    )?;
    let read = |reader: &mut RowReader<'_>| ProcessRow::read_whole(reader, known_hash);
    match read_one(TABLE, &rows, read)? {
        Some(whole) => {
            confirm_found(TABLE, id, whole.process.id == id)?;
            Ok(Some(whole))
        }
        None => confirm_unknown(tx, id),
    }
}

fn confirm_unknown<T>(tx: &impl Transaction, id: &str) -> Result<Option<T>> {
    confirm_absent(
        tx,
        TABLE,
        id,
        "SELECT 1 FROM processes INDEXED BY processes_identity WHERE identity = ?1 LIMIT 1",
        &[Value::Integer(identity(id))],
    )?;
    Ok(None)
}
