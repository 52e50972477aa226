//! What a call failed with can be told apart by type.
//!
//! The trait of the runtime has one variant, with a text, for a database that is locked,
//! deleted, corrupt or full. Its hot calls have twins that return the error itself.

use std::time::Duration;

use lash_core::runtime::{QueuedWorkClaim, QueuedWorkClaimBoundary};
use lash_core::{
    RuntimePersistence, SessionPolicy, SessionReadScope, SessionRelation,
    SessionStoreCreateRequest, StoreError,
};
use lash_wasm_store::{EngineError, Error, SqliteSessionStoreFactory, Store, StoreBuilder};
use lash_wasm_store_testing::fixtures::{Place, SESSION, append, chain, claim, commit, work};

const FULL: SessionReadScope = SessionReadScope::FullGraph;

const IDLE: QueuedWorkClaimBoundary = QueuedWorkClaimBoundary::Idle;

/// What each of the calls that write fails with, with their names.
async fn failures(store: &Store, held: &QueuedWorkClaim, free: &str) -> Vec<(&'static str, Error)> {
    let batches = [free.to_owned()];
    let exactly =
        store.try_claim_ready_queued_work_by_batch_ids(SESSION, "owner", IDLE, 1, &batches);
    vec![
        (
            "commit",
            store
                .try_commit_runtime_state(commit(Some(0)))
                .await
                .unwrap_err(),
        ),
        (
            "enqueue",
            store.try_enqueue_queued_work(work("w")).await.unwrap_err(),
        ),
        (
            "claim",
            store
                .try_claim_ready_queued_work(SESSION, "owner", IDLE, 1, 1)
                .await
                .unwrap_err(),
        ),
        ("claim exactly", exactly.await.unwrap_err()),
        (
            "renew",
            store
                .try_renew_queued_work_claim(held, 1)
                .await
                .unwrap_err(),
        ),
    ]
}

#[tokio::test]
async fn a_locked_database_is_busy() {
    let place = Place::new();
    let store = place
        .open_with(StoreBuilder::new().busy_timeout(Duration::from_millis(1)))
        .await;
    store
        .commit_runtime_state(append(None, chain(0, 1)))
        .await
        .unwrap();
    store.enqueue_queued_work(work("w")).await.unwrap();
    let held = claim(&store, 60_000, 1).await.unwrap();
    let free = store.enqueue_queued_work(work("x")).await.unwrap();
    let raw = place.raw();
    let locked = raw.lock();
    for (call, error) in failures(&store, &held, &free.batch_id).await {
        let busy = matches!(error, Error::Engine(EngineError::Busy { .. }));
        assert!(busy, "{call}: {error:?}");
    }
    drop(locked);
    let renewed = store
        .try_renew_queued_work_claim(&held, 60_000)
        .await
        .unwrap();
    assert_eq!(renewed.unwrap().claim_id, held.claim_id);
}

#[tokio::test]
async fn a_deleted_session_is_retired() {
    let directory = tempfile::tempdir().unwrap();
    let factory = SqliteSessionStoreFactory::new(directory.path());
    let request = SessionStoreCreateRequest {
        session_id: SESSION.to_owned(),
        relation: SessionRelation::Root,
        policy: SessionPolicy::default(),
    };
    let store = factory.try_create_store(&request).await.unwrap();
    store.enqueue_queued_work(work("w")).await.unwrap();
    let held = claim(&*store, 60_000, 1).await.unwrap();
    let free = store.enqueue_queued_work(work("x")).await.unwrap();
    factory.try_delete_session(SESSION).await.unwrap();
    let mut failed = failures(&store, &held, &free.batch_id).await;
    failed.push(("load", store.try_load_session(FULL).await.unwrap_err()));
    for (call, error) in failed {
        let retired = matches!(error, Error::Engine(EngineError::Retired { .. }));
        assert!(retired, "{call}: {error:?}");
    }
}

#[tokio::test]
async fn a_corrupt_row_is_corrupt_and_a_lost_race_is_no_failure() {
    let place = Place::new();
    let store = place.open().await;
    store
        .commit_runtime_state(append(None, chain(0, 2)))
        .await
        .unwrap();
    let lost = store
        .try_commit_runtime_state(commit(Some(7)))
        .await
        .unwrap();
    let conflict = StoreError::HeadRevisionConflict {
        expected: Some(7),
        actual: 1,
    };
    assert_eq!(lost.unwrap_err().to_string(), conflict.to_string());
    store.enqueue_queued_work(work("w")).await.unwrap();
    let held = claim(&store, 60_000, 1).await.unwrap();
    store.abandon_queued_work_claim(&held).await.unwrap();
    let renewed = store
        .try_renew_queued_work_claim(&held, 60_000)
        .await
        .unwrap();
    assert!(renewed.is_none());
    drop(store);
    place
        .raw()
        .damage("UPDATE graph_nodes SET node_id = 'x' WHERE seq = 1");
    let store = place.open().await;
    let error = store.try_load_session(FULL).await.unwrap_err();
    assert!(
        matches!(error, Error::Engine(EngineError::Corrupt { .. })),
        "{error:?}"
    );
}
