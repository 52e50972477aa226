//! What a commit costs.

use std::path::PathBuf;

use anyhow::Result;
use lash_core::store::RuntimeCommit;
use lash_core::{RuntimePersistence, RuntimeSessionState};
use lash_wasm_store_testing::fixtures::{
    Raw, SESSION, append, chain, commit, large_node, node, noise, replace,
};

use super::engine::Store;
use super::{LITTLE, empty_log, judge, log_length};
use crate::observation::Observation;
use crate::scenario::Scenario;
use crate::trace;

const MIB: usize = 1 << 20;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new("P1", "a commit after 2,000 nodes", |directory| {
            Box::pin(after_many_nodes(directory))
        }),
        Scenario::new(
            "P2",
            "a commit while a frame carries 1 MiB of execution state",
            |directory| Box::pin(beside_a_large_frame(directory)),
        ),
        Scenario::new("P3", "1 MiB of execution state, stored", |directory| {
            Box::pin(large_state(directory))
        }),
        Scenario::new(
            "P4",
            "a commit with 1 MiB of state that is stored already",
            |directory| Box::pin(known_state(directory)),
        ),
        Scenario::new(
            "P5",
            "the third commit of a handle, with 50 nodes",
            |directory| Box::pin(warm_commit(directory)),
        ),
        Scenario::new(
            "P14",
            "a graph of 800 nodes replaced by itself and one more",
            |directory| Box::pin(longer_graph(directory)),
        ),
    ]
}

async fn after_many_nodes(directory: PathBuf) -> Result<Observation> {
    trace::start();
    let mut scanned = Vec::new();
    for nodes in [10, 2_000] {
        let store = Store::open(&directory.join(format!("{nodes}.db"))).await?;
        store
            .commit_runtime_state(append(None, chain(0, nodes)))
            .await?;
        trace::take();
        store
            .commit_runtime_state(append(Some(1), chain(nodes, 1)))
            .await?;
        scanned.push(trace::take().scanned());
    }
    let text = format!(
        "steps over {} rows, over {} after 10 nodes",
        scanned[1], scanned[0]
    );
    judge([scanned[1] > scanned[0]], text)
}

async fn beside_a_large_frame(directory: PathBuf) -> Result<Observation> {
    let path = directory.join("session.db");
    let store = Store::open(&path).await?;
    let mut state = RuntimeSessionState {
        session_id: SESSION.to_owned(),
        ..RuntimeSessionState::default()
    };
    state.ensure_agent_frame_initialized();
    state.set_execution_state_snapshot(Some(noise(MIB)));
    let first = RuntimeCommit {
        graph: append(None, Vec::new()).graph,
        ..RuntimeCommit::persisted_state(&state, &[])
    };
    let second = RuntimeCommit {
        expected_head_revision: Some(1),
        ..first.clone()
    };
    store.commit_runtime_state(first).await?;
    empty_log(&path)?;
    store.commit_runtime_state(second).await?;
    let written = log_length(&path)?;
    let text = format!("writes {} KiB to change nothing", written / 1024);
    judge([written > LITTLE], text)
}

/// A commit of a checkpoint with 1 MiB that does not compress.
fn with_large_state(expected: Option<u64>) -> RuntimeCommit {
    let mut commit = commit(expected);
    commit.checkpoint.execution_state = Some(noise(MIB));
    commit
}

async fn large_state(directory: PathBuf) -> Result<Observation> {
    let path = directory.join("session.db");
    let store = Store::open(&path).await?;
    store.commit_runtime_state(with_large_state(None)).await?;
    let stored = Raw::open(&path).integer("SELECT sum(length(content)) FROM blobs");
    let percent = usize::try_from(stored)? * 100 / MIB;
    let text = format!("{percent} % of its length");
    judge([percent > 110], text)
}

/// Work that only uses memory leaves no trace but what it allocates. Whoever has
/// encoded the state before the lock is taken allocates little under it. The memory
/// of a sandbox is not counted; the suite `cost` shows when the component
/// takes the lock.
async fn known_state(directory: PathBuf) -> Result<Observation> {
    trace::start();
    let store = Store::open(&directory.join("session.db")).await?;
    store.commit_runtime_state(with_large_state(None)).await?;
    trace::take();
    store
        .commit_runtime_state(with_large_state(Some(1)))
        .await?;
    let allocated = trace::take().allocated_under_the_lock()?;
    let text = format!("allocates {} KiB under the write lock", allocated / 1024);
    judge([allocated > LITTLE], text)
}

async fn warm_commit(directory: PathBuf) -> Result<Observation> {
    trace::start();
    let store = Store::open(&directory.join("session.db")).await?;
    for revision in 0..3 {
        trace::take();
        let expected = (revision > 0).then_some(revision);
        let nodes = chain(usize::try_from(revision)? * 50, 50);
        store.commit_runtime_state(append(expected, nodes)).await?;
    }
    let compiled = trace::take().compiled();
    let text = format!("compiles {compiled} statements");
    judge([compiled > 5], text)
}

async fn longer_graph(directory: PathBuf) -> Result<Observation> {
    trace::start();
    let path = directory.join("session.db");
    let store = Store::open(&path).await?;
    let mut nodes: Vec<_> = (0..800_usize)
        .map(|number| {
            let parent = number.checked_sub(1).map(|parent| format!("n{parent}"));
            large_node(&format!("n{number}"), parent.as_deref(), 2_000)
        })
        .collect();
    store
        .commit_runtime_state(replace(None, nodes.clone()))
        .await?;
    empty_log(&path)?;
    trace::take();
    nodes.push(node("new", Some("n799")));
    store.commit_runtime_state(replace(Some(1), nodes)).await?;
    let inserted = trace::take().count(|run| run.sql.starts_with("INSERT INTO graph_nodes"));
    let written = log_length(&path)?;
    let text = format!("inserts {inserted} rows, writes {} KiB", written / 1024);
    judge([inserted > 1, written > LITTLE], text)
}
