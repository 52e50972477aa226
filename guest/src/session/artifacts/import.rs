//! Adding artifacts of another program.

use crate::Result;
use crate::bindings::exports::lash::store::session_import::ImportedArtifact;
use crate::session::blobs::{self, kind_code};
use crate::session::digests::SessionTransaction;
use crate::storage::corruption::refuse_repeated;
use crate::storage::seam::{Environment, Transaction, Value};

use super::row::{checksum, space_code};

/// The WIT function `session-import.add-artifacts`.
pub fn add(env: &impl Environment, artifacts: &[ImportedArtifact]) -> Result<()> {
    let mut session = SessionTransaction::write(env)?;
    for artifact in artifacts {
        let space = space_code(artifact.space);
        let kind = kind_code(artifact.kind);
        let key = blobs::require(&session.tx, &artifact.blob)?;
        let checksum = checksum(space, &artifact.name, kind, key.as_bytes());
        let added = session.tx.execute(
            "INSERT INTO artifacts (space, name, kind, blob_key, checksum)
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (space, name) DO NOTHING",
            &[
                Value::Integer(space),
                Value::Text(&artifact.name),
                Value::Integer(kind),
                Value::Blob(key.as_bytes()),
                Value::Integer(checksum),
            ],
        )?;
        refuse_repeated(added, &artifact.name)?;
        session.digests.artifacts.insert(checksum);
    }
    session.commit()
}
