//! Checking all of the graph.

use crate::Result;
use crate::session::digests::{SessionDigests, SessionTransaction};
use crate::storage::checksum::SetDigest;
use crate::storage::findings::{Findings, Pages};
use crate::storage::rows::{RowReader, read_one};
use crate::storage::seam::{Transaction, Value, unsigned};
use crate::storage::sql::sql;

use super::TABLE;
use super::row::{NodeRow, SELECT};

const PAGES: Pages = Pages {
    table: TABLE,
    sql: sql!(SELECT, "NOT INDEXED WHERE seq >= ?1 ORDER BY seq LIMIT ?2"),
    columns: 7,
    size: 128,
};

/// Checks every node, visible or not, its parent, and what is known of all.
pub(crate) fn verify_all<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
    found: &mut SessionDigests,
) -> Result<()> {
    let digests = &session.digests;
    let mut last = 0;
    let mut nodes = SetDigest::default();
    let mut tombstones = SetDigest::default();
    let next = findings.end_of_numbers(digests.next_node);
    let mut prompts = 0_u64;
    let mut first_prompt = 0;
    findings.walk(&session.tx, &PAGES, &mut |findings, reader| {
        let row = NodeRow::read(reader)?;
        last = row.seq.max(last);
        if row.tombstoned {
            tombstones.insert(row.checksum);
        } else {
            nodes.insert(row.checksum);
            if row.prompt {
                prompts += 1;
                if first_prompt == 0 {
                    first_prompt = unsigned(row.seq);
                }
            }
        }
        let mut require = |right, reason| findings.require(TABLE, row.node_id, right, reason);
        if let Some(parent_seq) = row.parent_seq {
            require(
                exists(&session.tx, parent_seq)?,
                "the parent of the node is missing",
            )?;
            // A cycle has a node that is before its parent.
            require(
                parent_seq < row.seq || !is_own_ancestor(session, &row)?,
                "the parents form a cycle",
            )?;
        }
        findings.require_number(TABLE, row.seq, next)
    })?;
    findings.complete(TABLE, nodes, digests.nodes)?;
    findings.complete(TABLE, tombstones, digests.tombstones)?;
    if findings.has_digests() && nodes == digests.nodes {
        let right = prompts == digests.prompts && first_prompt == digests.first_prompt;
        let reason = "the messages of the user are not counted right";
        findings.require_derived(TABLE, "", right, reason, || Ok(()))?;
    }
    found.nodes = nodes;
    found.tombstones = tombstones;
    found.prompts = prompts;
    found.first_prompt = first_prompt;
    found.next_node = findings.next_number(digests.next_node, last.max(last_removed(&session.tx)?));
    Ok(())
}

/// The highest number of a node that vacuum removed.
fn last_removed(tx: &impl Transaction) -> Result<i64> {
    let rows = tx.query("SELECT ifnull(max(seq), 0) FROM removed_nodes", &[])?;
    Ok(read_one("removed_nodes", &rows, RowReader::integer)?.unwrap_or(0))
}

/// Whether a node is stored, or was and has been removed.
pub(super) fn exists(tx: &impl Transaction, seq: i64) -> Result<bool> {
    let rows = tx.query(
        "SELECT 1 FROM graph_nodes NOT INDEXED WHERE seq = ?1
         UNION ALL SELECT 1 FROM removed_nodes WHERE seq = ?1",
        &[Value::Integer(seq)],
    )?;
    Ok(rows.count > 0)
}

/// Whether a node is among those that it follows.
pub(super) fn is_own_ancestor<T: Transaction>(
    session: &SessionTransaction<T>,
    row: &NodeRow<'_>,
) -> Result<bool> {
    let rows = session.tx.query(
        "WITH RECURSIVE ancestors (seq) AS (
             SELECT parent_seq FROM graph_nodes WHERE seq = ?1
             UNION
             SELECT node.parent_seq FROM ancestors JOIN graph_nodes AS node USING (seq)
         )
         SELECT 1 FROM ancestors WHERE seq = ?1 LIMIT 1",
        &[Value::Integer(row.seq)],
    )?;
    Ok(RowReader::new(TABLE, &rows).advance())
}
