//! Checkpoints: a manifest, which is a blob, and the snapshots it refers to.

mod export;
mod manifest;

use alloc::string::String;
use alloc::vec::Vec;

use super::blobs::key::BlobKey;
use super::blobs::{self, NewBlob, StoredBlob};
use crate::Result;
use crate::bindings::session_types::{
    BlobKind, BlobProfile, BlobSource, Checkpoint, CheckpointDraft, Manifest, StoredCheckpoint,
};
use crate::session::digests::SessionTransaction;
use crate::storage::corruption::{corrupt, invalid};
use crate::storage::seam::{Environment, Transaction};
pub(crate) use export::export;
use manifest::Keys;

/// A snapshot that a checkpoint brings or names.
pub(crate) enum Component {
    New(NewBlob),
    Named(String),
}

impl Component {
    pub(crate) fn new(source: BlobSource, kind: BlobKind, profile: BlobProfile) -> Result<Self> {
        Ok(match source {
            BlobSource::Content(content) => Self::New(NewBlob::new(content, kind, true, profile)?),
            BlobSource::Stored(reference) => Self::Named(reference),
        })
    }

    pub(crate) fn new_blob(&mut self) -> Option<&mut NewBlob> {
        match self {
            Self::New(blob) => Some(blob),
            Self::Named(_) => None,
        }
    }

    /// Stores what is new, and refuses the name of what is not stored.
    pub(crate) fn insert<T: Transaction>(
        self,
        session: &mut SessionTransaction<T>,
    ) -> Result<BlobKey> {
        match self {
            Self::New(blob) => blobs::insert(session, blob),
            Self::Named(reference) => blobs::require(&session.tx, &reference),
        }
    }
}

/// A checkpoint whose new parts are hashed.
pub(crate) struct NewCheckpoint {
    turn_state: Vec<u8>,
    tool_state: Option<Component>,
    plugin_snapshot: Option<Component>,
    plugin_snapshot_revision: Option<u64>,
    execution_state: Option<Component>,
    profile: BlobProfile,
}

impl NewCheckpoint {
    pub(crate) fn new(draft: CheckpointDraft, profile: BlobProfile) -> Result<Self> {
        let component = |source: Option<BlobSource>, kind| {
            source
                .map(|source| Component::new(source, kind, profile))
                .transpose()
        };
        Ok(Self {
            turn_state: draft.turn_state,
            tool_state: component(draft.tool_state, BlobKind::ToolState)?,
            plugin_snapshot: component(draft.plugin_snapshot, BlobKind::PluginSnapshot)?,
            plugin_snapshot_revision: draft.plugin_snapshot_revision,
            execution_state: component(draft.execution_state, BlobKind::ExecutionState)?,
            profile,
        })
    }

    /// What may still have to be compressed.
    pub(crate) fn new_blobs(&mut self) -> impl Iterator<Item = &mut NewBlob> {
        [
            &mut self.tool_state,
            &mut self.plugin_snapshot,
            &mut self.execution_state,
        ]
        .into_iter()
        .flatten()
        .filter_map(Component::new_blob)
    }

    /// Stores the parts and the manifest.
    pub(crate) fn insert<T: Transaction>(
        self,
        session: &mut SessionTransaction<T>,
    ) -> Result<(BlobKey, Manifest)> {
        let mut insert = |component: Option<Component>| {
            component
                .map(|component| component.insert(session))
                .transpose()
        };
        let keys = Keys {
            turn_state: self.turn_state,
            tool_state: insert(self.tool_state)?,
            plugin_snapshot: insert(self.plugin_snapshot)?,
            plugin_snapshot_revision: self.plugin_snapshot_revision,
            execution_state: insert(self.execution_state)?,
        };
        // A manifest holds little but its turn state; it is not worth the time
        // that compressing it inside the transaction would take.
        let blob = NewBlob::new(
            keys.encode(),
            BlobKind::CheckpointManifest,
            false,
            self.profile,
        )?
        .with_edges(&keys.edges());
        let key = blobs::insert(session, blob)?;
        Ok((key, keys.into_manifest()))
    }
}

/// What a manifest says; none if the blob is not one. A manifest that was imported is
/// in the encoding of another program, and refers to one that says the same in ours.
fn read<T: Transaction>(
    session: &SessionTransaction<T>,
    key: &BlobKey,
    blob: &StoredBlob,
) -> Result<Option<Keys>> {
    match (key.is_imported(), blob.edges.as_slice()) {
        (false, _) => Ok(Keys::decode(&blob.content)),
        (true, [translation]) => {
            let translation = blobs::load_referenced(session, translation)?;
            Ok(Keys::decode(&translation.content))
        }
        (true, _) => Ok(None),
    }
}

