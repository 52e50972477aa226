//! The nodes of a session.
//!
//! A node's parent is stored as the sequence of its row, so that a path is read
//! by row number, whatever the length of identifiers.

mod change;
mod export;
mod import;
mod order;
mod row;
mod verify;

use alloc::string::String;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::session_types::Node;
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::{confirm_found, corrupt, missing, verify_complete};
use crate::storage::rows::{RowReader, capacity, read_one};
use crate::storage::seam::{Environment, Transaction, Value, clamp, execute_rows, unsigned};
use crate::storage::sql::sql;

pub(crate) use change::{append_nodes, replace_nodes};
pub(crate) use export::{export, export_removed};
pub use import::{add, check};
use row::{COLUMNS, NodeRow, SELECT};
pub(crate) use verify::verify_all;

const TABLE: &str = "graph_nodes";

/// How many rows one query reads of a whole graph: few enough that they stay in
/// the caches of the processor while they are handed over and checked.
const PAGE: u32 = 128;

/// Reads the bodies of all nodes that are not tombstoned, in order.
pub(crate) fn load_all<T: Transaction>(session: &SessionTransaction<T>) -> Result<Vec<Vec<u8>>> {
    let mut bodies = Vec::new();
    visit(session, |row| {
        bodies.push(row.body.to_vec());
        Ok(())
    })?;
    Ok(bodies)
}

/// Visits all nodes that are not tombstoned, in order, and checks that they are
/// those that were written.
fn visit<T: Transaction>(
    session: &SessionTransaction<T>,
    mut visitor: impl FnMut(NodeRow<'_>) -> Result<()>,
) -> Result<()> {
    let expected = session.digests.nodes;
    let mut found = SetDigest::default();
    let mut last = 0;
    loop {
        let rows = session.tx.query(
            sql!(
                SELECT,
                "WHERE seq > ?1 AND tombstoned = 0 ORDER BY seq LIMIT ?2"
            ),
            &[Value::Integer(last), Value::Integer(i64::from(PAGE))],
        )?;
        let mut reader = RowReader::new(TABLE, &rows);
        while reader.advance() {
            let row = NodeRow::read(&mut reader)?;
            found.insert(row.checksum);
            last = row.seq;
            visitor(row)?;
        }
        if rows.count < PAGE {
            break;
        }
    }
    verify_complete(TABLE, found, expected)
}

/// Reads the bodies from the root to `leaf`. Nothing is returned for a leaf that
/// is unknown or tombstoned, and a path begins after a parent that was removed.
pub(crate) fn load_path<T: Transaction>(
    session: &SessionTransaction<T>,
    leaf: &str,
) -> Result<Vec<Vec<u8>>> {
    // A path cannot be longer than the graph: whatever damage does to the
    // parents, the recursion ends.
    let longest = clamp(session.digests.nodes.count.saturating_add(1));
    let rows = session.tx.query(
        sql!(
            "WITH RECURSIVE path (seq, parent_seq, length) AS (
                 SELECT seq, parent_seq, 1 FROM graph_nodes
                 WHERE node_id = ?1 AND tombstoned = 0
                 UNION ALL
                 SELECT node.seq, node.parent_seq, path.length + 1
                 FROM path JOIN graph_nodes AS node ON node.seq = path.parent_seq
                 WHERE node.tombstoned = 0 AND path.length < ?2
             )
             SELECT ",
            COLUMNS,
            " FROM path JOIN graph_nodes ON graph_nodes.seq = path.seq"
        ),
        &[Value::Text(leaf), Value::Integer(longest)],
    )?;
    if rows.count == 0 {
        confirm_not_visible(session, leaf)?;
        return Ok(Vec::new());
    }
    let mut bodies = Vec::with_capacity(capacity(&rows));
    let mut reader = RowReader::new(TABLE, &rows);
    let mut next: Option<i64> = None;
    while reader.advance() {
        let row = NodeRow::read(&mut reader)?;
        let follows = match next {
            Some(seq) => row.seq == seq,
            None => bodies.is_empty() && row.node_id == leaf,
        };
        if !follows || row.tombstoned {
            return Err(corrupt(
                TABLE,
                row.node_id,
                "the row does not belong to the path",
            ));
        }
        next = row.parent_seq;
        bodies.push(row.body.to_vec());
    }
    if let Some(seq) = next {
        confirm_removed(&session.tx, seq)?;
    }
    bodies.reverse();
    Ok(bodies)
}

