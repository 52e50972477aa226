//! Subscriptions: registering, listing, cancelling.

use std::sync::Arc;

use lash_core::{
    HostEventStore, ProcessOriginator, SessionScope, TriggerSubscriptionDraft,
    TriggerSubscriptionFilter,
};
use lash_wasm_store::{Durability, SqliteHostEventStore, StoreBuilder};
use lash_wasm_store_testing::fixtures::{Place, TestClock};
use lash_wasm_store_testing::host_events::{
    SOURCE_TYPE, draft, handles, host_draft, listed, open, open_with, record, reserve, subscribe,
};

use super::{everything, message};

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
