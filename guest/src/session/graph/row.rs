//! One row of `graph_nodes`.

use crate::Result;
use crate::storage::checksum::Checksum;
use crate::storage::corruption::verify;
use crate::storage::rows::RowReader;
use crate::storage::sql::sql;

use super::TABLE;

/// What tells the checksum of a tombstoned row from that of a visible one. Its
/// body need not be read to tombstone it.
const TOMBSTONED: i64 = 0x7465_6e6f_7473_626d;

/// A row that was read and checked.
pub(super) struct NodeRow<'r> {
    pub(super) seq: i64,
    pub(super) node_id: &'r str,
    pub(super) parent_seq: Option<i64>,
    pub(super) prompt: bool,
    pub(super) tombstoned: bool,
    pub(super) checksum: i64,
    pub(super) body: &'r [u8],
}

/// What [`NodeRow::read`] reads, also of a query of several tables.
pub(super) const COLUMNS: &str = "graph_nodes.seq, graph_nodes.node_id, graph_nodes.parent_seq, \
                                  graph_nodes.prompt, graph_nodes.tombstoned, \
                                  graph_nodes.checksum, graph_nodes.body";

/// How many these are.
pub(super) const WIDTH: usize = 7;

/// Selects that from the whole table.
pub(super) const SELECT: &str = sql!("SELECT ", COLUMNS, " FROM graph_nodes ");

impl<'r> NodeRow<'r> {
    /// Reads and checks [`COLUMNS`].
    pub(super) fn read(reader: &mut RowReader<'r>) -> Result<Self> {
        let seq = reader.integer()?;
        let node_id = reader.text()?;
        let parent_seq = reader.optional_integer()?;
        let prompt = reader.integer()?;
        let tombstoned = reader.integer()?;
        let checksum = reader.integer()?;
        let body = reader.blob()?;
        let visible = self::checksum(seq, node_id, parent_seq, prompt, body);
        let computed = match tombstoned {
            0 => visible,
            _ => tombstoned_checksum(visible),
        };
        verify(TABLE, node_id, checksum, computed)?;
        Ok(Self {
            seq,
            node_id,
            parent_seq,
            prompt: prompt == 1,
            tombstoned: tombstoned != 0,
            checksum,
            body,
        })
    }
}

/// The checksum of a visible row.
pub(super) fn checksum(
    seq: i64,
    node_id: &str,
    parent_seq: Option<i64>,
    prompt: i64,
    body: &[u8],
) -> i64 {
    Checksum::of(TABLE)
        .integer(seq)
        .bytes(node_id.as_bytes())
        .optional_integer(parent_seq)
        .integer(prompt)
        .bytes(body)
        .finish()
}

/// The checksum of a row once it is tombstoned.
pub(super) fn tombstoned_checksum(visible: i64) -> i64 {
    visible ^ TOMBSTONED
}
