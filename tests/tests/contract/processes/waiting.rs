//! Waiting for events and for the end of a process.

use std::path::Path;
use std::pin::pin;

use lash_core::ProcessRegistry;
use lash_wasm_store::SqliteProcessRegistry;
use lash_wasm_store_testing::child::{self, Child};
use lash_wasm_store_testing::fixtures::{Place, TestClock, guarded, poll_once};
use lash_wasm_store_testing::process_fixtures::{
    open, open_with, register, says, success, tick, wake,
};

// R18, P9. The native crate makes its waiter after it has looked, so that a change in
// between wakes nobody, and papers over this by looking again every 50 ms: it decodes
// the whole record, or reads all events, each time and for everybody who waits.

/// In memory nothing else can wake: no other process, and no timer.
#[tokio::test]
async fn a_waiter_is_woken_by_the_change_itself() {
    let registry = SqliteProcessRegistry::memory().await.unwrap();
    register(&registry, &["p", "q"]).await;
    let mut end = pin!(registry.await_process("p"));
    let mut event = pin!(registry.wait_event_after("p", "wake", 0));
    assert!(poll_once(end.as_mut()).is_pending());
    assert!(poll_once(event.as_mut()).is_pending());
    registry
        .append_event("q", wake("another process"))
        .await
        .unwrap();
    registry.append_event("p", tick(1)).await.unwrap();
    registry.append_event("p", wake("it")).await.unwrap();
    assert_eq!(guarded(event).await.unwrap().sequence, 2);
    registry
        .complete_process("p", success("done"))
        .await
        .unwrap();
    assert_eq!(guarded(end).await.unwrap(), success("done"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost_in_a_race_of_waiting_and_ending() {
    let registry = std::sync::Arc::new(SqliteProcessRegistry::memory().await.unwrap());
    for round in 0..100 {
        let id = format!("p{round}");
        register(&registry, &[&id]).await;
        let waiting = tokio::spawn({
            let (registry, id) = (registry.clone(), id.clone());
            async move { registry.await_process(&id).await.unwrap() }
        });
        registry.complete_process(&id, success(&id)).await.unwrap();
        assert_eq!(guarded(waiting).await.unwrap(), success(&id));
    }
}

/// An append whose caller is gone is done to its end once it has begun, and others
/// who wait for it must not wait for ever.
#[tokio::test]
async fn a_waiter_is_woken_although_the_appender_has_gone() {
    let place = Place::new();
    let clock = TestClock::at(1_000);
    let registry = open_with(clock.builder(), place.path()).await;
    register(&registry, &["p"]).await;
    let mut waiting = pin!(registry.wait_event_after("p", "tick", 0));
    assert!(poll_once(waiting.as_mut()).is_pending());
    let raw = place.raw();
    let lock = raw.lock();
    let reads = clock.reads();
    {
        let mut appending = pin!(registry.append_event("p", tick(1)));
        assert!(poll_once(appending.as_mut()).is_pending());
        // It has looked at the clock: what is left for it is to wait for the lock.
        while clock.reads() == reads {
            tokio::task::yield_now().await;
        }
    }
    drop(lock);
    assert_eq!(guarded(waiting).await.unwrap().sequence, 1);
}

#[tokio::test]
async fn handles_of_one_file_wake_each_other() {
    let place = Place::new();
    let one = open(place.path()).await;
    let other = open(place.path()).await;
    register(&one, &["p"]).await;
    let mut waiting = pin!(one.wait_event_after("p", "tick", 0));
    assert!(poll_once(waiting.as_mut()).is_pending());
    other.append_event("p", tick(7)).await.unwrap();
    assert_eq!(guarded(waiting).await.unwrap().payload["n"], 7);
}

async fn appends_when_it_is_told(path: &Path) {
    let registry = open(path).await;
    println!("ready");
    child::wait_to_be_told();
    registry.append_event("p", tick(1)).await.unwrap();
    registry
        .complete_process("p", success("child"))
        .await
        .unwrap();
}

#[tokio::test]
async fn another_process_wakes_who_waits_here() {
    if let Some(path) = child::file() {
        return appends_when_it_is_told(&path).await;
    }
    let place = Place::new();
    let registry = open(place.path()).await;
    register(&registry, &["p"]).await;
    let mut other = Child::start(another_process_wakes_who_waits_here, place.path());
    other.wait_for("ready");

    let mut event = pin!(registry.wait_event_after("p", "tick", 0));
    let mut end = pin!(registry.await_process("p"));
    assert!(poll_once(event.as_mut()).is_pending());
    assert!(poll_once(end.as_mut()).is_pending());
    other.tell();
    assert_eq!(guarded(event).await.unwrap().sequence, 1);
    assert_eq!(guarded(end).await.unwrap(), success("child"));
    assert!(other.wait().success());
}

#[tokio::test]
async fn waiting_for_what_does_not_exist_or_exists_already_does_not_wait() {
    let registry = SqliteProcessRegistry::memory().await.unwrap();
    register(&registry, &["p"]).await;
    says(
        &registry.await_process("x").await.unwrap_err(),
        "unknown process `x`",
    );
    let error = registry.wait_event_after("x", "tick", 0).await.unwrap_err();
    says(&error, "unknown process `x`");
    for n in 1..=3 {
        registry.append_event("p", tick(n)).await.unwrap();
    }
    let event = guarded(registry.wait_event_after("p", "tick", 1))
        .await
        .unwrap();
    assert_eq!(event.sequence, 2);
}
