//! Checkpoints that garbage collection deletes, or that read as none.

use std::path::PathBuf;

use anyhow::{Context, Result};
use lash_core::{BlobRef, RuntimePersistence, SessionReadScope};
use lash_wasm_store_testing::fixtures::{Raw, checkpointed, commit};
use lashlang::LashlangArtifactStore;

use super::engine::{self, Store};
use super::gc;
use crate::observation::Observation;
use crate::scenario::Scenario;

const FULL: SessionReadScope = SessionReadScope::FullGraph;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "D1",
            "garbage is collected while the head cannot be decoded",
            |directory| Box::pin(gc_under_a_damaged_head(directory)),
        ),
        Scenario::new(
            "D2",
            "garbage is collected while an artifact has the bytes of the checkpoint's manifest",
            |directory| Box::pin(gc_of_an_aliased_manifest(directory)),
        ),
        Scenario::new(
            "D3",
            "the manifest of the checkpoint is gone, and the runtime goes on",
            |directory| Box::pin(missing_manifest(directory)),
        ),
    ]
}

async fn gc_under_a_damaged_head(directory: PathBuf) -> Result<Observation> {
    let path = directory.join("session.db");
    let store = Store::open(&path).await?;
    store.commit_runtime_state(checkpointed(None, 1)).await?;
    let raw = Raw::open(&path);
    let count = "SELECT count(*) FROM blobs";
    let blobs = raw.integer(count);
    raw.damage(engine::DAMAGE_HEAD);

    let collected = gc(&store).await;
    let left = raw.integer(count);
    Ok(match collected {
        Ok(_) if left < blobs => {
            Observation::defect(format!("success; {left} of {blobs} live blobs are left"))
        }
        Ok(_) => Observation::right("success; every live blob is left"),
        Err(_) => Observation::right(format!("an error; {left} of {blobs} live blobs are left")),
    })
}

async fn gc_of_an_aliased_manifest(directory: PathBuf) -> Result<Observation> {
    let store = Store::open(&directory.join("session.db")).await?;
    let committed = store.commit_runtime_state(checkpointed(None, 1)).await?;
    let reference = committed.checkpoint_ref;
    let manifest = store.get_blob(&reference).await.context("the manifest")?;
    store
        .put_artifact_bytes("a copy", "generic", &manifest)
        .await?;

    let report = gc(&store).await?;
    let read = store.load_session(FULL).await?.context("a session")?;
    let state = read
        .checkpoint
        .and_then(|checkpoint| checkpoint.execution_state);
    let deleted = report.deleted_blob_count;
    Ok(match state {
        None => Observation::defect(format!("{deleted} live blobs are deleted")),
        Some(_) => Observation::right(format!("{deleted} live blobs are deleted")),
    })
}

/// The runtime reads a session without a checkpoint, begins at turn 0, and commits
/// what it has: nothing.
async fn missing_manifest(directory: PathBuf) -> Result<Observation> {
    let path = directory.join("session.db");
    let store = Store::open(&path).await?;
    store.commit_runtime_state(checkpointed(None, 7)).await?;
    Raw::open(&path).damage(engine::DELETE_MANIFEST);

    let read = match store.load_session(FULL).await {
        Ok(read) => read.context("a session")?,
        Err(_) => {
            return Ok(Observation::right("the session cannot be loaded: an error"));
        }
    };
    anyhow::ensure!(read.checkpoint.is_none(), "there is no manifest");
    let mut next = commit(Some(read.head_revision));
    next.checkpoint.tool_state_ref = Some(BlobRef("never stored".to_owned()));
    let committed = store.commit_runtime_state(next).await?;
    Ok(Observation::defect(format!(
        "no checkpoint; revision {} with none, and a reference to nothing, is accepted",
        committed.head_revision
    )))
}
