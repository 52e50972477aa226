//! Databases of host events.

use std::fs;

use lash_core::{
    HostEventOccurrenceRequest, HostEventStore, PluginError, TriggerSubscriptionFilter,
};
use lash_wasm_store::{DatabaseKind, SqliteHostEventStore, SqliteProcessRegistry};
use lash_wasm_store_testing::damage::wait_until_closed;
use lash_wasm_store_testing::fixtures::json;
use lash_wasm_store_testing::host_events::{
    SOURCE_TYPE, draft, handles, host_draft, listed, record, request, reserve, subscribe, timeless,
};
use lash_wasm_store_testing::process_fixtures::registration;
use serde_json::json;

use crate::files::{Files, assert_sound, image};
use crate::processes::{assert_counted, workload::shown};
use crate::session::answers::{Answers, assert_equal};

/// What was reported, by idempotency key: the source, and whether it was reserved.
const REPORTED: [(&str, &str, bool); 4] = [
    ("first", "a-source", true),
    ("second", "another", true),
    ("third", "a-source", false),
    ("to nobody", "unknown", true),
];

fn reported(key: &str, source: &str) -> HostEventOccurrenceRequest {
    HostEventOccurrenceRequest {
        payload: json!({ "z": 1, "a": [0.1, "é\u{0}"], "key": key }),
        source: (key == "second").then(|| json!({ "b": null, "a": 1 })),
        ..request(source, key)
    }
}

/// Does everything that a store can be told.
pub(crate) async fn workload(store: &dyn HostEventStore) {
    subscribe(store, "gone", "a-source").await;
    subscribe(store, "a-session", "a-source").await;
    for (key, source, reserved) in REPORTED {
        let occurrence = store
            .record_occurrence(reported(key, source))
            .await
            .unwrap();
        if key == "second" {
            // It came later, and the native crate delivers to it all the same.
            let mut named = draft("a-session", "another");
            named.name = Some("a name".to_owned());
            store.register_subscription(named).await.unwrap();
            store
                .register_subscription(host_draft("another"))
                .await
                .unwrap();
            subscribe(store, "cancelled", "another").await;
        }
        if reserved {
            reserve(store, &occurrence.occurrence_id).await;
        }
    }
    for _ in 0..7 {
        subscribe(store, "a-session", "a-source").await;
    }
    assert!(
        store
            .cancel_subscription("cancelled", "trigger:5")
            .await
            .unwrap()
    );
    store.delete_session_subscriptions("gone").await.unwrap();
    // The highest number is gone, and is not given out again.
    subscribe(store, "gone", "another").await;
    store.delete_session_subscriptions("gone").await.unwrap();
}

/// How many subscriptions the workload leaves.
const SUBSCRIPTIONS: usize = 11;

/// The number that the next subscription gets.
const NEXT: &str = "trigger:14";

/// Asks everything that reads, of a store that may be damaged.
pub(crate) async fn answers(store: &dyn HostEventStore) -> Answers {
    let mut answers = Answers::new();
    let of = |filter: serde_json::Value| -> TriggerSubscriptionFilter {
        TriggerSubscriptionFilter {
            session_id: filter["session"].as_str().map(str::to_owned),
            handle: filter["handle"].as_str().map(str::to_owned),
            name: filter["name"].as_str().map(str::to_owned),
            source_type: filter["type"].as_str().map(str::to_owned),
            source_key: filter["key"].as_str().map(str::to_owned),
            enabled: filter["enabled"].as_bool(),
            ..TriggerSubscriptionFilter::default()
        }
    };
    for filter in [
        json!({}),
        json!({ "session": "a-session" }),
        json!({ "session": "gone" }),
        json!({ "handle": "trigger:5" }),
        json!({ "handle": "trigger:1" }),
        json!({ "name": "a name" }),
        json!({ "type": SOURCE_TYPE }),
        json!({ "type": SOURCE_TYPE, "key": "another" }),
        json!({ "enabled": true }),
        json!({ "enabled": false }),
    ] {
        let found = store.list_subscriptions(of(filter.clone())).await;
        answers.insert(format!("list {filter}"), shown(found));
    }
    answers
}

