//! Answers that lead the host on, where one call of a store is many of the component.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lash_core::ProcessRegistry;
use lash_wasm_store::{SqliteEffectReplayOptions, StoreBuilder};
use lash_wasm_store_testing::contained::contained;
use lash_wasm_store_testing::fixtures::Place;
use lash_wasm_store_testing::{host_events, process_fixtures as processes};

use super::arena::shared;

fn builder() -> StoreBuilder {
    StoreBuilder::new().component(shared())
}

/// What is asked to be removed before this is never at an end.
fn endless() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(4711)
}

const MEMORY: &str = ":memory:";

/// The host collected what the same page said until there was no memory left.
#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn deliveries_that_come_again_or_without_end_are_not_collected() {
    for (words, code, reason, by) in [
        (
            "attack repeat",
            "store component failed",
            "it answered delivery 1 after delivery 256",
            "the order of their numbers",
        ),
        (
            "attack invent",
            "has reached its limit",
            "hostcall_bytes",
            "limit hostcall_bytes",
        ),
    ] {
        let events = host_events::open_with(builder(), Path::new(MEMORY)).await;
        host_events::subscribe(&events, "s", "k").await;
        let occurrence = host_events::record(&events, "k", words).await;
        host_events::reserve(&events, &occurrence).await;
        let error = events
            .settle_processes(&["p".to_owned()])
            .await
            .unwrap_err();
        let mut text = error.to_string();
        if let Some(source) = std::error::Error::source(&error) {
            text = format!("{text}: {source}");
        }
        assert!(text.contains(code) && text.contains(reason), "{text}");
        contained(
            &format!("deliveries without end: {words}"),
            by,
            &format!("`{}`: {text}", error.code()),
        );
    }
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn scopes_that_come_again_are_not_looked_at_for_ever() {
    let options = SqliteEffectReplayOptions::default();
    let effects = builder().open_effect_host(Path::new(MEMORY), options);
    let error = effects.await.unwrap().prune(endless()).await.unwrap_err();
    assert_eq!(error.code(), "component", "{error:?}");
    contained("the same scopes for ever", "their numbers", "`component`");
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn processes_that_never_go_are_not_asked_for_for_ever() {
    let registry = processes::open_with(builder(), Path::new(MEMORY)).await;
    let error = registry.prune_ended(endless(), None).await.unwrap_err();
    assert_eq!(error.code(), "component", "{error:?}");
    contained(
        "the same processes for ever",
        "their identifiers",
        "`component`",
    );
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn a_page_that_leads_to_itself_is_not_read_for_ever() {
    let place = Place::new();
    let options = SqliteEffectReplayOptions::default();
    let effects = builder().open_effect_host(place.path(), options);
    drop(effects.await.unwrap());
    let inspector = builder().open_inspector(place.path()).await.unwrap();
    let mut records = inspector.records();
    records.next_page().await.unwrap();
    let error = records.next_page().await.unwrap_err();
    assert_eq!(error.code(), "component", "{error:?}");
    contained("the same page for ever", "its cursor", "`component`");
}

/// Who tells a process something tries again as long as others are faster, within one
/// call.
#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn a_race_that_is_always_lost_ends_with_the_call() {
    let registry = processes::open_with(builder(), Path::new(MEMORY)).await;
    let name = "attack moved";
    registry
        .register_process(processes::registration(name))
        .await
        .unwrap();
    let error = registry
        .append_event(name, processes::tick(1))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("limit statements_per_call"), "{error}");
    contained(
        "a race that is always lost",
        "limit statements_per_call",
        &error,
    );
}
