//! A row of `blobs`.

use alloc::vec::Vec;

use crate::Result;
use crate::bindings::session_types::BlobKind;
use crate::storage::checksum::Checksum;
use crate::storage::corruption::{corrupt, verify};
use crate::storage::rows::RowReader;
use crate::storage::seam::{Rows, Transaction, Value};
use crate::storage::sql::sql;

use super::MAX_LENGTH;
use super::encoding::{self, Encoding};
use super::key::{BlobKey, KEY_LENGTH};

pub(super) const TABLE: &str = "blobs";

/// What [`BlobRow::read`] reads.
pub(super) const COLUMNS: &str = "kind, encoding, length, edges, checksum";

pub(super) struct BlobRow<'r> {
    pub(super) kind: i64,
    pub(super) encoding: i64,
    pub(super) length: i64,
    pub(super) edges: &'r [u8],
}

impl<'r> BlobRow<'r> {
    /// Reads and checks [`COLUMNS`].
    pub(super) fn read(reader: &mut RowReader<'r>, key: &BlobKey) -> Result<Self> {
        let (row, stored) = Self::parse(reader)?;
        verify(TABLE, key.text(), stored, row.checksum(key))?;
        Ok(row)
    }

    /// Reads [`COLUMNS`]; returns the checksum that is stored too.
    pub(super) fn parse(reader: &mut RowReader<'r>) -> Result<(Self, i64)> {
        let row = Self {
            kind: reader.integer()?,
            encoding: reader.integer()?,
            length: reader.integer()?,
            edges: reader.blob()?,
        };
        Ok((row, reader.integer()?))
    }

    /// What is stored is as long as it was.
    pub(super) fn require_length(&self, stored: i64, key: &BlobKey) -> Result<()> {
        let fits = match Encoding::from_code(self.encoding) {
            Some(Encoding::Raw) => stored == self.length,
            Some(Encoding::Zlib) => stored < self.length,
            None => false,
        };
        match fits {
            true => Ok(()),
            false => Err(corrupt(TABLE, key.text(), "the content has another length")),
        }
    }

    /// The content of what is stored, checked against its key.
    pub(super) fn content(&self, stored: &[u8], key: &BlobKey) -> Result<Vec<u8>> {
        let length = usize::try_from(self.length).unwrap_or(usize::MAX);
        let content = match Encoding::from_code(self.encoding) {
            Some(Encoding::Raw) => Some(stored.to_vec()),
            Some(Encoding::Zlib) if length <= MAX_LENGTH => encoding::inflate(stored, length),
            _ => None,
        };
        content
            .filter(|content| key.is_of(content))
            .ok_or_else(|| corrupt(TABLE, key.text(), "the content does not match its key"))
    }

    pub(super) fn checksum(&self, key: &BlobKey) -> i64 {
        Checksum::of(TABLE)
            .bytes(key.as_bytes())
            .integer(self.kind)
            .integer(self.encoding)
            .integer(self.length)
            .bytes(self.edges)
            .finish()
    }
}

pub(super) fn select(tx: &impl Transaction, key: &BlobKey) -> Result<Rows> {
    Ok(tx.query(
        sql!("SELECT ", COLUMNS, ", content FROM blobs WHERE key = ?1"),
        &[Value::Blob(key.as_bytes())],
    )?)
}

/// Concatenates keys.
pub(crate) fn write_edges(edges: &[BlobKey]) -> Vec<u8> {
    edges.iter().flat_map(BlobKey::as_bytes).copied().collect()
}

/// Splits concatenated keys; none if they are damaged.
pub(crate) fn read_edges(edges: &[u8]) -> Option<Vec<BlobKey>> {
    edges.chunks(KEY_LENGTH).map(BlobKey::from_bytes).collect()
}

/// How a kind is stored.
pub(crate) fn kind_code(kind: BlobKind) -> i64 {
    match kind {
        BlobKind::Generic => 0,
        BlobKind::CheckpointManifest => 1,
        BlobKind::ToolState => 2,
        BlobKind::PluginSnapshot => 3,
        BlobKind::ExecutionState => 4,
        BlobKind::Module => 5,
        BlobKind::ProcessEnvironment => 6,
    }
}

/// The kind that is stored like this; an unknown one counts as generic.
pub(crate) fn kind_from_code(code: i64) -> BlobKind {
    let kinds = [
        BlobKind::CheckpointManifest,
        BlobKind::ToolState,
        BlobKind::PluginSnapshot,
        BlobKind::ExecutionState,
        BlobKind::Module,
        BlobKind::ProcessEnvironment,
    ];
    let mut kinds = kinds.into_iter();
    kinds
        .find(|kind| kind_code(*kind) == code)
        .unwrap_or(BlobKind::Generic)
}
