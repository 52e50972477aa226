//! R11, R12: what ends the thread of a store, or never ends on it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use lash_core::store::SessionHeadMeta;
use lash_core::{RuntimePersistence, SessionReadScope};
use lash_wasm_store_testing::fixtures::{SESSION, append, commit, full_checkpoint, node};

use super::engine::Store;
use crate::observation::Observation;

struct Unencodable;

impl serde::Serialize for Unencodable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not today"))
    }
}

pub(super) async fn panics(directory: PathBuf) -> Result<Observation> {
    let path = directory.join("session.db");
    let store = Arc::new(Store::open(&path).await?);
    let mut wrong = Vec::new();

    let encoding = Arc::clone(&store);
    let encoded = tokio::spawn(async move { encoding.put_typed_blob(&Unencodable).await });
    if encoded.await.is_err() {
        wrong.push("the first panics".to_owned());
    }
    let readonly = Store::open_readonly(&path).await?;
    let stored = tokio::spawn(async move { readonly.put_checkpoint(&full_checkpoint(1)).await });
    if stored.await.is_err() {
        wrong.push("the second panics".to_owned());
    }

    let meta = SessionHeadMeta {
        session_id: SESSION.to_owned(),
        head_revision: u64::MAX,
        ..SessionHeadMeta::default()
    };
    store.save_session_head_meta(meta).await;
    let next = store.commit_runtime_state(commit(None)).await;
    // The native crate has overflowed by now, which panics in a debug build.
    if let Err(error) = store.list_queued_work(SESSION).await {
        wrong.push(format!("after the third every call fails: {error}"));
    }
    Ok(match (wrong.is_empty(), next) {
        (false, _) => Observation::defect(wrong.join("; ")),
        (true, Ok(_)) => Observation::right("no panic; later calls are answered"),
        (true, Err(error)) => bail!("the commit after a refused revision fails: {error}"),
    })
}

pub(super) async fn cycle() -> Result<Observation> {
    const PATIENCE: Duration = Duration::from_secs(2);
    let store = Store::memory().await?;
    let nodes = vec![node("a", Some("b")), node("b", Some("a"))];
    if let Err(error) = store.commit_runtime_state(append(None, nodes)).await {
        return Ok(Observation::right(format!("refused: {error}")));
    }
    let path = store.load_session(SessionReadScope::ActivePath { leaf_node_id: None });
    Ok(match tokio::time::timeout(PATIENCE, path).await {
        Err(_) => Observation::defect(format!(
            "stored; reading the path gives no answer in {} s",
            PATIENCE.as_secs()
        )),
        Ok(path) => bail!("stored and read: {path:?}"),
    })
}
