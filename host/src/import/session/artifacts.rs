//! Names of artifacts.
//!
//! The native crate has one namespace for modules and all else; what is stored under a
//! name says which it is.

use lash_store_engine::wit::artifacts::Namespace;
use lash_store_engine::wit::session_import::ImportedArtifact;
use lash_store_engine::wit::types::BlobKind;
use lashlang::ModuleArtifact;
use rusqlite::Connection;

use super::blobs;
use crate::import::error::ImportError;
use crate::import::run::Run;
use crate::import::table::{Reason, Table};
use crate::session::PersistedArtifactKind;

/// Brings the names over.
pub(super) fn import(run: &mut Run<'_>) -> Result<(), ImportError> {
    const ARTIFACTS: Table = Table {
        name: "artifact_refs",
        columns: "artifact_ref, blob_ref",
    };
    run.table(
        &ARTIFACTS,
        |connection, row| {
            let name = row.text(0)?;
            let blob = row.text(1)?;
            let (namespace, kind) = classify(connection, name, blob)?;
            Ok(ImportedArtifact {
                namespace,
                name: name.to_owned(),
                kind,
                blob: blob.to_owned(),
            })
        },
        |call, artifacts| Ok(call.session_import().add_artifacts(artifacts)?),
    )
}

fn classify(
    connection: &Connection,
    name: &str,
    blob: &str,
) -> Result<(Namespace, BlobKind), Reason> {
    let stored = blobs::find(connection, blob)
        .map_err(|error| error.to_string())?
        .ok_or_else(|| format!("the blob {blob} is missing"))?;
    Ok(match stored.descriptor.kind {
        PersistedArtifactKind::LashlangModule => (Namespace::Modules, BlobKind::Module),
        PersistedArtifactKind::ProcessExecutionEnv => {
            (Namespace::Bytes, BlobKind::ProcessEnvironment)
        }
        // The same content may have been stored as something else before.
        _ if stored
            .inflated()
            .is_ok_and(|content| is_module(name, &content)) =>
        {
            (Namespace::Modules, BlobKind::Module)
        }
        _ => (Namespace::Bytes, BlobKind::Generic),
    })
}

fn is_module(name: &str, content: &[u8]) -> bool {
    ModuleArtifact::from_store_bytes(content).is_ok_and(|module| module.module_ref.as_str() == name)
}
