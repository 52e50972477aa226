//! Rows of `process_states`: everything about a process that changes.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::process_types::Status;
use crate::storage::checksum::{Checksum, SetDigest};
use crate::storage::corruption::{corrupt, missing, verify};
use crate::storage::rows::RowReader;
use crate::storage::seam::{Transaction, Value, optional_blob, optional_text, unsigned};
use crate::storage::sql::{placeholders, sql};
use crate::storage::table::{Column, codes};

const TABLE: &str = "process_states";

/// How far a process is, who works on it, and what refers to it.
#[derive(Clone)]
pub(super) struct State {
    pub(super) status: Status,
    pub(super) updated_at_ms: i64,
    /// 0 while it runs.
    pub(super) ended_at_ms: i64,
    pub(super) last_sequence: i64,
    /// Its handles.
    pub(super) grants: SetDigest,
    /// Its events that are to wake somebody and are not acknowledged.
    pub(super) wakes: SetDigest,
    /// That of the last lease, whether it is held or not.
    pub(super) fencing_token: i64,
    pub(super) lease_owner: Option<String>,
    pub(super) lease_token: Option<String>,
    pub(super) lease_claimed_ms: i64,
    /// 0 if it is not leased.
    pub(super) lease_expires_ms: i64,
    pub(super) wait: Option<Vec<u8>>,
    pub(super) external_ref: Option<Vec<u8>>,
}

codes! {
    Status, "the status is unknown" {
        Running = 0,
        Completed = 1,
        Failed = 2,
        Cancelled = 3,
    }
}

impl State {
    /// What a process is registered with.
    pub(super) fn new(now_ms: i64, fencing_token: i64) -> Self {
        Self {
            status: Status::Running,
            updated_at_ms: now_ms,
            ended_at_ms: 0,
            last_sequence: 0,
            grants: SetDigest::default(),
            wakes: SetDigest::default(),
            fencing_token,
            lease_owner: None,
            lease_token: None,
            lease_claimed_ms: 0,
            lease_expires_ms: 0,
            wait: None,
            external_ref: None,
        }
    }

    /// Reads and checks its columns of `process_row::COLUMNS`, of the process with this
    /// number.
    pub(super) fn read(reader: &mut RowReader<'_>, seq: i64) -> Result<Self> {
        let Some(status) = reader.optional_integer()? else {
            return Err(missing(TABLE, seq));
        };
        let status = Status::decode(status).map_err(|reason| corrupt(TABLE, seq, reason))?;
        let state = Self {
            status,
            updated_at_ms: reader.integer()?,
            ended_at_ms: reader.integer()?,
            last_sequence: reader.integer()?,
            grants: read_digest(reader)?,
            wakes: read_digest(reader)?,
            fencing_token: reader.integer()?,
            lease_owner: reader.optional_text()?.map(ToString::to_string),
            lease_token: reader.optional_text()?.map(ToString::to_string),
            lease_claimed_ms: reader.integer()?,
            lease_expires_ms: reader.integer()?,
            wait: None,
            external_ref: None,
        };
        let stored = reader.integer()?;
        let state = Self {
            wait: reader.optional_blob()?.map(<[u8]>::to_vec),
            external_ref: reader.optional_blob()?.map(<[u8]>::to_vec),
            ..state
        };
        verify(TABLE, seq, stored, state.checksum(seq))?;
        Ok(state)
    }

    pub(super) fn is_running(&self) -> bool {
        self.status == Status::Running
    }

    /// Whether somebody has a lease that did not expire.
    pub(super) fn is_leased(&self, now_ms: i64) -> bool {
        self.lease_token.is_some() && self.lease_expires_ms > now_ms
    }

    /// Gives the lease with this token back; false if it is not held.
    pub(super) fn release(&mut self, token: &str) -> bool {
        let held = self.lease_token.as_deref() == Some(token);
        if held {
            self.lease_owner = None;
            self.lease_token = None;
            self.lease_claimed_ms = 0;
            self.lease_expires_ms = 0;
        }
        held
    }

