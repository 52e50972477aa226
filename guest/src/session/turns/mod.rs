//! Stamps of committed turns, which make a commit idempotent.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::blobs::{self, key::BlobKey};
use crate::Result;
use crate::bindings::exports::lash::store::session::TurnStamp;
use crate::bindings::exports::lash::store::session_import::ImportedTurn;
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::{Checksum, SetDigest};
use crate::storage::corruption::{corrupt, invalid, refuse_repeated, verify, verify_complete};
use crate::storage::findings::{Findings, Pages};
use crate::storage::paging::{Cursor, Named, Page, RecordBuilder};
use crate::storage::rows::{RowReader, capacity};
use crate::storage::seam::{Environment, Transaction, Value, clamp};

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

/// The WIT function `session-import.add-turns`.
pub fn add(env: &impl Environment, turns: &[ImportedTurn]) -> Result<()> {
    let mut session = SessionTransaction::write(env)?;
    for turn in turns {
        let stamp = &turn.stamp;
        if find(&session.tx, stamp)?.is_some() {
            return refuse_repeated(0, &stamp.turn_id);
        }
        let revision = i64::try_from(turn.revision)
            .map_err(|_| invalid("the revision of a turn is too high"))?;
        let key = blobs::require(&session.tx, &turn.checkpoint)?;
        if blobs::edges(&session.tx, &key)?.len() != 1 {
            return Err(invalid(
                [&turn.checkpoint, " is not an imported manifest"].concat(),
            ));
        }
        let committed_at_ms = clamp(turn.committed_at_ms);
        insert(&mut session, stamp, revision, &key, committed_at_ms)?;
    }
    session.commit()
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

/// Reads and checks `revision, checkpoint, committed_at_ms, checksum`, which come
/// after what is in the stamp; answers the last two too.
fn read(reader: &mut RowReader<'_>, stamp: &TurnStamp) -> Result<(CommittedTurn, i64, i64)> {
    let revision = reader.integer()?;
    let key = reader.blob()?;
    let committed_at_ms = reader.integer()?;
    let stored = reader.integer()?;
    let computed = checksum(stamp, revision, key, committed_at_ms);
    verify(TABLE, &stamp.turn_id, stored, computed)?;
    let turn = CommittedTurn {
        commit_hash: stamp.commit_hash.clone(),
        revision,
        checkpoint: BlobKey::from_bytes(key)
            .ok_or_else(|| corrupt(TABLE, &stamp.turn_id, "the checkpoint's key is damaged"))?,
    };
    Ok((turn, committed_at_ms, stored))
}

/// The checkpoints of all committed turns, which a replay answers.
pub(crate) fn checkpoints<T: Transaction>(
    session: &SessionTransaction<T>,
) -> Result<BTreeSet<BlobKey>> {
    let turns = load_all(session)?;
    Ok(turns.into_iter().map(|row| row.turn.checkpoint).collect())
}

/// Removes the stamps of turns that were committed before a time, and answers how
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

const PAGES: Pages = Pages {
    table: TABLE,
    sql: "SELECT session_id, turn_id, commit_hash, revision, checkpoint, committed_at_ms, checksum
          FROM runtime_turn_commits WHERE (session_id, turn_id) >= (?1, ?2)
          ORDER BY session_id, turn_id LIMIT ?3",
    columns: 7,
    size: 1024,
};

/// Checks every stamp, and that a replay has what it answers.
pub(crate) fn verify_all<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
    head_revision: Option<i64>,
) -> Result<()> {
    let mut found = SetDigest::default();
    findings.walk_names(&session.tx, &PAGES, &mut |findings, reader| {
        let stamp = read_stamp(reader)?;
        let (turn, _, checksum) = read(reader, &stamp)?;
        found.insert(checksum);
        blobs::require_stored(session, findings, &turn.checkpoint)?;
        if turn.checkpoint.is_imported() {
            for translation in blobs::edges(&session.tx, &turn.checkpoint)? {
                blobs::require_stored(session, findings, &translation)?;
            }
        }
        let known = head_revision.is_none_or(|revision| turn.revision <= revision);
        findings.require(
            TABLE,
            &stamp.turn_id,
            known,
            "the revision is higher than the head's",
        )
    })?;
    findings.complete(TABLE, found, session.digests.turns)
}

fn read_stamp(reader: &mut RowReader<'_>) -> Result<TurnStamp> {
    Ok(TurnStamp {
        session_id: reader.text()?.to_string(),
        turn_id: reader.text()?.to_string(),
        commit_hash: reader.text()?.to_string(),
    })
}

fn checksum(stamp: &TurnStamp, revision: i64, checkpoint: &[u8], committed_at_ms: i64) -> i64 {
    Checksum::of(TABLE)
        .bytes(stamp.session_id.as_bytes())
        .bytes(stamp.turn_id.as_bytes())
        .bytes(stamp.commit_hash.as_bytes())
        .integer(revision)
        .bytes(checkpoint)
        .integer(committed_at_ms)
        .finish()
}

const ROWS: Named = Named {
    table: TABLE,
    rows: "SELECT session_id, turn_id, commit_hash, revision, checkpoint, committed_at_ms, checksum
           FROM runtime_turn_commits WHERE (session_id, turn_id) >= (?1, ?2)
           ORDER BY session_id, turn_id LIMIT ?3",
};

/// Exports the stamps.
pub(crate) fn export<T: Transaction>(
    session: &SessionTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<bool> {
    let ended = ROWS.read(&session.tx, cursor, page, &mut |cursor, page, reader| {
        let stamp = read_stamp(reader)?;
        let (turn, committed_at_ms, checksum) = read(reader, &stamp)?;
        cursor.found.insert(checksum);
        page.push(
            RecordBuilder::new("turn")
                .text("session_id", &stamp.session_id)
                .text("id", &stamp.turn_id)
                .text("commit_hash", &stamp.commit_hash)
                .number("revision", turn.revision)
                .text("checkpoint", &turn.checkpoint.text())
                .number("committed_at_ms", committed_at_ms),
        );
        Ok(())
    })?;
    if ended {
        verify_complete(TABLE, cursor.found, session.digests.turns)?;
    }
    Ok(ended)
}
