//! The host events of a deployment.

use std::path::Path;

use lash_core::HostEventStore;
use lash_wasm_store::Durability;
use lash_wasm_store_testing::damage::wait_until_closed;
use lash_wasm_store_testing::fixtures::at;
use lash_wasm_store_testing::host_events::{record, reserve, subscribe};

use crate::proof::{ready, step, steps};
use crate::state::{NOW_MS, clock, contents, failure, power};

power! {
    store: super::work, super::state;
}

async fn state(base: &Path) -> Result<String, String> {
    let path = base.join("events.db");
    let store = clock().builder().open_host_event_store(&path).await;
    let store = store.map_err(failure)?;
    let contents = contents(&path).await?;
    store.close().await;
    Ok(contents)
}

async fn work(base: &Path, durability: Durability) {
    let path = base.join("events.db");
    let clock = clock();
    let open = || {
        let builder = clock.builder().durability(durability);
        builder.open_host_event_store(&path)
    };
    let store = steps(true, open()).await.unwrap();
    ready();
    step(true, subscribe(&store, "a", "k")).await;
    let handle = step(true, subscribe(&store, "b", "k")).await;
    let first = step(true, record(&store, "k", "first")).await;
    let deliveries = step(true, reserve(&store, &first)).await;
    assert_eq!(deliveries.len(), 2);
    step(true, store.settle_deliveries(&deliveries[..1]))
        .await
        .unwrap();
    let second = step(true, record(&store, "k", "second")).await;
    step(true, store.cancel_subscription("b", &handle))
        .await
        .unwrap();
    store.close().await;
    wait_until_closed(&path);
    let store = steps(true, open()).await.unwrap();
    let later = step(true, reserve(&store, &second)).await;
    step(true, store.settle_deliveries(&later)).await.unwrap();
    step(true, store.settle_deliveries(&deliveries))
        .await
        .unwrap();
    clock.advance(10_000);
    let before = at(NOW_MS.cast_unsigned() + 1);
    // What is removed may come back.
    let pruned = steps(false, store.prune_occurrences(before)).await;
    assert_eq!(pruned.unwrap(), 2);
    step(true, store.delete_session_subscriptions("a"))
        .await
        .unwrap();
    store.close().await;
    wait_until_closed(&path);
}