/// A path ended although its last node has a parent: the parent must have been
/// tombstoned or removed.
fn confirm_removed(tx: &impl Transaction, seq: i64) -> Result<()> {
    let rows = tx.query(sql!(SELECT, "WHERE seq = ?1"), &[Value::Integer(seq)])?;
    let mut reader = RowReader::new(TABLE, &rows);
    if reader.advance() {
        let row = NodeRow::read(&mut reader)?;
        confirm_found(TABLE, seq, row.seq == seq)?;
        return if row.tombstoned {
            Ok(())
        } else {
            Err(corrupt(TABLE, row.node_id, "the parents form a cycle"))
        };
    }
    let removed = tx.query(
        "SELECT 1 FROM removed_nodes WHERE seq = ?1",
        &[Value::Integer(seq)],
    )?;
    if removed.count > 0 {
        Ok(())
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

/// The index led to no visible node; the table must agree.
fn confirm_hidden_or_absent(tx: &impl Transaction, node_id: &str) -> Result<()> {
    let rows = tx.query(
        sql!(SELECT, "NOT INDEXED WHERE node_id = ?1"),
        &[Value::Text(node_id)],
    )?;
    let mut reader = RowReader::new(TABLE, &rows);
    while reader.advance() {
        if !NodeRow::read(&mut reader)?.tombstoned {
            return Err(corrupt(TABLE, node_id, "the index does not know the row"));
        }
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

/// The WIT function `graph.load`.
pub fn load(env: &impl Environment) -> Result<Vec<Vec<u8>>> {
    load_all(&SessionTransaction::read(env)?)
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
    replace_nodes(&mut session, nodes)?;
    session.commit()
}

/// The WIT function `graph.tombstone`.
pub fn tombstone(env: &impl Environment, node_ids: &[String]) -> Result<u64> {
    let mut session = SessionTransaction::write_durably(env)?;
    let mut hidden_now = 0;
    let mut first_prompt_gone = false;
    for node_id in node_ids {
        let rows = session
            .tx
            .query(sql!(SELECT, "WHERE node_id = ?1"), &[Value::Text(node_id)])?;
        let mut reader = RowReader::new(TABLE, &rows);
        if !reader.advance() {
            confirm_hidden_or_absent(&session.tx, node_id)?;
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
    if first_prompt_gone {
        session.digests.first_prompt = find_first_prompt(&session)?;
    }
    session.commit()?;
    Ok(hidden_now)
}

/// Removes the tombstoned nodes for good; returns how many there were.
pub(crate) fn remove_tombstoned<T: Transaction>(
    session: &mut SessionTransaction<T>,
) -> Result<u64> {
    // Each row is read and checked first: a damaged index could name rows that
    // are not tombstoned.
    let rows = session
        .tx
        .query(sql!(SELECT, "WHERE tombstoned = 1"), &[])?;
    let mut reader = RowReader::new(TABLE, &rows);
    let mut found = SetDigest::default();
    let mut seqs = Vec::with_capacity(capacity(&rows));
    while reader.advance() {
        let row = NodeRow::read(&mut reader)?;
        found.insert(row.checksum);
        seqs.push([Value::Integer(row.seq)]);
    }
    let expected = session.digests.tombstones;
    verify_complete(TABLE, found, expected)?;
    let tx = &session.tx;
    execute_rows(tx, "INSERT INTO removed_nodes (seq) VALUES (?1)", &seqs)?;
    execute_rows(tx, "DELETE FROM graph_nodes WHERE seq = ?1", &seqs)?;
    session.digests.tombstones = SetDigest::default();
    Ok(expected.count)
}

/// Looks for the first message of the user, after the one known was hidden.
fn find_first_prompt<T: Transaction>(session: &SessionTransaction<T>) -> Result<u64> {
    let mut first = 0;
    visit(session, |row| {
        if first == 0 && row.prompt {
            first = unsigned(row.seq);
        }
        Ok(())
    })?;
    Ok(first)
}
