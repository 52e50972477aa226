//! Compiled modules and other named artifacts.

use std::sync::Arc;

use lash_core::BlobRef;
use lash_store_engine::observability::Chain;
use lash_store_engine::wit::artifacts::Namespace;
use lashlang::{
    ArtifactStoreError, DurabilityTier, LashlangArtifactStore, ModuleArtifact, ModuleRef,
};

use super::Store;
use super::descriptor::{BlobArtifactDescriptor, PersistedArtifactKind};
use crate::encoding::levels;
use crate::error::Error;

/// How many levels of a module lashlang reads.
const MODULE_LEVELS: usize = 127;

/// The descriptor of the one kind of artifact, besides modules, that the trait's
/// callers name.
const PROCESS_ENVIRONMENT: &str = "process_execution_env";

impl From<Error> for ArtifactStoreError {
    fn from(error: Error) -> Self {
        Self::Backend(Chain(&error).to_string())
    }
}

impl Store {
    async fn put_artifact(
        &self,
        namespace: Namespace,
        name: &str,
        descriptor: BlobArtifactDescriptor,
        content: Vec<u8>,
    ) -> Result<(), Error> {
        let name = name.to_owned();
        let profile = self.profile();
        self.db
            .write("put artifact", move |call| {
                let kind = descriptor.blob_kind();
                let compressible = descriptor.is_compressible();
                Ok(call
                    .artifacts()
                    .put(namespace, &name, &content, kind, compressible, profile)?)
            })
            .await
    }

    async fn get_artifact(
        &self,
        namespace: Namespace,
        name: &str,
    ) -> Result<Option<Vec<u8>>, Error> {
        let name = name.to_owned();
        self.db
            .read("get artifact", move |call| {
                Ok(call.artifacts().get(namespace, &name)?)
            })
            .await
    }
}

/// The name of an artifact, see [`Store::list_artifacts`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ArtifactName {
    /// A compiled module, by the text of its reference.
    Module(String),
    /// Bytes, by their reference.
    Bytes(String),
}

/// An artifact, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredArtifact {
    /// Its name.
    pub name: ArtifactName,
    /// What it holds.
    pub kind: PersistedArtifactKind,
    /// The key of its content.
    pub blob_ref: BlobRef,
}

impl Store {
    /// Reads the names of all artifacts, in the order in which they were first stored.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if one is missing or corrupt.
    pub async fn list_artifacts(&self) -> Result<Vec<StoredArtifact>, Error> {
        self.db
            .read("list artifacts", |call| {
                let pages = call.list(|call, cursor| call.artifacts().list(cursor))?;
                let artifacts = pages.into_iter().flat_map(|page| page.artifacts);
                Ok(artifacts
                    .map(|artifact| StoredArtifact {
                        name: match artifact.namespace {
                            Namespace::Modules => ArtifactName::Module(artifact.name),
                            Namespace::Bytes => ArtifactName::Bytes(artifact.name),
                        },
                        kind: PersistedArtifactKind::from_blob_kind(artifact.kind),
                        blob_ref: BlobRef(artifact.blob),
                    })
                    .collect())
            })
            .await
    }

    /// Removes an artifact; returns whether it was there. Garbage collection removes its
    /// content if nothing else refers to it.
    ///
    /// Another open store of the session may still return a module from its cache.
    ///
    /// # Errors
    ///
    /// All of [`EngineError`](crate::EngineError) that are about a call.
    pub async fn delete_artifact(&self, name: &ArtifactName) -> Result<bool, Error> {
        let (namespace, name) = match name {
            ArtifactName::Module(name) => (Namespace::Modules, name.clone()),
            ArtifactName::Bytes(name) => (Namespace::Bytes, name.clone()),
        };
        let module = (namespace == Namespace::Modules).then(|| name.clone());
        let deleted = self
            .db
            .write("delete artifact", move |call| {
                Ok(call.artifacts().delete(namespace, &name)?)
            })
            .await?;
        if let Some(module) = module {
            self.forget_module(&module);
        }
        Ok(deleted)
    }

    fn forget_module(&self, name: &str) {
        let mut modules = self.modules();
        let cached = modules.iter().find(|(module, _)| module.as_str() == name);
        if let Some(module) = cached.map(|(module, _)| module.clone()) {
            modules.pop(&module);
        }
    }
}

#[async_trait::async_trait]
impl LashlangArtifactStore for Store {
    fn durability_tier(&self) -> DurabilityTier {
        DurabilityTier::Durable
    }

    async fn put_module_artifact(
        &self,
        artifact: &ModuleArtifact,
    ) -> Result<(), ArtifactStoreError> {
        let content = artifact
            .to_store_bytes()
            .map_err(|error| ArtifactStoreError::Encode(error.to_string()))?;
        let name = artifact.module_ref.as_str();
        if levels(&content) > MODULE_LEVELS {
            return Err(Error::too_deep(self.path(), "the module", name, MODULE_LEVELS).into());
        }
        self.put_artifact(
            Namespace::Modules,
            name,
            BlobArtifactDescriptor::lashlang_module(),
            content,
        )
        .await?;
        self.modules()
            .put(artifact.module_ref.clone(), Arc::new(artifact.clone()));
        Ok(())
    }

    async fn get_module_artifact(
        &self,
        module_ref: &ModuleRef,
    ) -> Result<Option<Arc<ModuleArtifact>>, ArtifactStoreError> {
        if let Some(artifact) = self.modules().get(module_ref) {
            return Ok(Some(Arc::clone(artifact)));
        }
        let stored = self
            .get_artifact(Namespace::Modules, module_ref.as_str())
            .await?;
        let Some(content) = stored else {
            return Ok(None);
        };
        let artifact = Arc::new(ModuleArtifact::from_store_bytes(&content)?);
        self.modules()
            .put(module_ref.clone(), Arc::clone(&artifact));
        Ok(Some(artifact))
    }

    async fn put_artifact_bytes(
        &self,
        artifact_ref: &str,
        descriptor: &str,
        bytes: &[u8],
    ) -> Result<(), ArtifactStoreError> {
        let descriptor = match descriptor {
            PROCESS_ENVIRONMENT => BlobArtifactDescriptor::process_execution_env(),
            _ => BlobArtifactDescriptor::new(PersistedArtifactKind::GenericBlob, []),
        };
        Ok(self
            .put_artifact(Namespace::Bytes, artifact_ref, descriptor, bytes.to_vec())
            .await?)
    }

    async fn get_artifact_bytes(
        &self,
        artifact_ref: &str,
    ) -> Result<Option<Vec<u8>>, ArtifactStoreError> {
        Ok(self.get_artifact(Namespace::Bytes, artifact_ref).await?)
    }
}
