//! Adding and replacing nodes.

use alloc::vec::Vec;

use crate::Result;
use crate::bindings::session_types::Node;
use crate::bindings::sqlite::ErrorCode;
use crate::bindings::types::Error;
use crate::session::digests::SessionDigests;
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::invalid;
use crate::storage::digests::Digests;
use crate::storage::rows::{RowReader, read_one};
use crate::storage::seam::{Transaction, Value, clamp, execute_rows, optional_integer, unsigned};
use crate::storage::sql::sql;

use super::order::Positions;
use super::row::{self, NodeRow, SELECT};
use super::{TABLE, find};

/// A node with the columns that were computed for it.
struct NewRow<'n> {
    node: &'n Node,
    seq: i64,
    parent_seq: Option<i64>,
    checksum: i64,
}

/// Adds nodes after the stored ones.
pub(crate) fn append_nodes<T: Transaction>(
    session: &mut SessionTransaction<T>,
    nodes: &[Node],
) -> Result<()> {
    if nodes.is_empty() {
        return Ok(());
    }
    let positions = Positions::of(nodes)?;
    let first = clamp(session.digests.next_node);
    let place = |position: usize| first.saturating_add_unsigned(position as u64);
    let mut rows = Vec::with_capacity(nodes.len());
    for (position, node) in nodes.iter().enumerate() {
        let parent_seq = match node.parent.as_deref() {
            None => None,
            Some(parent) => Some(match positions.get(parent) {
                Some(position) => place(position),
                None => find(&session.tx, parent)?.ok_or_else(|| unknown_parent(node))?,
            }),
        };
        rows.push(new_row(node, place(position), parent_seq));
    }
    insert(session, &rows)
}

/// Makes the nodes the whole graph. Of the rows that both graphs begin with, `keep` says
/// which stay.
pub(crate) fn replace_nodes<T: Transaction>(
    session: &mut SessionTransaction<T>,
    nodes: &[Node],
    keep: Kept,
) -> Result<()> {
    let positions = Positions::of(nodes)?;
    if let Some(node) = nodes.iter().find(|node| {
        node.parent
            .as_deref()
            .is_some_and(|parent| positions.get(parent).is_none())
    }) {
        return Err(unknown_parent(node));
    }
    let kept = common_prefix(session, nodes, &positions, keep)?;
    let next = clamp(session.digests.next_node);
    let place = |position: usize| match kept.get(position) {
        Some(row) => row.seq,
        None => next.saturating_add_unsigned(position.saturating_sub(kept.len()) as u64),
    };
    let rows: Vec<NewRow<'_>> = nodes
        .iter()
        .enumerate()
        .skip(kept.len())
        .map(|(position, node)| {
            let parent = node
                .parent
                .as_deref()
                .and_then(|parent| positions.get(parent));
            new_row(node, place(position), parent.map(place))
        })
        .collect();
    truncate(session, &kept)?;
    insert(session, &rows)
}

fn new_row(node: &Node, seq: i64, parent_seq: Option<i64>) -> NewRow<'_> {
    NewRow {
        node,
        seq,
        parent_seq,
        checksum: row::checksum(
            seq,
            &node.id,
            parent_seq,
            i64::from(node.prompt),
            &node.body,
        ),
    }
}

fn unknown_parent(node: &Node) -> Error {
    let parent = node.parent.as_deref().unwrap_or_default();
    invalid(
        [
            "the parent ",
            parent,
            " of the node ",
            &node.id,
            " is not stored",
        ]
        .concat(),
    )
}

/// What of the stored graph stays when it is replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Rows with the checksums of the new nodes: a longer version of the same graph costs
    /// what it adds.
    ByChecksum,
    /// Rows that are read and are those of the new nodes: what is corrupt is written anew.
    IfSound,
}

