//! Pages of nodes, newest first.

use alloc::string::ToString;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::session_types::{BodyPage, NodePage, StoredNode};
use crate::bindings::types::ByteStrings;
use crate::session::digests::SessionTransaction;
use crate::storage::corruption::{corrupt, verify_complete, verify_order};
use crate::storage::paging::{Cursor, Key, List, PAGE_BYTES, Room};
use crate::storage::rows::RowReader;
use crate::storage::seam::{Environment, Transaction, Value, clamp, unsigned};
use crate::storage::sql::sql;

use super::row::{COLUMNS, NodeRow, SELECT};
use super::{TABLE, confirm_not_visible, confirm_removed};

/// How many rows one query reads: few enough that they stay in the caches of the
/// processor while they are handed over and checked.
const ROWS: i64 = 128;

/// The lengths of the visible nodes before one.
const LENGTHS: &str = "SELECT length(body) FROM graph_nodes WHERE seq < ?1 AND tombstoned = 0 \
                       ORDER BY seq DESC LIMIT ?2";

/// The visible nodes before one.
const BEFORE: &str = sql!(
    SELECT,
    "WHERE seq < ?1 AND tombstoned = 0 ORDER BY seq DESC LIMIT ?2"
);

/// The nodes from one on towards the root, up to ?2, as many as have ?3 bytes; the first
/// one whatever it has.
const PATH: [&str; 3] = [
    "WITH RECURSIVE path (seq, parent_seq, length, bytes) AS (
         SELECT seq, parent_seq, 1, length(body) FROM graph_nodes WHERE ",
    " = ?1 AND tombstoned = 0
         UNION ALL
         SELECT node.seq, node.parent_seq, path.length + 1, path.bytes + length(node.body)
         FROM path JOIN graph_nodes AS node ON node.seq = path.parent_seq
         WHERE node.tombstoned = 0 AND path.length < ?2
           AND path.bytes + length(node.body) <= ?3
     )
     SELECT ",
    " FROM path JOIN graph_nodes ON graph_nodes.seq = path.seq ORDER BY path.length",
];

const PATH_OF_LEAF: &str = sql!(PATH[0], "node_id", PATH[1], COLUMNS, PATH[2]);
const PATH_FROM: &str = sql!(PATH[0], "seq", PATH[1], COLUMNS, PATH[2]);

/// Which list of nodes the pages are of, as the cursor says it.
const ALL: usize = 0;
const PATH_TO_ROOT: usize = 1;