    fn checksum(&self, seq: i64) -> i64 {
        Checksum::of(TABLE)
            .integer(seq)
            .integer(self.status.code())
            .integer(self.updated_at_ms)
            .integer(self.ended_at_ms)
            .integer(self.last_sequence)
            .integer(self.grants.count.cast_signed())
            .integer(self.grants.sum.cast_signed())
            .integer(self.wakes.count.cast_signed())
            .integer(self.wakes.sum.cast_signed())
            .integer(self.fencing_token)
            .optional(self.lease_owner.as_deref().map(str::as_bytes))
            .optional(self.lease_token.as_deref().map(str::as_bytes))
            .integer(self.lease_claimed_ms)
            .integer(self.lease_expires_ms)
            .optional(self.wait.as_deref())
            .optional(self.external_ref.as_deref())
            .finish()
    }

    /// The values of all columns, in their order.
    fn values(&self, seq: i64) -> [Value<'_>; 17] {
        [
            Value::Integer(seq),
            Value::Integer(self.status.code()),
            Value::Integer(self.updated_at_ms),
            Value::Integer(self.ended_at_ms),
            Value::Integer(self.last_sequence),
            Value::Integer(self.grants.count.cast_signed()),
            Value::Integer(self.grants.sum.cast_signed()),
            Value::Integer(self.wakes.count.cast_signed()),
            Value::Integer(self.wakes.sum.cast_signed()),
            Value::Integer(self.fencing_token),
            optional_text(self.lease_owner.as_deref()),
            optional_text(self.lease_token.as_deref()),
            Value::Integer(self.lease_claimed_ms),
            Value::Integer(self.lease_expires_ms),
            Value::Integer(self.checksum(seq)),
            optional_blob(self.wait.as_deref()),
            optional_blob(self.external_ref.as_deref()),
        ]
    }

    /// The fencing token that a presented one is older than. A caller that presents none is
    /// never fenced.
    pub(super) fn fenced_by(&self, presented: Option<u64>) -> Option<u64> {
        let newest = unsigned(self.fencing_token);
        presented
            .is_some_and(|presented| presented < newest)
            .then_some(newest)
    }

    /// Writes the row of a new process.
    pub(super) fn insert(&self, tx: &impl Transaction, seq: i64) -> Result<()> {
        tx.execute(
            sql!(
                "INSERT INTO process_states (seq, status, updated_at_ms, ended_at_ms,
                     last_sequence, grant_count, grant_sum, wake_count, wake_sum, fencing_token,
                     lease_owner, lease_token, lease_claimed_ms, lease_expires_ms, checksum, wait,
                     external_ref)
                 VALUES (",
                placeholders(17),
                ")"
            ),
            &self.values(seq),
        )?;
        Ok(())
    }

    /// Writes the row again.
    pub(super) fn update(&self, tx: &impl Transaction, seq: i64) -> Result<()> {
        // Without the columns that only the end of a process changes: naming them
        // would make SQLite write the index of the running processes each time.
        tx.execute(
            "UPDATE process_states SET updated_at_ms = ?3, last_sequence = ?5, grant_count = ?6,
                 grant_sum = ?7, wake_count = ?8, wake_sum = ?9, fencing_token = ?10,
                 lease_owner = ?11, lease_token = ?12, lease_claimed_ms = ?13,
                 lease_expires_ms = ?14, checksum = ?15, wait = ?16, external_ref = ?17
             WHERE seq = ?1",
            &self.values(seq),
        )?;
        Ok(())
    }

    /// Writes the columns that only the end of a process changes, beside
    /// [`update`](Self::update).
    pub(super) fn update_end(&self, tx: &impl Transaction, seq: i64) -> Result<()> {
        tx.execute(
            "UPDATE process_states SET status = ?2, ended_at_ms = ?3 WHERE seq = ?1",
            &[
                Value::Integer(seq),
                Value::Integer(self.status.code()),
                Value::Integer(self.ended_at_ms),
            ],
        )?;
        Ok(())
    }
}

fn read_digest(reader: &mut RowReader<'_>) -> Result<SetDigest> {
    Ok(SetDigest {
        count: reader.integer()?.cast_unsigned(),
        sum: reader.integer()?.cast_unsigned(),
    })
}
