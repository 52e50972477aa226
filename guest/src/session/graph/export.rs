//! Exporting the graph.

use crate::Result;
use crate::session::digests::SessionTransaction;
use crate::storage::paging::{Cursor, Numbered, Page, RecordBuilder};
use crate::storage::seam::Transaction;
use crate::storage::sql::sql;

use super::TABLE;
use super::row::{COLUMNS, NodeRow};

const NODES: Numbered = Numbered {
    table: TABLE,
    lengths: Some(
        "SELECT length(body) FROM graph_nodes NOT INDEXED WHERE seq >= ?1 ORDER BY seq LIMIT ?2",
    ),
    rows: sql!(
        "SELECT ",
        COLUMNS,
        ", parent.node_id FROM graph_nodes NOT INDEXED
         LEFT JOIN graph_nodes AS parent ON parent.seq = graph_nodes.parent_seq
         WHERE graph_nodes.seq >= ?1 ORDER BY graph_nodes.seq LIMIT ?2"
    ),
};

const REMOVED: Numbered = Numbered {
    table: "removed_nodes",
    lengths: None,
    rows: "SELECT seq FROM removed_nodes WHERE seq >= ?1 ORDER BY seq LIMIT ?2",
};

/// Exports the nodes, tombstoned ones too.
pub(crate) fn export<T: Transaction>(
    session: &SessionTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<bool> {
    let ended = NODES.export(&session.tx, cursor, page, &mut |cursor, page, reader| {
        let row = NodeRow::read(reader)?;
        let parent = reader.optional_text()?;
        match row.tombstoned {
            true => cursor.hidden.insert(row.checksum),
            false => cursor.found.insert(row.checksum),
        }
        page.push(
            RecordBuilder::new("node")
                .number("sequence", row.seq)
                .text("id", row.node_id)
                .optional_text("parent", parent)
                .optional_number("parent_sequence", row.parent_seq)
                .flag("prompt", row.prompt)
                .flag("tombstoned", row.tombstoned)
                .payload("body", row.body.to_vec()),
        );
        Ok(())
    })?;
    if ended {
        page.complete(TABLE, cursor.found, session.digests.nodes)?;
        page.complete(TABLE, cursor.hidden, session.digests.tombstones)?;
    }
    Ok(ended)
}

/// Exports the numbers of the nodes that vacuum removed.
pub(crate) fn export_removed<T: Transaction>(
    session: &SessionTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<bool> {
    REMOVED.export(&session.tx, cursor, page, &mut |_, page, reader| {
        page.push(RecordBuilder::new("removed_node").number("sequence", reader.integer()?));
        Ok(())
    })
}
