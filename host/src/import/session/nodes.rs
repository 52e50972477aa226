//! The graph.

use lash_core::SessionNodeRecord;
use lash_store_engine::wit::session_import::ImportedNode;
use rusqlite::{Connection, OptionalExtension};

use crate::import::error::ImportError;
use crate::import::json::decode;
use crate::import::run::Run;
use crate::import::table::{Reason, SourceRow, Table};
use crate::session::graph::is_prompt;

const NODES: Table = Table {
    name: "graph_nodes",
    columns: "node_id, seq, node_json, tombstoned",
};

/// The place of nodes that were removed, as the component has it.
const REMOVED: u64 = 0;

/// The node that was read last: most nodes follow the one before.
#[derive(Default)]
struct Previous {
    id: String,
    sequence: u64,
}

/// Brings the nodes over.
pub(super) fn import(run: &mut Run<'_>) -> Result<(), ImportError> {
    let mut previous = Previous::default();
    run.table(
        &NODES,
        |connection, row| read(connection, row, &mut previous),
        |call, nodes| Ok(call.session_import().add_nodes(nodes)?),
    )?;
    let mut from = Some(0);
    while let Some(place) = from {
        let checked = run.write(move |call| Ok(call.session_import().check_nodes(place)?))?;
        for damage in checked.cut {
            run.losses.note(NODES.name, damage.key, damage.reason);
        }
        run.advance(0)?;
        from = checked.next;
    }
    Ok(())
}

fn read(
    connection: &Connection,
    row: &SourceRow<'_>,
    previous: &mut Previous,
) -> Result<ImportedNode, Reason> {
    let id = row.text(0)?;
    let sequence = row.unsigned(1)?;
    let body = row.text(2)?;
    let record: SessionNodeRecord = decode("the node", body)?;
    if record.node_id != id {
        return Err("the node says that it is another".to_owned());
    }
    let parent = match record.parent_node_id.as_deref() {
        None => None,
        Some(parent) if parent == previous.id => Some(previous.sequence),
        Some(parent) => Some(find(connection, parent)?.unwrap_or(REMOVED)),
    };
    id.clone_into(&mut previous.id);
    previous.sequence = sequence;
    Ok(ImportedNode {
        sequence,
        id: id.to_owned(),
        parent,
        prompt: is_prompt(&record),
        tombstoned: row.integer(3)? != 0,
        body: body.as_bytes().to_vec(),
    })
}

/// The place of a node; none if it was removed.
fn find(connection: &Connection, id: &str) -> Result<Option<u64>, Reason> {
    let found: rusqlite::Result<Option<i64>> = connection
        .prepare_cached("SELECT seq FROM graph_nodes WHERE node_id = ?1")
        .and_then(|mut statement| statement.query_row([id], |row| row.get(0)).optional());
    Ok(found
        .map_err(|error| format!("its parent cannot be looked for: {error}"))?
        .and_then(|sequence| u64::try_from(sequence).ok()))
}
