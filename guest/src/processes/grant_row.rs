//! Rows of `process_grants`.

use alloc::string::String;
use alloc::vec::Vec;

use crate::Result;
use crate::storage::checksum::{self, SetDigest};
use crate::storage::corruption::{confirm_absent, confirm_found, verify_count};
use crate::storage::rows::{RowReader, read_all, read_one};
use crate::storage::seam::{Rows, Transaction, Value, unsigned};
use crate::storage::sql::sql;
use crate::storage::table::table;

table! {
    /// A handle that is granted.
    pub(super) struct GrantRow in "process_grants", named by scope_id,
        uncovered (scope_identity, session_identity)
    {
        scope_id: String,
        /// The number of the process.
        process: i64,
        session_id: String,
        descriptor: Vec<u8>,
    }
}

/// The rows from a number on, in order; the number comes first.
pub(super) const FROM: &str = sql!(
    "SELECT id, ",
    GrantRow::COLUMNS,
    " FROM process_grants NOT INDEXED WHERE id >= ?1 ORDER BY id LIMIT ?2"
);

pub(super) fn scope_identity(scope_id: &str) -> i64 {
    checksum::identity("process_grants.scope_identity", &[scope_id.as_bytes()])
}

pub(super) fn session_identity(session_id: &str) -> i64 {
    checksum::identity("process_grants.session_identity", &[session_id.as_bytes()])
}

impl GrantRow {
    /// Writes a new grant.
    pub(super) fn insert(&self, tx: &impl Transaction) -> Result<()> {
        let values = self.values(
            Value::Integer(scope_identity(&self.scope_id)),
            Value::Integer(session_identity(&self.session_id)),
        );
        tx.execute(Self::INSERT, &values)?;
        Ok(())
    }

    /// Removes the grant.
    pub(super) fn delete(&self, tx: &impl Transaction) -> Result<()> {
        tx.execute(
            "DELETE FROM process_grants WHERE scope_id = ?1 AND process = ?2",
            &[Value::Text(&self.scope_id), Value::Integer(self.process)],
        )?;
        Ok(())
    }
}

/// Reads the grant of a process to a scope, and its checksum.
pub(super) fn find(
    tx: &impl Transaction,
    scope_id: &str,
    process: i64,
) -> Result<Option<(GrantRow, i64)>> {
    let rows = tx.query(
        sql!(GrantRow::SELECT, "WHERE scope_id = ?1 AND process = ?2"),
        &[Value::Text(scope_id), Value::Integer(process)],
    )?;
    let Some((row, checksum)) = read_one(GrantRow::TABLE, &rows, GrantRow::read_with_checksum)?
    else {
        confirm_absent(
            tx,
            GrantRow::TABLE,
            scope_id,
            "SELECT 1 FROM process_grants INDEXED BY process_grants_scope_identity
             WHERE scope_identity = ?1 AND process = ?2 LIMIT 1",
            &[
                Value::Integer(scope_identity(scope_id)),
                Value::Integer(process),
            ],
        )?;
        return Ok(None);
    };
    let found = row.scope_id == scope_id && row.process == process;
    confirm_found(GrantRow::TABLE, scope_id, found)?;
    Ok(Some((row, checksum)))
}

/// Reads the grants of a process, ordered by session and scope, with their
/// checksums.
pub(super) fn of_process(tx: &impl Transaction, process: i64) -> Result<Vec<(GrantRow, i64)>> {
    let rows = tx.query(
        sql!(
            GrantRow::SELECT,
            "INDEXED BY process_grants_process WHERE process = ?1
             ORDER BY session_id, scope_id"
        ),
        &[Value::Integer(process)],
    )?;
    let grants = read_all(GrantRow::TABLE, &rows, GrantRow::read_with_checksum)?;
    for (row, _) in &grants {
        confirm_found(GrantRow::TABLE, process, row.process == process)?;
    }
    Ok(grants)
}

/// Reads the grants to all scopes of a session, with their checksums.
pub(super) fn of_session(tx: &impl Transaction, session_id: &str) -> Result<Vec<(GrantRow, i64)>> {
    let rows = tx.query(
        sql!(
            GrantRow::SELECT,
            "INDEXED BY process_grants_session WHERE session_id = ?1"
        ),
        &[Value::Text(session_id)],
    )?;
    let counted = tx.query(
        "SELECT count(*) FROM process_grants INDEXED BY process_grants_session_identity
         WHERE session_identity = ?1",
        &[Value::Integer(session_identity(session_id))],
    )?;
    verify_count(GrantRow::TABLE, u64::from(rows.count), count(&counted)?)?;
    let grants = read_all(GrantRow::TABLE, &rows, GrantRow::read_with_checksum)?;
    for (row, _) in &grants {
        confirm_found(GrantRow::TABLE, session_id, row.session_id == session_id)?;
    }
    Ok(grants)
}

/// The index over the checksums of scopes leads to as many grants of a scope as
/// were found.
/// What the grants of a scope are, to see whether there are others later.
pub(super) fn digest_of_scope(tx: &impl Transaction, scope_id: &str) -> Result<SetDigest> {
    let rows = tx.query(
        "SELECT checksum FROM process_grants WHERE scope_id = ?1",
        &[Value::Text(scope_id)],
    )?;
    let mut digest = SetDigest::default();
    for checksum in read_all(GrantRow::TABLE, &rows, RowReader::integer)? {
        digest.insert(checksum);
    }
    Ok(digest)
}

pub(super) fn count_of_scope(tx: &impl Transaction, scope_id: &str) -> Result<u64> {
    let counted = tx.query(
        "SELECT count(*) FROM process_grants INDEXED BY process_grants_scope_identity
         WHERE scope_identity = ?1",
        &[Value::Integer(scope_identity(scope_id))],
    )?;
    count(&counted)
}

fn count(counted: &Rows) -> Result<u64> {
    let count = read_one(GrantRow::TABLE, counted, RowReader::integer)?;
    Ok(unsigned(count.unwrap_or(0)))
}
