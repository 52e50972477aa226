//! Host events: subscribing, recording, reserving, forgetting.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use lash_core::{
    DurabilityTier, HostEventStore, ProcessOriginator, SessionScope, TriggerSubscriptionDraft,
    TriggerSubscriptionFilter,
};
use lash_wasm_store::{Durability, Error, SqliteHostEventStore, Store, StoreBuilder};
use lash_wasm_store_guest::bindings::exports::lash::store::host_events::{
    OccurrenceDraft, Settlement, SubscriptionFilter,
};
use lash_wasm_store_guest::host_events;
use lash_wasm_store_tests::fixtures::{Place, TestClock, at};
use lash_wasm_store_tests::fuzz::image;
use lash_wasm_store_tests::host_events::{
    SOURCE_TYPE, draft, handles, host_draft, listed, open, open_with, record, request, reserve,
    subscribe,
};
use lash_wasm_store_tests::recorder::Recorder;

fn everything() -> TriggerSubscriptionFilter {
    TriggerSubscriptionFilter::default()
}

fn message<T: std::fmt::Debug>(result: Result<T, lash_core::PluginError>) -> String {
    result.unwrap_err().to_string()
}

#[tokio::test]
async fn a_new_file_is_a_host_event_database() {
    let place = Place::new();
    let store = open(place.path()).await;
    assert_eq!(store.path(), place.path());
    assert_eq!(store.durability_tier(), DurabilityTier::Durable);
    assert!(format!("{store:?}").contains("session.db"));
    let raw = place.raw();
    assert_eq!(raw.integer("PRAGMA application_id"), 0x4c53_5348);
    assert_eq!(raw.integer("PRAGMA user_version"), 1);
    assert_eq!(raw.texts("PRAGMA journal_mode"), ["wal"]);
}

#[tokio::test]
async fn stores_in_memory_are_private() {
    let first = SqliteHostEventStore::memory().await.unwrap();
    let second = SqliteHostEventStore::open(Path::new(":memory:"))
        .await
        .unwrap();
    subscribe(&first, "s", "k").await;
    assert_eq!(first.path(), Path::new(":memory:"));
    assert_eq!(listed(&first, everything()).await, ["trigger:1"]);
    assert!(listed(&second, everything()).await.is_empty());
    assert!(!Path::new(":memory:").exists());
}

/// R15: the databases of host events and of effects of the native crate are both
/// version 1 and say nothing else about themselves, so each is opened as the
/// other.
#[tokio::test]
async fn a_database_of_another_kind_is_refused_and_not_touched() {
    for application_id in ["0x4c535350", "0x4c535345", "0x4c535353"] {
        let place = Place::new();
        let sql = format!(
            "CREATE TABLE t (x); PRAGMA application_id = {application_id}; PRAGMA user_version = 1"
        );
        let connection = rusqlite::Connection::open(place.path()).unwrap();
        connection.execute_batch(&sql).unwrap();
        drop(connection);
        let before = std::fs::read(place.path()).unwrap();
        let error = SqliteHostEventStore::open(place.path()).await.unwrap_err();
        assert!(matches!(error, Error::OtherKind { .. }), "{error}");
        assert!(error.to_string().contains("host event"), "{error}");
        assert_eq!(std::fs::read(place.path()).unwrap(), before);
    }

    let session = Place::new();
    drop(session.open().await);
    let error = SqliteHostEventStore::open(session.path())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::OtherKind { .. }), "{error}");
    let events = Place::new();
    drop(open(events.path()).await);
    let error = Store::open(events.path()).await.unwrap_err();
    assert!(matches!(error, Error::OtherKind { .. }), "{error}");
}

