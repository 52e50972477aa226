//! What effects, processes and host events cost.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use lash_core::{EffectHost, HostEventStore, ProcessInput, ProcessRegistration, ProcessRegistry};
use lash_wasm_store_testing::effects::{effect, forbidden, returning, run, turn};
use lash_wasm_store_testing::host_events::subscribe;
use lash_wasm_store_testing::process_fixtures::{registration, tick, wake};

use super::engine::{SqliteEffectHost, SqliteHostEventStore, SqliteProcessRegistry};
use super::{LITTLE, judge};
use crate::observation::Observation;
use crate::scenario::Scenario;
use crate::trace;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "P8",
            "10 effects replayed by a host that is opened anew",
            |directory| Box::pin(replays(directory)),
        ),
        Scenario::new(
            "P9",
            "an event of a process with 1 MiB of input, and a wait for one event after 500",
            |directory| Box::pin(events(directory)),
        ),
        Scenario::new(
            "P10",
            "a session cancels and deletes its subscriptions beside 500 of others",
            |directory| Box::pin(subscriptions(directory)),
        ),
    ]
}

async fn replays(directory: PathBuf) -> Result<Observation> {
    trace::start();
    let path = directory.join("effects.db");
    let host = SqliteEffectHost::open(&path).await?;
    let controller = host.scoped_static(turn())?.context("a controller")?;
    for number in 0..10 {
        run(
            &controller,
            effect(&format!("key {number}")),
            returning("done"),
        )
        .await?;
    }
    let host = SqliteEffectHost::open(&path).await?;
    let controller = host.scoped_static(turn())?.context("a controller")?;
    trace::take();
    for number in 0..10 {
        run(&controller, effect(&format!("key {number}")), forbidden()).await?;
    }
    let locks = trace::take().locks();
    let text = format!("{locks} write locks");
    judge([locks > 0], text)
}

async fn events(directory: PathBuf) -> Result<Observation> {
    trace::start();
    let registry = SqliteProcessRegistry::open(&directory.join("processes.db")).await?;
    let input = "x".repeat(1 << 20);
    registry
        .register_process(ProcessRegistration {
            input: Arc::new(ProcessInput::External {
                metadata: serde_json::json!(input),
            }),
            ..registration("large")
        })
        .await?;
    trace::take();
    registry.append_event("large", tick(1)).await?;
    let allocated = trace::take().allocated_under_the_lock()?;

    registry.register_process(registration("long")).await?;
    for number in 0..500 {
        registry.append_event("long", tick(number)).await?;
    }
    registry.append_event("long", wake("now")).await?;
    let event = registry.wait_event_after("long", "wake", 0).await?;
    anyhow::ensure!(event.sequence == 501);
    trace::take();
    let event = registry.wait_event_after("long", "wake", 0).await?;
    anyhow::ensure!(event.sequence == 501);
    let rows = trace::take().rows;
    let text = format!(
        "allocates {} KiB under the write lock; reads {rows} rows",
        allocated / 1024
    );
    judge([allocated > LITTLE, rows > 50], text)
}

async fn subscriptions(directory: PathBuf) -> Result<Observation> {
    trace::start();
    let store = SqliteHostEventStore::open(&directory.join("events.db")).await?;
    for number in 0..500 {
        subscribe(&store, &format!("another {number}"), "a source").await;
    }
    // In the order of scopes it comes last.
    let handle = subscribe(&store, "mine", "a source").await;
    trace::take();
    anyhow::ensure!(store.cancel_subscription("mine", &handle).await?);
    let scanned = trace::take().scanned();
    let deleted = store.delete_session_subscriptions("mine").await?;
    anyhow::ensure!(deleted == 1);
    let rows = trace::take().rows;
    let text = format!("to cancel, steps over {scanned} rows; to delete, reads {rows} rows");
    judge([scanned > 0, rows > 50], text)
}
