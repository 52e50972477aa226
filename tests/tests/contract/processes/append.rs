//! Appending to a process that another handle has changed since: what a registry
//! knows from the call before is only a guess, and a wrong one changes no answer.

use std::time::{Duration, SystemTime};

use lash_core::{ProcessEventAppendRequest, ProcessRegistry};
use lash_wasm_store::SqliteProcessRegistry;
use lash_wasm_store_testing::fixtures::{Place, json};
use lash_wasm_store_testing::process_fixtures::{open, register, says, success, tick};

/// Two registries of one file. The first knows the process, which has one event.
async fn two(place: &Place) -> (SqliteProcessRegistry, SqliteProcessRegistry) {
    let one = open(place.path()).await;
    let other = open(place.path()).await;
    register(&one, &["p"]).await;
    assert_eq!(append(&one, tick(1)).await, 1);
    (one, other)
}

async fn append(registry: &SqliteProcessRegistry, request: ProcessEventAppendRequest) -> u64 {
    let appended = registry.append_event("p", request).await.unwrap();
    appended.event.sequence
}

#[tokio::test]
async fn events_of_two_registries_are_numbered_one_after_the_other() {
    let place = Place::new();
    let (one, other) = two(&place).await;
    for n in [2, 4, 6] {
        assert_eq!(append(&other, tick(n)).await, n);
        assert_eq!(append(&one, tick(n + 1)).await, n + 1);
    }
    assert_eq!(one.events_after("p", 0).await.unwrap().len(), 7);
}

#[tokio::test]
async fn an_event_that_another_registry_appended_is_not_appended_again() {
    let place = Place::new();
    let (one, other) = two(&place).await;
    let keyed = |n| tick(n).with_replay_key("a key");
    let first = other.append_event("p", keyed(2)).await.unwrap();
    let again = one.append_event("p", keyed(2)).await.unwrap();
    assert_eq!(json(&again.event), json(&first.event));
    // Also if it is the last that this registry knows of.
    let once_more = one.append_event("p", keyed(2)).await.unwrap();
    assert_eq!(json(&once_more.event), json(&first.event));
    let error = one.append_event("p", keyed(3)).await.unwrap_err();
    says(&error, "conflicts");
    assert_eq!(one.events_after("p", 0).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_process_that_another_registry_ended_does_not_end_again() {
    let place = Place::new();
    let (one, other) = two(&place).await;
    other
        .complete_process("p", success("the first"))
        .await
        .unwrap();
    let end = ProcessEventAppendRequest::new(
        "process.failed",
        serde_json::json!({ "await_output": success("the second") }),
    )
    .with_replay_key("another end");
    for _ in 0..2 {
        let error = one.append_event("p", end.clone()).await.unwrap_err();
        says(&error, "already terminal");
    }
    assert_eq!(append(&one, tick(2)).await, 3);
}

#[tokio::test]
async fn a_process_that_this_registry_ended_does_not_end_again() {
    let place = Place::new();
    let (one, _) = two(&place).await;
    let end = |key: &str| {
        ProcessEventAppendRequest::new(
            "process.completed",
            serde_json::json!({ "await_output": success("a result") }),
        )
        .with_replay_key(key)
    };
    assert_eq!(append(&one, end("an end")).await, 2);
    let error = one.append_event("p", end("another")).await.unwrap_err();
    says(&error, "already terminal");
    assert_eq!(append(&one, tick(2)).await, 3);
}

/// The bug: the registry that ended the process knew it as running, found that its lease
/// was gone when it ended the process again, and said so instead of that it had ended.
#[tokio::test]
async fn that_a_process_ended_is_said_before_that_a_lease_is_lost() {
    let place = Place::new();
    let (one, other) = two(&place).await;
    let end = ProcessEventAppendRequest::new(
        "process.completed",
        serde_json::json!({ "await_output": success("a result") }),
    )
    .with_replay_key("an end");
    append(&one, end).await;
    for registry in [&one, &other] {
        registry
            .claim_process_lease("p", "an owner", 0)
            .await
            .unwrap();
    }
    let error = one
        .complete_process("p", success("again"))
        .await
        .unwrap_err();
    says(&error, "already terminal");
}

/// A process that is registered again under the identifier of one that was removed
/// has events of its own, although as many as the other had.
#[tokio::test]
async fn an_event_is_for_the_process_that_has_the_identifier_now() {
    let place = Place::new();
    let (one, other) = two(&place).await;
    one.complete_process("p", success("done")).await.unwrap();
    assert_eq!(append(&one, tick(2)).await, 3);
    let later = SystemTime::now() + Duration::from_secs(60);
    assert_eq!(other.prune_ended(later, None).await.unwrap(), 1);
    let error = one.append_event("p", tick(3)).await.unwrap_err();
    says(&error, "unknown process");

    register(&other, &["p"]).await;
    assert_eq!(append(&one, tick(1)).await, 1);
    assert_eq!(append(&other, tick(2)).await, 2);
    assert_eq!(append(&other, tick(3)).await, 3);
    one.complete_process("p", success("done")).await.unwrap();
    let ended = other.get_process("p").await.unwrap();
    assert!(ended.is_terminal());
}
