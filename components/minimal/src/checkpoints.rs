//! Checkpoints: a manifest, which is a blob, and the snapshots that it refers to.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::bindings::exports::lash::store::checkpoints::Guest;
use crate::bindings::session_types::{
    BlobKind, BlobProfile, Checkpoint, CheckpointDraft, Manifest, StoredCheckpoint,
};
use crate::bindings::sqlite::{Database, TransactionMode::*};
use crate::bindings::types::{BlobRef, Error};
use crate::sql::{Cell, Result, Tx, corrupt, decode, encode, invalid, within};
use crate::{Minimal, blobs};

/// What a manifest begins with.
const MARK: &str = "checkpoint";

impl Guest for Minimal {
    fn put(db: &Database, draft: CheckpointDraft, _: BlobProfile) -> Result<StoredCheckpoint> {
        within(db, WriteDurable, |tx| put(tx, draft))
    }

    fn get(db: &Database, key: BlobRef) -> Result<Option<Checkpoint>> {
        within(db, Read, |tx| match blobs::exists(tx, &key)? {
            true => load(tx, &key).map(Some),
            false => Ok(None),
        })
    }
}

/// Stores the snapshots and the manifest.
pub(crate) fn put(tx: &Tx, draft: CheckpointDraft) -> Result<StoredCheckpoint> {
    let put = |source: Option<_>, kind| {
        let stored = source.map(|source| blobs::put_source(tx, source, kind));
        stored.transpose()
    };
    let manifest = Manifest {
        turn_state: draft.turn_state,
        tool_state: put(draft.tool_state, BlobKind::ToolState)?,
        plugin_snapshot: put(draft.plugin_snapshot, BlobKind::PluginSnapshot)?,
        plugin_snapshot_revision: draft.plugin_snapshot_revision,
        execution_state: put(draft.execution_state, BlobKind::ExecutionState)?,
    };
    let revision = draft.plugin_snapshot_revision.as_ref().map(u64::to_string);
    // An empty part stands for none.
    let part = |text: &Option<String>| text.clone().unwrap_or_default().into_bytes();
    let content = encode(&[
        MARK.as_bytes().to_vec(),
        manifest.turn_state.clone(),
        part(&manifest.tool_state),
        part(&manifest.plugin_snapshot),
        part(&revision),
        part(&manifest.execution_state),
    ]);
    let key = blobs::put(tx, content, BlobKind::CheckpointManifest)?;
    Ok(StoredCheckpoint { key, manifest })
}

fn parse(content: &[u8]) -> Option<Manifest> {
    let parts: Option<Vec<Vec<u8>>> = decode(content)?.into_iter().map(Cell::of).collect();
    let [mark, turn_state, tools, plugins, revision, execution] = parts?.try_into().ok()?;
    let text = |part| String::from_utf8(part).ok().filter(|text| !text.is_empty());
    (mark == MARK.as_bytes()).then(|| Manifest {
        turn_state,
        tool_state: text(tools),
        plugin_snapshot: text(plugins),
        plugin_snapshot_revision: text(revision).and_then(|number| number.parse().ok()),
        execution_state: text(execution),
    })
}

pub(crate) fn load_manifest(tx: &Tx, key: &BlobRef) -> Result<Manifest> {
    let other = || corrupt("blobs", key, "the blob is not a checkpoint manifest");
    parse(&blobs::load(tx, key)?).ok_or_else(other)
}

/// The snapshots that a manifest refers to.
pub(crate) fn snapshots(tx: &Tx, key: &BlobRef) -> Result<Vec<BlobRef>> {
    let manifest = load_manifest(tx, key)?;
    let snapshots = [
        manifest.tool_state,
        manifest.plugin_snapshot,
        manifest.execution_state,
    ];
    Ok(snapshots.into_iter().flatten().collect())
}

/// Reads a checkpoint that something stored refers to.
pub(crate) fn load(tx: &Tx, key: &BlobRef) -> Result<Checkpoint> {
    let manifest = load_manifest(tx, key)?;
    let load = |key: &Option<BlobRef>| key.as_ref().map(|key| blobs::load(tx, key)).transpose();
    Ok(Checkpoint {
        tool_state: load(&manifest.tool_state)?,
        plugin_snapshot: load(&manifest.plugin_snapshot)?,
        execution_state: load(&manifest.execution_state)?,
        manifest,
    })
}

/// Refuses what is not a checkpoint that can be read, before a head refers to it.
pub(crate) fn require(tx: &Tx, key: &BlobRef) -> Result<()> {
    if !blobs::exists(tx, key)? {
        return Err(Error::MissingBlob(key.clone()));
    }
    match parse(&blobs::load(tx, key)?) {
        Some(_) => load(tx, key).map(drop),
        None => invalid(&[key, " is not a checkpoint manifest"]),
    }
}
