//! Files that are renamed, replaced, linked and copied while they are open.

use std::fs;

use lash_core::{RuntimePersistence, SessionReadScope};
use lash_wasm_store::{EngineError, Error, Store};
use lash_wasm_store_testing::child::{self, Child};
use lash_wasm_store_testing::fixtures::{append, chain};

/// The bug this guards against: commits to a database whose directory was renamed were
/// acknowledged, and the first load, which opens the file again, failed.
#[tokio::test]
async fn a_store_whose_directory_was_renamed_commits_nothing_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (before, after) = (
        directory.path().join("before"),
        directory.path().join("after"),
    );
    fs::create_dir(&before).unwrap();
    let store = Store::open(&before.join("session.db")).await.unwrap();
    store
        .commit_runtime_state(append(None, chain(0, 2)))
        .await
        .unwrap();
    fs::rename(&before, &after).unwrap();

    let error = store.try_put_blob(b"blob").await.unwrap_err();
    assert!(
        matches!(error, Error::Engine(EngineError::Displaced { .. })),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("moved") && text.contains("nothing was committed"),
        "{text}"
    );
    store.close().await;
    let store = Store::open(&after.join("session.db")).await.unwrap();
    let read = store.load_session(SessionReadScope::FullGraph).await;
    assert_eq!(read.unwrap().unwrap().graph.nodes.len(), 2);
    store.try_put_blob(b"blob").await.unwrap();
}

#[tokio::test]
async fn a_file_that_was_replaced_is_not_committed_to() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session.db");
    let store = Store::open(&path).await.unwrap();
    store
        .commit_runtime_state(append(None, chain(0, 2)))
        .await
        .unwrap();
    fs::rename(&path, directory.path().join("moved.db")).unwrap();
    fs::write(&path, b"another file").unwrap();
    let error = store.try_put_blob(b"blob").await.unwrap_err();
    assert!(error.to_string().contains("replaced"), "{error}");
    store.close().await;
    assert_eq!(fs::read(&path).unwrap(), b"another file");
    // The log stayed where it was: together they are whole.
    for suffix in ["-wal", "-shm"] {
        let log = directory.path().join(format!("session.db{suffix}"));
        fs::rename(log, directory.path().join(format!("moved.db{suffix}"))).unwrap();
    }
    let store = Store::open(&directory.path().join("moved.db"))
        .await
        .unwrap();
    let read = store.load_session(SessionReadScope::FullGraph).await;
    assert_eq!(read.unwrap().unwrap().graph.nodes.len(), 2);
}

/// The bug this guards against: "disk I/O error 522". SQLite shares the memory of both names,
/// and has a log for each.
#[cfg(unix)]
#[tokio::test]
async fn a_database_has_one_name_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let (path, link) = (
        directory.path().join("session.db"),
        directory.path().join("link.db"),
    );
    let says = |error: Error, name: &str| {
        let Error::Engine(EngineError::Io { source, .. }) = &error else {
            panic!("{error}");
        };
        let text = source.to_string();
        assert!(text.contains("hard link") && text.contains(name), "{text}");
    };
    if let Some(path) = child::file() {
        says(Store::open(&path).await.unwrap_err(), "another name");
        println!("refused");
        return;
    }
    let store = Store::open(&path).await.unwrap();
    store
        .commit_runtime_state(append(None, chain(0, 2)))
        .await
        .unwrap();
    fs::hard_link(&path, &link).unwrap();
    says(Store::open(&link).await.unwrap_err(), "session.db");
    let mut child = Child::start(a_database_has_one_name_at_a_time, &link);
    child.wait_for("refused");
    assert!(child.wait().success());
    // By its own name it is opened, links or not; and by the link when nobody has it open.
    Store::open(&path).await.unwrap().close().await;
    store.close().await;
    let store = Store::open(&link).await.unwrap();
    let read = store.load_session(SessionReadScope::FullGraph).await;
    assert_eq!(read.unwrap().unwrap().graph.nodes.len(), 2);
}
