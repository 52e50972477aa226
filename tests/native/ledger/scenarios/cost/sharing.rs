//! What handles hold, and what those cost that do nothing.

use std::path::PathBuf;

use anyhow::{Context, Result};
use lash_core::RuntimePersistence;
use lash_wasm_store_testing::fixtures::{claim, commit, joining_work};

use super::engine::Store;
use super::judge;
use crate::observation::Observation;
use crate::scenario::Scenario;
use crate::trace;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        // Threads are counted on Linux only.
        #[cfg(target_os = "linux")]
        Scenario::new("P6", "48 open sessions", |directory| {
            Box::pin(many_handles(directory))
        }),
        Scenario::new(
            "P7",
            "a claim of an empty queue, and a claim of 20 batches",
            |directory| Box::pin(claims(directory)),
        ),
    ]
}

#[cfg(target_os = "linux")]
async fn many_handles(directory: PathBuf) -> Result<Observation> {
    let threads = || -> Result<usize> { Ok(std::fs::read_dir("/proc/self/task")?.count()) };
    let warm = Store::memory().await?;
    warm.commit_runtime_state(commit(None)).await?;
    let before = threads()?;
    let mut handles = Vec::new();
    for number in 0..48 {
        let store = Store::open(&directory.join(format!("{number}.db"))).await?;
        store.commit_runtime_state(commit(None)).await?;
        handles.push(store);
    }
    let more = threads()?.saturating_sub(before);
    let text = format!("{more} threads more");
    judge([more >= handles.len() / 2], text)
}

async fn claims(directory: PathBuf) -> Result<Observation> {
    trace::start();
    let store = Store::open(&directory.join("session.db")).await?;
    trace::take();
    anyhow::ensure!(claim(&store, 60_000, 20).await.is_none());
    let idle = trace::take().locks();
    store.enqueue_queued_work(joining_work("first")).await?;
    anyhow::ensure!(claim(&store, 3_600_000, 20).await.is_some());
    for number in 0..20 {
        store
            .enqueue_queued_work(joining_work(&format!("work {number}")))
            .await?;
    }
    trace::take();
    let claimed = claim(&store, 60_000, 20).await.context("a claim")?;
    anyhow::ensure!(claimed.batches.len() == 20);
    let trace = trace::take();
    let (compiled, sorts) = (trace.compiled(), trace.sorts());
    let text = format!(
        "{idle} write locks for nothing; then {compiled} statements compiled, {sorts} sorts"
    );
    judge([idle > 0, compiled > 5, sorts > 0], text)
}
