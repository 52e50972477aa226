//! Rows that cannot be read, and writes that fail.

use std::path::PathBuf;

use anyhow::{Context, Result};
use lash_core::{
    RuntimePersistence, SessionPolicy, SessionReadScope, SessionRelation,
    SessionStoreCreateRequest, SessionStoreFactory,
};
use lash_wasm_store_testing::fixtures::{Raw, SESSION, append, chain, commit, meta};

use super::engine::{self, BlobArtifactDescriptor, SqliteSessionStoreFactory, Store};
use crate::observation::Observation;
use crate::scenario::Scenario;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new("D4", "one of three nodes cannot be decoded", |directory| {
            Box::pin(damaged_node(directory))
        }),
        Scenario::new(
            "D8",
            "metadata that cannot be read, as a session is opened; then: it cannot be written",
            |directory| Box::pin(unsaved_metadata(directory)),
        ),
        Scenario::new("D9", "a blob cannot be written", |directory| {
            Box::pin(unsaved_blob(directory))
        }),
        Scenario::new(
            "D15",
            "a compressed blob of 64 KiB is cut short in the file, another has a byte changed",
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
    let factory = SqliteSessionStoreFactory::new(directory);
    let path = factory.path_for_session(SESSION);
    let store = Store::open(&path).await?;
    RuntimePersistence::save_session_meta(&store, meta()).await?;
    let raw = Raw::open(&path);
    raw.damage("UPDATE session_meta SET session_name = x'ff'");
    let request = SessionStoreCreateRequest {
        session_id: SESSION.to_owned(),
        relation: SessionRelation::Root,
        policy: SessionPolicy::default(),
    };
    let opened = factory.create_store(&request).await.is_ok();
    let kept = raw.texts("SELECT created_at FROM session_meta") == [meta().created_at];
    raw.execute("DROP TABLE session_meta");

    let saved = RuntimePersistence::save_session_meta(&store, meta()).await;
    let loaded = RuntimePersistence::load_session_meta(&store).await;
    Ok(match (opened, kept, saved, loaded) {
        (true, false, Ok(()), Ok(None)) => {
            Observation::defect("it is overwritten with defaults; then: saved, it says")
        }
        (false, true, Err(_), Err(_)) => Observation::right("it is kept; both are errors"),
        answers => anyhow::bail!("{answers:?}"),
    })
}

async fn unsaved_blob(directory: PathBuf) -> Result<Observation> {
    let path = directory.join("session.db");
    let store = Store::open(&path).await?;
    let reference = Store::open_readonly(&path)
        .await?
        .put_blob(b"content")
        .await;
    anyhow::ensure!(
        store.get_blob(&reference).await.is_none(),
        "nothing is stored"
    );

    let mut next = commit(None);
    next.checkpoint.execution_state_ref = Some(reference.clone());
    let committed = store.commit_runtime_state(next).await;
    Ok(match (reference.as_str(), committed) {
        ("", Err(_)) => Observation::right("the empty reference, which cannot be committed"),
        (_, Ok(_)) => Observation::defect("a reference to nothing, which can be committed"),
        (reference, committed) => anyhow::bail!("{reference}, {:?}", committed.map(|_| ())),
    })
}

async fn damaged_blob(directory: PathBuf) -> Result<Observation> {
    let path = directory.join("session.db");
    let store = Store::open(&path).await?;
    let content = vec![b'x'; 64 * 1024];
    let descriptor = BlobArtifactDescriptor::execution_state_snapshot();
    let reference = store.put_artifact_blob(descriptor, &content).await;
    Raw::open(&path).damage("UPDATE blobs SET content = substr(content, 1, length(content) - 8)");

    let short = store.get_blob(&reference).await;

    let path = directory.join("other.db");
    let store = Store::open(&path).await?;
    let reference = store.put_blob(b"may not").await;
    Raw::open(&path).damage("UPDATE blobs SET content = CAST('may now' AS BLOB)");
    let changed = store.get_blob(&reference).await;
    Ok(match (short, changed) {
        (None, None) => Observation::right("nothing is answered; try_get_blob says why"),
        (Some(short), Some(changed)) if short != content && changed == b"may now" => {
            let length = short.len();
            Observation::defect(format!("{length} other bytes, and what it was changed to"))
        }
        (short, changed) => anyhow::bail!("{short:?}, {changed:?}"),
    })
}
