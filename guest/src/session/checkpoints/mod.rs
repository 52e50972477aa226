//! Checkpoints: a manifest, which is a blob, and the snapshots it refers to.

use alloc::string::String;
use alloc::vec::Vec;

use super::blobs::key::{BlobKey, KEY_LENGTH};
use super::blobs::{self, NewBlob, StoredBlob};
use crate::Result;
use crate::bindings::exports::lash::store::checkpoints::{
    Checkpoint, CheckpointDraft, Manifest, StoredCheckpoint,
};
use crate::bindings::lash::store::types::{BlobKind, BlobProfile, BlobSource};
use crate::session::digests::SessionTransaction;
use crate::storage::corruption::{corrupt, invalid};
use crate::storage::paging::RecordBuilder;
use crate::storage::seam::{Environment, Transaction};

/// How every encoded manifest begins.
const MAGIC: &[u8] = b"lash-checkpoint-1\0";

/// A manifest with its references as keys.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Keys {
    turn_state: Vec<u8>,
    tool_state: Option<BlobKey>,
    plugin_snapshot: Option<BlobKey>,
    plugin_snapshot_revision: Option<u64>,
    execution_state: Option<BlobKey>,
}

impl Keys {
    fn edges(&self) -> Vec<BlobKey> {
        [self.tool_state, self.plugin_snapshot, self.execution_state]
            .into_iter()
            .flatten()
            .collect()
    }

    /// One encoding for one manifest, because its digest is its name.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&(self.turn_state.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&self.turn_state);
        for key in [self.tool_state, self.plugin_snapshot, self.execution_state] {
            match key {
                Some(key) => {
                    bytes.push(1);
                    bytes.extend_from_slice(key.as_bytes());
                }
                None => bytes.push(0),
            }
        }
        match self.plugin_snapshot_revision {
            Some(revision) => {
                bytes.push(1);
                bytes.extend_from_slice(&revision.to_le_bytes());
            }
            None => bytes.push(0),
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let length = usize::try_from(u64::from_le_bytes(*take(&mut rest)?)).ok()?;
        let (turn_state, tail) = rest.split_at_checked(length)?;
        rest = tail;
        let keys = Self {
            turn_state: turn_state.to_vec(),
            tool_state: take_key(&mut rest)?,
            plugin_snapshot: take_key(&mut rest)?,
            execution_state: take_key(&mut rest)?,
            plugin_snapshot_revision: match take(&mut rest)? {
                [0] => None,
                [1] => Some(u64::from_le_bytes(*take(&mut rest)?)),
                _ => return None,
            },
        };
        rest.is_empty().then_some(keys)
    }

    fn into_manifest(self) -> Manifest {
        let text = |key: Option<BlobKey>| key.map(|key| key.text());
        Manifest {
            turn_state: self.turn_state,
            tool_state: text(self.tool_state),
            plugin_snapshot: text(self.plugin_snapshot),
            plugin_snapshot_revision: self.plugin_snapshot_revision,
            execution_state: text(self.execution_state),
        }
    }
}

fn take<'b, const N: usize>(rest: &mut &'b [u8]) -> Option<&'b [u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(head)
}

fn take_key(rest: &mut &[u8]) -> Option<Option<BlobKey>> {
    match take(rest)? {
        [0] => Some(None),
        [1] => BlobKey::from_bytes(take::<KEY_LENGTH>(rest)?).map(Some),
        _ => None,
    }
}

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

/// Stores what an imported manifest says, in our encoding; answers the key.
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

/// What is in a manifest; none if the blob is not one.
pub(crate) fn export<T: Transaction>(
    session: &SessionTransaction<T>,
    key: &BlobKey,
    blob: &StoredBlob,
) -> Result<Option<RecordBuilder>> {
    let text = |key: Option<BlobKey>| key.map(|key| key.text());
    Ok(read(session, key, blob)?.map(|keys| {
        RecordBuilder::new("checkpoint")
            .text("key", &key.text())
            .optional_text("tool_state", text(keys.tool_state).as_deref())
            .optional_text("plugin_snapshot", text(keys.plugin_snapshot).as_deref())
            .optional_unsigned("plugin_snapshot_revision", keys.plugin_snapshot_revision)
            .optional_text("execution_state", text(keys.execution_state).as_deref())
            .payload("turn_state", keys.turn_state)
    }))
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn keys() -> Keys {
        Keys {
            turn_state: vec![1, 2, 3],
            tool_state: Some(BlobKey::of(b"a")),
            plugin_snapshot: None,
            plugin_snapshot_revision: Some(u64::MAX),
            execution_state: Some(BlobKey::of(b"b")),
        }
    }

    #[test]
    fn a_manifest_is_read_back() {
        assert_eq!(Keys::decode(&keys().encode()), Some(keys()));
        assert_eq!(keys().edges(), [BlobKey::of(b"a"), BlobKey::of(b"b")]);
    }

    #[test]
    fn a_cut_or_extended_manifest_is_refused() {
        let bytes = keys().encode();
        for length in 0..bytes.len() {
            assert_eq!(Keys::decode(&bytes[..length]), None, "cut at {length}");
        }
        assert_eq!(Keys::decode(&[bytes, vec![0]].concat()), None);
    }
}
