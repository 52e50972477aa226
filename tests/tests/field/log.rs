//! Nothing is committed to a log that others do not see.
//!
//! The bugs these guard against. An application copied its own open database with `fs::copy`.
//! On Unix, closing the copy's descriptor released all locks that SQLite held on the file. The
//! next program that opened and closed it took itself for the last one and removed the log,
//! and four commits that were acknowledged afterwards were gone. And: log and shared memory
//! were deleted under an open store, which went on committing to them until it was killed.

use std::fs;
use std::path::{Path, PathBuf};

use lash_core::{RuntimePersistence, SessionReadScope};
use lash_wasm_store::{EngineError, Error, Store};
use lash_wasm_store_testing::child::{self, Child};
use lash_wasm_store_testing::fixtures::{append, chain, commit};

use super::other;

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

async fn revision(path: &Path) -> u64 {
    let store = Store::open(path).await.unwrap();
    let read = store.load_session(SessionReadScope::FullGraph).await;
    read.unwrap().unwrap().head_revision
}

async fn commits(store: &Store, after: u64, count: u64) {
    for revision in after..after + count {
        let expected = (revision > 0).then_some(revision);
        store.commit_runtime_state(commit(expected)).await.unwrap();
    }
}

#[tokio::test]
async fn a_copy_made_by_this_process_costs_no_commit() {
    if let Some(path) = child::file() {
        let store = Store::open(&path).await.unwrap();
        commits(&store, 0, 1).await;
        // All that a backup within the process may read.
        for suffix in ["", "-wal", "-shm"] {
            fs::copy(sibling(&path, suffix), sibling(&path, "-copy")).unwrap();
        }
        println!("copied");
        child::wait_to_be_told();
        commits(&store, 1, 4).await;
        println!("committed");
        std::thread::park();
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session.db");
    let mut child = Child::start(a_copy_made_by_this_process_costs_no_commit, &path);
    child.wait_for("copied");
    if other::opens_and_closes(&path).is_none() {
        return;
    }
    child.tell();
    child.wait_for("committed");
    child.kill();
    assert_eq!(revision(&path).await, 5);
}

/// The same for the other kinds of database: what keeps the log is the same.
#[tokio::test]
async fn the_log_of_every_kind_outlasts_another_program() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let _session = Store::open(&path("session")).await.unwrap();
    let _processes = lash_wasm_store_testing::process_fixtures::open(&path("processes")).await;
    let _events = lash_wasm_store_testing::host_events::open(&path("events")).await;
    let _effects = lash_wasm_store_testing::effects::open(&path("effects")).await;
    for name in ["session", "processes", "events", "effects"] {
        let path = path(name);
        fs::copy(&path, sibling(&path, "-copy")).unwrap();
        if other::opens_and_closes(&path).is_none() {
            return;
        }
        assert!(sibling(&path, "-wal").exists(), "{name}");
        assert!(sibling(&path, "-shm").exists(), "{name}");
    }
}

#[tokio::test]
async fn the_last_store_that_is_closed_removes_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session.db");
    let first = Store::open(&path).await.unwrap();
    let second = Store::open(&path).await.unwrap();
    commits(&first, 0, 1).await;
    second
        .load_session(SessionReadScope::FullGraph)
        .await
        .unwrap();
    first.close().await;
    assert!(sibling(&path, "-wal").exists());
    second.close().await;
    assert!(!sibling(&path, "-wal").exists());
    assert!(!sibling(&path, "-shm").exists());
    assert_eq!(revision(&path).await, 1);
}

fn remove_log(path: &Path) {
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(sibling(path, suffix)).unwrap();
    }
}

fn is_displaced(error: &Error) -> bool {
    matches!(error, Error::Engine(EngineError::Displaced { .. }))
}

/// Whatever is called next saves the log: a commit, or a load.
#[tokio::test]
async fn what_was_committed_before_the_log_was_deleted_is_saved_by_the_next_call() {
    if let Some(path) = child::file() {
        let store = Store::open(&path).await.unwrap();
        commits(&store, 0, 5).await;
        store
            .load_session(SessionReadScope::FullGraph)
            .await
            .unwrap();
        remove_log(&path);
        if path.to_string_lossy().contains("commit") {
            commits(&store, 5, 1).await;
        } else {
            // The lane of the writer saves it, perhaps before this has read.
            let _ = store.load_session(SessionReadScope::FullGraph).await;
            let error = store.try_append_usage_deltas(&[]).await.err();
            assert!(error.is_none_or(|error| is_displaced(&error)));
        }
        let error = store.try_load_session_meta().await.unwrap_err();
        assert!(is_displaced(&error), "{error}");
        let text = error.to_string();
        assert!(text.contains("session.db-wal was removed"), "{text}");
        let error = store.try_put_blob(b"x").await.unwrap_err();
        assert!(is_displaced(&error), "{error}");
        // A handle that is opened now would see neither what the others do nor they what it does.
        let error = Store::open(&path).await.unwrap_err();
        assert!(error.to_string().contains("was removed"), "{error}");
        store.close().await;
        let store = Store::open(&path).await.unwrap();
        store.try_put_blob(b"x").await.unwrap();
        println!("noticed");
        std::thread::park();
    }
    for (next, expected) in [("commit", 6), ("load", 5)] {
        let directory = tempfile::Builder::new().prefix(next).tempdir().unwrap();
        let path = directory.path().join("session.db");
        let mut child = Child::start(
            what_was_committed_before_the_log_was_deleted_is_saved_by_the_next_call,
            &path,
        );
        child.wait_for("noticed");
        child.kill();
        assert_eq!(revision(&path).await, expected, "{next}");
    }
}

#[tokio::test]
async fn closing_saves_a_log_that_was_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session.db");
    let store = Store::open(&path).await.unwrap();
    commits(&store, 0, 5).await;
    remove_log(&path);
    store.close().await;
    assert_eq!(revision(&path).await, 5);
}

/// A commit that went to a log which another program has replaced is not acknowledged, and
/// closing the store does not remove the other log.
#[tokio::test]
async fn a_commit_next_to_a_new_log_is_not_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session.db");
    let store = Store::open(&path).await.unwrap();
    store
        .commit_runtime_state(append(None, chain(0, 1)))
        .await
        .unwrap();
    remove_log(&path);
    fs::write(sibling(&path, "-wal"), b"the log of somebody else").unwrap();
    let error = store
        .commit_runtime_state(append(Some(1), chain(1, 1)))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("nobody can tell"), "{text}");
    assert!(text.contains("another one has taken its place"), "{text}");
    store.close().await;
    let log = fs::read(sibling(&path, "-wal")).unwrap();
    assert_eq!(log, b"the log of somebody else");
}