/// Everything is answered alike, and goes on alike, while the native crate still has its
/// file open.
#[tokio::test(flavor = "multi_thread")]
async fn host_events_are_answered_alike_after_an_import() {
    let files = Files::new();
    let native = lash_sqlite_store::SqliteHostEventStore::open(&files.source())
        .await
        .unwrap();
    workload(&native).await;
    let before = image(&files.source());
    let report = SqliteHostEventStore::import_native(&files.source(), &files.destination())
        .await
        .unwrap();
    assert_eq!(report.kind, DatabaseKind::HostEvents);
    assert!(report.is_complete(), "{:?}", report.losses);
    assert_eq!(report.records.len(), 3);
    assert_counted(&report, &files);
    assert_eq!(image(&files.source()), before, "the source is as it was");
    assert_sound(&files.destination()).await;

    let ours = SqliteHostEventStore::open(&files.destination())
        .await
        .unwrap();
    let expected = answers(&native).await;
    let listed = expected["list {}"]["ok"].as_array().unwrap();
    assert_eq!(listed.len(), SUBSCRIPTIONS);
    assert_equal(&expected, &answers(&ours).await);
    go_on(&native, &ours).await;
    drop(ours);
    assert_sound(&files.destination()).await;
}

/// A report that is repeated is the same occurrence, and what was reserved is not
/// reserved again; the rest is.
async fn go_on(native: &dyn HostEventStore, ours: &dyn HostEventStore) {
    for (key, source, _) in REPORTED {
        let expected = native
            .record_occurrence(reported(key, source))
            .await
            .unwrap();
        let found = ours.record_occurrence(reported(key, source)).await.unwrap();
        assert_eq!(json(&found), json(&expected));
        let other = reported("another payload", source);
        let other = HostEventOccurrenceRequest {
            idempotency_key: key.to_owned(),
            ..other
        };
        assert_eq!(
            conflict(native.record_occurrence(other.clone()).await),
            conflict(ours.record_occurrence(other).await)
        );
        for _ in 0..2 {
            let expected = reserve(native, &expected.occurrence_id).await;
            let found = reserve(ours, &found.occurrence_id).await;
            assert_eq!(json(&found), json(&expected), "{key}");
        }
    }
    for (session, handle) in [
        ("a-session", "trigger:2"),
        ("another", "trigger:3"),
        ("cancelled", "trigger:5"),
        ("a-session", "trigger:1"),
    ] {
        assert_eq!(
            native.cancel_subscription(session, handle).await.unwrap(),
            ours.cancel_subscription(session, handle).await.unwrap(),
            "{session} {handle}"
        );
    }
    let expected = native
        .register_subscription(draft("new", "a-source"))
        .await
        .unwrap();
    let found = ours
        .register_subscription(draft("new", "a-source"))
        .await
        .unwrap();
    assert_eq!(found.handle, NEXT);
    assert_eq!(timeless(found), timeless(expected));
    let occurrence = record(ours, "a-source", "new").await;
    let expected = record(native, "a-source", "new").await;
    assert_eq!(occurrence, expected);
    assert_eq!(
        handles(&reserve(ours, &occurrence).await),
        handles(&reserve(native, &expected).await)
    );
    assert_eq!(
        native
            .delete_session_subscriptions("a-session")
            .await
            .unwrap(),
        ours.delete_session_subscriptions("a-session")
            .await
            .unwrap()
    );
}

/// What reports that are repeated are answered, and what they start then.
pub(crate) async fn repeated(store: &dyn HostEventStore) -> Answers {
    let mut answers = Answers::new();
    for (key, source, _) in REPORTED {
        let report = reported(key, source);
        let id = lash_core::deterministic_occurrence_id(&report).unwrap();
        let recorded = store.record_occurrence(report).await;
        answers.insert(format!("record {key}"), shown(recorded));
        let reserved = store.reserve_matching_deliveries(&id).await;
        answers.insert(format!("reserve {key}"), shown(reserved));
    }
    answers
}

fn conflict<T: serde::Serialize>(answer: Result<T, PluginError>) -> String {
    let text = shown(answer)["error"].to_string();
    assert!(text.contains("conflict"), "{text}");
    text
}

