//! Adding nodes of another program, with the numbers that they had.

use alloc::string::ToString;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::import_types::{CheckedNodes, ImportedNode};
use crate::bindings::sqlite::ErrorCode;
use crate::bindings::types::Corruption;
use crate::session::digests::SessionTransaction;
use crate::storage::corruption::{invalid, missing};
use crate::storage::numbers;
use crate::storage::rows::{read_all, read_one};
use crate::storage::seam::{
    Environment, Transaction, Value, clamp, execute_rows, optional_integer, unsigned,
};
use crate::storage::sql::sql;

use super::row::{self, NodeRow, SELECT};
use super::verify::is_own_ancestor;
use super::{TABLE, row::tombstoned_checksum};

/// The number of the nodes that were removed before the import.
const REMOVED: i64 = 0;

/// How many nodes one call cuts off.
const CUT: i64 = 256;

/// The WIT function `session-import.add-nodes`.
pub fn add(env: &impl Environment, nodes: &[ImportedNode]) -> Result<()> {
    let mut session = SessionTransaction::write(env)?;
    let mut rows = Vec::with_capacity(nodes.len());
    for node in nodes {
        let seq = numbers::take_over(&mut session.digests.next_node, node.sequence)
            .ok_or_else(|| invalid(["the node ", &node.id, " is out of order"].concat()))?;
        let parent_seq = node.parent.map(clamp);
        let prompt = i64::from(node.prompt);
        let visible = row::checksum(seq, &node.id, parent_seq, prompt, &node.body);
        let digests = &mut session.digests;
        let checksum = match node.tombstoned {
            true => tombstoned_checksum(visible),
            false => visible,
        };
        match node.tombstoned {
            true => digests.tombstones.insert(checksum),
            false => digests.nodes.insert(checksum),
        }
        if node.prompt && !node.tombstoned {
            digests.prompts = digests.prompts.saturating_add(1);
            if digests.first_prompt == 0 {
                digests.first_prompt = node.sequence;
            }
        }
        rows.push([
            Value::Integer(seq),
            Value::Text(&node.id),
            optional_integer(parent_seq),
            Value::Integer(prompt),
            Value::Integer(i64::from(node.tombstoned)),
            Value::Integer(checksum),
            Value::Blob(&node.body),
        ]);
    }
    let inserted = execute_rows(
        &session.tx,
        "INSERT INTO graph_nodes (seq, node_id, parent_seq, prompt, tombstoned, checksum, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        &rows,
    );
    match inserted {
        Ok(_) => {}
        Err(error) if matches!(error.code, ErrorCode::Constraint) => {
            return Err(invalid("a node of this name is stored already"));
        }
        Err(error) => return Err(error.into()),
    }
    if nodes
        .iter()
        .any(|node| node.parent == Some(unsigned(REMOVED)))
    {
        note_removed(&session.tx)?;
    }
    session.commit()
}

fn note_removed(tx: &impl Transaction) -> Result<()> {
    tx.execute(
        "INSERT INTO removed_nodes (seq) VALUES (?1) ON CONFLICT (seq) DO NOTHING",
        &[Value::Integer(REMOVED)],
    )?;
    Ok(())
}

/// The WIT function `session-import.check-nodes`.
pub fn check(env: &impl Environment, from: u64) -> Result<CheckedNodes> {
    let mut session = SessionTransaction::write(env)?;
    // A cycle has a node that is before its parent.
    let rows = session.tx.query(
        "SELECT seq, parent_seq FROM graph_nodes AS node NOT INDEXED
         WHERE seq >= ?1 AND parent_seq IS NOT NULL
           AND (parent_seq >= seq
                OR NOT EXISTS (SELECT 1 FROM graph_nodes AS parent
                               WHERE parent.seq = node.parent_seq
                               UNION ALL SELECT 1 FROM removed_nodes AS removed
                               WHERE removed.seq = node.parent_seq))
         ORDER BY seq LIMIT ?2",
        &[Value::Integer(clamp(from)), Value::Integer(CUT)],
    )?;
    let suspects = read_all(TABLE, &rows, |reader| {
        Ok((reader.integer()?, reader.integer()?))
    })?;
    let mut checked = CheckedNodes {
        cut: Vec::new(),
        next: None,
    };
    for (seq, parent_seq) in &suspects {
        let rows = session
            .tx
            .query(sql!(SELECT, "WHERE seq = ?1"), &[Value::Integer(*seq)])?;
        let row = read_one(TABLE, &rows, NodeRow::read)?.ok_or_else(|| missing(TABLE, *seq))?;
        let reason = if !super::verify::exists(&session.tx, *parent_seq)? {
            "the parent of the node is missing"
        } else if is_own_ancestor(&session, &row)? {
            "the node is its own ancestor"
        } else {
            continue;
        };
        checked.cut.push(Corruption {
            table: TABLE.to_string(),
            key: row.node_id.to_string(),
            reason: reason.to_string(),
        });
        cut(&mut session, &row)?;
    }
    if suspects.len() as u64 >= unsigned(CUT) {
        checked.next = suspects.last().map(|(seq, _)| unsigned(*seq) + 1);
    }
    session.commit()?;
    Ok(checked)
}

/// Makes a node follow a removed one.
fn cut<T: Transaction>(session: &mut SessionTransaction<T>, row: &NodeRow<'_>) -> Result<()> {
    note_removed(&session.tx)?;
    let prompt = i64::from(row.prompt);
    let visible = row::checksum(row.seq, row.node_id, Some(REMOVED), prompt, row.body);
    let (digest, checksum) = match row.tombstoned {
        true => (
            &mut session.digests.tombstones,
            tombstoned_checksum(visible),
        ),
        false => (&mut session.digests.nodes, visible),
    };
    digest.remove(row.checksum);
    digest.insert(checksum);
    session.tx.execute(
        "UPDATE graph_nodes SET parent_seq = ?2, checksum = ?3 WHERE seq = ?1",
        &[
            Value::Integer(row.seq),
            Value::Integer(REMOVED),
            Value::Integer(checksum),
        ],
    )?;
    Ok(())
}