/// Reads visible nodes until the page is full; returns whether these were the last. Then
/// all of them are those that were written.
pub(super) fn read_before<T: Transaction>(
    session: &SessionTransaction<T>,
    cursor: &mut Cursor,
    visitor: &mut dyn FnMut(NodeRow<'_>) -> Result<()>,
) -> Result<bool> {
    let mut room = Room::new();
    while !room.is_full() {
        let before = match cursor.next {
            Key::Number(seq) => seq,
            _ => i64::MAX,
        };
        let from = [Value::Integer(before)];
        let fitting = room.fitting(&session.tx, TABLE, LENGTHS, &from, ROWS)?;
        if fitting.rows > 0 {
            let params = [Value::Integer(before), Value::Integer(fitting.rows)];
            let rows = session.tx.query(BEFORE, &params)?;
            fitting.require(TABLE, &rows)?;
            let mut reader = RowReader::new(TABLE, &rows);
            while reader.advance() {
                let row = NodeRow::read(&mut reader)?;
                let in_order = !matches!(cursor.next, Key::Number(before) if row.seq >= before);
                verify_order(TABLE, row.seq, in_order)?;
                cursor.found.insert(row.checksum);
                cursor.next = Key::Number(row.seq);
                room.take(row.body.len());
                visitor(row)?;
            }
        }
        if fitting.is_last {
            verify_complete(TABLE, cursor.found, session.digests.nodes)?;
            return Ok(true);
        }
        if fitting.is_cut {
            break;
        }
    }
    Ok(false)
}

/// Where a page of a path begins.
enum Start<'a> {
    Leaf(&'a str),
    Node(i64),
}

/// Reads a path towards the root until the page is full; returns the node after that.
/// There is nothing for a leaf that is unknown or tombstoned, and a path ends before a
/// parent that was removed.
fn read_path<T: Transaction>(
    session: &SessionTransaction<T>,
    start: &Start<'_>,
    cursor: &mut Cursor,
    visitor: &mut dyn FnMut(NodeRow<'_>),
) -> Result<Option<i64>> {
    // A path cannot be longer than the graph: whatever damage does to the parents, it
    // ends.
    let most = session.digests.nodes.count.saturating_add(1);
    let left = most.saturating_sub(cursor.found.count);
    let (sql, first) = match start {
        Start::Leaf(leaf) => (PATH_OF_LEAF, Value::Text(leaf)),
        Start::Node(seq) => (PATH_FROM, Value::Integer(*seq)),
    };
    let room = Value::Integer(clamp(PAGE_BYTES as u64));
    let rows = session
        .tx
        .query(sql, &[first, Value::Integer(clamp(left)), room])?;
    if rows.count == 0
        && let Start::Leaf(leaf) = start
    {
        confirm_not_visible(session, leaf)?;
        return Ok(None);
    }
    let mut reader = RowReader::new(TABLE, &rows);
    let mut next = match start {
        Start::Leaf(_) => None,
        Start::Node(seq) => Some(*seq),
    };
    let mut is_first = true;
    while reader.advance() {
        let row = NodeRow::read(&mut reader)?;
        let follows = match (next, start) {
            (Some(seq), _) => row.seq == seq,
            (None, Start::Leaf(leaf)) => is_first && row.node_id == *leaf,
            (None, Start::Node(_)) => false,
        };
        if !follows || row.tombstoned {
            return Err(corrupt(
                TABLE,
                row.node_id,
                "the row does not belong to the path",
            ));
        }
        is_first = false;
        next = row.parent_seq;
        cursor.found.insert(row.checksum);
        visitor(row);
    }
    let Some(seq) = next else { return Ok(None) };
    if confirm_removed(&session.tx, seq)? {
        return Ok(None);
    }
    if is_first || cursor.found.count >= most {
        return Err(corrupt(TABLE, seq, "the parents form a cycle"));
    }
    Ok(Some(seq))
}

/// The first page of the bodies that a session is loaded with: of all nodes, or of the
/// path to a leaf.
pub(crate) fn first_bodies<T: Transaction>(
    session: &SessionTransaction<T>,
    path: Option<Option<&str>>,
) -> Result<BodyPage> {
    let cursor = Cursor::resume(None, &loaded(session))?;
    match path {
        None => all_bodies(session, cursor),
        Some(Some(leaf)) => path_bodies(session, &Start::Leaf(leaf), cursor),
        Some(None) => Ok(BodyPage {
            bodies: ByteStrings::new(),
            next: None,
        }),
    }
}

/// The WIT function `session.load-nodes`.
pub fn load_nodes(env: &impl Environment, cursor: &[u8]) -> Result<BodyPage> {
    let session = SessionTransaction::read(env)?;
    let cursor = Cursor::resume(Some(cursor), &loaded(&session))?;
    match (cursor.table, &cursor.next) {
        (PATH_TO_ROOT, Key::Number(seq)) => {
            path_bodies(&session, &Start::Node(*seq), cursor.clone())
        }
        _ => all_bodies(&session, cursor),
    }
}

/// The list that a session is loaded with.
fn loaded<T>(session: &SessionTransaction<T>) -> List {
    List::of("session.load-nodes", &[], &[session.digests.nodes])
}

fn all_bodies<T: Transaction>(
    session: &SessionTransaction<T>,
    mut cursor: Cursor,
) -> Result<BodyPage> {
    cursor.table = ALL;
    let mut bodies = ByteStrings::new();
    let ended = read_before(session, &mut cursor, &mut |row| {
        bodies.push(row.body);
        Ok(())
    })?;
    Ok(BodyPage {
        bodies,
        next: (!ended).then(|| cursor.encode()),
    })
}

fn path_bodies<T: Transaction>(
    session: &SessionTransaction<T>,
    start: &Start<'_>,
    mut cursor: Cursor,
) -> Result<BodyPage> {
    let mut bodies = ByteStrings::new();
    let next = read_path(session, start, &mut cursor, &mut |row| {
        bodies.push(row.body)
    })?;
    Ok(BodyPage {
        bodies,
        next: next.map(|seq| {
            cursor.table = PATH_TO_ROOT;
            cursor.next = Key::Number(seq);
            cursor.encode()
        }),
    })
}

/// The WIT function `graph.load`.
pub fn load(env: &impl Environment, cursor: Option<&[u8]>) -> Result<NodePage> {
    let session = SessionTransaction::read(env)?;
    let list = List::of("graph.load", &[], &[session.digests.nodes]);
    let mut cursor = Cursor::resume(cursor, &list)?;
    let mut nodes = Vec::new();
    let mut bodies = ByteStrings::new();
    let ended = read_before(&session, &mut cursor, &mut |row| {
        nodes.push(StoredNode {
            sequence: unsigned(row.seq),
            id: row.node_id.to_string(),
            parent: row.parent_seq.map(unsigned),
            prompt: row.prompt,
        });
        bodies.push(row.body);
        Ok(())
    })?;
    Ok(NodePage {
        nodes,
        bodies,
        next: (!ended).then(|| cursor.encode()),
    })
}