/// The rows of the stored nodes that begin the new graph unchanged.
fn common_prefix<'n, T: Transaction>(
    session: &SessionTransaction<T>,
    nodes: &'n [Node],
    positions: &Positions<'_>,
    keep: Kept,
) -> Result<Vec<NewRow<'n>>> {
    let mut kept: Vec<NewRow<'n>> = Vec::new();
    if session.digests.next_node == SessionDigests::new().next_node {
        return Ok(kept);
    }
    let rows = session.tx.query(
        "SELECT seq, node_id, tombstoned, checksum FROM graph_nodes ORDER BY seq",
        &[],
    )?;
    let mut reader = RowReader::new(TABLE, &rows);
    for node in nodes {
        if !reader.advance() {
            break;
        }
        let seq = reader.integer()?;
        let node_id = reader.text()?;
        let tombstoned = reader.integer()?;
        let checksum = reader.integer()?;
        let parent = node
            .parent
            .as_deref()
            .and_then(|parent| positions.get(parent));
        // A parent that comes later has no place yet: the prefix ends.
        let parent_seq = parent.map(|position| kept.get(position).map(|row| row.seq));
        if parent_seq == Some(None) || tombstoned != 0 || node_id != node.id {
            break;
        }
        let row = new_row(node, seq, parent_seq.flatten());
        if row.checksum != checksum || (keep == Kept::IfSound && !is_sound(&session.tx, seq)?) {
            break;
        }
        kept.push(row);
    }
    Ok(kept)
}

/// Whether a row is what its checksum says.
fn is_sound(tx: &impl Transaction, seq: i64) -> Result<bool> {
    let rows = tx.query(sql!(SELECT, "WHERE seq = ?1"), &[Value::Integer(seq)])?;
    match read_one(TABLE, &rows, NodeRow::read) {
        Ok(row) => Ok(row.is_some_and(|row| row.seq == seq)),
        Err(Error::Corrupt(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes every node behind the kept ones, which are the first of the new graph. What is
/// known of the graph is that of these, whatever was lost before.
fn truncate<T: Transaction>(
    session: &mut SessionTransaction<T>,
    kept: &[NewRow<'_>],
) -> Result<()> {
    let last = kept.last().map_or(0, |row| row.seq);
    session.tx.execute(
        "DELETE FROM graph_nodes WHERE seq > ?1",
        &[Value::Integer(last)],
    )?;
    let digests = &mut session.digests;
    digests.nodes = SetDigest::default();
    digests.tombstones = SetDigest::default();
    digests.prompts = 0;
    digests.first_prompt = 0;
    count(digests, kept);
    Ok(())
}

/// Adds rows to what is known of the graph.
fn count(digests: &mut SessionDigests, rows: &[NewRow<'_>]) {
    for row in rows {
        digests.nodes.insert(row.checksum);
        if row.node.prompt {
            digests.prompts = digests.prompts.saturating_add(1);
            if digests.first_prompt == 0 {
                digests.first_prompt = unsigned(row.seq);
            }
        }
    }
}

fn insert<T: Transaction>(session: &mut SessionTransaction<T>, rows: &[NewRow<'_>]) -> Result<()> {
    let params: Vec<[Value<'_>; 6]> = rows
        .iter()
        .map(|row| {
            [
                Value::Integer(row.seq),
                Value::Text(&row.node.id),
                optional_integer(row.parent_seq),
                Value::Integer(i64::from(row.node.prompt)),
                Value::Integer(row.checksum),
                Value::Blob(&row.node.body),
            ]
        })
        .collect();
    let inserted = execute_rows(
        &session.tx,
        "INSERT INTO graph_nodes (seq, node_id, parent_seq, prompt, tombstoned, checksum, body)
         VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6)",
        &params,
    );
    if let Err(error) = inserted {
        if matches!(error.code, ErrorCode::Constraint) {
            refuse_stored(&session.tx, rows)?;
        }
        return Err(error.into());
    }
    count(&mut session.digests, rows);
    if let Some(row) = rows.last() {
        session.digests.next_node = unsigned(row.seq).saturating_add(1);
    }
    Ok(())
}

/// Names the node that is stored already, after SQLite refused one.
fn refuse_stored(tx: &impl Transaction, rows: &[NewRow<'_>]) -> Result<()> {
    for row in rows {
        if find(tx, &row.node.id)?.is_some_and(|seq| seq != row.seq) {
            return Err(invalid(
                ["the node ", &row.node.id, " is stored already"].concat(),
            ));
        }
    }
    Ok(())
}
