//! A row of `runtime_turn_commits`.

use crate::Result;
use crate::session::blobs::key::BlobKey;
use crate::storage::corruption::corrupt;
use crate::storage::sql::sql;
use crate::storage::table::table;

table! {
    /// The commit of a turn.
    pub(super) struct TurnRow<'r> in "runtime_turn_commits", named by turn_id {
        session_id: &'r str,
        turn_id: &'r str,
        commit_hash: &'r str,
        revision: i64,
        checkpoint: &'r [u8],
        committed_at_ms: i64,
    }
}

/// The rows from a session and a turn on, in order.
pub(super) const FROM: &str = sql!(
    TurnRow::SELECT,
    "WHERE (session_id, turn_id) >= (?1, ?2) ORDER BY session_id, turn_id LIMIT ?3"
);

impl TurnRow<'_> {
    /// The key of the checkpoint.
    pub(super) fn checkpoint(&self) -> Result<BlobKey> {
        BlobKey::from_bytes(self.checkpoint)
            .ok_or_else(|| corrupt(Self::TABLE, self.turn_id, "the checkpoint's key is damaged"))
    }
}
