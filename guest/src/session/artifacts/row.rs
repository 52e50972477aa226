//! A row of `artifacts`.

use crate::Result;
use crate::bindings::exports::lash::store::artifacts::NameSpace;
use crate::session::blobs::key::BlobKey;
use crate::storage::checksum::Checksum;
use crate::storage::corruption::{corrupt, verify};
use crate::storage::rows::RowReader;

pub(super) const TABLE: &str = "artifacts";

pub(super) struct ArtifactRow<'r> {
    pub(super) space: i64,
    pub(super) name: &'r str,
    pub(super) kind: i64,
    pub(super) key: BlobKey,
    pub(super) checksum: i64,
}

impl<'r> ArtifactRow<'r> {
    /// Reads and checks `space, name, kind, blob_key, checksum`.
    pub(super) fn read(reader: &mut RowReader<'r>) -> Result<Self> {
        let space = reader.integer()?;
        let name = reader.text()?;
        let kind = reader.integer()?;
        let key = reader.blob()?;
        let stored = reader.integer()?;
        verify(TABLE, name, stored, checksum(space, name, kind, key))?;
        Ok(Self {
            space,
            name,
            kind,
            key: BlobKey::from_bytes(key)
                .ok_or_else(|| corrupt(TABLE, name, "the key of the blob is damaged"))?,
            checksum: stored,
        })
    }
}

pub(super) fn checksum(space: i64, name: &str, kind: i64, key: &[u8]) -> i64 {
    Checksum::of(TABLE)
        .integer(space)
        .bytes(name.as_bytes())
        .integer(kind)
        .bytes(key)
        .finish()
}

pub(super) fn space_code(space: NameSpace) -> i64 {
    match space {
        NameSpace::Modules => 0,
        NameSpace::Bytes => 1,
    }
}
