//! Processes, host events and effects.

use lash_core::{
    EffectScope, HostEventStore, ProcessHandleDescriptor, ProcessRegistry, SessionScope,
};
use lash_wasm_store_testing::effects::{self, controller_of, effect, outcome, returning, run};
use lash_wasm_store_testing::fixtures::{Place, json};
use lash_wasm_store_testing::host_events::{self, host_draft, record, reserve, subscribe};
use lash_wasm_store_testing::process_fixtures::{self, register, success, tick, wake};

use super::{assert_complete, records};

#[tokio::test]
async fn records_hold_all_of_the_processes() {
    let place = Place::new();
    let registry = process_fixtures::open(place.path()).await;
    for id in ["a", "b", "c"] {
        register(&registry, &[id]).await;
        let descriptor = ProcessHandleDescriptor::new(Some("kind"), Some(id));
        let scope = SessionScope::for_agent_frame("session", "frame");
        registry.grant_handle(&scope, id, descriptor).await.unwrap();
        registry.append_event(id, tick(1)).await.unwrap();
        registry.append_event(id, wake("up")).await.unwrap();
    }
    registry
        .complete_process("b", success("done"))
        .await
        .unwrap();
    registry
        .claim_process_lease("a", "owner", 60_000)
        .await
        .unwrap();

    let found = records(place.path()).await;
    assert_complete(
        place.path(),
        &found,
        &[
            ("process", "processes"),
            ("process_event", "process_events"),
            ("process_handle", "process_grants"),
        ],
    );
    for process in &found["process"] {
        let id = process["id"].as_str().unwrap();
        let stored = registry.try_get_process(id).await.unwrap().unwrap();
        let events = registry.events_after(id, 0).await.unwrap();
        assert_eq!(process["last_event"], events.len(), "{id}");
        assert_eq!(process["content_encoding"], "json");
        assert_eq!(process["created_at_ms"], json(&stored)["created_at_ms"]);
        let of_process = found["process_event"]
            .iter()
            .filter(|event| event["process"] == process["sequence"]);
        let types: Vec<_> = of_process.map(|event| event["type"].clone()).collect();
        let stored: Vec<_> = events.iter().map(|event| json(&event.event_type)).collect();
        assert_eq!(types, stored);
    }
    assert_eq!(found["process"][0]["lease_owner"], "owner");
    assert_eq!(found["process"][1]["status"], "completed");
    assert!(!found["process"][1]["outcome"].is_null());
}

#[tokio::test]
async fn records_hold_all_of_the_host_events() {
    let place = Place::new();
    let store = host_events::open(place.path()).await;
    subscribe(&store, "a", "k").await;
    store.register_subscription(host_draft("k")).await.unwrap();
    let occurrence = record(&store, "k", "first").await;
    let deliveries = reserve(&store, &occurrence).await;
    store.settle_deliveries(&deliveries[..1]).await.unwrap();

    let found = records(place.path()).await;
    assert_complete(
        place.path(),
        &found,
        &[
            ("subscription", "subscriptions"),
            ("occurrence", "occurrences"),
            ("delivery", "deliveries"),
        ],
    );
    assert_eq!(found["occurrence"][0]["idempotency_key"], "first");
    assert_eq!(found["occurrence"][0]["content_encoding"], "json");
    assert_eq!(found["delivery"][0]["settled"], true);
    assert_eq!(found["delivery"][1]["settled"], false);
}

#[tokio::test]
async fn records_hold_all_of_the_effects() {
    let place = effects::place();
    let host = effects::open(place.path()).await;
    for turn in ["one", "two"] {
        let controller = controller_of(&host, EffectScope::turn("session", turn));
        for key in ["a", "b"] {
            run(&controller, effect(key), returning("told"))
                .await
                .unwrap();
        }
    }
    let found = records(place.path()).await;
    assert_complete(
        place.path(),
        &found,
        &[("effect_scope", "effect_scopes"), ("effect", "effects")],
    );
    for effect in &found["effect"] {
        assert_eq!(effect["status"], "completed");
        assert_eq!(effect["content"], json(&outcome("told")));
    }
}
