//! Deliveries that a crash loses, or that nobody asked for.

use std::path::PathBuf;

use anyhow::Result;
use lash_core::HostEventStore;
use lash_wasm_store_testing::host_events::{record, reserve, subscribe};

use super::engine::{self, SqliteHostEventStore, SqliteProcessRegistry};
use crate::observation::Observation;
use crate::scenario::Scenario;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![Scenario::new(
        "D11",
        "a crash between reserving a delivery and starting it; a subscription after the event",
        |directory| Box::pin(crash_after_reserving(directory)),
    )]
}

async fn crash_after_reserving(directory: PathBuf) -> Result<Observation> {
    let path = directory.join("host-events.db");
    let registry = SqliteProcessRegistry::open(&directory.join("processes.db")).await?;
    let store = SqliteHostEventStore::open(&path).await?;
    subscribe(&store, "session", "button").await;
    let occurrence = record(&store, "button", "pressed").await;
    let reserved = reserve(&store, &occurrence).await.len();
    anyhow::ensure!(reserved == 1, "the delivery is reserved");
    drop(store);

    let store = SqliteHostEventStore::open(&path).await?;
    let again = store.reserve_matching_deliveries(&occurrence).await?.len();
    anyhow::ensure!(again == 0, "it is reserved once");
    let found = engine::unstarted(&store, &registry).await?;
    subscribe(&store, "later", "button").await;
    let late = store.reserve_matching_deliveries(&occurrence).await?.len();
    Ok(match (found, late) {
        (None, 1) => {
            Observation::defect("the delivery is lost; the subscription fires for the past")
        }
        (Some(1), 0) => Observation::right("the delivery is found; the subscription does not fire"),
        (found, late) => anyhow::bail!("{found:?}, {late}"),
    })
}
