//! Checkpoints: the state of a turn, and up to three snapshots beside it.

use std::path::Path;

use lash_core::store::{HydratedSessionCheckpoint, SessionCheckpoint};
use lash_core::{BlobRef, PersistedTurnState};
use lash_store_engine::wit::checkpoints::{Checkpoint, CheckpointDraft, Manifest};
use lash_store_engine::wit::types::BlobSource;
use serde::de::DeserializeOwned;

use super::blobs::nothing_stored;
use super::{Store, logged};
use crate::encoding::{from_msgpack, to_msgpack, to_packed_msgpack};
use crate::error::Error;

/// A checkpoint that was stored.
#[derive(Clone, Debug)]
pub struct StoredSessionCheckpoint {
    /// The key of its manifest.
    pub checkpoint_ref: BlobRef,
    /// Its manifest.
    pub manifest: SessionCheckpoint,
}

/// What is to be stored of a checkpoint. A snapshot that is given wins over a
/// reference; a reference alone keeps what is stored.
pub(crate) fn to_draft(
    path: &Path,
    checkpoint: HydratedSessionCheckpoint,
) -> Result<CheckpointDraft, Error> {
    let tool_state = checkpoint
        .tool_state
        .map(|state| to_msgpack(path, "the tool state of the checkpoint", "", &state))
        .transpose()?;
    let plugin_snapshot = checkpoint
        .plugin_snapshot
        .map(|snapshot| {
            to_packed_msgpack(path, "the plugin snapshot of the checkpoint", "", &snapshot)
        })
        .transpose()?;
    Ok(CheckpointDraft {
        turn_state: to_msgpack(
            path,
            "the turn state of the checkpoint",
            "",
            &checkpoint.turn_state,
        )?,
        tool_state: source(tool_state, checkpoint.tool_state_ref),
        plugin_snapshot: source(plugin_snapshot, checkpoint.plugin_snapshot_ref),
        plugin_snapshot_revision: checkpoint.plugin_snapshot_revision,
        execution_state: source(checkpoint.execution_state, checkpoint.execution_state_ref),
    })
}

fn source(content: Option<Vec<u8>>, reference: Option<BlobRef>) -> Option<BlobSource> {
    match (content, reference) {
        (Some(content), _) => Some(BlobSource::Content(content)),
        (None, Some(reference)) => Some(BlobSource::Stored(reference.0)),
        (None, None) => None,
    }
}

pub(crate) fn from_manifest(
    path: &Path,
    key: &str,
    manifest: Manifest,
) -> Result<SessionCheckpoint, Error> {
    let turn_state = turn_state(path, key, &manifest)?;
    Ok(manifest_with(manifest, turn_state))
}

/// A manifest whose turn state the caller has already.
pub(crate) fn manifest_with(
    manifest: Manifest,
    turn_state: PersistedTurnState,
) -> SessionCheckpoint {
    SessionCheckpoint {
        turn_state,
        tool_state_ref: manifest.tool_state.map(BlobRef),
        plugin_snapshot_ref: manifest.plugin_snapshot.map(BlobRef),
        plugin_snapshot_revision: manifest.plugin_snapshot_revision,
        execution_state_ref: manifest.execution_state.map(BlobRef),
    }
}

fn turn_state(path: &Path, key: &str, manifest: &Manifest) -> Result<PersistedTurnState, Error> {
    from_msgpack(
        path,
        "the turn state of the checkpoint",
        key,
        &manifest.turn_state,
    )
}

