//! Lists that are longer than a page of the WIT, which holds about 1 MiB.

use std::sync::Arc;

use lash_core::{
    ProcessEventAppendRequest, ProcessHandleDescriptor, ProcessInput, ProcessListFilter,
    ProcessRegistry, SessionScope,
};
use lash_wasm_store_testing::fixtures::Place;
use lash_wasm_store_testing::process_fixtures::{open, registration};
use serde_json::json;

#[tokio::test]
async fn long_lists_are_read_whole_and_in_order() {
    let place = Place::new();
    let registry = open(place.path()).await;
    let scope = SessionScope::new("session");
    let text = "x".repeat(300_000);
    for id in ["d", "b", "a", "c", "e"] {
        let mut process = registration(id);
        process.input = Arc::new(ProcessInput::External {
            metadata: json!({ "text": text }),
        });
        registry.register_process(process).await.unwrap();
        let descriptor = ProcessHandleDescriptor::new(Some("kind"), Some(id));
        registry.grant_handle(&scope, id, descriptor).await.unwrap();
    }
    let records = registry
        .list_processes(&ProcessListFilter::default())
        .await
        .unwrap();
    let listed: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
    assert_eq!(listed, ["a", "b", "c", "d", "e"]);
    let handles = registry.list_handle_grants(&scope).await.unwrap();
    let granted: Vec<&str> = handles
        .iter()
        .map(|(_, record)| record.id.as_str())
        .collect();
    assert_eq!(granted, ["a", "b", "c", "d", "e"]);

    for number in 0..9 {
        let wake = number % 2 == 0;
        let event = match wake {
            true => ProcessEventAppendRequest::new("wake", json!({ "text": text })),
            false => ProcessEventAppendRequest::new("tick", json!({ "n": number })),
        };
        registry.append_event("a", event).await.unwrap();
    }
    for after in [0, 4, 8, 9, 100] {
        let events = registry.events_after("a", after).await.unwrap();
        let sequences: Vec<u64> = events.iter().map(|event| event.sequence).collect();
        assert_eq!(sequences, (after + 1..=9).collect::<Vec<_>>());
    }
    for after in [0, 3, 9] {
        let events = registry.wake_events_after("a", after).await.unwrap();
        let sequences: Vec<u64> = events.iter().map(|event| event.sequence).collect();
        let odd = (after + 1..=9).filter(|sequence| sequence % 2 == 1);
        assert_eq!(sequences, odd.collect::<Vec<_>>());
    }
}
