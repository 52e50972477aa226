//! The head of a session: who may replace it, and what is read of it.

use std::path::PathBuf;
use std::sync::mpsc;

use anyhow::{Context, Result};
use lash_core::{RuntimePersistence, SessionReadScope};
use lash_wasm_store_testing::fixtures::{append, chain, full_checkpoint, node, replace, usage};
use tokio::sync::oneshot;

use super::engine::Store;
use crate::observation::Observation;
use crate::scenario::Scenario;
use crate::trace;

const FULL: SessionReadScope = SessionReadScope::FullGraph;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "D5",
            "two creators of one session, neither expects a revision",
            |directory| Box::pin(two_creators(directory)),
        ),
        Scenario::new(
            "D6",
            "a session is loaded while another handle commits",
            |directory| Box::pin(load_beside_a_commit(directory)),
        ),
        Scenario::new(
            "D10",
            "a head is saved over revision 2, and copied to another store",
            |directory| Box::pin(saved_head(directory)),
        ),
    ]
}

async fn two_creators(directory: PathBuf) -> Result<Observation> {
    let path = directory.join("session.db");
    let (first, second) = (Store::open(&path).await?, Store::open(&path).await?);
    first
        .commit_runtime_state(replace(None, vec![node("first", None)]))
        .await?;
    let lost = second
        .commit_runtime_state(replace(None, vec![node("second", None)]))
        .await;
    let kept = first.load_session(FULL).await?;
    let kept = kept.is_some_and(|read| read.graph.find_node("first").is_some());
    Ok(match (lost, kept) {
        (Ok(_), false) => Observation::defect("both succeed; the work of the first is gone"),
        (Err(error), true) => Observation::right(format!("the second is refused: {error}")),
        (result, kept) => anyhow::bail!("{:?}, kept: {kept}", result.map(|_| ())),
    })
}

/// The commit comes when the load has read the head, and nothing else yet.
async fn load_beside_a_commit(directory: PathBuf) -> Result<Observation> {
    trace::start();
    let path = directory.join("session.db");
    let (writer, reader) = (Store::open(&path).await?, Store::open(&path).await?);
    writer
        .commit_runtime_state(append(None, chain(0, 3)))
        .await?;

    let (begin, begun) = oneshot::channel();
    let (end, ended) = mpsc::channel();
    let commit = tokio::spawn(async move {
        begun.await?;
        let committed = writer
            .commit_runtime_state(append(Some(1), chain(3, 5)))
            .await?;
        end.send(())?;
        anyhow::Ok(committed.head_revision)
    });
    trace::once_after("FROM session_head", move || {
        // If nobody listens the commit fails, and says so below.
        let _ = begin.send(());
        let _ = ended.recv();
    });
    let read = reader.load_session(FULL).await?.context("a session")?;
    anyhow::ensure!(commit.await?? == 2, "it is committed meanwhile");

    let text = format!(
        "revision {} with {} nodes",
        read.head_revision,
        read.graph.nodes.len()
    );
    Ok(match (read.head_revision, read.graph.nodes.len()) {
        (1, 3) | (2, 8) => Observation::right(text),
        _ => Observation::defect(format!("{text}, which never was")),
    })
}

async fn saved_head(directory: PathBuf) -> Result<Observation> {
    let store = Store::open(&directory.join("session.db")).await?;
    let mut first = append(None, chain(0, 1));
    first.checkpoint = full_checkpoint(1);
    first.usage_deltas = vec![usage("turn", "model", [1, 2, 3, 4])];
    store.commit_runtime_state(first).await?;
    let mut second = append(Some(1), chain(1, 1));
    second.checkpoint = full_checkpoint(1);
    store.commit_runtime_state(second).await?;

    let copy = Store::open(&directory.join("copy.db")).await?;
    copy.head_copy_from_store(&store).await;
    let copied = copy.load_session(FULL).await?.context("a copy")?;
    let state = copied
        .checkpoint
        .and_then(|checkpoint| checkpoint.execution_state);

    let head = store.load_session_head().await.context("a head")?;
    store.save_session_head(head).await;
    let saved = store.load_session_head_meta().await.context("a head")?;
    let revision = saved.head_revision;
    Ok(match (revision, state) {
        (0, None) => {
            Observation::defect("its revision is 0 again; the copy has no execution state")
        }
        (3, Some(_)) => Observation::right("its revision is 3; the copy is whole"),
        (revision, state) => anyhow::bail!("revision {revision}, {state:?}"),
    })
}