fn decode<T: Transaction>(
    session: &SessionTransaction<T>,
    key: &BlobKey,
    blob: &StoredBlob,
) -> Result<Keys> {
    read(session, key, blob)?
        .ok_or_else(|| corrupt("blobs", key.text(), "the blob is not a checkpoint manifest"))
}

/// Stores what an imported manifest says, in our encoding; returns the key.
pub(super) fn translate<T: Transaction>(
    session: &mut SessionTransaction<T>,
    manifest: Manifest,
) -> Result<BlobKey> {
    let key = |reference: Option<String>| match reference {
        None => Ok(None),
        Some(text) => match BlobKey::parse(&text) {
            Some(key) => Ok(Some(key)),
            None => Err(invalid(
                ["a manifest refers to ", &text, ", which is no key"].concat(),
            )),
        },
    };
    let keys = Keys {
        turn_state: manifest.turn_state,
        tool_state: key(manifest.tool_state)?,
        plugin_snapshot: key(manifest.plugin_snapshot)?,
        plugin_snapshot_revision: manifest.plugin_snapshot_revision,
        execution_state: key(manifest.execution_state)?,
    };
    let blob = NewBlob::new(
        keys.encode(),
        BlobKind::CheckpointManifest,
        false,
        BlobProfile::LowLatency,
    )?;
    blobs::insert(session, blob.with_edges(&keys.edges()))
}

/// Reads only the manifest, which must be stored.
pub(crate) fn load_manifest<T: Transaction>(
    session: &SessionTransaction<T>,
    key: &BlobKey,
) -> Result<Manifest> {
    let blob = blobs::load_referenced(session, key)?;
    Ok(decode(session, key, &blob)?.into_manifest())
}

fn hydrate<T: Transaction>(session: &SessionTransaction<T>, keys: Keys) -> Result<Checkpoint> {
    let load = |key: &Option<BlobKey>| {
        key.as_ref()
            .map(|key| blobs::load_referenced(session, key).map(|blob| blob.content))
            .transpose()
    };
    Ok(Checkpoint {
        tool_state: load(&keys.tool_state)?,
        plugin_snapshot: load(&keys.plugin_snapshot)?,
        execution_state: load(&keys.execution_state)?,
        manifest: keys.into_manifest(),
    })
}

/// Reads a checkpoint that must be stored, because a head refers to it.
pub(crate) fn load_referenced<T: Transaction>(
    session: &SessionTransaction<T>,
    key: &BlobKey,
) -> Result<Checkpoint> {
    let blob = blobs::load_referenced(session, key)?;
    hydrate(session, decode(session, key, &blob)?)
}

/// Checks that a checkpoint can be read whole and has its edges recorded, before
/// a head comes to refer to it.
pub(crate) fn adopt<T: Transaction>(
    session: &mut SessionTransaction<T>,
    reference: &str,
) -> Result<BlobKey> {
    let key = blobs::require(&session.tx, reference)?;
    let blob = blobs::load_referenced(session, &key)?;
    let Some(keys) = read(session, &key, &blob)? else {
        return Err(invalid(
            [reference, " is not a checkpoint manifest"].concat(),
        ));
    };
    let edges = keys.edges();
    hydrate(session, keys)?;
    if key.is_imported() {
        // Its edge was recorded with it.
        return Ok(key);
    }
    let blob = NewBlob::new(
        blob.content,
        BlobKind::CheckpointManifest,
        false,
        BlobProfile::LowLatency,
    )?;
    blobs::insert(session, blob.with_edges(&edges))
}

/// The WIT function `checkpoints.put`.
pub fn put(
    env: &impl Environment,
    draft: CheckpointDraft,
    profile: BlobProfile,
) -> Result<StoredCheckpoint> {
    let mut checkpoint = NewCheckpoint::new(draft, profile)?;
    blobs::compress_missing(env, checkpoint.new_blobs())?;
    let mut session = SessionTransaction::write_durably(env)?;
    let (key, manifest) = checkpoint.insert(&mut session)?;
    session.commit()?;
    Ok(StoredCheckpoint {
        key: key.text(),
        manifest,
    })
}

/// The WIT function `checkpoints.get`.
pub fn get(env: &impl Environment, reference: &str) -> Result<Option<Checkpoint>> {
    let Some(key) = BlobKey::parse(reference) else {
        return Ok(None);
    };
    let session = SessionTransaction::read(env)?;
    match blobs::load(&session, &key)? {
        Some(blob) => hydrate(&session, decode(&session, &key, &blob)?).map(Some),
        None => Ok(None),
    }
}
