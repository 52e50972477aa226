//! A crash between recording an occurrence and reserving its deliveries: it was never
//! delivered, nothing listed it, and pruning removed it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use lash_core::{HostEventStore, TestLocalProcessRegistry};
use lash_wasm_store_testing::child::{self, Child};
use lash_wasm_store_testing::fixtures::{Place, TestClock, at};
use lash_wasm_store_testing::host_events::{open, open_with, record, reserve, subscribe};

/// The process that records and is killed.
async fn record_and_wait(path: &Path) {
    let store = open(path).await;
    subscribe(&store, "s", "button").await;
    record(&store, "button", "first").await;
    println!("recorded");
    child::wait_to_be_told();
}

#[tokio::test]
async fn an_occurrence_that_was_not_reserved_before_a_kill_is_delivered() {
    if let Some(path) = child::file() {
        return record_and_wait(&path).await;
    }
    let place = Place::new();
    let test = an_occurrence_that_was_not_reserved_before_a_kill_is_delivered;
    let mut process = Child::start(test, place.path());
    process.wait_for("recorded");
    process.kill();

    let store = open(place.path()).await;
    let registry = TestLocalProcessRegistry::default();
    // Whatever is pruned first: it was not delivered.
    let later = SystemTime::now() + Duration::from_secs(60);
    assert_eq!(store.prune_occurrences(later).await.unwrap(), 0);
    for _ in 0..2 {
        let unstarted = store.unstarted_deliveries(&registry).await.unwrap();
        assert_eq!(unstarted.len(), 1);
        assert_eq!(unstarted[0].occurrence.idempotency_key, "first");
    }
    // What was reserved is not reserved again.
    let id = record(&store, "button", "first").await;
    assert!(
        store
            .reserve_matching_deliveries(&id)
            .await
            .unwrap()
            .is_empty()
    );
    let unstarted = store.unstarted_deliveries(&registry).await.unwrap();
    store.settle_deliveries(&unstarted).await.unwrap();
    assert!(
        store
            .unstarted_deliveries(&registry)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.prune_occurrences(later).await.unwrap(), 1);
}

/// One that nobody had subscribed to is over once that is known.
#[tokio::test]
async fn an_occurrence_that_nobody_subscribed_to_is_pruned_once_it_was_reserved() {
    let place = Place::new();
    let clock = TestClock::at(1_000);
    let store = open_with(clock.builder(), place.path()).await;
    let id = record(&store, "button", "nobody").await;
    clock.advance(60_000);
    let now = at(61_000);
    assert_eq!(store.prune_occurrences(now).await.unwrap(), 0);
    assert!(reserve(&store, &id).await.is_empty());
    assert_eq!(store.prune_occurrences(now).await.unwrap(), 1);

    record(&store, "button", "again").await;
    let registry = TestLocalProcessRegistry::default();
    assert!(
        store
            .unstarted_deliveries(&registry)
            .await
            .unwrap()
            .is_empty()
    );
    clock.advance(60_000);
    let now = at(121_000);
    assert_eq!(store.prune_occurrences(now).await.unwrap(), 1);
}
