//! Adding artifacts of another program.

use crate::Result;
use crate::bindings::import_types::ImportedArtifact;
use crate::session::blobs::{self, kind_code};
use crate::session::digests::SessionTransaction;
use crate::storage::corruption::refuse_repeated;
use crate::storage::seam::{Environment, Transaction};
use crate::storage::sql::sql;

use super::row::{ArtifactRow, space_code};

/// The WIT function `session-import.add-artifacts`.
pub fn add(env: &impl Environment, artifacts: &[ImportedArtifact]) -> Result<()> {
    let mut session = SessionTransaction::write(env)?;
    for artifact in artifacts {
        let key = blobs::require(&session.tx, &artifact.blob)?;
        let row = ArtifactRow {
            space: space_code(artifact.namespace),
            name: &artifact.name,
            kind: kind_code(artifact.kind),
            blob_key: key.as_bytes(),
        };
        let added = session.tx.execute(
            sql!(ArtifactRow::INSERT, " ON CONFLICT (space, name) DO NOTHING"),
            &row.values(),
        )?;
        refuse_repeated(added, &artifact.name)?;
        session.digests.artifacts.insert(row.checksum());
    }
    session.commit()
}
