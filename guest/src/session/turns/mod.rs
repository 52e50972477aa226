//! Stamps of committed turns, which make a commit idempotent.

mod export;
mod import;
mod row;
mod verify;

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::session_types::TurnStamp;
use crate::session::blobs::key::BlobKey;
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::{confirm_found, verify_complete, verify_order};
use crate::storage::rows::{RowReader, read_all, read_one};
use crate::storage::seam::{Rows, Transaction, Value, execute_rows};
use crate::storage::skipped::Skipped;
use crate::storage::sql::sql;

pub(crate) use export::export;
pub use import::add;
use row::TurnRow;
pub(crate) use verify::verify_all;

/// How many rows one query reads.
const ROWS: i64 = 1024;

/// What a turn committed.
pub(crate) struct CommittedTurn {
    pub(crate) commit_hash: String,
    pub(crate) revision: i64,
    pub(crate) checkpoint: BlobKey,
}

/// Finds the commit of a turn.
pub(super) fn find(tx: &impl Transaction, stamp: &TurnStamp) -> Result<Option<CommittedTurn>> {
    let rows = tx.query(
        sql!(TurnRow::SELECT, "WHERE session_id = ?1 AND turn_id = ?2"),
        &[Value::Text(&stamp.session_id), Value::Text(&stamp.turn_id)],
    )?;
    read_one(TurnRow::TABLE, &rows, |reader| {
        let row = TurnRow::read(reader)?;
        let found = row.session_id == stamp.session_id && row.turn_id == stamp.turn_id;
        confirm_found(TurnRow::TABLE, &stamp.turn_id, found)?;
        Ok(CommittedTurn {
            commit_hash: row.commit_hash.to_string(),
            revision: row.revision,
            checkpoint: row.checkpoint()?,
        })
    })
}

/// Records the commit of a turn.
pub(super) fn insert<T: Transaction>(
    session: &mut SessionTransaction<T>,
    stamp: &TurnStamp,
    revision: i64,
    checkpoint: &BlobKey,
    now_ms: i64,
) -> Result<()> {
    let row = TurnRow {
        session_id: &stamp.session_id,
        turn_id: &stamp.turn_id,
        commit_hash: &stamp.commit_hash,
        revision,
        checkpoint: checkpoint.as_bytes(),
        committed_at_ms: now_ms,
    };
    session.tx.execute(TurnRow::INSERT, &row.values())?;
    session.digests.turns.insert(row.checksum());
    Ok(())
}

/// The highest revision that a stamp has, 0 if there is none.
pub(super) fn last_revision(tx: &impl Transaction) -> Result<i64> {
    let rows = tx.query(
        "SELECT ifnull(max(revision), 0) FROM runtime_turn_commits",
        &[],
    )?;
    Ok(read_one(TurnRow::TABLE, &rows, RowReader::integer)?.unwrap_or(0))
}

/// Every row of the table, with its checksum; none may be missing.
fn check_all<'r, T: Transaction>(
    session: &SessionTransaction<T>,
    rows: &'r Rows,
) -> Result<Vec<(TurnRow<'r>, i64)>> {
    let turns = read_all(TurnRow::TABLE, rows, TurnRow::read_with_checksum)?;
    let mut found = SetDigest::default();
    for (_, checksum) in &turns {
        found.insert(*checksum);
    }
    verify_complete(TurnRow::TABLE, found, session.digests.turns)?;
    Ok(turns)
}

/// The checkpoints of all committed turns, which a replay returns.
pub(crate) fn checkpoints<T: Transaction>(
    session: &SessionTransaction<T>,
) -> Result<BTreeSet<BlobKey>> {
    let rows = session.tx.query(TurnRow::SELECT, &[])?;
    let turns = check_all(session, &rows)?;
    turns.iter().map(|(row, _)| row.checkpoint()).collect()
}

/// Removes the stamps of turns that were committed before a time, `limit` at most, and
/// returns how many. The newest stays: its commit is the one that may just be asked for
/// again. What is corrupt stays too.
pub(crate) fn forget<T: Transaction>(
    session: &mut SessionTransaction<T>,
    before_ms: i64,
    limit: u64,
    skipped: &mut Skipped,
) -> Result<u64> {
    let mut old: Vec<OldTurn> = Vec::new();
    let mut newest = i64::MIN;
    let (mut after_session, mut after_turn) = (String::new(), String::new());
    let mut more = true;
    // One more than the limit, because the newest of those that were read stays.
    while more && old.len() as u64 <= limit {
        let rows = session.tx.query(
            sql!(
                TurnRow::SELECT,
                "WHERE (session_id, turn_id) > (?1, ?2) ORDER BY session_id, turn_id LIMIT ?3"
            ),
            &[
                Value::Text(&after_session),
                Value::Text(&after_turn),
                Value::Integer(ROWS),
            ],
        )?;
        let mut reader = RowReader::new(TurnRow::TABLE, &rows);
        while reader.advance() {
            let row = reader.split_row(TurnRow::WIDTH)?;
            let mut key = row.clone();
            let (session_id, turn_id) = (key.text()?, key.text()?);
            let in_order = (session_id, turn_id) > (after_session.as_str(), after_turn.as_str());
            verify_order(TurnRow::TABLE, turn_id, in_order)?;
            after_session = session_id.to_string();
            after_turn = turn_id.to_string();
            let read = TurnRow::read_with_checksum(&mut row.clone());
            let Some((row, checksum)) = skipped.note(TurnRow::TABLE, read)? else {
                continue;
            };
            newest = newest.max(row.revision);
            if row.committed_at_ms < before_ms {
                old.push(OldTurn {
                    session_id: after_session.clone(),
                    turn_id: after_turn.clone(),
                    revision: row.revision,
                    checksum,
                });
            }
        }
        more = i64::from(rows.count) == ROWS;
    }
    old.retain(|turn| turn.revision != newest);
    old.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    for turn in &old {
        session.digests.turns.remove(turn.checksum);
    }
    let keys: Vec<[Value<'_>; 2]> = old
        .iter()
        .map(|turn| [Value::Text(&turn.session_id), Value::Text(&turn.turn_id)])
        .collect();
    Ok(execute_rows(
        &session.tx,
        "DELETE FROM runtime_turn_commits WHERE session_id = ?1 AND turn_id = ?2",
        &keys,
    )?)
}

/// A stamp that may be removed.
struct OldTurn {
    session_id: String,
    turn_id: String,
    revision: i64,
    checksum: i64,
}
