//! Regression tests for defect D14 of lash-sqlite-store 0.1.0-alpha.46.
//!
//! The native `delete_session` unlinks the files while other handles have them
//! open. A stale handle goes on committing into a file that has no name, and each
//! commit succeeds, until the process ends and everything is gone. When the
//! session is created anew, it has two owners that do not know of each other.
//!
//! Here the session is marked deleted before its files are removed: every handle
//! in every process gets an error that says so, and a session that is created
//! anew is another one.

use std::path::{Path, PathBuf};

use lash_core::{
    AttachmentManifest, LashlangArtifactStore, RuntimePersistence, SessionPolicy, SessionReadScope,
    SessionRelation, SessionStoreCreateRequest, SessionStoreFactory,
};
use lash_wasm_store::{EngineError, Error, SqliteSessionStoreFactory, Store};
use lash_wasm_store_testing::child::{self, Child};
use lash_wasm_store_testing::fixtures::{
    Raw, SESSION, append, chain, claim, commit, full_checkpoint, ids, meta, node, usage, work,
};

fn request() -> SessionStoreCreateRequest {
    SessionStoreCreateRequest {
        session_id: SESSION.to_owned(),
        relation: SessionRelation::Root,
        policy: SessionPolicy::default(),
    }
}

/// The files of a session that exist.
fn files(path: &Path) -> Vec<PathBuf> {
    ["", "-wal", "-shm", "-journal"]
        .iter()
        .map(|suffix| {
            let mut file = path.as_os_str().to_os_string();
            file.push(suffix);
            PathBuf::from(file)
        })
        .filter(|file| file.exists())
        .collect()
}

#[tokio::test]
async fn every_call_of_a_stale_handle_says_that_the_session_was_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let factory = SqliteSessionStoreFactory::new(directory.path());
    let stale = factory.try_create_store(&request()).await.unwrap();
    stale
        .commit_runtime_state(append(None, chain(0, 1)))
        .await
        .unwrap();
    stale.enqueue_queued_work(work("w")).await.unwrap();
    let held = claim(&*stale, 60_000, 1).await.unwrap();
    let key = stale.try_put_blob(b"blob").await.unwrap();
    // A reader that has its connection open, and one that has not.
    let other = Store::open(stale.path()).await.unwrap();

    factory.try_delete_session(SESSION).await.unwrap();
    assert!(files(stale.path()).is_empty());

    let retired = |error: Option<Error>, what: &str| {
        assert!(
            matches!(error, Some(Error::Engine(EngineError::Retired { .. }))),
            "{what}: {error:?}"
        );
    };
    for store in [&*stale, &other] {
        retired(store.try_put_blob(b"x").await.err(), "put blob");
        retired(
            store.try_put_checkpoint(&full_checkpoint(1)).await.err(),
            "put checkpoint",
        );
        retired(
            store
                .try_append_usage_deltas(&[usage("s", "m", [1; 4])])
                .await
                .err(),
            "append usage",
        );
        retired(
            store
                .try_append_session_graph_nodes(&[node("x", None)])
                .await
                .err(),
            "append nodes",
        );
        retired(store.try_save_session_meta(meta()).await.err(), "save meta");
        retired(store.try_gc_unreachable().await.err(), "gc");
        let said = |error: Option<String>, what: &str| {
            let error = error.unwrap_or_else(|| panic!("{what} succeeded"));
            assert!(error.contains("was deleted"), "{what}: {error}");
        };
        said(
            store
                .commit_runtime_state(commit(Some(1)))
                .await
                .err()
                .map(|error| error.to_string()),
            "commit",
        );
        said(
            store
                .enqueue_queued_work(work("late"))
                .await
                .err()
                .map(|error| error.to_string()),
            "enqueue",
        );
        said(
            store
                .renew_queued_work_claim(&held, 60_000)
                .await
                .err()
                .map(|error| error.to_string()),
            "renew",
        );
        said(
            store
                .abandon_queued_work_claim(&held)
                .await
                .err()
                .map(|error| error.to_string()),
            "abandon",
        );
        said(
            store
                .put_artifact_bytes("a", "b", b"c")
                .await
                .err()
                .map(|error| error.to_string()),
            "put artifact",
        );
        said(
            store
                .commit_refs(SESSION, &[lash_core::AttachmentId::new("a")])
                .err()
                .map(|error| error.to_string()),
            "commit attachments",
        );
    }
    // Reads through a connection that was open say it too. One that has to be
    // opened first finds no file.
    assert!(stale.try_get_blob(&key).await.is_err());
    assert!(
        other
            .load_session(SessionReadScope::FullGraph)
            .await
            .is_err()
    );
    assert!(files(stale.path()).is_empty());
}

#[tokio::test]
async fn a_reader_that_was_open_says_that_the_session_was_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let factory = SqliteSessionStoreFactory::new(directory.path());
    let stale = factory.try_create_store(&request()).await.unwrap();
    let readonly = Store::open_readonly(stale.path()).await.unwrap();
    assert!(stale.try_load_session_meta().await.unwrap().is_some());
    assert!(readonly.try_load_session_meta().await.unwrap().is_some());

    factory.try_delete_session(SESSION).await.unwrap();
    for store in [&*stale, &readonly] {
        assert!(matches!(
            store.try_load_session_meta().await,
            Err(Error::Engine(EngineError::Retired { .. }))
        ));
        assert!(matches!(
            store.try_load_session_head().await,
            Err(Error::Engine(EngineError::Retired { .. }))
        ));
        assert!(matches!(
            store.try_load_picker_info().await,
            Err(Error::Engine(EngineError::Retired { .. }))
        ));
    }
}

