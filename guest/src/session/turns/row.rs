//! A row of `runtime_turn_commits`.

use alloc::string::{String, ToString};

use crate::Result;
use crate::bindings::exports::lash::store::session::TurnStamp;
use crate::session::blobs::key::BlobKey;
use crate::storage::checksum::Checksum;
use crate::storage::corruption::{corrupt, verify};
use crate::storage::rows::RowReader;

pub(super) const TABLE: &str = "runtime_turn_commits";

/// What a turn committed.
pub(crate) struct CommittedTurn {
    pub(crate) commit_hash: String,
    pub(crate) revision: i64,
    pub(crate) checkpoint: BlobKey,
}

pub(super) fn read_stamp(reader: &mut RowReader<'_>) -> Result<TurnStamp> {
    Ok(TurnStamp {
        session_id: reader.text()?.to_string(),
        turn_id: reader.text()?.to_string(),
        commit_hash: reader.text()?.to_string(),
    })
}

/// Reads and checks `revision, checkpoint, committed_at_ms, checksum`, which come
/// after what is in the stamp; returns the last two too.
pub(super) fn read(
    reader: &mut RowReader<'_>,
    stamp: &TurnStamp,
) -> Result<(CommittedTurn, i64, i64)> {
    let revision = reader.integer()?;
    let key = reader.blob()?;
    let committed_at_ms = reader.integer()?;
    let stored = reader.integer()?;
    let computed = checksum(stamp, revision, key, committed_at_ms);
    verify(TABLE, &stamp.turn_id, stored, computed)?;
    let turn = CommittedTurn {
        commit_hash: stamp.commit_hash.clone(),
        revision,
        checkpoint: BlobKey::from_bytes(key)
            .ok_or_else(|| corrupt(TABLE, &stamp.turn_id, "the checkpoint's key is damaged"))?,
    };
    Ok((turn, committed_at_ms, stored))
}

pub(super) fn checksum(
    stamp: &TurnStamp,
    revision: i64,
    checkpoint: &[u8],
    committed_at_ms: i64,
) -> i64 {
    Checksum::of(TABLE)
        .bytes(stamp.session_id.as_bytes())
        .bytes(stamp.turn_id.as_bytes())
        .bytes(stamp.commit_hash.as_bytes())
        .integer(revision)
        .bytes(checkpoint)
        .integer(committed_at_ms)
        .finish()
}
