//! Occurrences: recording, and reserving their deliveries.

use lash_core::{HostEventStore, TriggerSubscriptionDraft};
use lash_wasm_store::SqliteHostEventStore;
use lash_wasm_store_guest::bindings::host_event_types::{
    OccurrenceDraft, Settlement, SubscriptionFilter,
};
use lash_wasm_store_guest::host_events;
use lash_wasm_store_testing::fixtures::{Place, TestClock};
use lash_wasm_store_testing::host_events::{
    draft, handles, open, open_with, record, request, reserve, subscribe,
};
use lash_wasm_store_testing::recorder::Recorder;

use super::message;

#[tokio::test]
async fn an_occurrence_is_recorded_and_reserved_once_by_all_handles() {
    let place = Place::new();
    let first = open(place.path()).await;
    let second = open(place.path()).await;
    subscribe(&first, "a", "k").await;
    let clock = TestClock::at(77);
    let third = open_with(clock.builder(), place.path()).await;

    let recorded = third.record_occurrence(request("k", "once")).await.unwrap();
    assert_eq!(recorded.occurred_at_ms, 77);
    assert_eq!(recorded.payload, request("k", "once").payload);
    assert_eq!(recorded.idempotency_key, "once");
    for store in [&first, &second, &third] {
        let again = store.record_occurrence(request("k", "once")).await.unwrap();
        assert_eq!(again, recorded);
    }
    let id = &recorded.occurrence_id;
    let (one, two) = tokio::join!(reserve(&first, id), reserve(&second, id));
    assert_eq!(one.len() + two.len(), 1);
    assert!(reserve(&third, id).await.is_empty());

    drop((first, second, third));
    let store = open(place.path()).await;
    let again = store.record_occurrence(request("k", "once")).await.unwrap();
    assert_eq!(again, recorded);
    assert!(reserve(&store, id).await.is_empty());
}

#[tokio::test]
async fn an_idempotency_key_belongs_to_one_request() {
    let store = SqliteHostEventStore::memory().await.unwrap();
    record(&store, "k", "key").await;
    let conflict = "host event occurrence idempotency conflict for `key`";
    let other_payload = lash_core::HostEventOccurrenceRequest {
        payload: serde_json::json!(1),
        ..request("k", "key")
    };
    let other_source = request("k", "key").with_source(serde_json::json!({}));
    let other_key = lash_core::HostEventOccurrenceRequest {
        source_key: "another".to_owned(),
        ..request("k", "key")
    };
    for request in [other_payload, other_source, other_key] {
        let error = message(store.record_occurrence(request).await);
        assert!(error.contains(conflict), "{error}");
    }
    record(&store, "k", "another key").await;
}

#[tokio::test]
async fn requests_that_say_too_little_and_unknown_occurrences_are_errors() {
    let store = SqliteHostEventStore::memory().await.unwrap();
    for (source_key, key) in [("", "key"), ("k", " ")] {
        let error = message(store.record_occurrence(request(source_key, key)).await);
        assert!(error.contains("host event occurrence requires"), "{error}");
    }
    let error = message(store.reserve_matching_deliveries("nothing").await);
    assert!(
        error.contains("unknown host event occurrence `nothing`"),
        "{error}"
    );
}

/// D11, the second half: the native crate reserves an occurrence for whatever is
/// subscribed at the time of reserving. When an occurrence is reported again, it
/// starts processes for subscriptions that were registered long after it.
#[tokio::test]
async fn an_occurrence_is_not_delivered_to_a_subscription_that_came_later() {
    let place = Place::new();
    let store = open(place.path()).await;
    subscribe(&store, "a", "k").await;
    let before = record(&store, "k", "before").await;
    let never_reserved = record(&store, "k", "never reserved").await;
    assert_eq!(handles(&reserve(&store, &before).await), ["trigger:1"]);
    subscribe(&store, "a", "k").await;
    drop(store);

    let store = open(place.path()).await;
    assert_eq!(record(&store, "k", "before").await, before);
    assert!(reserve(&store, &before).await.is_empty());
    assert_eq!(
        handles(&reserve(&store, &never_reserved).await),
        ["trigger:1"]
    );
    let after = record(&store, "k", "after").await;
    assert_eq!(
        handles(&reserve(&store, &after).await),
        ["trigger:1", "trigger:2"]
    );
}

#[tokio::test]
async fn an_occurrence_goes_to_the_enabled_subscriptions_of_its_source_only() {
    let store = SqliteHostEventStore::memory().await.unwrap();
    subscribe(&store, "a", "k").await;
    subscribe(&store, "a", "another").await;
    subscribe(&store, "b", "k").await;
    store
        .register_subscription(TriggerSubscriptionDraft {
            source_type: "timer".to_owned(),
            ..draft("a", "k")
        })
        .await
        .unwrap();
    subscribe(&store, "c", "k").await;
    store.cancel_subscription("b", "trigger:3").await.unwrap();
    store.delete_session_subscriptions("c").await.unwrap();
    let occurrence = record(&store, "k", "1").await;
    assert_eq!(handles(&reserve(&store, &occurrence).await), ["trigger:1"]);
}

#[test]
fn numbers_of_any_size_are_harmless() {
    let env = Recorder::new(host_events::initialize);
    let occurrence = OccurrenceDraft {
        id: "id".to_owned(),
        idempotency_key: "key".to_owned(),
        request_hash: "hash".to_owned(),
        source_type: "type".to_owned(),
        source_key: "key".to_owned(),
        content: Vec::new(),
    };
    host_events::record_occurrence(&env, occurrence).unwrap();
    for number in [0, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
        assert!(!host_events::unsubscribe(&env, "a", number).unwrap());
        for limit in [0, 1, u32::MAX] {
            let unsettled = host_events::unsettled(&env, number, limit).unwrap();
            assert!(unsettled.fan_outs.is_empty() && unsettled.next.is_none());
            let unreserved = host_events::unreserved(&env, number, limit).unwrap();
            let expected = u64::from(number == 0 && limit > 0);
            assert_eq!(unreserved.occurrence_ids.len() as u64, expected);
        }
        let settlement = Settlement {
            occurrence_id: "id".to_owned(),
            subscriptions: vec![number],
        };
        host_events::settle(&env, &[settlement]).unwrap();
        let filter = SubscriptionFilter {
            session_id: None,
            sequence: Some(number),
            name: None,
            source_type: None,
            source_key: None,
            enabled: None,
        };
        let found = host_events::subscriptions(&env, &filter).unwrap();
        assert!(found.is_empty());
    }
    let prune = |before_ms, limit| {
        let pruned = host_events::prune(&env, before_ms, limit).unwrap();
        pruned.occurrences
    };
    env.advance(1);
    // It was never reserved.
    assert_eq!(prune(u64::MAX, u32::MAX), 0);
    host_events::reserve(&env, "id").unwrap();
    assert_eq!(prune(0, u32::MAX), 0);
    assert_eq!(prune(u64::MAX, 0), 0);
    assert_eq!(prune(u64::MAX, u32::MAX), 1);
}
