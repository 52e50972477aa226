//! Stamps of committed turns, which make a commit idempotent.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};

use crate::Result;
use crate::bindings::exports::lash::store::session::TurnStamp;
use crate::blob::key::BlobKey;
use crate::checksum::{Checksum, SetDigest};
use crate::corruption::{RowReader, corrupt, verify, verify_complete};
use crate::seam::{Transaction, Value};
use crate::transaction::SessionTransaction;

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
pub(super) fn insert<T: Transaction>(
    session: &mut SessionTransaction<T>,
    stamp: &TurnStamp,
    revision: i64,
    checkpoint: &BlobKey,
    now_ms: i64,
) -> Result<()> {
    let key = checkpoint.as_bytes();
    let checksum = checksum(stamp, &stamp.commit_hash, revision, key, now_ms);
    session.tx.execute(
        "INSERT INTO runtime_turn_commits (session_id, turn_id, commit_hash, revision, checkpoint,
             committed_at_ms, checksum)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        &[
            Value::Text(&stamp.session_id),
            Value::Text(&stamp.turn_id),
            Value::Text(&stamp.commit_hash),
            Value::Integer(revision),
            Value::Blob(key),
            Value::Integer(now_ms),
            Value::Integer(checksum),
        ],
    )?;
    session.digests.turns.insert(checksum);
    Ok(())
}

/// The checkpoints of all committed turns, which a replay answers.
pub(crate) fn checkpoints<T: Transaction>(
    session: &SessionTransaction<T>,
) -> Result<BTreeSet<BlobKey>> {
    let rows = session.tx.query(
        "SELECT session_id, turn_id, commit_hash, revision, checkpoint, committed_at_ms, checksum
         FROM runtime_turn_commits",
        &[],
    )?;
    let mut reader = RowReader::new(TABLE, &rows);
    let mut found = SetDigest::default();
    let mut keys = BTreeSet::new();
    while reader.advance() {
        let stamp = TurnStamp {
            session_id: reader.text()?.to_string(),
            turn_id: reader.text()?.to_string(),
            commit_hash: reader.text()?.to_string(),
        };
        let revision = reader.integer()?;
        let key = reader.blob()?;
        let committed_at_ms = reader.integer()?;
        let stored = reader.integer()?;
        let computed = checksum(&stamp, &stamp.commit_hash, revision, key, committed_at_ms);
        verify(TABLE, &stamp.turn_id, stored, computed)?;
        found.insert(stored);
        keys.insert(
            BlobKey::from_bytes(key)
                .ok_or_else(|| corrupt(TABLE, &stamp.turn_id, "the checkpoint's key is damaged"))?,
        );
    }
    let expected = session.digests.turns;
    verify_complete(TABLE, found, expected)?;
    Ok(keys)
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
