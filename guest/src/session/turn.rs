//! Stamps of committed turns, which make a commit idempotent.

use alloc::string::{String, ToString};

use crate::Result;
use crate::bindings::exports::lash::store::session::TurnStamp;
use crate::blob::key::BlobKey;
use crate::checksum::Checksum;
use crate::corruption::{RowReader, corrupt, verify};
use crate::seam::{Transaction, Value};

const TABLE: &str = "runtime_turn_commits";

/// What a turn committed.
pub(super) struct CommittedTurn {
    pub(super) commit_hash: String,
    pub(super) revision: i64,
    pub(super) checkpoint: BlobKey,
}

/// Finds the commit of a turn.
pub(super) fn find(tx: &impl Transaction, stamp: &TurnStamp) -> Result<Option<CommittedTurn>> {
    let rows = tx.query(
        "SELECT commit_hash, revision, checkpoint, committed_at_ms, checksum
         FROM runtime_turn_commits WHERE session_id = ?1 AND turn_id = ?2",
        &[Value::Text(&stamp.session_id), Value::Text(&stamp.turn_id)],
    )?;
    let mut reader = RowReader::new(TABLE, &rows);
    if !reader.advance() {
        return Ok(None);
    }
    let commit_hash = reader.text()?;
    let revision = reader.integer()?;
    let key = reader.blob()?;
    let committed_at_ms = reader.integer()?;
    let stored = reader.integer()?;
    verify(
        TABLE,
        &stamp.turn_id,
        stored,
        checksum(stamp, commit_hash, revision, key, committed_at_ms),
    )?;
    Ok(Some(CommittedTurn {
        commit_hash: commit_hash.to_string(),
        revision,
        checkpoint: BlobKey::from_bytes(key)
            .ok_or_else(|| corrupt(TABLE, &stamp.turn_id, "the checkpoint's key is damaged"))?,
    }))
}

/// Records the commit of a turn.
pub(super) fn insert(
    tx: &impl Transaction,
    stamp: &TurnStamp,
    revision: i64,
    checkpoint: &BlobKey,
    now_ms: i64,
) -> Result<()> {
    tx.execute(
        "INSERT INTO runtime_turn_commits (session_id, turn_id, commit_hash, revision, checkpoint,
             committed_at_ms, checksum)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        &[
            Value::Text(&stamp.session_id),
            Value::Text(&stamp.turn_id),
            Value::Text(&stamp.commit_hash),
            Value::Integer(revision),
            Value::Blob(checkpoint.as_bytes()),
            Value::Integer(now_ms),
            Value::Integer(checksum(
                stamp,
                &stamp.commit_hash,
                revision,
                checkpoint.as_bytes(),
                now_ms,
            )),
        ],
    )?;
    Ok(())
}

fn checksum(
    stamp: &TurnStamp,
    commit_hash: &str,
    revision: i64,
    checkpoint: &[u8],
    committed_at_ms: i64,
) -> i64 {
    Checksum::of(TABLE)
        .bytes(stamp.session_id.as_bytes())
        .bytes(stamp.turn_id.as_bytes())
        .bytes(commit_hash.as_bytes())
        .integer(revision)
        .bytes(checkpoint)
        .integer(committed_at_ms)
        .finish()
}
