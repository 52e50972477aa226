//! What is forgotten, and what is not.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use lash_core::HostEventStore;
use lash_wasm_store_testing::fixtures::{Place, TestClock, at};
use lash_wasm_store_testing::host_events::{open_with, record, reserve, subscribe};

use super::message;

#[tokio::test]
async fn what_occurred_long_ago_is_forgotten_once_it_is_settled() {
    let place = Place::new();
    let clock = TestClock::at(1000);
    let store = open_with(clock.builder(), place.path()).await;
    subscribe(&store, "a", "k").await;
    let old = record(&store, "k", "old").await;
    let old_deliveries = reserve(&store, &old).await;
    let unheard = record(&store, "nobody", "unheard").await;
    clock.set(2000);
    let young = record(&store, "k", "young").await;
    let young_deliveries = reserve(&store, &young).await;

    assert_eq!(store.prune_occurrences(at(1000)).await.unwrap(), 0);
    // What was never reserved may still be delivered.
    assert_eq!(store.prune_occurrences(at(1001)).await.unwrap(), 0);
    assert!(reserve(&store, &unheard).await.is_empty());
    assert_eq!(store.prune_occurrences(at(1001)).await.unwrap(), 1);
    let error = message(store.reserve_matching_deliveries(&unheard).await);
    assert!(error.contains("unknown host event occurrence"), "{error}");
    assert!(reserve(&store, &old).await.is_empty());

    store.settle_deliveries(&young_deliveries).await.unwrap();
    store.settle_deliveries(&old_deliveries).await.unwrap();
    assert_eq!(store.prune_occurrences(at(2000)).await.unwrap(), 1);
    let raw = place.raw();
    for table in ["occurrences", "occurrence_payloads", "deliveries"] {
        let count = raw.integer(&format!("SELECT count(*) FROM {table}"));
        assert_eq!(count, 1, "{table}");
    }

    // Its key is new again, and no number is used twice.
    assert_eq!(record(&store, "k", "old").await, old);
    assert_eq!(reserve(&store, &old).await.len(), 1);
    assert!(reserve(&store, &young).await.is_empty());
    assert_eq!(raw.integer("SELECT max(number) FROM occurrences"), 4);
    assert_eq!(raw.integer("SELECT max(number) FROM deliveries"), 3);

    let before_time = UNIX_EPOCH - Duration::from_secs(1);
    assert_eq!(store.prune_occurrences(before_time).await.unwrap(), 0);
}

#[tokio::test]
async fn more_is_forgotten_than_goes_into_one_transaction() {
    let clock = TestClock::at(1);
    let store = open_with(clock.builder(), Path::new(":memory:")).await;
    for number in 0..600 {
        let id = record(&store, "k", &number.to_string()).await;
        reserve(&store, &id).await;
    }
    clock.set(i64::MAX);
    record(&store, "k", "last").await;
    let far = UNIX_EPOCH + Duration::from_secs(1 << 50);
    assert_eq!(store.prune_occurrences(far).await.unwrap(), 600);
}

#[tokio::test]
async fn removing_a_session_settles_what_was_reserved_for_it() {
    let clock = TestClock::at(1);
    let store = open_with(clock.builder(), Path::new(":memory:")).await;
    subscribe(&store, "a", "k").await;
    subscribe(&store, "b", "k").await;
    let occurrence = record(&store, "k", "1").await;
    let deliveries = reserve(&store, &occurrence).await;
    assert_eq!(store.delete_session_subscriptions("a").await.unwrap(), 1);
    let registry = lash_core::TestLocalProcessRegistry::default();
    let unstarted = store.unstarted_deliveries(&registry).await.unwrap();
    assert_eq!(unstarted, deliveries[1..]);
    assert_eq!(store.delete_session_subscriptions("b").await.unwrap(), 1);
    let later = at(1000);
    // A time in the future counts as now: what was just recorded stays.
    assert_eq!(store.prune_occurrences(later).await.unwrap(), 0);
    clock.set(2);
    assert_eq!(store.prune_occurrences(later).await.unwrap(), 1);
}
