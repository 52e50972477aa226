//! Manifests of checkpoints, which the component does not know how to read.

use std::path::Path;

use lash_core::BlobRef;
use lash_core::store::SessionCheckpoint;
use lash_store_engine::wit::checkpoints::Manifest;
use lash_store_engine::wit::session_import::{ImportedBlob, StoredContent};
use lash_store_engine::wit::types::BlobKind;

use super::blobs::Stored;
use crate::encoding::{read_msgpack, to_msgpack};
use crate::error::Error;
use crate::import::table::Reason;

/// What a manifest says, as the native crate encodes it.
pub(super) fn decode(content: &[u8]) -> Result<SessionCheckpoint, Reason> {
    read_msgpack(content)
        .map_err(|error| format!("the checkpoint manifest cannot be read: {error}"))
}

/// The same for the component.
pub(super) fn to_wit(path: &Path, manifest: &SessionCheckpoint) -> Result<Manifest, Error> {
    let key = |reference: &Option<BlobRef>| reference.as_ref().map(|BlobRef(key)| key.clone());
    Ok(Manifest {
        turn_state: to_msgpack(path, "the turn state", "", &manifest.turn_state)?,
        tool_state: key(&manifest.tool_state_ref),
        plugin_snapshot: key(&manifest.plugin_snapshot_ref),
        plugin_snapshot_revision: manifest.plugin_snapshot_revision,
        execution_state: key(&manifest.execution_state_ref),
    })
}

/// A manifest as a blob, from what it says: the native crate encodes it like this.
pub(super) fn to_blob(
    path: &Path,
    key: &BlobRef,
    manifest: &SessionCheckpoint,
) -> Result<ImportedBlob, Error> {
    Ok(ImportedBlob {
        key: key.0.clone(),
        kind: BlobKind::CheckpointManifest,
        compressible: false,
        content: StoredContent::Raw(to_msgpack(
            path,
            "the checkpoint manifest",
            &key.0,
            manifest,
        )?),
        manifest: Some(to_wit(path, manifest)?),
    })
}

/// A blob that is a manifest, with what it says. `inflated` is told its length.
pub(super) fn with_manifest(
    path: &Path,
    key: &str,
    stored: Stored,
    inflated: impl FnOnce(usize),
) -> Result<(ImportedBlob, SessionCheckpoint), Reason> {
    let manifest = {
        let content = stored.inflated()?;
        inflated(content.len());
        decode(&content)?
    };
    let mut blob = stored.into_imported(key);
    blob.kind = BlobKind::CheckpointManifest;
    blob.manifest = Some(to_wit(path, &manifest).map_err(|error| error.to_string())?);
    Ok((blob, manifest))
}
