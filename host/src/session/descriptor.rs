//! What callers say about the blobs that they store.

use lash_store_engine::wit::types::BlobKind;

/// What a blob holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum PersistedArtifactKind {
    /// Anything else.
    GenericBlob,
    /// The manifest of a checkpoint.
    CheckpointManifest,
    /// The tool state of a checkpoint.
    ToolState,
    /// The plugin snapshot of a checkpoint.
    PluginSessionSnapshot,
    /// The execution state of a checkpoint.
    ExecutionStateSnapshot,
    /// A compiled lashlang module.
    LashlangModule,
    /// The execution environment of a process.
    ProcessExecutionEnv,
}

/// What to expect of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum BlobStorageHint {
    /// It becomes smaller when it is compressed. Only blobs with this hint are.
    Compressible,
    /// It is small and read often.
    InlinePreferred,
    /// It may be large.
    LargePayload,
}

/// What a blob holds and what to expect of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct BlobArtifactDescriptor {
    /// What it holds.
    pub kind: PersistedArtifactKind,
    /// What to expect of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<BlobStorageHint>,
}

impl PersistedArtifactKind {
    pub(crate) fn from_blob_kind(kind: BlobKind) -> Self {
        match kind {
            BlobKind::Generic => Self::GenericBlob,
            BlobKind::CheckpointManifest => Self::CheckpointManifest,
            BlobKind::ToolState => Self::ToolState,
            BlobKind::PluginSnapshot => Self::PluginSessionSnapshot,
            BlobKind::ExecutionState => Self::ExecutionStateSnapshot,
            BlobKind::Module => Self::LashlangModule,
            BlobKind::ProcessEnvironment => Self::ProcessExecutionEnv,
        }
    }
}

impl BlobArtifactDescriptor {
    /// Describes a blob.
    pub fn new(kind: PersistedArtifactKind, hints: impl Into<Vec<BlobStorageHint>>) -> Self {
        Self {
            kind,
            hints: hints.into(),
        }
    }

    /// Describes the manifest of a checkpoint.
    pub fn checkpoint_manifest() -> Self {
        Self::new(
            PersistedArtifactKind::CheckpointManifest,
            [BlobStorageHint::Compressible],
        )
    }

    /// Describes the tool state of a checkpoint.
    pub fn tool_state_snapshot() -> Self {
        Self::large(PersistedArtifactKind::ToolState)
    }

    /// Describes the plugin snapshot of a checkpoint.
    pub fn plugin_session_snapshot() -> Self {
        Self::large(PersistedArtifactKind::PluginSessionSnapshot)
    }

    /// Describes the execution state of a checkpoint.
    pub fn execution_state_snapshot() -> Self {
        Self::large(PersistedArtifactKind::ExecutionStateSnapshot)
    }

    /// Describes a compiled lashlang module.
    pub fn lashlang_module() -> Self {
        Self::large(PersistedArtifactKind::LashlangModule)
    }

    /// Describes the execution environment of a process.
    pub fn process_execution_env() -> Self {
        Self::new(
            PersistedArtifactKind::ProcessExecutionEnv,
            [BlobStorageHint::Compressible],
        )
    }

    fn large(kind: PersistedArtifactKind) -> Self {
        Self::new(
            kind,
            [BlobStorageHint::Compressible, BlobStorageHint::LargePayload],
        )
    }

    pub(crate) fn is_compressible(&self) -> bool {
        self.hints.contains(&BlobStorageHint::Compressible)
    }

    pub(crate) fn blob_kind(&self) -> BlobKind {
        match self.kind {
            PersistedArtifactKind::GenericBlob => BlobKind::Generic,
            PersistedArtifactKind::CheckpointManifest => BlobKind::CheckpointManifest,
            PersistedArtifactKind::ToolState => BlobKind::ToolState,
            PersistedArtifactKind::PluginSessionSnapshot => BlobKind::PluginSnapshot,
            PersistedArtifactKind::ExecutionStateSnapshot => BlobKind::ExecutionState,
            PersistedArtifactKind::LashlangModule => BlobKind::Module,
            PersistedArtifactKind::ProcessExecutionEnv => BlobKind::ProcessEnvironment,
        }
    }
}
