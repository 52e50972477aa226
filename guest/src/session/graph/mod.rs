//! The nodes of a session.
//!
//! A node's parent is stored as the sequence of its row, so that a path is read
//! by row number, whatever the length of identifiers.

mod change;
mod export;
mod import;
mod order;
mod page;
mod row;
mod verify;

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::session_types::Node;
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::{confirm_found, corrupt, missing, verify_complete, verify_order};
use crate::storage::paging::{Cursor, Room};
use crate::storage::rows::{RowReader, capacity, read_one};
use crate::storage::seam::{Environment, Transaction, Value, clamp, execute_rows, unsigned};
use crate::storage::skipped::Skipped;
use crate::storage::sql::sql;

pub(crate) use change::{Kept, append_nodes, replace_nodes};
pub(crate) use export::{export, export_removed};
pub use import::{add, check};
pub(crate) use page::first_bodies;
pub use page::{load, load_nodes};
use row::{NodeRow, SELECT, WIDTH};
pub(crate) use verify::verify_all;

const TABLE: &str = "graph_nodes";

/// Visits all nodes that are not tombstoned, newest first, and checks that they are
/// those that were written.
fn visit<T: Transaction>(
    session: &SessionTransaction<T>,
    mut visitor: impl FnMut(NodeRow<'_>) -> Result<()>,
) -> Result<()> {
    let mut cursor = Cursor::default();
    while !page::read_before(session, &mut cursor, &mut visitor)? {}
    Ok(())
}

/// Whether the parent that a path ends before was tombstoned or removed; otherwise it is
/// visible.
fn confirm_removed(tx: &impl Transaction, seq: i64) -> Result<bool> {
    let rows = tx.query(sql!(SELECT, "WHERE seq = ?1"), &[Value::Integer(seq)])?;
    let mut reader = RowReader::new(TABLE, &rows);
    if reader.advance() {
        let row = NodeRow::read(&mut reader)?;
        confirm_found(TABLE, seq, row.seq == seq)?;
        return Ok(row.tombstoned);
    }
    let removed = tx.query(
        "SELECT 1 FROM removed_nodes WHERE seq = ?1",
        &[Value::Integer(seq)],
    )?;
    if removed.count > 0 {
        Ok(true)
    } else {
        Err(corrupt(TABLE, seq, "a node on the path is missing"))
    }
}

/// "There is no such node" is an answer too, and no row can be checked for it: all
/// of them are. It costs what reading the whole graph does.
fn confirm_not_visible<T: Transaction>(
    session: &SessionTransaction<T>,
    node_id: &str,
) -> Result<()> {
    visit(session, |row| {
        if row.node_id == node_id {
            return Err(corrupt(TABLE, node_id, "the index does not know the row"));
        }
        Ok(())
    })
}

/// The index led to none of these nodes; the table must agree that none is visible. It is
/// read once, whatever their number.
fn confirm_hidden_or_absent(tx: &impl Transaction, node_ids: &BTreeSet<&str>) -> Result<()> {
    let mut last = 0;
    let mut more = !node_ids.is_empty();
    while more {
        let rows = tx.query(
            "SELECT seq, node_id, tombstoned FROM graph_nodes NOT INDEXED
             WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            &[Value::Integer(last), Value::Integer(ROWS)],
        )?;
        let mut reader = RowReader::new(TABLE, &rows);
        while reader.advance() {
            let seq = reader.integer()?;
            verify_order(TABLE, seq, seq > last)?;
            last = seq;
            let node_id = reader.text()?;
            let is_visible = reader.integer()? == 0;
            if is_visible && node_ids.contains(node_id) {
                return Err(corrupt(TABLE, node_id, "the index does not know the row"));
            }
        }
        more = i64::from(rows.count) == ROWS;
    }
    Ok(())
}

/// The sequence of a stored node, tombstoned or not. The runtime may go on from a
/// node that was tombstoned behind its back.
pub(crate) fn find(tx: &impl Transaction, node_id: &str) -> Result<Option<i64>> {
    // The whole row is read and checked: a damaged index could name another one,
    // and nodes to come would be hung on that.
    let rows = tx.query(sql!(SELECT, "WHERE node_id = ?1"), &[Value::Text(node_id)])?;
    read_one(TABLE, &rows, |reader| {
        let row = NodeRow::read(reader)?;
        confirm_found(TABLE, node_id, row.node_id == node_id)?;
        Ok(row.seq)
    })
}

/// The WIT function `graph.load-node`.
pub fn load_node(env: &impl Environment, node_id: &str) -> Result<Option<Vec<u8>>> {
    let session = SessionTransaction::read(env)?;
    let rows = session
        .tx
        .query(sql!(SELECT, "WHERE node_id = ?1"), &[Value::Text(node_id)])?;
    let mut reader = RowReader::new(TABLE, &rows);
    if !reader.advance() {
        confirm_not_visible(&session, node_id)?;
        return Ok(None);
    }
    let row = NodeRow::read(&mut reader)?;
    confirm_found(TABLE, node_id, row.node_id == node_id)?;
    Ok((!row.tombstoned).then(|| row.body.to_vec()))
}

/// The body of the first message of the user.
pub(crate) fn first_prompt<T: Transaction>(
    session: &SessionTransaction<T>,
) -> Result<Option<Vec<u8>>> {
    let seq = session.digests.first_prompt;
    if seq == 0 {
        return Ok(None);
    }
    let rows = session.tx.query(
        sql!(SELECT, "WHERE seq = ?1"),
        &[Value::Integer(clamp(seq))],
    )?;
    let row = read_one(TABLE, &rows, NodeRow::read)?.ok_or_else(|| missing(TABLE, seq))?;
    confirm_found(TABLE, seq, unsigned(row.seq) == seq)?;
    Ok(Some(row.body.to_vec()))
}

/// The WIT function `graph.append`.
pub fn append(env: &impl Environment, nodes: &[Node]) -> Result<()> {
    let mut session = SessionTransaction::write_durably(env)?;
    append_nodes(&mut session, nodes)?;
    session.commit()
}

/// The WIT function `graph.replace`.
pub fn replace(env: &impl Environment, nodes: &[Node]) -> Result<()> {
    let mut session = SessionTransaction::write_durably(env)?;
    replace_nodes(&mut session, nodes, Kept::IfSound)?;
    session.commit()
}

/// The WIT function `graph.tombstone`.
pub fn tombstone(env: &impl Environment, node_ids: &[String]) -> Result<u64> {
    let mut session = SessionTransaction::write_durably(env)?;
    let mut hidden_now = 0;
    let mut first_prompt_gone = false;
    let mut unknown = BTreeSet::new();
    for node_id in node_ids {
        let rows = session
            .tx
            .query(sql!(SELECT, "WHERE node_id = ?1"), &[Value::Text(node_id)])?;
        let mut reader = RowReader::new(TABLE, &rows);
        if !reader.advance() {
            unknown.insert(node_id.as_str());
            continue;
        }
        let row = NodeRow::read(&mut reader)?;
        confirm_found(TABLE, node_id, row.node_id == node_id)?;
        if row.tombstoned {
            continue;
        }
        let hidden = row::tombstoned_checksum(row.checksum);
        session.digests.nodes.remove(row.checksum);
        session.digests.tombstones.insert(hidden);
        if row.prompt {
            session.digests.prompts = session.digests.prompts.saturating_sub(1);
            first_prompt_gone |= unsigned(row.seq) == session.digests.first_prompt;
        }
        session.tx.execute(
            "UPDATE graph_nodes SET tombstoned = 1, checksum = ?2 WHERE seq = ?1",
            &[Value::Integer(row.seq), Value::Integer(hidden)],
        )?;
        hidden_now += 1;
    }
    confirm_hidden_or_absent(&session.tx, &unknown)?;
    if first_prompt_gone {
        session.digests.first_prompt = find_first_prompt(&session)?;
    }
    session.commit()?;
    Ok(hidden_now)
}

/// The lengths of the first tombstoned nodes.
const TOMBSTONED_LENGTHS: &str = "SELECT length(body) FROM graph_nodes WHERE tombstoned = 1 \
                                  ORDER BY seq LIMIT ?2 OFFSET ?1";

/// How many bytes of nodes one step removes.
const VACUUM_BYTES: usize = 16 << 20;

/// How many rows one query reads where no bodies are read, or their lengths are known.
const ROWS: i64 = 1024;

/// Removes tombstoned nodes for good, `limit` at most; returns how many. What is corrupt
/// stays.
pub(crate) fn remove_tombstoned<T: Transaction>(
    session: &mut SessionTransaction<T>,
    limit: u32,
    skipped: &mut Skipped,
) -> Result<u64> {
    let mut room = Room::of(VACUUM_BYTES);
    let mut left = i64::from(limit);
    let mut removed = 0;
    while left > 0 && !room.is_full() {
        let tx = &session.tx;
        let most = left.min(ROWS);
        // What was passed over is still there; all else in front of the next was removed.
        let passed = [Value::Integer(skipped.count().into())];
        let fitting = room.fitting(tx, TABLE, TOMBSTONED_LENGTHS, &passed, most)?;
        // Each row is read and checked first: a corrupt index could name rows that are
        // not tombstoned.
        let rows = tx.query(
            sql!(
                SELECT,
                "WHERE tombstoned = 1 ORDER BY seq LIMIT ?1 OFFSET ?2"
            ),
            &[
                Value::Integer(fitting.rows),
                Value::Integer(skipped.count().into()),
            ],
        )?;
        fitting.require(TABLE, &rows)?;
        let mut reader = RowReader::new(TABLE, &rows);
        let mut seqs = Vec::with_capacity(capacity(&rows));
        while reader.advance() {
            let read = NodeRow::read(&mut reader.split_row(WIDTH)?).and_then(|row| {
                confirm_found(TABLE, row.seq, row.tombstoned)?;
                Ok(row)
            });
            let Some(row) = skipped.note(TABLE, read)? else {
                continue;
            };
            session.digests.tombstones.remove(row.checksum);
            room.take(row.body.len());
            seqs.push([Value::Integer(row.seq)]);
        }
        execute_rows(tx, "INSERT INTO removed_nodes (seq) VALUES (?1)", &seqs)?;
        execute_rows(tx, "DELETE FROM graph_nodes WHERE seq = ?1", &seqs)?;
        removed += seqs.len() as u64;
        left -= i64::from(rows.count);
        if fitting.is_last && skipped.count() == 0 {
            let expected = session.digests.tombstones;
            verify_complete(TABLE, SetDigest::default(), expected)?;
            break;
        }
        if fitting.is_cut || fitting.is_last {
            break;
        }
    }
    Ok(removed)
}

/// Looks for the first message of the user, after the one known was hidden.
fn find_first_prompt<T: Transaction>(session: &SessionTransaction<T>) -> Result<u64> {
    let mut first = 0;
    visit(session, |row| {
        if row.prompt {
            first = unsigned(row.seq);
        }
        Ok(())
    })?;
    Ok(first)
}