/// The native crate loses what it reserved and did not start, if it stops in between.
/// After an import it is found, by which processes there are.
#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_unstarted_until_their_processes_are_found() {
    let files = Files::new();
    let native = lash_sqlite_store::SqliteHostEventStore::open(&files.source())
        .await
        .unwrap();
    for session in ["a", "b"] {
        subscribe(&native, session, "a-source").await;
    }
    let occurrence = record(&native, "a-source", "key").await;
    let reserved = reserve(&native, &occurrence).await;
    let registry = SqliteProcessRegistry::memory().await.unwrap();
    let started = registration(&reserved[0].process_id);
    lash_core::ProcessRegistry::register_process(&registry, started)
        .await
        .unwrap();
    SqliteHostEventStore::import_native(&files.source(), &files.destination())
        .await
        .unwrap();
    let ours = SqliteHostEventStore::open(&files.destination())
        .await
        .unwrap();
    let unstarted = ours.unstarted_deliveries(&registry).await.unwrap();
    assert_eq!(json(&unstarted), json(&reserved[1..].to_vec()));
}

/// A store in which nothing was ever registered, and one in which nothing is left.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_number_is_that_of_the_native_crate() {
    for registered in [0, 3] {
        let files = Files::new();
        let native = lash_sqlite_store::SqliteHostEventStore::open(&files.source())
            .await
            .unwrap();
        for _ in 0..registered {
            subscribe(&native, "gone", "a-source").await;
        }
        native.delete_session_subscriptions("gone").await.unwrap();
        SqliteHostEventStore::import_native(&files.source(), &files.destination())
            .await
            .unwrap();
        let ours = SqliteHostEventStore::open(&files.destination())
            .await
            .unwrap();
        let expected = subscribe(&native, "new", "a-source").await;
        assert_eq!(subscribe(&ours, "new", "a-source").await, expected);
    }
}

const DELIVERY_2: &str = "host_event_deliveries: host_event:FIRST subscription:2";
const DELIVERY_5: &str = "host_event_deliveries: host_event:SECOND subscription:5";
const THIRD: &str = "host_event_occurrences: host_event:THIRD";

/// Statements, and what is named then, with the names of occurrences in capitals.
const CASES: &[(&str, &[&str])] = &[
    (
        "UPDATE host_event_trigger_subscriptions SET record_json = '' WHERE handle = 'trigger:2'",
        &[
            "host_event_trigger_subscriptions: subscription:2",
            DELIVERY_2,
        ],
    ),
    (
        "UPDATE host_event_trigger_subscriptions SET enabled = 7 WHERE handle = 'trigger:6'",
        &["host_event_trigger_subscriptions: subscription:6"],
    ),
    (
        "UPDATE host_event_trigger_subscriptions SET enabled = 1 WHERE handle = 'trigger:5'",
        &[
            "host_event_trigger_subscriptions: subscription:5",
            DELIVERY_5,
        ],
    ),
    (
        "UPDATE host_event_trigger_subscriptions SET source_key = 'x' WHERE handle = 'trigger:6'",
        &["host_event_trigger_subscriptions: subscription:6"],
    ),
    (
        "UPDATE host_event_trigger_subscriptions SET subscription_id = 'subscription:06'
         WHERE handle = 'trigger:6'",
        &["host_event_trigger_subscriptions: subscription:06"],
    ),
    (
        "UPDATE host_event_trigger_subscriptions SET handle = 'trigger:90',
             record_json = json_set(record_json, '$.handle', 'trigger:90')
         WHERE handle = 'trigger:6'",
        &["host_event_trigger_subscriptions: subscription:6"],
    ),
    (
        "DELETE FROM host_event_trigger_subscriptions WHERE handle = 'trigger:2'",
        &[DELIVERY_2],
    ),
    (
        "UPDATE host_event_occurrences SET record_json = replace(record_json, '\"z\":1', '\"z\":2')
         WHERE idempotency_key = 'third'",
        &[THIRD],
    ),
    (
        "UPDATE host_event_occurrences SET request_hash = 'x' WHERE idempotency_key = 'third'",
        &[THIRD],
    ),
    (
        "UPDATE host_event_occurrences SET idempotency_key = 'x' WHERE idempotency_key = 'third'",
        &[THIRD],
    ),
    (
        "UPDATE host_event_occurrences SET idempotency_key = 'x',
             record_json = json_set(record_json, '$.idempotency_key', 'x')
         WHERE idempotency_key = 'third'",
        &[THIRD],
    ),
    (
        "UPDATE host_event_occurrences SET occurred_at_ms = 'now' WHERE idempotency_key = 'third'",
        &[THIRD],
    ),
    (
        "DELETE FROM host_event_occurrences WHERE idempotency_key = 'first'",
        &[DELIVERY_2],
    ),
    (
        "UPDATE host_event_deliveries SET process_id = 'x' WHERE subscription_id = 'subscription:2'",
        &[DELIVERY_2],
    ),
    (
        "UPDATE host_event_deliveries SET created_at_ms = 'x'
         WHERE subscription_id = 'subscription:2'",
        &[DELIVERY_2],
    ),
    // More numbers were given out than it says.
    ("DELETE FROM host_event_subscription_seq", &[]),
    (
        "UPDATE sqlite_sequence SET seq = -1 WHERE (SELECT count(*) FROM host_event_subscription_seq)",
        &[],
    ),
];

