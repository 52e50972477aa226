//! What a damaged file of processes answers.

use lash_core::{ProcessHandleDescriptor, ProcessListFilter, ProcessRegistry, SessionScope};
use lash_wasm_store::{EngineError, Error, SqliteProcessRegistry};
use lash_wasm_store_testing::damage::hide_from_index;
use lash_wasm_store_testing::fixtures::Place;
use lash_wasm_store_testing::process_fixtures::{open, register, says, success, tick, wake};

/// A registry with a bit of everything, closed.
async fn filled(place: &Place) {
    let registry = open(place.path()).await;
    register(&registry, &["ended", "p", "q"]).await;
    for n in 0..3 {
        let keyed = tick(n).with_replay_key(format!("key {n}"));
        registry.append_event("p", keyed).await.unwrap();
        registry.append_event("p", wake("w")).await.unwrap();
    }
    let scope = SessionScope::new("s");
    let descriptor = ProcessHandleDescriptor::new(Some("kind"), Some("label"));
    for id in ["p", "q"] {
        registry
            .grant_handle(&scope, id, descriptor.clone())
            .await
            .unwrap();
    }
    registry
        .complete_process("ended", success("done"))
        .await
        .unwrap();
}

/// Damages a filled file by a statement and opens it.
async fn damaged(sql: &str) -> (Place, SqliteProcessRegistry) {
    let place = Place::new();
    filled(&place).await;
    let raw = place.raw();
    raw.execute(sql);
    drop(raw);
    let registry = open(place.path()).await;
    (place, registry)
}

const DAMAGE: &str = "is damaged: table process";

#[tokio::test]
async fn a_flipped_byte_of_an_event_is_never_an_answer() {
    let (_place, registry) = damaged(
        "UPDATE process_events SET content = CAST(replace(CAST(content AS TEXT), '\"n\":1',
             '\"n\":9') AS BLOB) WHERE id & 0xffffffff = 3",
    )
    .await;
    says(&registry.events_after("p", 0).await.unwrap_err(), DAMAGE);
    // What was not touched is answered.
    assert_eq!(registry.events_after("p", 3).await.unwrap().len(), 3);
    let again = registry
        .append_event("p", tick(1).with_replay_key("key 1"))
        .await;
    says(&again.unwrap_err(), DAMAGE);
    let first = registry.wait_event_after("p", "tick", 1).await;
    says(&first.unwrap_err(), DAMAGE);
}

/// Rows that are gone have no checksum. Lists know what must be in them.
#[tokio::test]
async fn a_row_that_is_gone_is_missed() {
    let (_place, registry) = damaged("DELETE FROM process_events WHERE id & 0xffffffff = 3").await;
    says(&registry.events_after("p", 0).await.unwrap_err(), DAMAGE);
    let (_place, registry) = damaged("DELETE FROM process_events WHERE id & 0xffffffff = 6").await;
    says(&registry.events_after("p", 5).await.unwrap_err(), DAMAGE);
    says(
        &registry.wake_events_after("p", 0).await.unwrap_err(),
        DAMAGE,
    );
    let (_place, registry) = damaged("DELETE FROM process_grants WHERE process = 2").await;
    says(
        &registry.handle_grants_for_process("p").await.unwrap_err(),
        DAMAGE,
    );
    let (_place, registry) = damaged("DELETE FROM process_states WHERE seq = 2").await;
    let error = registry.try_get_process("p").await.unwrap_err();
    assert!(
        matches!(error, Error::Engine(EngineError::Corrupt { .. })),
        "{error}"
    );
    says(&registry.list_non_terminal().await.unwrap_err(), DAMAGE);
    let (_place, registry) = damaged("DELETE FROM processes WHERE seq = 2").await;
    says(&registry.list_non_terminal().await.unwrap_err(), DAMAGE);
    let all = ProcessListFilter::default();
    says(&registry.list_processes(&all).await.unwrap_err(), DAMAGE);
    let (_place, registry) = damaged("DELETE FROM process_outcomes").await;
    says(&registry.await_process("ended").await.unwrap_err(), DAMAGE);
}

#[tokio::test]
async fn a_changed_column_is_never_an_answer() {
    for (sql, id) in [
        (
            "UPDATE process_states SET status = 0 WHERE status = 1",
            "ended",
        ),
        (
            "UPDATE process_states SET last_sequence = 5 WHERE seq = 2",
            "p",
        ),
        (
            "UPDATE process_states SET fencing_token = 0 WHERE seq = 2",
            "p",
        ),
        ("UPDATE processes SET created_at_ms = 7 WHERE seq = 2", "p"),
        ("UPDATE processes SET content = x'7b7d' WHERE seq = 2", "p"),
        ("UPDATE process_outcomes SET outcome = x'7b7d'", "ended"),
    ] {
        let (place, registry) = damaged(sql).await;
        let error = registry.try_get_process(id).await.unwrap_err();
        assert!(
            matches!(error, Error::Engine(EngineError::Corrupt { .. })),
            "{sql}: {error}"
        );
        assert_eq!(error.path(), place.path());
        assert!(registry.get_process(id).await.is_none());
    }
}

/// An index that has lost an entry hides a row, which then is not done, started or
/// granted again: the other index gives it away. SQLite itself does not notice.
#[tokio::test]
async fn one_damaged_index_hides_nothing() {
    let scope = SessionScope::new("s");

    let place = Place::new();
    filled(&place).await;
    hide_from_index(
        place.path(),
        "process_events_type",
        "process_events (process, type)",
        "id & 0xffffffff <> 3",
    );
    let registry = open(place.path()).await;
    let error = registry.wait_event_after("p", "tick", 2).await.unwrap_err();
    says(&error, "two indexes lead to different rows");

    let place = Place::new();
    filled(&place).await;
    hide_from_index(
        place.path(),
        "process_events_replay",
        "process_events (process, replay_key)",
        "replay_key <> 'key 1'",
    );
    let registry = open(place.path()).await;
    let again = registry
        .append_event("p", tick(1).with_replay_key("key 1"))
        .await;
    says(
        &again.unwrap_err(),
        "only one of two indexes leads to the row",
    );

    let place = Place::new();
    filled(&place).await;
    hide_from_index(
        place.path(),
        "process_grants_scope_identity",
        "process_grants (scope_identity, process)",
        "process <> 2",
    );
    let registry = open(place.path()).await;
    says(
        &registry.list_handle_grants(&scope).await.unwrap_err(),
        DAMAGE,
    );

    let place = Place::new();
    filled(&place).await;
    hide_from_index(
        place.path(),
        "process_grants_session",
        "process_grants (session_id)",
        "process <> 2",
    );
    let registry = open(place.path()).await;
    let deleted = registry.delete_session_process_state("s").await;
    says(&deleted.unwrap_err(), DAMAGE);
    assert!(registry.has_handle_grant(&scope, "q").await.unwrap());
}

#[tokio::test]
async fn a_damaged_process_is_not_pruned() {
    let (place, registry) = damaged(
        "INSERT INTO process_events SELECT (1 << 32) | 9, 1, type, type_identity, 'k', 5,
             payload_hash, wake, content_hash, checksum, content
         FROM process_events WHERE id & 0xffffffff = 1 LIMIT 1",
    )
    .await;
    let before = place.raw().dump();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    assert_eq!(registry.prune_ended(later, None).await.unwrap(), 0);
    assert_eq!(place.raw().dump(), before);
}
