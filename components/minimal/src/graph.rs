//! The nodes of a session.

use alloc::string::String;
use alloc::vec::Vec;

use crate::Minimal;
use crate::bindings::exports::lash::store::graph::Guest;
use crate::bindings::session_types::Node;
use crate::bindings::sqlite::{Database, TransactionMode::*};
use crate::sql::{Result, Tx, invalid, within};

impl Guest for Minimal {
    fn load(db: &Database) -> Result<Vec<Vec<u8>>> {
        within(db, Read, load)
    }

    fn load_node(db: &Database, id: String) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT body FROM nodes WHERE id = ?1 AND hidden = 0";
        within(db, Read, |tx| tx.one(sql, &[&id]))
    }

    fn append(db: &Database, nodes: Vec<Node>) -> Result<()> {
        within(db, WriteDurable, |tx| append(tx, &nodes))
    }

    fn replace(db: &Database, nodes: Vec<Node>) -> Result<()> {
        within(db, WriteDurable, |tx| replace(tx, &nodes))
    }

    fn tombstone(db: &Database, ids: Vec<String>) -> Result<u64> {
        within(db, WriteDurable, |tx| {
            let mut hidden = 0;
            for id in ids {
                let hide = "UPDATE nodes SET hidden = 1 WHERE id = ?1 AND hidden = 0
                            RETURNING prompt";
                if let Some(prompt) = tx.one::<bool>(hide, &[&id])? {
                    let count = "UPDATE state SET nodes = nodes - 1, prompts = prompts - ?1";
                    hidden += tx.run(count, &[&prompt])?;
                }
            }
            Ok(hidden)
        })
    }
}

/// The bodies of all nodes that are not hidden.
pub(crate) fn load(tx: &Tx) -> Result<Vec<Vec<u8>>> {
    let sql = "SELECT body FROM nodes WHERE hidden = 0 ORDER BY seq";
    tx.all(sql, &[])
}

/// The bodies from the root to a leaf. A path begins behind a parent that is hidden.
pub(crate) fn load_path(tx: &Tx, leaf: &Option<String>) -> Result<Vec<Vec<u8>>> {
    let sql = "WITH RECURSIVE path (parent, body, depth) AS (
             SELECT parent, body, 1 FROM nodes WHERE id = ?1 AND hidden = 0
             UNION ALL
             SELECT nodes.parent, nodes.body, path.depth + 1
             FROM path JOIN nodes ON nodes.seq = path.parent WHERE nodes.hidden = 0)
         SELECT body FROM path ORDER BY depth DESC";
    tx.all(sql, &[leaf])
}

/// The place of a node, hidden or not: a session may go on from a hidden one.
pub(crate) fn find(tx: &Tx, id: &Option<String>) -> Result<Option<u64>> {
    tx.one("SELECT seq FROM nodes WHERE id = ?1", &[id])
}

pub(crate) fn replace(tx: &Tx, nodes: &[Node]) -> Result<()> {
    tx.run("DELETE FROM nodes", &[])?;
    tx.run("UPDATE state SET nodes = 0, prompts = 0", &[])?;
    append(tx, nodes)
}

/// Adds nodes. A parent that comes after its children is waited for; one that never comes
/// is not stored, or is a descendant of its child.
pub(crate) fn append(tx: &Tx, nodes: &[Node]) -> Result<()> {
    let next = tx.number("SELECT next_node FROM state")?;
    let mut pending: Vec<(u64, &Node)> = (next..).zip(nodes).collect();
    while let Some(&(_, first)) = pending.first() {
        let count = pending.len();
        let mut waiting = Vec::new();
        for (seq, node) in pending {
            let parent = find(tx, &node.parent)?;
            if node.parent.is_some() && parent.is_none() {
                waiting.push((seq, node));
                continue;
            }
            let sql = "INSERT INTO nodes (seq, id, parent, prompt, hidden, body)
                       VALUES (?1, ?2, ?3, ?4, 0, ?5) ON CONFLICT (id) DO NOTHING";
            if tx.run(sql, &[&seq, &node.id, &parent, &node.prompt, &node.body])? == 0 {
                return invalid(&["the node ", &node.id, " is stored already, or occurs twice"]);
            }
        }
        if waiting.len() == count {
            let parent = first.parent.as_deref().unwrap_or_default();
            let reason = " is not stored, or has the node as an ancestor";
            return invalid(&["the parent ", parent, " of the node ", &first.id, reason]);
        }
        // A request with all parents last takes one more turn, not one for each.
        waiting.reverse();
        pending = waiting;
    }
    let prompts = nodes.iter().filter(|node| node.prompt).count() as u64;
    let sql = "UPDATE state
               SET next_node = next_node + ?1, nodes = nodes + ?1, prompts = prompts + ?2";
    tx.run(sql, &[&(nodes.len() as u64), &prompts])?;
    Ok(())
}