/// The identifier that the workload gives an occurrence.
fn identifier(place: usize) -> String {
    let (key, source, _) = REPORTED[place];
    lash_core::deterministic_occurrence_id(&reported(key, source)).unwrap()
}

/// What is damaged is named, and the rest is imported.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_is_named() {
    let files = Files::new();
    let native = lash_sqlite_store::SqliteHostEventStore::open(&files.source())
        .await
        .unwrap();
    workload(&native).await;
    drop(native);
    wait_until_closed(&files.source());
    let bytes = fs::read(files.source()).unwrap();
    for (sql, losses) in CASES {
        let mut expected = Vec::new();
        for loss in *losses {
            let loss = loss.replace("host_event:FIRST", &identifier(0));
            let loss = loss.replace("host_event:SECOND", &identifier(1));
            expected.push(loss.replace("host_event:THIRD", &identifier(2)));
        }
        let files = Files::damaged(&bytes, sql);
        if !expected.is_empty() {
            assert_eq!(files.refused_losses().await, expected, "{sql}");
        }
        assert_eq!(files.partial_losses().await, expected, "{sql}");
        assert_sound(&files.destination()).await;
        let ours = SqliteHostEventStore::open(&files.destination())
            .await
            .unwrap();
        let lost = losses
            .iter()
            .filter(|loss| loss.contains("_subscriptions: "))
            .count();
        let deleted = usize::from(sql.starts_with("DELETE FROM host_event_trigger"));
        let found = listed(&ours, TriggerSubscriptionFilter::default()).await;
        assert_eq!(found.len(), SUBSCRIPTIONS - lost - deleted, "{sql}");
        // Numbers go on whatever is lost.
        assert_eq!(subscribe(&ours, "new", "a-source").await, NEXT, "{sql}");
    }
}

/// Who cannot tell which numbers were given out says so.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_are_lost_are_named() {
    let files = Files::new();
    let native = lash_sqlite_store::SqliteHostEventStore::open(&files.source())
        .await
        .unwrap();
    workload(&native).await;
    drop(native);
    wait_until_closed(&files.source());
    let bytes = fs::read(files.source()).unwrap();
    let files = Files::damaged(&bytes, "DELETE FROM host_event_subscription_seq");
    lash_wasm_store_testing::fixtures::Raw::open(&files.source())
        .execute("DELETE FROM sqlite_sequence");
    let expected = ["host_event_subscription_seq: "];
    assert_eq!(files.refused_losses().await, expected);
    assert_eq!(files.partial_losses().await, expected);
    let ours = SqliteHostEventStore::open(&files.destination())
        .await
        .unwrap();
    // The highest number that is known is 12.
    assert_eq!(subscribe(&ours, "new", "a-source").await, "trigger:13");
}
