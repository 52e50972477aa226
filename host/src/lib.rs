//! The durable store of the lash agent runtime, run as a WebAssembly component.
#![forbid(unsafe_code)]

mod artifact;
mod bindings;
mod convert;
mod engine;
mod error;
mod factory;
mod options;
mod sqlite;
mod store;

pub use artifact::{BlobArtifactDescriptor, BlobStorageHint, PersistedArtifactKind};
pub use engine::Durability;
pub use error::{Error, Source};
pub use factory::SqliteSessionStoreFactory;
pub use options::{BuiltinBlobProfile, StoreBuilder, StoreGcPolicy, StoreOptions};
pub use store::{Store, StoredSessionCheckpoint};

#[cfg(test)]
mod testing;
