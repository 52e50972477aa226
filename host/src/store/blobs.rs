//! Blobs, checkpoints and the token ledger.

use lash_core::store::{HydratedSessionCheckpoint, SessionCheckpoint};
use lash_core::{BlobRef, TokenLedgerEntry};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Store, logged};
use crate::artifact::{BlobArtifactDescriptor, PersistedArtifactKind};
use crate::convert;
use crate::error::Error;

/// A checkpoint that was stored.
#[derive(Clone, Debug)]
pub struct StoredSessionCheckpoint {
    /// The key of its manifest.
    pub checkpoint_ref: BlobRef,
    /// Its manifest.
    pub manifest: SessionCheckpoint,
}

/// What a `put` without `try_` answers when nothing was stored: a reference that
/// names no blob, so that nothing can be committed with it.
fn nothing_stored() -> BlobRef {
    BlobRef(String::new())
}

impl Store {
    /// Stores bytes without compressing them, and answers their key. On an error
    /// the key is empty, which no blob has.
    pub async fn put_blob(&self, content: &[u8]) -> BlobRef {
        logged("put blob", self.try_put_blob(content).await, nothing_stored)
    }

    /// As [`put_blob`](Self::put_blob), and answers the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Invalid`](crate::EngineError::Invalid) above 256 MiB; [`EngineError::DiskFull`](crate::EngineError::DiskFull) among others.
    pub async fn try_put_blob(&self, content: &[u8]) -> Result<BlobRef, Error> {
        let raw = BlobArtifactDescriptor::new(PersistedArtifactKind::GenericBlob, []);
        self.try_put_artifact_blob(raw, content).await
    }

    /// Stores bytes as the store's profile and the descriptor's hints say, and
    /// answers their key. On an error the key is empty, which no blob has.
    pub async fn put_artifact_blob(
        &self,
        descriptor: BlobArtifactDescriptor,
        content: &[u8],
    ) -> BlobRef {
        let put = self.try_put_artifact_blob(descriptor, content).await;
        logged("put blob", put, nothing_stored)
    }

    /// As [`put_artifact_blob`](Self::put_artifact_blob), and answers the error.
    ///
    /// # Errors
    ///
    /// As [`try_put_blob`](Self::try_put_blob).
    pub async fn try_put_artifact_blob(
        &self,
        descriptor: BlobArtifactDescriptor,
        content: &[u8],
    ) -> Result<BlobRef, Error> {
        let content = content.to_vec();
        let profile = self.profile();
        self.db
            .write("put blob", move |call| {
                let kind = descriptor.blob_kind();
                let compressible = descriptor.is_compressible();
                let key = call.blobs().put(&content, kind, compressible, profile)?;
                Ok(BlobRef(key))
            })
            .await
    }

    /// Reads bytes and checks them against their key. `None` if there is no such
    /// blob, and on an error.
    pub async fn get_blob(&self, blob_ref: &BlobRef) -> Option<Vec<u8>> {
        logged("get blob", self.try_get_blob(blob_ref).await, || None)
    }

    /// As [`get_blob`](Self::get_blob), and answers the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if the content does not match its key.
    pub async fn try_get_blob(&self, blob_ref: &BlobRef) -> Result<Option<Vec<u8>>, Error> {
        let key = blob_ref.0.clone();
        self.db
            .read("get blob", move |call| Ok(call.blobs().get(&key)?))
            .await
    }

    /// Stores a value as MessagePack, as [`put_blob`](Self::put_blob) does bytes.
    pub async fn put_typed_blob<T: Serialize>(&self, value: &T) -> BlobRef {
        logged(
            "put blob",
            self.try_put_typed_blob(value).await,
            nothing_stored,
        )
    }

    /// As [`put_typed_blob`](Self::put_typed_blob), and answers the error.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] if the value cannot be encoded; else as
    /// [`try_put_blob`](Self::try_put_blob).
    pub async fn try_put_typed_blob<T: Serialize>(&self, value: &T) -> Result<BlobRef, Error> {
        let content = convert::to_msgpack(self.path(), "a blob", value)?;
        self.try_put_blob(&content).await
    }

    /// Stores a value as MessagePack, as
    /// [`put_artifact_blob`](Self::put_artifact_blob) does bytes.
    pub async fn put_typed_artifact_blob<T: Serialize>(
        &self,
        descriptor: BlobArtifactDescriptor,
        value: &T,
    ) -> BlobRef {
        let put = self.try_put_typed_artifact_blob(descriptor, value).await;
        logged("put blob", put, nothing_stored)
    }

