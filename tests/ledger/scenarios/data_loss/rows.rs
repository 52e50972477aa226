//! Rows that can not be read, and writes that fail.

use std::path::PathBuf;

use anyhow::{Context, Result};
use lash_core::{RuntimePersistence, SessionReadScope};
use lash_wasm_store_tests::fixtures::{Raw, append, chain, meta};

use super::engine::{self, BlobArtifactDescriptor, Store};
use crate::observation::Observation;
use crate::scenario::Scenario;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new("D4", "one of three nodes can not be decoded", |directory| {
            Box::pin(damaged_node(directory))
        }),
        Scenario::new(
            "D8",
            "the metadata of a session can not be written",
            |directory| Box::pin(unsaved_metadata(directory)),
        ),
        Scenario::new("D9", "a blob can not be written", |directory| {
            Box::pin(unsaved_blob(directory))
        }),
        Scenario::new(
            "D15",
            "a compressed blob of 64 KiB is cut short in the file",
            |directory| Box::pin(damaged_blob(directory)),
        ),
    ]
}

async fn damaged_node(directory: PathBuf) -> Result<Observation> {
    let path = directory.join("session.db");
    let store = Store::open(&path).await?;
    store
        .commit_runtime_state(append(None, chain(0, 3)))
        .await?;
    Raw::open(&path).damage(engine::DAMAGE_NODE);

    let session = store.load_session(SessionReadScope::FullGraph).await;
    let node = store.load_node("n1").await;
    Ok(match (session, node) {
        (Ok(read), Ok(None)) => Observation::defect(format!(
            "a history of {} nodes; the damaged one is \"not there\"",
            read.context("a session")?.graph.nodes.len()
        )),
        (Err(_), Err(_)) => Observation::right("two errors"),
        (session, node) => anyhow::bail!("{:?}, {node:?}", session.map(|_| ())),
    })
}

async fn unsaved_metadata(directory: PathBuf) -> Result<Observation> {
    let path = directory.join("session.db");
    let store = Store::open(&path).await?;
    Raw::open(&path).execute("DROP TABLE session_meta");

    let saved = RuntimePersistence::save_session_meta(&store, meta()).await;
    let loaded = RuntimePersistence::load_session_meta(&store).await;
    Ok(match (saved, loaded) {
        (Ok(()), Ok(None)) => Observation::defect("saved, it says; then: there is none"),
        (Err(_), Err(_)) => Observation::right("two errors"),
        (saved, loaded) => anyhow::bail!("{saved:?}, {loaded:?}"),
    })
}

async fn unsaved_blob(directory: PathBuf) -> Result<Observation> {
    let path = directory.join("session.db");
    let store = Store::open(&path).await?;
    Raw::open(&path).execute("DROP TABLE blobs");

    let reference = store.put_blob(b"content").await;
    anyhow::ensure!(
        store.get_blob(&reference).await.is_none(),
        "nothing is stored"
    );
    Ok(if reference.as_str().is_empty() {
        Observation::right("the empty reference; try_put_blob says why")
    } else {
        Observation::defect("a reference, to nothing")
    })
}

async fn damaged_blob(directory: PathBuf) -> Result<Observation> {
    let path = directory.join("session.db");
    let store = Store::open(&path).await?;
    let content = vec![b'x'; 64 * 1024];
    let descriptor = BlobArtifactDescriptor::execution_state_snapshot();
    let reference = store.put_artifact_blob(descriptor, &content).await;
    Raw::open(&path).damage("UPDATE blobs SET content = substr(content, 1, length(content) - 8)");

    Ok(match store.get_blob(&reference).await {
        None => Observation::right("nothing is answered; try_get_blob says why"),
        Some(read) if read == content => anyhow::bail!("it is not damaged"),
        Some(read) => Observation::defect(format!("{} other bytes are the answer", read.len())),
    })
}
