//! Sessions that are deleted, created and opened at the same time.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use lash_core::{RuntimePersistence, SessionPolicy, SessionRelation, SessionStoreCreateRequest};
use lash_wasm_store::{EngineError, Error, SqliteSessionStoreFactory, Store, StoreBuilder};
use lash_wasm_store_testing::fixtures::{Raw, SESSION, append, chain, commit};

fn request() -> SessionStoreCreateRequest {
    SessionStoreCreateRequest {
        session_id: SESSION.to_owned(),
        relation: SessionRelation::Root,
        policy: SessionPolicy::default(),
    }
}

/// The bug this guards against: the deletion could not mark the session, because another
/// process held the write lock, and removed the file all the same. The next commit of the open
/// handle was acknowledged and lost.
#[tokio::test]
async fn a_session_that_cannot_be_marked_is_not_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let builder = StoreBuilder::new().busy_timeout(Duration::from_millis(50));
    let factory = SqliteSessionStoreFactory::with_builder(directory.path(), builder);
    let store = factory.try_create_store(&request()).await.unwrap();
    let raw = Raw::open(store.path());
    let lock = raw.lock();
    let error = factory.try_delete_session(SESSION).await.unwrap_err();
    assert!(
        matches!(error, Error::Engine(EngineError::Busy { .. })),
        "{error}"
    );
    drop(lock);
    assert!(store.path().exists());
    store.commit_runtime_state(commit(None)).await.unwrap();
    factory.try_delete_session(SESSION).await.unwrap();
    let error = store.try_put_blob(b"x").await.unwrap_err();
    assert!(matches!(error, Error::Engine(EngineError::Retired { .. })));
}

/// The bug this guards against: a deletion that was interrupted after it had marked the session
/// was finished by opening the session, which created it anew.
#[tokio::test]
async fn opening_what_is_half_deleted_finishes_the_deletion() {
    let directory = tempfile::tempdir().unwrap();
    let factory = SqliteSessionStoreFactory::new(directory.path());
    let path = factory.path_for_session(SESSION);
    assert!(
        factory
            .try_open_existing_store(&request())
            .await
            .unwrap()
            .is_none()
    );
    fs::write(&path, b"").unwrap();
    assert!(
        factory
            .try_open_existing_store(&request())
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(fs::read(&path).unwrap(), b"");
    fs::remove_file(&path).unwrap();

    let store = factory.try_create_store(&request()).await.unwrap();
    store
        .commit_runtime_state(append(None, chain(0, 1)))
        .await
        .unwrap();
    let copy = directory.path().join("copy");
    let raw = Raw::open(&path);
    raw.integer("SELECT count(*) FROM graph_nodes");
    factory.try_delete_session(SESSION).await.unwrap();
    // As a kill leaves it between the mark and the removal.
    raw.batch(&format!("VACUUM INTO '{}'", copy.display()));
    drop(raw);
    store.close().await;
    fs::rename(&copy, &path).unwrap();
    assert!(
        factory
            .try_open_existing_store(&request())
            .await
            .unwrap()
            .is_none()
    );
    assert!(!path.exists());
}

/// The bug this guards against: of two deletions, the one that came second removed the file of
/// a session that was created in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_that_is_created_between_two_deletions_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let factory = Arc::new(SqliteSessionStoreFactory::new(directory.path()));
    for round in 0..150 {
        drop(factory.try_create_store(&request()).await.unwrap());
        let delete = || {
            let factory = Arc::clone(&factory);
            tokio::spawn(async move { factory.try_delete_session(SESSION).await.unwrap() })
        };
        let (first, second) = (delete(), delete());
        let created = factory.try_create_store(&request()).await.unwrap();
        let committed = created.commit_runtime_state(commit(None)).await;
        first.await.unwrap();
        second.await.unwrap();
        match committed {
            // Deleted it may be, but then every handle sees that.
            Ok(_) => match created.try_load_session_head_meta().await {
                Ok(head) => {
                    assert_eq!(head.unwrap().head_revision, 1, "round {round}");
                    let read = Store::open(created.path()).await.unwrap();
                    let head = read.try_load_session_head_meta().await.unwrap();
                    assert_eq!(head.unwrap().head_revision, 1, "round {round}");
                }
                Err(error) => assert!(
                    matches!(error, Error::Engine(EngineError::Retired { .. })),
                    "round {round}: {error}"
                ),
            },
            Err(error) => assert!(error.to_string().contains("was deleted"), "{error}"),
        }
        factory.try_delete_session(SESSION).await.unwrap();
    }
}
