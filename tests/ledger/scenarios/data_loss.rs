//! D1 to D17: work that is lost, or answered wrongly.

use std::path::PathBuf;

use anyhow::Result;
use lash_core::{RuntimePersistence, SessionReadScope};
use lash_wasm_store_tests::fixtures::{Raw, checkpointed, node, replace};

use super::engine::{self, Store};
use crate::observation::Observation;
use crate::scenario::Scenario;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "D1",
            "garbage collection while the head can not be decoded",
            |directory| Box::pin(gc_under_a_damaged_head(directory)),
        ),
        Scenario::new(
            "D5",
            "two creators of one session, neither expects a revision",
            |directory| Box::pin(two_creators(directory)),
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

    let collected = RuntimePersistence::gc_unreachable(&store).await;
    let left = raw.integer(count);
    Ok(match collected {
        Ok(_) if left < blobs => {
            Observation::defect(format!("success; {left} of {blobs} live blobs are left"))
        }
        Ok(_) => Observation::right("success; every live blob is left"),
        Err(_) => Observation::right(format!("an error; {left} of {blobs} live blobs are left")),
    })
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
    let kept = first.load_session(SessionReadScope::FullGraph).await?;
    let kept = kept.is_some_and(|read| read.graph.find_node("first").is_some());
    Ok(match (lost, kept) {
        (Ok(_), false) => Observation::defect("both succeed; the work of the first is gone"),
        (Err(error), true) => Observation::right(format!("the second is refused: {error}")),
        (result, kept) => anyhow::bail!("{:?}, kept: {kept}", result.map(|_| ())),
    })
}