    /// As [`put_typed_artifact_blob`](Self::put_typed_artifact_blob), and answers
    /// the error.
    ///
    /// # Errors
    ///
    /// As [`try_put_typed_blob`](Self::try_put_typed_blob).
    pub async fn try_put_typed_artifact_blob<T: Serialize>(
        &self,
        descriptor: BlobArtifactDescriptor,
        value: &T,
    ) -> Result<BlobRef, Error> {
        let content = convert::to_msgpack(self.path(), "a blob", value)?;
        self.try_put_artifact_blob(descriptor, &content).await
    }

    /// Reads a value that was stored as MessagePack. `None` if there is no such
    /// blob, and on an error.
    pub async fn get_typed_blob<T: DeserializeOwned>(&self, blob_ref: &BlobRef) -> Option<T> {
        logged("get blob", self.try_get_typed_blob(blob_ref).await, || None)
    }

    /// As [`get_typed_blob`](Self::get_typed_blob), and answers the error.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] if the blob is no such value; else as
    /// [`try_get_blob`](Self::try_get_blob).
    pub async fn try_get_typed_blob<T: DeserializeOwned>(
        &self,
        blob_ref: &BlobRef,
    ) -> Result<Option<T>, Error> {
        self.try_get_blob(blob_ref)
            .await?
            .map(|content| {
                convert::from_msgpack(self.path(), "a blob", blob_ref.as_str(), &content)
            })
            .transpose()
    }

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

    /// As [`put_checkpoint`](Self::put_checkpoint), and answers the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::MissingBlob`](crate::EngineError::MissingBlob) if a reference without a snapshot names a blob that
    /// is not stored; [`EngineError::DiskFull`](crate::EngineError::DiskFull) among others.
    pub async fn try_put_checkpoint(
        &self,
        checkpoint: &HydratedSessionCheckpoint,
    ) -> Result<StoredSessionCheckpoint, Error> {
        let checkpoint = checkpoint.clone();
        let profile = self.profile();
        self.db
            .write("put checkpoint", move |call| {
                let turn_state = checkpoint.turn_state.clone();
                let draft = convert::checkpoint::to_draft(call.path(), checkpoint)?;
                let stored = call.checkpoints().put(&draft, profile)?;
                Ok(StoredSessionCheckpoint {
                    checkpoint_ref: BlobRef(stored.key),
                    manifest: convert::checkpoint::manifest_with(stored.manifest, turn_state),
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

    /// As [`get_checkpoint`](Self::get_checkpoint), and answers the error.
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
                    .map(|stored| convert::checkpoint::from_checkpoint(call.path(), stored))
                    .transpose()
            })
            .await
    }

    /// Adds entries to the token ledger.
    pub async fn append_usage_deltas(&self, entries: &[TokenLedgerEntry]) {
        logged(
            "append usage",
            self.try_append_usage_deltas(entries).await,
            || (),
        );
    }

    /// As [`append_usage_deltas`](Self::append_usage_deltas), and answers the
    /// error.
    ///
    /// # Errors
    ///
    /// [`EngineError::ReadOnly`](crate::EngineError::ReadOnly) and [`EngineError::DiskFull`](crate::EngineError::DiskFull) among others.
    pub async fn try_append_usage_deltas(&self, entries: &[TokenLedgerEntry]) -> Result<(), Error> {
        if entries.is_empty() {
            return Ok(());
        }
        let entries: Vec<_> = entries
            .iter()
            .cloned()
            .map(convert::usage::to_entry)
            .collect();
        self.db
            .write("append usage", move |call| {
                Ok(call.usage().append(&entries)?)
            })
            .await
    }

    /// Reads every entry of the token ledger, in order. Empty on an error.
    pub async fn load_usage_deltas(&self) -> Vec<TokenLedgerEntry> {
        logged("load usage", self.try_load_usage_deltas().await, Vec::new)
    }

    /// As [`load_usage_deltas`](Self::load_usage_deltas), and answers the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if an entry is missing or damaged.
    pub async fn try_load_usage_deltas(&self) -> Result<Vec<TokenLedgerEntry>, Error> {
        self.db
            .read("load usage", |call| {
                let entries = call.usage().load()?;
                Ok(entries
                    .into_iter()
                    .map(convert::usage::from_entry)
                    .collect())
            })
            .await
    }
}
