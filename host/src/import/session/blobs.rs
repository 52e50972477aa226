//! Blobs.
//!
//! The native crate stores most of them in an envelope, which says what they are and
//! whether they are compressed, and some as they are. Their keys are SHA-256 digests of
//! the raw content, which the component checks.

use std::borrow::Cow;

use lash_store_engine::wit::session_import::{ImportedBlob, StoredContent};
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use rusqlite::{Connection, OptionalExtension};
use serde::Deserialize;

use super::manifest;
use crate::import::error::ImportError;
use crate::import::run::Run;
use crate::import::table::{Reason, Table};
use crate::session::{BlobArtifactDescriptor, PersistedArtifactKind};

/// The largest manifest: what a turn's state may be.
const LARGEST_MANIFEST: usize = 64 << 20;

/// What the native crate puts around the content of most blobs.
#[derive(Deserialize)]
struct Envelope {
    descriptor: BlobArtifactDescriptor,
    compression: Compression,
    content: Vec<u8>,
}

#[derive(Deserialize)]
enum Compression {
    None,
    Zlib,
}

/// A blob as it is in the source.
pub(super) struct Stored {
    pub(super) descriptor: BlobArtifactDescriptor,
    content: StoredContent,
}

impl Stored {
    pub(super) fn decode(bytes: &[u8]) -> Self {
        match rmp_serde::from_slice::<Envelope>(bytes) {
            Ok(envelope) => Self {
                descriptor: envelope.descriptor,
                content: match envelope.compression {
                    Compression::None => StoredContent::Raw(envelope.content),
                    Compression::Zlib => StoredContent::Zlib(envelope.content),
                },
            },
            Err(_) => Self {
                descriptor: BlobArtifactDescriptor::new(PersistedArtifactKind::GenericBlob, []),
                content: StoredContent::Raw(bytes.to_vec()),
            },
        }
    }

    /// The raw content of a manifest.
    pub(super) fn inflated(&self) -> Result<Cow<'_, [u8]>, Reason> {
        match &self.content {
            StoredContent::Raw(content) => Ok(content.into()),
            StoredContent::Zlib(stored) => {
                decompress_to_vec_zlib_with_limit(stored, LARGEST_MANIFEST)
                    .map(Cow::from)
                    .map_err(|error| format!("the content can not be decompressed: {error}"))
            }
        }
    }

    pub(super) fn into_imported(self, key: &str) -> ImportedBlob {
        ImportedBlob {
            key: key.to_owned(),
            kind: self.descriptor.blob_kind(),
            compressible: self.descriptor.is_compressible(),
            content: self.content,
            manifest: None,
        }
    }
}

/// Finds a blob.
pub(super) fn find(connection: &Connection, key: &str) -> rusqlite::Result<Option<Stored>> {
    connection
        .prepare_cached("SELECT content FROM blobs WHERE hash = ?1")?
        .query_row([key], |row| Ok(Stored::decode(row.get_ref(0)?.as_blob()?)))
        .optional()
}

/// Whether there is a blob.
pub(super) fn exists(connection: &Connection, key: &str) -> Result<bool, Reason> {
    connection
        .prepare_cached("SELECT 1 FROM blobs WHERE hash = ?1")
        .and_then(|mut statement| statement.exists([key]))
        .map_err(|error| error.to_string())
}

/// Brings the blobs over.
pub(super) fn import(run: &mut Run<'_>) -> Result<(), ImportError> {
    const BLOBS: Table = Table {
        name: "blobs",
        columns: "hash, content",
    };
    let path = run.source.path().to_path_buf();
    let profile = run.profile;
    run.table(
        &BLOBS,
        |_, row| {
            let key = row.text(0)?;
            let stored = Stored::decode(row.blob(1)?);
            match stored.descriptor.kind {
                PersistedArtifactKind::CheckpointManifest => {
                    manifest::with_manifest(&path, key, stored, |length| row.brings(length))
                        .map(|(blob, _)| blob)
                }
                _ => Ok(stored.into_imported(key)),
            }
        },
        move |call, blobs| Ok(call.session_import().add_blobs(blobs, profile)?),
    )
}
