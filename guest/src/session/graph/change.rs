//! Adding and replacing nodes.

use alloc::vec::Vec;

use crate::Result;
use crate::bindings::session_types::Node;
use crate::bindings::sqlite::ErrorCode;
use crate::session::digests::SessionDigests;
use crate::session::digests::SessionTransaction;
use crate::storage::corruption::invalid;
use crate::storage::digests::Digests;
use crate::storage::rows::RowReader;
use crate::storage::seam::{Transaction, Value, clamp, execute_rows, optional_integer, unsigned};

use super::order::Positions;
use super::{TABLE, find, find_first_prompt, row};

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

/// Makes the nodes the whole graph. The rows that both graphs begin with stay:
/// a longer version of the same graph costs what it adds.
pub(crate) fn replace_nodes<T: Transaction>(
    session: &mut SessionTransaction<T>,
    nodes: &[Node],
) -> Result<()> {
    let positions = Positions::of(nodes)?;
    if let Some(node) = nodes.iter().find(|node| {
        node.parent
            .as_deref()
            .is_some_and(|parent| positions.get(parent).is_none())
    }) {
        return Err(unknown_parent(node));
    }
    let kept = common_prefix(session, nodes, &positions)?;
    truncate(session, &kept)?;
    let next = clamp(session.digests.next_node);
    let place = |position: usize| match kept.get(position) {
        Some(seq) => *seq,
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

fn unknown_parent(node: &Node) -> crate::bindings::types::Error {
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

/// The sequences of the stored nodes that begin the new graph unchanged.
fn common_prefix<T: Transaction>(
    session: &SessionTransaction<T>,
    nodes: &[Node],
    positions: &Positions<'_>,
) -> Result<Vec<i64>> {
    let mut kept = Vec::new();
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
        let parent_seq = parent.map(|position| kept.get(position).copied());
        if parent_seq == Some(None) || tombstoned != 0 || node_id != node.id {
            break;
        }
        if new_row(node, seq, parent_seq.flatten()).checksum != checksum {
            break;
        }
        kept.push(seq);
    }
    Ok(kept)
}

/// Removes every node behind the kept ones.
fn truncate<T: Transaction>(session: &mut SessionTransaction<T>, kept: &[i64]) -> Result<()> {
    let last = kept.last().copied().unwrap_or(0);
    let rows = session.tx.query(
        "SELECT tombstoned, prompt, checksum FROM graph_nodes WHERE seq > ?1",
        &[Value::Integer(last)],
    )?;
    let mut reader = RowReader::new(TABLE, &rows);
    while reader.advance() {
        let visible = reader.integer()? == 0;
        let prompt = reader.integer()? == 1;
        let checksum = reader.integer()?;
        if !visible {
            session.digests.tombstones.remove(checksum);
        } else {
            session.digests.nodes.remove(checksum);
            if prompt {
                session.digests.prompts = session.digests.prompts.saturating_sub(1);
            }
        }
    }
    if rows.count > 0 {
        session.tx.execute(
            "DELETE FROM graph_nodes WHERE seq > ?1",
            &[Value::Integer(last)],
        )?;
    }
    if session.digests.first_prompt > unsigned(last) {
        session.digests.first_prompt = find_first_prompt(session)?;
    }
    Ok(())
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
    let digests = &mut session.digests;
    for row in rows {
        digests.nodes.insert(row.checksum);
        if row.node.prompt {
            digests.prompts = digests.prompts.saturating_add(1);
            if digests.first_prompt == 0 {
                digests.first_prompt = unsigned(row.seq);
            }
        }
    }
    if let Some(row) = rows.last() {
        digests.next_node = unsigned(row.seq).saturating_add(1);
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
