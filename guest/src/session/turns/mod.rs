//! Stamps of committed turns, which make a commit idempotent.

mod export;
mod import;
mod row;
mod verify;

use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::exports::lash::store::session::TurnStamp;
use crate::session::blobs::key::BlobKey;
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::verify_complete;
use crate::storage::rows::{RowReader, capacity};
use crate::storage::seam::{Transaction, Value};

pub(crate) use export::export;
pub use import::add;
use row::{CommittedTurn, TABLE, checksum, read, read_stamp};
pub(crate) use verify::verify_all;

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
    let stored = TurnStamp {
        commit_hash: reader.text()?.to_string(),
        ..stamp.clone()
    };
    let (turn, ..) = read(&mut reader, &stored)?;
    Ok(Some(turn))
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
    let checksum = checksum(stamp, revision, key, now_ms);
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

/// A row, checked.
struct StoredTurn {
    stamp: TurnStamp,
    turn: CommittedTurn,
    committed_at_ms: i64,
    checksum: i64,
}

/// Every row; none may be missing.
fn load_all<T: Transaction>(session: &SessionTransaction<T>) -> Result<Vec<StoredTurn>> {
    let rows = session.tx.query(
        "SELECT session_id, turn_id, commit_hash, revision, checkpoint, committed_at_ms, checksum
         FROM runtime_turn_commits",
        &[],
    )?;
    let mut reader = RowReader::new(TABLE, &rows);
    let mut found = SetDigest::default();
    let mut all = Vec::with_capacity(capacity(&rows));
    while reader.advance() {
        let stamp = read_stamp(&mut reader)?;
        let (turn, committed_at_ms, checksum) = read(&mut reader, &stamp)?;
        found.insert(checksum);
        all.push(StoredTurn {
            stamp,
            turn,
            committed_at_ms,
            checksum,
        });
    }
    verify_complete(TABLE, found, session.digests.turns)?;
    Ok(all)
}

/// The checkpoints of all committed turns, which a replay returns.
pub(crate) fn checkpoints<T: Transaction>(
    session: &SessionTransaction<T>,
) -> Result<BTreeSet<BlobKey>> {
    let turns = load_all(session)?;
    Ok(turns.into_iter().map(|row| row.turn.checkpoint).collect())
}

/// Removes the stamps of turns that were committed before a time, and returns how
/// many. The newest stays: its commit is the one that may just be asked for again.
pub(crate) fn forget<T: Transaction>(
    session: &mut SessionTransaction<T>,
    before_ms: i64,
) -> Result<u64> {
    let turns = load_all(session)?;
    let newest = turns.iter().map(|row| row.turn.revision).max();
    let old: Vec<&StoredTurn> = turns
        .iter()
        .filter(|row| row.committed_at_ms < before_ms && Some(row.turn.revision) != newest)
        .collect();
    for row in &old {
        session.digests.turns.remove(row.checksum);
    }
    let keys: Vec<[Value<'_>; 2]> = old
        .iter()
        .map(|row| [&row.stamp.session_id, &row.stamp.turn_id].map(|text| Value::Text(text)))
        .collect();
    let keys: Vec<&[Value<'_>]> = keys.iter().map(|key| &key[..]).collect();
    Ok(session.tx.execute_many(
        "DELETE FROM runtime_turn_commits WHERE session_id = ?1 AND turn_id = ?2",
        &keys,
    )?)
}
