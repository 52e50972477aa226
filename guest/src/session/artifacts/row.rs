//! A row of `artifacts`.

use alloc::string::ToString;

use crate::Result;
use crate::bindings::session_types::{Artifact, Namespace};
use crate::session::blobs::key::BlobKey;
use crate::session::blobs::kind_from_code;
use crate::storage::corruption::corrupt;
use crate::storage::sql::sql;
use crate::storage::table::table;

table! {
    /// A blob under a name.
    pub(super) struct ArtifactRow<'r> in "artifacts", named by name {
        space: i64,
        name: &'r str,
        kind: i64,
        blob_key: &'r [u8],
    }
}

/// The rows from a number on, in order; the number comes first.
pub(super) const FROM: &str = sql!(
    "SELECT id, ",
    ArtifactRow::COLUMNS,
    " FROM artifacts NOT INDEXED WHERE id >= ?1 ORDER BY id LIMIT ?2"
);

impl ArtifactRow<'_> {
    pub(super) fn to_artifact(&self) -> Result<Artifact> {
        Ok(Artifact {
            namespace: match self.space {
                0 => Namespace::Modules,
                _ => Namespace::Bytes,
            },
            name: self.name.to_string(),
            kind: kind_from_code(self.kind),
            blob: self.key()?.text(),
        })
    }

    /// The key of the blob.
    pub(super) fn key(&self) -> Result<BlobKey> {
        BlobKey::from_bytes(self.blob_key)
            .ok_or_else(|| corrupt(Self::TABLE, self.name, "the key of the blob is damaged"))
    }
}

pub(super) fn space_code(space: Namespace) -> i64 {
    match space {
        Namespace::Modules => 0,
        Namespace::Bytes => 1,
    }
}