pub(crate) fn from_checkpoint(
    path: &Path,
    key: &str,
    checkpoint: Checkpoint,
) -> Result<HydratedSessionCheckpoint, Error> {
    let manifest = from_manifest(path, key, checkpoint.manifest)?;
    Ok(HydratedSessionCheckpoint {
        tool_state: decoded(
            path,
            "the tool state",
            manifest.tool_state_ref.as_ref(),
            checkpoint.tool_state,
        )?,
        plugin_snapshot: decoded(
            path,
            "the plugin snapshot",
            manifest.plugin_snapshot_ref.as_ref(),
            checkpoint.plugin_snapshot,
        )?,
        execution_state: execution_state(
            path,
            manifest.execution_state_ref.as_ref(),
            checkpoint.execution_state,
        )?,
        turn_state: manifest.turn_state,
        tool_state_ref: manifest.tool_state_ref,
        plugin_snapshot_ref: manifest.plugin_snapshot_ref,
        plugin_snapshot_revision: manifest.plugin_snapshot_revision,
        execution_state_ref: manifest.execution_state_ref,
    })
}

/// The native crate encodes an execution state, which is bytes, once more. One that was
/// imported is still so.
fn execution_state(
    path: &Path,
    reference: Option<&BlobRef>,
    content: Option<Vec<u8>>,
) -> Result<Option<Vec<u8>>, Error> {
    match reference {
        Some(BlobRef(key)) if !key.contains(':') => {
            decoded(path, "the execution state", reference, content)
        }
        _ => Ok(content),
    }
}

fn decoded<T: DeserializeOwned>(
    path: &Path,
    what: &'static str,
    reference: Option<&BlobRef>,
    content: Option<Vec<u8>>,
) -> Result<Option<T>, Error> {
    let key = reference.map_or("", BlobRef::as_str);
    content
        .map(|content| from_msgpack(path, what, key, &content))
        .transpose()
}

impl Store {
    /// Stores a checkpoint that no head refers to yet. On an error, of which the
    /// native crate makes a panic, the reference is empty.
    pub async fn put_checkpoint(
        &self,
        checkpoint: &HydratedSessionCheckpoint,
    ) -> StoredSessionCheckpoint {
        let put = self.try_put_checkpoint(checkpoint).await;
        logged("put checkpoint", put, || StoredSessionCheckpoint {
            checkpoint_ref: nothing_stored(),
            manifest: SessionCheckpoint::default(),
        })
    }

    /// As [`put_checkpoint`](Self::put_checkpoint), and returns the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::MissingBlob`](crate::EngineError::MissingBlob) if a reference without a snapshot names a blob that
    /// is not stored; [`EngineError::DiskFull`](crate::EngineError::DiskFull) among others.
    pub async fn try_put_checkpoint(
        &self,
        checkpoint: &HydratedSessionCheckpoint,
    ) -> Result<StoredSessionCheckpoint, Error> {
        let turn_state = checkpoint.turn_state.clone();
        let draft = to_draft(self.path(), checkpoint.clone())?;
        let profile = self.profile();
        self.db
            .write("put checkpoint", move |call| {
                let stored = call.checkpoints().put(&draft, profile)?;
                Ok(StoredSessionCheckpoint {
                    checkpoint_ref: BlobRef(stored.key),
                    manifest: manifest_with(stored.manifest, turn_state),
                })
            })
            .await
    }

    /// Reads a checkpoint with its snapshots. `None` if there is none, and on an
    /// error.
    pub async fn get_checkpoint(&self, blob_ref: &BlobRef) -> Option<HydratedSessionCheckpoint> {
        logged(
            "get checkpoint",
            self.try_get_checkpoint(blob_ref).await,
            || None,
        )
    }

    /// As [`get_checkpoint`](Self::get_checkpoint), and returns the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if the manifest or a snapshot is missing or damaged.
    pub async fn try_get_checkpoint(
        &self,
        blob_ref: &BlobRef,
    ) -> Result<Option<HydratedSessionCheckpoint>, Error> {
        let key = blob_ref.0.clone();
        self.db
            .read("get checkpoint", move |call| {
                call.checkpoints()
                    .get(&key)?
                    .map(|stored| from_checkpoint(call.path(), &key, stored))
                    .transpose()
            })
            .await
    }
}