#[tokio::test]
async fn a_session_that_is_created_anew_has_nothing_to_do_with_the_deleted_one() {
    let directory = tempfile::tempdir().unwrap();
    let factory = SqliteSessionStoreFactory::new(directory.path());
    let stale = factory.try_create_store(&request()).await.unwrap();
    stale
        .commit_runtime_state(append(None, chain(0, 3)))
        .await
        .unwrap();
    factory.try_delete_session(SESSION).await.unwrap();

    let fresh = factory.try_create_store(&request()).await.unwrap();
    let scope = SessionReadScope::FullGraph;
    assert!(fresh.load_session(scope.clone()).await.unwrap().is_none());
    assert!(stale.commit_runtime_state(commit(Some(1))).await.is_err());
    fresh
        .commit_runtime_state(append(None, vec![node("fresh", None)]))
        .await
        .unwrap();
    // The stale handle neither sees nor changes it, also when it is closed.
    assert!(stale.commit_runtime_state(commit(Some(1))).await.is_err());
    drop(stale);
    let again = factory.try_create_store(&request()).await.unwrap();
    let read = again.load_session(scope).await.unwrap().unwrap();
    assert_eq!(read.head_revision, 1);
    assert_eq!(ids(&read.graph.nodes), ["fresh"]);
}

#[tokio::test]
async fn a_deletion_that_was_interrupted_is_finished_when_the_session_is_created_anew() {
    let directory = tempfile::tempdir().unwrap();
    let factory = SqliteSessionStoreFactory::new(directory.path());
    let stale = factory.try_create_store(&request()).await.unwrap();
    stale
        .commit_runtime_state(append(None, chain(0, 3)))
        .await
        .unwrap();
    let path = stale.path().to_path_buf();
    let raw = Raw::open(&path);
    // A reader that was there before keeps the file, and with it what the
    // deletion wrote before the file was removed.
    raw.integer("SELECT count(*) FROM graph_nodes");
    factory.try_delete_session(SESSION).await.unwrap();
    drop(stale);
    raw.batch(&format!("VACUUM INTO '{}'", path.display()));
    drop(raw);

    let opened = Store::open(&path).await.unwrap();
    assert!(matches!(
        opened.try_load_session_head().await,
        Err(Error::Engine(EngineError::Retired { .. }))
    ));
    drop(opened);
    let fresh = factory.try_create_store(&request()).await.unwrap();
    assert!(fresh.try_load_session_meta().await.unwrap().is_some());
    assert!(fresh.try_load_session_head().await.unwrap().is_none());
    fresh
        .commit_runtime_state(append(None, chain(0, 1)))
        .await
        .unwrap();
}

#[tokio::test]
async fn deleting_twice_and_deleting_what_is_no_session_succeeds_and_makes_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let factory = SqliteSessionStoreFactory::new(directory.path());
    let path = factory.path_for_session(SESSION);
    factory.delete_session(SESSION).await.unwrap();
    assert!(files(&path).is_empty());
    drop(factory.create_store(&request()).await.unwrap());
    for _ in 0..2 {
        factory.delete_session(SESSION).await.unwrap();
        assert!(files(&path).is_empty());
    }
    for junk in [&b"junk"[..], b""] {
        for suffix in ["", "-wal", "-shm"] {
            std::fs::write(format!("{}{suffix}", path.display()), junk).unwrap();
        }
        factory.delete_session(SESSION).await.unwrap();
        assert!(files(&path).is_empty());
    }
}

#[tokio::test]
async fn a_stale_handle_in_another_process_says_that_the_session_was_deleted() {
    if let Some(path) = child::file() {
        return holds_a_handle(&path).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let factory = SqliteSessionStoreFactory::new(directory.path());
    let store = factory.try_create_store(&request()).await.unwrap();
    store
        .commit_runtime_state(append(None, chain(0, 1)))
        .await
        .unwrap();

    let mut child = Child::start(
        a_stale_handle_in_another_process_says_that_the_session_was_deleted,
        store.path(),
    );
    assert_eq!(child.wait_for("before: "), "revision 1");
    factory.try_delete_session(SESSION).await.unwrap();
    let fresh = factory.try_create_store(&request()).await.unwrap();
    child.tell();
    assert_eq!(child.wait_for("read: "), "retired");
    assert_eq!(child.wait_for("write: "), "retired");
    assert!(child.wait().success());
    assert!(fresh.try_load_session_head().await.unwrap().is_none());
    assert!(fresh.try_load_session_meta().await.unwrap().is_some());
}

/// Holds a handle while the session is deleted by another process, which tells
/// when.
async fn holds_a_handle(path: &Path) {
    let store = Store::open(path).await.unwrap();
    let head = store.try_load_session_head_meta().await.unwrap().unwrap();
    println!("before: revision {}", head.head_revision);
    child::wait_to_be_told();
    let outcome = |error: Option<Error>| match error {
        Some(Error::Engine(EngineError::Retired { .. })) => "retired".to_owned(),
        other => format!("{other:?}"),
    };
    println!(
        "read: {}",
        outcome(store.try_load_session_head_meta().await.err())
    );
    println!(
        "write: {}",
        outcome(
            store
                .try_append_usage_deltas(&[usage("s", "m", [1; 4])])
                .await
                .err()
        )
    );
}
