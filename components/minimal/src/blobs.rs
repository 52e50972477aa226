//! Blobs; checkpoints and artifacts, which are blobs; and the removal of what is not used.

use sha2::{Digest, Sha256};

use crate::bindings::exports::lash::store::{artifacts, blobs, checkpoints, maintenance};
use crate::bindings::sqlite::TransactionMode::*;
use crate::*;

/// What a manifest begins with.
const MARK: &str = "checkpoint";

impl blobs::Guest for Minimal {
    fn put(db: &Database, raw: Vec<u8>, _: BlobKind, _: bool, _: BlobProfile) -> Result<BlobRef> {
        within(db, WriteDurable, |session| Ok(session.put_content(raw)))
    }

    fn get(db: &Database, key: BlobRef) -> Result<Option<Vec<u8>>> {
        within(db, Read, |session| {
            let is_stored = session.blobs.contains_key(&key);
            is_stored.then(|| session.content(&key)).transpose()
        })
    }
}

fn key_of(content: &[u8]) -> BlobRef {
    format!("sha256:{:x}", Sha256::digest(content))
}

impl Session {
    fn put_content(&mut self, content: Vec<u8>) -> BlobRef {
        let key = key_of(&content);
        self.blobs.entry(key.clone()).or_insert(content);
        key
    }

    /// Stores what is new, and refuses the key of what is not stored.
    pub(crate) fn put(&mut self, source: BlobSource) -> Result<BlobRef> {
        match source {
            BlobSource::Content(content) => Ok(self.put_content(content)),
            BlobSource::Stored(key) if self.blobs.contains_key(&key) => Ok(key),
            BlobSource::Stored(key) => Err(Error::MissingBlob(key)),
        }
    }

    /// Reads content that something stored refers to, and checks it.
    pub(crate) fn content(&self, key: &BlobRef) -> Result<Vec<u8>> {
        let content = self.blobs.get(key);
        let content = content.filter(|content| key_of(content) == *key);
        let wrong = || corrupt("session", key, "the blob is missing, or has another key");
        content.cloned().ok_or_else(wrong)
    }

    /// Stores the snapshots and the manifest of a checkpoint.
    pub(crate) fn put_checkpoint(&mut self, draft: CheckpointDraft) -> Result<StoredCheckpoint> {
        let mut put = |part: Option<_>| part.map(|source| self.put(source)).transpose();
        let manifest = Manifest {
            turn_state: draft.turn_state,
            tool_state: put(draft.tool_state)?,
            plugin_snapshot: put(draft.plugin_snapshot)?,
            plugin_snapshot_revision: draft.plugin_snapshot_revision,
            execution_state: put(draft.execution_state)?,
        };
        let key = self.put_content(encode(&(MARK, &manifest))?);
        Ok(StoredCheckpoint { key, manifest })
    }

    /// Reads a checkpoint that something stored refers to.
    pub(crate) fn checkpoint(&self, key: &BlobRef) -> Result<Checkpoint> {
        let part = |part: &Option<_>| part.as_ref().map(|key| self.content(key)).transpose();
        match postcard::from_bytes::<(&str, Manifest)>(&self.content(key)?) {
            Ok((MARK, manifest)) => Ok(Checkpoint {
                tool_state: part(&manifest.tool_state)?,
                plugin_snapshot: part(&manifest.plugin_snapshot)?,
                execution_state: part(&manifest.execution_state)?,
                manifest,
            }),
            _ => Err(corrupt("session", key, "the blob is not a manifest")),
        }
    }

    fn artifact(&mut self, namespace: Namespace, name: &str) -> Option<&mut Artifact> {
        let mut artifacts = self.artifacts.iter_mut();
        artifacts.find(|artifact| artifact.namespace == namespace && artifact.name == name)
    }
}

impl checkpoints::Guest for Minimal {
    decline! {
        put(&Database, CheckpointDraft, BlobProfile) -> StoredCheckpoint;
        get(&Database, BlobRef) -> Option<Checkpoint>;
    }
}

impl artifacts::Guest for Minimal {
    decline! {
        list(&Database, Option<Cursor>) -> ArtifactPage;
        delete(&Database, Namespace, String) -> bool;
    }

    fn put(
        db: &Database,
        namespace: Namespace,
        name: String,
        content: Vec<u8>,
        kind: BlobKind,
        _: bool,
        _: BlobProfile,
    ) -> Result<()> {
        within(db, WriteDurable, |session| {
            let blob = session.put_content(content);
            match session.artifact(namespace, &name) {
                Some(stored) if stored.kind != kind => {
                    return Err(invalid("the artifact has another kind"));
                }
                Some(stored) => stored.blob = blob,
                None => session.artifacts.push(Artifact {
                    namespace,
                    name,
                    kind,
                    blob,
                }),
            }
            Ok(())
        })
    }

    fn get(db: &Database, namespace: Namespace, name: String) -> Result<Option<Vec<u8>>> {
        within(db, Read, |session| {
            let key = session.artifact(namespace, &name);
            let key = key.map(|artifact| artifact.blob.clone());
            key.map(|key| session.content(&key)).transpose()
        })
    }
}

impl maintenance::Guest for Minimal {
    fn vacuum(db: &Database, limit: u32) -> Result<VacuumStep> {
        within(db, WriteDurable, |session| {
            let is_tombstoned = |_: &u64, stored: &mut Stored| stored.tombstoned;
            let removed = session.nodes.extract_if(.., is_tombstoned);
            Ok(VacuumStep {
                removed: removed.take(limit as usize).count() as u64,
                remaining: (session.nodes.len() - session.visible().count()) as u64,
                corrupt: Vec::new(),
            })
        })
    }

    fn gc(db: &Database, limit: u32) -> Result<GcStep> {
        within(db, WriteDurable, |session| {
            let artifacts = session.artifacts.iter().map(|artifact| &artifact.blob);
            let mut roots: Vec<BlobRef> = artifacts.cloned().collect();
            let mut used = BTreeSet::new();
            if let Some((head, retained)) = &session.head {
                if let Some(key) = &head.checkpoint_ref {
                    let manifest = session.checkpoint(key)?.manifest;
                    used.extend(manifest.tool_state);
                    used.extend(manifest.plugin_snapshot);
                    used.extend(manifest.execution_state);
                }
                roots.extend(head.checkpoint_ref.clone());
                roots.extend([head.blob_refs.as_slice(), retained].concat());
            }
            used.extend(roots.iter().cloned());
            // If something that is referred to cannot be read, nothing is removed.
            for key in &used {
                session.content(key)?;
            }
            let (roots, retained) = (roots.len() as u64, used.len() as u64);
            // A replay returns the manifest of its turn, but not what that refers to.
            let turns = session.turns.iter();
            used.extend(turns.map(|turn| turn.receipt.checkpoint_ref.clone()));
            let unused = session.blobs.keys().filter(|key| !used.contains(*key));
            let unused: Vec<BlobRef> = unused.cloned().collect();
            for key in unused.iter().take(limit as usize) {
                session.blobs.remove(key);
            }
            let deleted = unused.len().min(limit as usize);
            Ok(GcStep {
                roots,
                retained,
                deleted: deleted as u64,
                remaining: (unused.len() - deleted) as u64,
                corrupt: Vec::new(),
            })
        })
    }
}
