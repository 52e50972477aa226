//! What is never given back.

use std::path::PathBuf;

use anyhow::Result;
use lash_core::RuntimePersistence;
use lash_core::store::RuntimeTurnCommitStamp;
use lash_wasm_store_testing::fixtures::{Raw, SESSION, commit, noise, usage};

use super::engine::{self, Store};
use super::judge;
use crate::observation::Observation;
use crate::scenario::Scenario;
use crate::trace;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "P12",
            "200 turns, then every call that gives something back",
            |directory| Box::pin(retention(directory)),
        ),
        Scenario::new("P13", "garbage collection of 300 blobs", |directory| {
            Box::pin(collection(directory))
        }),
    ]
}

async fn retention(directory: PathBuf) -> Result<Observation> {
    let path = directory.join("session.db");
    let store = Store::open(&path).await?;
    for turn in 0..200_u64 {
        let mut next = commit((turn > 0).then_some(turn));
        let mut state = noise(8_000);
        state.extend(turn.to_le_bytes());
        next.checkpoint.execution_state = Some(state);
        next.usage_deltas = vec![usage("source", "model", [1, 0, 0, 0])];
        let stamp = RuntimeTurnCommitStamp::new(SESSION, format!("turn {turn}"), "hash");
        store
            .commit_runtime_state(next.with_turn_commit(stamp))
            .await?;
    }
    let raw = Raw::open(&path);
    let before = raw.integer("PRAGMA page_count");
    engine::give_back(&store).await?;
    let after = raw.integer("PRAGMA page_count");
    let stamps = raw.integer("SELECT count(*) FROM runtime_turn_commits");
    let text = format!("{stamps} stamps are left; {before} pages become {after}");
    judge([stamps > 1, after > before / 2], text)
}

async fn collection(directory: PathBuf) -> Result<Observation> {
    trace::start();
    let store = Store::open(&directory.join("session.db")).await?;
    store.commit_runtime_state(commit(None)).await?;
    for number in 0..300_u32 {
        store.put_blob(&number.to_le_bytes()).await;
    }
    trace::take();
    let report = RuntimePersistence::gc_unreachable(&store).await?;
    anyhow::ensure!(report.deleted_blob_count == 300, "{report:?}");
    let compiled = trace::take().compiled();
    let text = format!("compiles {compiled} statements");
    judge([compiled > 30], text)
}
