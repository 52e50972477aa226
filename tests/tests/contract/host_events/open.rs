//! Opening: what is created, what is refused.

use std::path::Path;

use lash_core::{DurabilityTier, HostEventStore};
use lash_wasm_store::{EngineError, Error, SqliteHostEventStore, Store};
use lash_wasm_store_testing::fixtures::Place;
use lash_wasm_store_testing::fuzz::image;
use lash_wasm_store_testing::host_events::{listed, open, subscribe};

use super::everything;

#[tokio::test]
async fn a_new_file_is_a_host_event_database() {
    let place = Place::new();
    let store = open(place.path()).await;
    assert_eq!(store.path(), place.path());
    assert_eq!(store.durability_tier(), DurabilityTier::Durable);
    assert!(format!("{store:?}").contains("session.db"));
    let raw = place.raw();
    assert_eq!(raw.integer("PRAGMA application_id"), 0x4c53_4801);
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
    for application_id in ["0x4c535001", "0x4c534501", "0x4c535301"] {
        let place = Place::new();
        let sql = format!(
            "CREATE TABLE t (x); PRAGMA application_id = {application_id}; PRAGMA user_version = 1"
        );
        let connection = rusqlite::Connection::open(place.path()).unwrap();
        connection.execute_batch(&sql).unwrap();
        drop(connection);
        let before = std::fs::read(place.path()).unwrap();
        let error = SqliteHostEventStore::open(place.path()).await.unwrap_err();
        assert!(
            matches!(error, Error::Engine(EngineError::OtherKind { .. })),
            "{error}"
        );
        assert!(error.to_string().contains("host event"), "{error}");
        assert_eq!(std::fs::read(place.path()).unwrap(), before);
    }

    let session = Place::new();
    drop(session.open().await);
    let error = SqliteHostEventStore::open(session.path())
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Engine(EngineError::OtherKind { .. })),
        "{error}"
    );
    let events = Place::new();
    drop(open(events.path()).await);
    let error = Store::open(events.path()).await.unwrap_err();
    assert!(
        matches!(error, Error::Engine(EngineError::OtherKind { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_of_the_native_crate_is_refused_by_name() {
    let place = Place::new();
    std::fs::write(place.path(), image("native_host_events")).unwrap();
    let error = SqliteHostEventStore::open(place.path()).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Engine(EngineError::Foreign {
                user_version: 1,
                ..
            })
        ),
        "{error}"
    );
    assert!(error.to_string().contains("lash-sqlite-store"), "{error}");
}
