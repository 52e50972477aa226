//! Adding blobs of another program.

use alloc::vec::Vec;

use crate::Result;
use crate::bindings::import_types::{ImportedBlob, StoredContent};
use crate::bindings::session_types::BlobProfile;
use crate::session::checkpoints;
use crate::session::digests::SessionTransaction;
use crate::storage::corruption::invalid;
use crate::storage::seam::Environment;

use super::encoding::{self, Encoding};
use super::key::BlobKey;
use super::{MAX_LENGTH, NewBlob, Plan, insert};

/// The WIT function `session-import.add-blobs`.
pub fn add(env: &impl Environment, blobs: Vec<ImportedBlob>, profile: BlobProfile) -> Result<()> {
    let mut new = Vec::with_capacity(blobs.len());
    for blob in blobs {
        let manifest = blob.manifest.clone();
        new.push((check(blob, profile)?, manifest));
    }
    let mut session = SessionTransaction::write(env)?;
    for (mut blob, manifest) in new {
        if let Some(manifest) = manifest {
            let translation = checkpoints::translate(&mut session, manifest)?;
            blob = blob.with_edges(&[translation]);
        }
        insert(&mut session, blob)?;
    }
    session.commit()
}

/// Checks a blob against its key, and makes of it what is to be stored.
fn check(blob: ImportedBlob, profile: BlobProfile) -> Result<NewBlob> {
    let refuse = |what| Err(invalid(["the blob ", &blob.key, what].concat()));
    let Some(key) = BlobKey::parse(&blob.key).filter(BlobKey::is_imported) else {
        return refuse(" has a key of another kind");
    };
    let (content, stored) = match blob.content {
        StoredContent::Raw(content) => (content, None),
        StoredContent::Zlib(stored) => match encoding::inflate_unknown(&stored, MAX_LENGTH) {
            Some(content) => (content, Some(stored)),
            None => return refuse(" cannot be decompressed, or is larger than 256 MiB"),
        },
    };
    if content.len() > MAX_LENGTH {
        return refuse(" is larger than 256 MiB");
    }
    if !key.is_of(&content) {
        return refuse(" has another content than its key says");
    }
    let mut new = NewBlob {
        key,
        kind: blob.kind,
        level: encoding::level(profile, blob.compressible, content.len()),
        length: content.len(),
        content,
        edges: Vec::new(),
        plan: Plan::Ready(Encoding::Raw, None),
        is_verified: false,
    };
    match (stored, new.level) {
        (Some(stored), _) if stored.len() < new.content.len() => {
            // Many blobs may be much longer than what is stored of them.
            new.content = Vec::new();
            new.plan = Plan::Ready(Encoding::Zlib, Some(stored));
        }
        (None, Some(level)) => new.compress(level),
        _ => {}
    }
    Ok(new)
}
