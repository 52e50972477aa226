//! What a read costs.

use std::path::PathBuf;

use anyhow::{Context, Result};
use lash_core::{MessageRole, RuntimePersistence, SessionReadScope};
use lash_wasm_store_testing::fixtures::{append, message_node, meta, node, usage};

use super::engine::Store;
use super::judge;
use crate::observation::Observation;
use crate::scenario::Scenario;
use crate::trace;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![Scenario::new(
        "P11",
        "the picker's line and a path of 2 nodes, of a session with 2,000 nodes and usage entries",
        |directory| Box::pin(little_of_much(directory)),
    )]
}

async fn little_of_much(directory: PathBuf) -> Result<Observation> {
    trace::start();
    let store = Store::open(&directory.join("session.db")).await?;
    store.save_session_meta(meta()).await;
    let mut nodes = vec![message_node("first", None, MessageRole::User, "question")];
    nodes.extend((1..2_000).map(|number| node(&format!("n{number}"), Some("first"))));
    store.commit_runtime_state(append(None, nodes)).await?;
    let entries = vec![usage("source", "model", [1, 0, 0, 0]); 2_000];
    store.append_usage_deltas(&entries).await;

    trace::take();
    let line = store.load_picker_info().await.context("a line")?;
    anyhow::ensure!(line.user_message_count == 1);
    let picker = trace::take().rows;
    let scope = SessionReadScope::ActivePath { leaf_node_id: None };
    let read = store.load_session(scope).await?.context("a session")?;
    anyhow::ensure!(read.graph.nodes.len() == 2);
    anyhow::ensure!(read.token_ledger.len() == 1);
    let path = trace::take().rows;
    let text = format!("reads {picker} rows for the line, {path} for the path and 1 sum");
    judge([picker > 200, path > 200], text)
}
