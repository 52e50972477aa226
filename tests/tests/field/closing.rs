//! Applications that end: one store is closed, or all of them, or the last handle is
//! dropped on a thread that serves others too.

use std::path::Path;
use std::time::Duration;

use lash_core::{ProcessRegistry, RuntimePersistence};
use lash_wasm_store::{
    EngineError, Error, SqliteHostEventStore, SqliteSessionStoreFactory, Store, shutdown,
};
use lash_wasm_store_testing::fixtures::{Place, commit, guarded, poll_once, work};
use lash_wasm_store_testing::{child, effects, process_fixtures};

use crate::gate::{Gate, alone};

fn has_log(path: &Path) -> bool {
    path.with_extension("db-wal").exists()
}

fn is_closed<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Engine(EngineError::Closed { .. })))
}

#[tokio::test]
async fn a_store_is_closed_when_close_returns_and_fails_with_a_typed_error_then() {
    let place = Place::new();
    let store = place.open().await;
    store.commit_runtime_state(commit(None)).await.unwrap();
    assert!(has_log(place.path()));
    let mut queued: Vec<_> = (0..50)
        .map(|_| Box::pin(store.enqueue_queued_work(work("w"))))
        .collect();
    for call in &mut queued {
        assert!(poll_once(call.as_mut()).is_pending());
    }
    store.close().await;
    assert!(!has_log(place.path()));
    // What was given before was done.
    for call in queued {
        call.await.unwrap();
    }
    assert!(is_closed(store.try_load_session_meta().await));
    assert!(is_closed(store.try_put_blob(b"x").await));
    store.close().await;
    let store = place.open().await;
    assert_eq!(
        place.raw().integer("SELECT count(*) FROM queued_batches"),
        50
    );
    store.close().await;
}

#[tokio::test]
async fn every_kind_of_store_can_be_closed() {
    let place = Place::new();
    let registry = process_fixtures::open(place.path()).await;
    process_fixtures::register(&registry, &["p"]).await;
    let waiting = registry.await_process("p");
    let mut waiting = std::pin::pin!(waiting);
    assert!(poll_once(waiting.as_mut()).is_pending());
    registry.close().await;
    assert!(!has_log(place.path()));
    let error = registry.get_process("p").await;
    assert!(error.is_none());
    // One that waits for a process learns of it.
    assert!(guarded(waiting).await.is_err());

    let place = Place::new();
    let events = SqliteHostEventStore::open(place.path()).await.unwrap();
    events.close().await;
    assert!(!has_log(place.path()));

    let place = effects::place();
    let host = effects::open(place.path()).await;
    let controller = effects::controller(&host);
    host.close().await;
    assert!(!has_log(place.path()));
    let ended = effects::run(&controller, effects::effect("e"), effects::returning("x")).await;
    assert!(ended.unwrap_err().to_string().contains("was closed"));
}

#[tokio::test]
async fn a_factory_closes_the_stores_of_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let other = Place::new();
    let other = other.open().await;
    let factory = SqliteSessionStoreFactory::new(directory.path());
    let path = factory.path_for_session("s");
    let store = Store::open(&path).await.unwrap();
    store.commit_runtime_state(commit(None)).await.unwrap();
    factory.close().await;
    assert!(!has_log(&path));
    assert!(is_closed(store.try_load_session_meta().await));
    other.try_load_session_meta().await.unwrap();
}

/// It synced on the thread of the runtime.
#[test]
fn dropping_the_last_handle_leaves_the_work_to_another_thread() {
    if child::file().is_none() {
        return alone(dropping_the_last_handle_leaves_the_work_to_another_thread);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(guarded(async {
        let place = Place::new();
        let store = place.open().await;
        store.commit_runtime_state(commit(None)).await.unwrap();
        let gate = Gate::default();
        let mut long = Vec::new();
        for _ in 0..20 {
            long.push(gate.builder().open(":memory:".as_ref()).await.unwrap());
        }
        gate.close();
        let calls: Vec<_> = long
            .into_iter()
            .map(|store| tokio::spawn(async move { store.enqueue_queued_work(work("w")).await }))
            .collect();
        gate.until_all_threads_are_stopped().await;
        drop(store);
        // No thread has had time for it.
        assert!(has_log(place.path()));
        gate.open();
        // Opening waits for it.
        let store = place.open().await;
        assert_eq!(place.raw().integer("SELECT count(*) FROM session_head"), 1);
        drop(store);
        for call in calls {
            call.await.unwrap().unwrap();
        }
    }));
}

#[test]
fn all_stores_of_the_process_are_drained_until_a_deadline() {
    if child::file().is_none() {
        return alone(all_stores_of_the_process_are_drained_until_a_deadline);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(guarded(async {
        let places: Vec<_> = (0..5).map(|_| Place::new()).collect();
        let mut stores = Vec::new();
        for place in &places {
            let store = place.open().await;
            store.commit_runtime_state(commit(None)).await.unwrap();
            stores.push(store);
        }
        // Dropped, and perhaps not closed yet.
        drop(stores.pop());
        let stuck = Place::new();
        let gate = Gate::default();
        let store = stuck.open_with(gate.builder()).await;
        gate.close();
        let call = tokio::spawn(async move { store.enqueue_queued_work(work("w")).await });
        gate.until_stopped(1).await;
        let in_use = shutdown(Duration::from_millis(500)).await;
        assert_eq!(in_use, [stuck.path()]);
        assert!(is_closed(stores[0].try_load_session_meta().await));
        gate.open();
        call.await.unwrap().unwrap();
        assert!(shutdown(Duration::from_secs(60)).await.is_empty());
        for place in places.iter().chain([&stuck]) {
            assert!(!has_log(place.path()));
        }
        // It is not the end.
        places[0].open().await.close().await;
    }));
}
