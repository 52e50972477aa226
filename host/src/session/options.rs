//! The options of the native crate.

use lash_store_engine::wit::types::BlobProfile;

/// How much time a store spends on making blobs smaller. It never affects how
/// blobs are read, so it may change from one open to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BuiltinBlobProfile {
    /// No compression.
    LowLatency,
    /// zlib at level 2, from 1 KiB on.
    #[default]
    Balanced,
    /// zlib at level 5, from 512 bytes on.
    Compact,
}

impl BuiltinBlobProfile {
    pub(crate) fn to_wit(self) -> BlobProfile {
        match self {
            Self::LowLatency => BlobProfile::LowLatency,
            Self::Balanced => BlobProfile::Balanced,
            Self::Compact => BlobProfile::Compact,
        }
    }
}

/// When a store collects garbage by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreGcPolicy {
    /// Collect after every so many commits of a session, counted by its head
    /// revision. Never if `None` or zero. The commit does not wait for it.
    pub auto_run_every_commits: Option<u64>,
}

/// The options of the native crate, as a literal. What is new is in
/// [`StoreBuilder`](crate::StoreBuilder).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreOptions {
    /// How blobs are compressed.
    pub blob_profile: BuiltinBlobProfile,
    /// When garbage is collected.
    pub gc_policy: StoreGcPolicy,
}
