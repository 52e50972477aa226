//! Blobs: content under its digest.

use lash_core::BlobRef;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::descriptor::{BlobArtifactDescriptor, PersistedArtifactKind};
use super::{Store, logged};
use crate::encoding::{from_msgpack, to_msgpack};
use crate::error::Error;

/// What a `put` without `try_` returns when nothing was stored: a reference that
/// names no blob, so that nothing can be committed with it.
pub(super) fn nothing_stored() -> BlobRef {
    BlobRef(String::new())
}

impl Store {
    /// Stores bytes without compressing them, and returns their key. On an error
    /// the key is empty, which no blob has.
    pub async fn put_blob(&self, content: &[u8]) -> BlobRef {
        logged("put blob", self.try_put_blob(content).await, nothing_stored)
    }

    /// As [`put_blob`](Self::put_blob), and returns the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Invalid`](crate::EngineError::Invalid) above 256 MiB; [`EngineError::DiskFull`](crate::EngineError::DiskFull) among others.
    pub async fn try_put_blob(&self, content: &[u8]) -> Result<BlobRef, Error> {
        let raw = BlobArtifactDescriptor::new(PersistedArtifactKind::GenericBlob, []);
        self.try_put_artifact_blob(raw, content).await
    }

    /// Stores bytes as the store's profile and the descriptor's hints say, and
    /// returns their key. On an error the key is empty, which no blob has.
    pub async fn put_artifact_blob(
        &self,
        descriptor: BlobArtifactDescriptor,
        content: &[u8],
    ) -> BlobRef {
        let put = self.try_put_artifact_blob(descriptor, content).await;
        logged("put blob", put, nothing_stored)
    }

    /// As [`put_artifact_blob`](Self::put_artifact_blob), and returns the error.
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

    /// As [`get_blob`](Self::get_blob), and returns the error.
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

    /// As [`put_typed_blob`](Self::put_typed_blob), and returns the error.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] if the value cannot be encoded; else as
    /// [`try_put_blob`](Self::try_put_blob).
    pub async fn try_put_typed_blob<T: Serialize>(&self, value: &T) -> Result<BlobRef, Error> {
        let content = to_msgpack(self.path(), "a blob", "", value)?;
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

    /// As [`put_typed_artifact_blob`](Self::put_typed_artifact_blob), and returns
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
        let content = to_msgpack(self.path(), "a blob", "", value)?;
        self.try_put_artifact_blob(descriptor, &content).await
    }

    /// Reads a value that was stored as MessagePack. `None` if there is no such
    /// blob, and on an error.
    pub async fn get_typed_blob<T: DeserializeOwned>(&self, blob_ref: &BlobRef) -> Option<T> {
        logged("get blob", self.try_get_typed_blob(blob_ref).await, || None)
    }

    /// As [`get_typed_blob`](Self::get_typed_blob), and returns the error.
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
            .map(|content| from_msgpack(self.path(), "a blob", blob_ref.as_str(), &content))
            .transpose()
    }
}
