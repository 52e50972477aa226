//! The head, and whether the checkpoint that it refers to is whole.

use lash_core::BlobRef;
use lash_core::store::{SessionCheckpoint, SessionHeadMeta};
use lash_store_engine::wit::session::HeadDraft;
use lash_store_engine::wit::session_import::ImportedBlob;

use super::{blobs, manifest};
use crate::EngineError;
use crate::import::error::ImportError;
use crate::import::json::decode;
use crate::import::run::Run;
use crate::import::table::{Reason, SourceRow, Table};
use crate::session::head::to_body;

const HEAD: Table = Table {
    name: "session_head",
    columns: "session_id, head_json, head_revision",
};

/// Brings the head over; returns its revision, or none if there is no head.
pub(super) fn import(run: &mut Run<'_>) -> Result<Option<u64>, ImportError> {
    let Some(mut head) = run.row(&HEAD, read)? else {
        return Ok(None);
    };
    let checkpoint_ref = match head.checkpoint_ref.take() {
        Some(BlobRef(key)) => checkpoint(run, &head.session_id, key)?,
        None => None,
    };
    let path = run.source.path().to_path_buf();
    let body = to_body(
        &path,
        &head.session_id,
        head.config,
        head.agent_frames,
        head.current_agent_frame_id,
        head.token_ledger,
    )
    .map_err(ImportError::Destination)?;
    let draft = HeadDraft {
        session_id: head.session_id.clone(),
        revision: head.head_revision,
        body,
        leaf: head.leaf_node_id,
        checkpoint_ref,
        nodes: None,
        usage: None,
        profile: run.profile,
    };
    let added = run.write(move |call| match call.session_import().add_head(&draft) {
        Ok(()) => Ok(Ok(())),
        Err(EngineError::Invalid { reason, .. }) => Ok(Err(reason)),
        Err(error) => Err(error.into()),
    })?;
    match added {
        Ok(()) => Ok(Some(head.head_revision)),
        Err(reason) => {
            run.losses.note(HEAD.name, head.session_id, reason);
            Ok(None)
        }
    }
}

fn read(row: &SourceRow<'_>) -> Result<SessionHeadMeta, Reason> {
    let session_id = row.text(0)?;
    let mut head: SessionHeadMeta = decode("the head", row.text(1)?)?;
    if head.session_id != session_id {
        return Err(format!(
            "the head says that it is that of the session {}",
            head.session_id
        ));
    }
    head.head_revision = row.unsigned(2)?;
    Ok(head)
}

/// Sees to it that the checkpoint of the head can be read whole; returns its key, or
/// none if it cannot be read at all.
fn checkpoint(
    run: &mut Run<'_>,
    session_id: &str,
    key: String,
) -> Result<Option<String>, ImportError> {
    let path = run.source.path().to_path_buf();
    let found = run.source.read(|connection| {
        blobs::find(connection, &key)
            .map_err(|error| error.to_string())?
            .ok_or_else(|| "it is missing".to_owned())
            .and_then(|stored| manifest::with_manifest(&path, &key, stored, |_| ()))
    });
    // What was damaged is not in the new database.
    let (mut blob, mut checkpoint) = match found {
        Ok(found) if exists(run, &key)? => found,
        found => {
            let reason = found.err().unwrap_or_else(|| "it is damaged".to_owned());
            let reason = format!("the checkpoint {key} cannot be read: {reason}");
            run.losses.note(HEAD.name, session_id, reason);
            return Ok(None);
        }
    };
    for (what, reference) in snapshots(&mut checkpoint) {
        let Some(BlobRef(snapshot)) = reference.as_ref() else {
            continue;
        };
        if !exists(run, snapshot)? {
            let reason = format!(
                "the checkpoint {key} is not whole: the {what} {snapshot} is missing or damaged"
            );
            run.losses.note(HEAD.name, session_id, reason);
            *reference = None;
        }
    }
    let manifest = manifest::to_wit(&path, &checkpoint);
    blob.manifest = Some(manifest.map_err(ImportError::Destination)?);
    add(run, blob)?;
    Ok(Some(key))
}

fn snapshots(checkpoint: &mut SessionCheckpoint) -> [(&'static str, &mut Option<BlobRef>); 3] {
    [
        ("tool state", &mut checkpoint.tool_state_ref),
        ("plugin snapshot", &mut checkpoint.plugin_snapshot_ref),
        ("execution state", &mut checkpoint.execution_state_ref),
    ]
}

/// Whether a blob was brought over.
fn exists(run: &Run<'_>, key: &str) -> Result<bool, ImportError> {
    let key = key.to_owned();
    run.write(move |call| Ok(call.blobs().get(&key)?.is_some()))
}

fn add(run: &Run<'_>, blob: ImportedBlob) -> Result<(), ImportError> {
    let profile = run.profile;
    run.write(move |call| Ok(call.session_import().add_blobs(&[blob], profile)?))
}
