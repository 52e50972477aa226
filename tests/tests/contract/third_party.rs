//! A store with the component of somebody else: `components/minimal`, which has nothing in
//! common with the embedded one but `wit/`.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use lash_core::{
    RuntimeCommit, RuntimePersistence, RuntimeTurnCommitStamp, SessionPolicy, SessionReadScope,
    SessionRelation, SessionStoreCreateRequest,
};
use lash_wasm_store::inspect::Inspector;
use lash_wasm_store::{
    DatabaseKind, EngineError, Error, Limit, Limits, SqliteProcessRegistry,
    SqliteSessionStoreFactory, Store, StoreBuilder, StoreComponent,
};
use lash_wasm_store_testing::fixtures::{
    Place, SESSION, append, chain, checkpointed, full_checkpoint,
};
use xtask::MINIMAL;
use xtask::build::built;

use super::conformance::{elsewhere, holds_artifacts, holds_sessions};

/// The component, compiled once.
fn minimal() -> StoreBuilder {
    static COMPONENT: OnceLock<StoreComponent> = OnceLock::new();
    let component = COMPONENT.get_or_init(|| limited(Limits::default()));
    StoreBuilder::new().component(component.clone())
}

fn limited(limits: Limits) -> StoreComponent {
    StoreComponent::untrusted(&built(&MINIMAL).unwrap(), limits).unwrap()
}

fn open(path: &Path) -> Arc<Store> {
    let path = path.to_path_buf();
    Arc::new(elsewhere(async move { minimal().open(&path).await }))
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn it_is_a_store_of_sessions() {
    holds_sessions(open).await;
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn it_is_a_store_of_artifacts() {
    holds_artifacts(open).await;
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn a_limit_ends_one_call_only() {
    const MOST: u64 = 1 << 20;
    let place = Place::new();
    let component = limited(Limits::default().database_bytes(MOST));
    let store = place
        .open_with(StoreBuilder::new().component(component))
        .await;
    let large = vec![7; 2 << 20];
    let error = store.try_put_blob(&large).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Engine(EngineError::Limit {
                limit: Limit::Database(MOST),
                committed: false,
                ..
            })
        ),
        "{error:?}"
    );
    let key = store.try_put_blob(b"small").await.unwrap();
    assert!(key.0.starts_with("sha256:"), "{key:?}");
    let stored = store.try_get_blob(&key).await.unwrap();
    assert_eq!(stored.as_deref(), Some(&b"small"[..]));
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn its_file_is_foreign_and_not_corrupt() {
    let is_foreign = |error: &EngineError| {
        let expected = u32::from_be_bytes(*b"MIN1");
        assert!(
            matches!(error, EngineError::Foreign { application_id, .. } if *application_id == expected),
            "{error:?}"
        );
    };
    let place = Place::new();
    drop(place.open_with(minimal()).await);
    match Store::open(place.path()).await.unwrap_err() {
        Error::Engine(error) => is_foreign(&error),
        error => panic!("{error:?}"),
    }
    is_foreign(&Inspector::open(place.path()).await.unwrap_err());

    // The other way round, too.
    let ours = Place::new();
    drop(ours.open().await);
    let error = minimal().open(ours.path()).await.map(drop).unwrap_err();
    assert!(
        matches!(error, Error::Engine(EngineError::Foreign { .. })),
        "{error:?}"
    );
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn it_has_no_tools_and_no_other_kind_of_database() {
    let place = Place::new();
    drop(place.open_with(minimal()).await);
    let inspector = minimal().open_inspector(place.path()).await.unwrap();
    assert_eq!(inspector.kind(), DatabaseKind::Session);
    for error in [
        inspector.verify().await.map(drop).unwrap_err(),
        inspector.statistics().await.map(drop).unwrap_err(),
    ] {
        unsupported(&error, "tools");
    }

    let registry = place.path().with_file_name("processes.db");
    let opened: Result<SqliteProcessRegistry, _> = minimal().open_process_registry(&registry).await;
    match opened.map(drop).unwrap_err() {
        Error::Engine(error) => unsupported(&error, "process-store"),
        error => panic!("{error:?}"),
    }
}

fn unsupported(error: &EngineError, expected: &str) {
    assert!(
        matches!(error, EngineError::Unsupported { reason, .. } if reason.contains(&["lash:store/", expected].concat())),
        "{error:?}"
    );
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn it_removes_what_is_not_used() {
    let place = Place::new();
    let store = place.open_with(minimal()).await;
    let unused = store.try_put_blob(b"unused").await.unwrap();
    let nodes = RuntimeCommit {
        checkpoint: full_checkpoint(1),
        ..append(None, chain(0, 3))
    };
    let stamp = |turn: &str| RuntimeTurnCommitStamp::new(SESSION, turn, "hash");
    let first = nodes.with_turn_commit(stamp("first"));
    let first = store.commit_runtime_state(first).await.unwrap();
    let second = checkpointed(Some(first.head_revision), 2).with_turn_commit(stamp("second"));
    store.commit_runtime_state(second.clone()).await.unwrap();

    // The snapshots of the first checkpoint go, and its manifest is kept for a replay. The
    // plugin snapshot is that of the second, too.
    let report = store.try_gc_unreachable().await.unwrap();
    assert_eq!(report.root_count, 1);
    assert_eq!(report.retained_blob_count, 4);
    assert_eq!(report.deleted_blob_count, 3);
    assert!(store.try_get_blob(&unused).await.unwrap().is_none());
    let read = store.load_session(SessionReadScope::FullGraph).await;
    let checkpoint = read.unwrap().unwrap().checkpoint.unwrap();
    assert_eq!(
        checkpoint.execution_state.as_deref(),
        Some(&b"execution 2"[..])
    );
    assert!(checkpoint.plugin_snapshot.is_some());

    let pruned = store
        .prune(SystemTime::now() + Duration::from_secs(1))
        .await;
    assert_eq!(pruned.unwrap().turn_commits, 1);
    let replayed = store.commit_runtime_state(second).await.unwrap();
    assert_eq!(replayed.head_revision, 2);

    let ids: Vec<String> = chain(0, 2).into_iter().map(|node| node.node_id).collect();
    store.tombstone_nodes(&ids).await.unwrap();
    assert_eq!(store.try_vacuum().await.unwrap().removed_node_count, 2);
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn a_session_that_is_deleted_is_retired() {
    let directory = tempfile::tempdir().unwrap();
    let factory = SqliteSessionStoreFactory::with_builder(directory.path(), minimal());
    let request = SessionStoreCreateRequest {
        session_id: SESSION.to_owned(),
        relation: SessionRelation::Root,
        policy: SessionPolicy::default(),
    };
    let stale = factory.try_create_store(&request).await.unwrap();
    factory.try_delete_session(SESSION).await.unwrap();
    let error = stale.try_put_blob(b"late").await.unwrap_err();
    assert!(
        matches!(error, Error::Engine(EngineError::Retired { .. })),
        "{error:?}"
    );
    let anew = factory.try_create_store(&request).await.unwrap();
    anew.try_put_blob(b"anew").await.unwrap();
}