#[tokio::test]
async fn a_file_of_the_native_crate_is_refused_by_name() {
    let place = Place::new();
    std::fs::write(place.path(), image("native_host_events")).unwrap();
    let error = SqliteHostEventStore::open(place.path()).await.unwrap_err();
    assert!(
        matches!(error, Error::Foreign { version: 1, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("lash-sqlite-store"), "{error}");
}

#[tokio::test]
async fn a_subscription_is_answered_as_it_was_registered() {
    let place = Place::new();
    let clock = TestClock::at(1000);
    let store = open_with(clock.builder(), place.path()).await;
    let scope = SessionScope {
        session_id: "s".to_owned(),
        agent_frame_id: Some("frame".to_owned()),
    };
    let wanted = TriggerSubscriptionDraft {
        registrant: ProcessOriginator::session(scope),
        name: Some("a name".to_owned()),
        ..draft("s", "key")
    };
    let record = store.register_subscription(wanted.clone()).await.unwrap();
    assert_eq!(record.handle, "trigger:1");
    assert_eq!(record.subscription_id, "subscription:1");
    assert_eq!(record.registrant_scope_id(), "session:s/frame:frame");
    assert_eq!(record.registrant, wanted.registrant);
    assert_eq!(record.env_ref, wanted.env_ref);
    assert_eq!(record.wake_target, wanted.wake_target);
    assert_eq!(record.name, wanted.name);
    assert_eq!(record.source, wanted.source);
    assert_eq!(record.event_ty, wanted.event_ty);
    assert_eq!(record.module_ref, wanted.module_ref);
    assert_eq!(record.required_surface_ref, wanted.required_surface_ref);
    assert_eq!(record.process_ref, wanted.process_ref);
    assert_eq!(record.process_name, wanted.process_name);
    assert_eq!(record.input_template, wanted.input_template);
    assert!(record.enabled);
    assert_eq!((record.created_at_ms, record.updated_at_ms), (1000, 1000));

    drop(store);
    let store = open_with(clock.builder(), place.path()).await;
    let read = store.list_subscriptions(everything()).await.unwrap();
    assert_eq!(read, std::slice::from_ref(&record));

    clock.set(2000);
    assert!(store.cancel_subscription("s", "trigger:1").await.unwrap());
    clock.set(3000);
    assert!(!store.cancel_subscription("s", "trigger:1").await.unwrap());
    let read = store.list_subscriptions(everything()).await.unwrap();
    assert!(!read[0].enabled);
    assert_eq!((read[0].created_at_ms, read[0].updated_at_ms), (1000, 2000));
}

#[tokio::test]
async fn lists_are_ordered_by_scope_and_then_by_the_text_of_the_handle() {
    let store = SqliteHostEventStore::memory().await.unwrap();
    for number in 0..12 {
        let session = if number % 4 == 3 { "a" } else { "b" };
        subscribe(&store, session, "key").await;
    }
    store
        .register_subscription(host_draft("key"))
        .await
        .unwrap();
    let expected = [
        "trigger:13", // host
        "trigger:12", // session:a
        "trigger:4",
        "trigger:8",
        "trigger:1", // session:b
        "trigger:10",
        "trigger:11",
        "trigger:2",
        "trigger:3",
        "trigger:5",
        "trigger:6",
        "trigger:7",
        "trigger:9",
    ];
    assert_eq!(listed(&store, everything()).await, expected);
    let by_type = TriggerSubscriptionFilter::for_source_type(SOURCE_TYPE);
    assert_eq!(listed(&store, by_type).await, expected);
    let occurrence = record(&store, "key", "1").await;
    assert_eq!(handles(&reserve(&store, &occurrence).await), expected);
}

#[tokio::test]
async fn every_filter_selects_what_agrees_with_all_of_it() {
    let store = SqliteHostEventStore::memory().await.unwrap();
    let mut drafts = Vec::new();
    for (session, key, name) in [
        ("a", "x", Some("one")),
        ("a", "y", None),
        ("b", "x", Some("one")),
        ("b", "x", Some("two")),
    ] {
        drafts.push(TriggerSubscriptionDraft {
            name: name.map(str::to_owned),
            ..draft(session, key)
        });
    }
    drafts.push(TriggerSubscriptionDraft {
        name: Some("one".to_owned()),
        ..host_draft("x")
    });
    drafts.push(TriggerSubscriptionDraft {
        source_type: "timer".to_owned(),
        process_name: "on_timer".to_owned(),
        ..draft("b", "x")
    });
    for draft in drafts {
        store.register_subscription(draft).await.unwrap();
    }
    for handle in ["trigger:3", "trigger:6"] {
        assert!(store.cancel_subscription("b", handle).await.unwrap());
    }
    let records = store.list_subscriptions(everything()).await.unwrap();
    assert_eq!(records.len(), 6);

    let text = |values: &[&str]| -> Vec<Option<String>> {
        let values = values.iter().map(|value| Some((*value).to_owned()));
        std::iter::once(None).chain(values).collect()
    };
    let template = draft("b", "x");
    let target = lashlang::TriggerTargetIdentity {
        module_ref: template.module_ref,
        required_surface_ref: template.required_surface_ref,
        process_ref: template.process_ref,
        process_name: "on_timer".to_owned(),
    };
    let mut combinations = 0;
    for session_id in text(&["a", "b", "c", "host"]) {
        for handle in text(&["trigger:3", "trigger:9", "3", "trigger:03"]) {
            for name in text(&["one", "three"]) {
                for source_type in text(&[SOURCE_TYPE, "timer"]) {
                    for source_key in text(&["x", "z"]) {
                        for enabled in [None, Some(true), Some(false)] {
                            for target in [None, Some(target.clone())] {
                                let filter = TriggerSubscriptionFilter {
                                    session_id: session_id.clone(),
                                    handle: handle.clone(),
                                    name: name.clone(),
                                    source_type: source_type.clone(),
                                    source_key: source_key.clone(),
                                    enabled,
                                    target,
                                };
                                let expected: Vec<_> = records
                                    .iter()
                                    .filter(|record| filter.matches(record))
                                    .cloned()
                                    .collect();
                                let found = store.list_subscriptions(filter.clone()).await.unwrap();
                                assert_eq!(found, expected, "{filter:?}");
                                combinations += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    assert_eq!(combinations, 5 * 5 * 3 * 3 * 3 * 3 * 2);
}

#[tokio::test]
async fn numbers_are_not_used_again_after_a_session_was_removed() {
    let place = Place::new();
    let store = open(place.path()).await;
    subscribe(&store, "a", "k").await;
    subscribe(&store, "b", "k").await;
    assert_eq!(store.delete_session_subscriptions("b").await.unwrap(), 1);
    assert_eq!(store.delete_session_subscriptions("b").await.unwrap(), 0);
    drop(store);
    let store = open(place.path()).await;
    assert_eq!(subscribe(&store, "a", "k").await, "trigger:3");
    assert_eq!(store.delete_session_subscriptions("a").await.unwrap(), 2);
    assert!(listed(&store, everything()).await.is_empty());
    assert_eq!(subscribe(&store, "a", "k").await, "trigger:4");
}

#[tokio::test]
async fn a_handle_of_another_form_or_session_is_unknown() {
    let store = SqliteHostEventStore::memory().await.unwrap();
    subscribe(&store, "a", "k").await;
    store.register_subscription(host_draft("k")).await.unwrap();
    for (session, handle) in [
        ("b", "trigger:1"),
        ("a", "1"),
        ("a", "trigger:01"),
        ("a", "trigger:18446744073709551615"),
        ("a", "trigger:9223372036854775807"),
        ("a", "trigger:0"),
        ("a", ""),
        ("host", "trigger:2"),
    ] {
        let cancelled = store.cancel_subscription(session, handle).await.unwrap();
        assert!(!cancelled, "{session} {handle}");
    }
    assert!(store.cancel_subscription("a", "trigger:1").await.unwrap());
}

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
        record(&store, "k", &number.to_string()).await;
    }
    clock.set(i64::MAX);
    record(&store, "k", "last").await;
    let far = UNIX_EPOCH + Duration::from_secs(1 << 50);
    assert_eq!(store.prune_occurrences(far).await.unwrap(), 600);
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
            assert!(unsettled.is_empty());
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
    assert_eq!(host_events::prune(&env, 0, u32::MAX).unwrap(), 0);
    assert_eq!(host_events::prune(&env, u64::MAX, 0).unwrap(), 0);
    env.advance(1);
    assert_eq!(host_events::prune(&env, u64::MAX, u32::MAX).unwrap(), 1);
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

#[tokio::test]
async fn ten_thousand_subscriptions_are_listed_and_reserved() {
    let place = Place::new();
    let builder = StoreBuilder::new().durability(Durability::Normal);
    let store = Arc::new(open_with(builder, place.path()).await);
    let prototype = draft("a", "k");
    let mut registrations = tokio::task::JoinSet::new();
    for _ in 0..10_000 {
        let (store, draft) = (Arc::clone(&store), prototype.clone());
        registrations.spawn(async move { store.register_subscription(draft).await });
    }
    for registered in registrations.join_all().await {
        registered.unwrap();
    }
    let found = listed(&*store, everything()).await;
    assert_eq!(found.len(), 10_000);
    assert_eq!(found[0], "trigger:1");
    assert_eq!(found[1], "trigger:10");
    assert_eq!(found[2], "trigger:100");
    let occurrence = record(&*store, "k", "1").await;
    assert_eq!(reserve(&*store, &occurrence).await.len(), 10_000);

    place
        .raw()
        .damage("DELETE FROM subscriptions WHERE seq = 5000");
    let error = message(store.list_subscriptions(everything()).await);
    assert!(error.contains("9999 of 10000 rows"), "{error}");
}
