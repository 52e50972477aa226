//! Reading never harms: it leaves no file, needs no permission, and sees what is there.

use std::fs;
use std::path::Path;

use lash_core::{RuntimePersistence, SessionReadScope};
use lash_wasm_store::{Store, StoreBuilder};
use lash_wasm_store_testing::child::{self, Child};
use lash_wasm_store_testing::fixtures::{append, chain};

use super::other;

async fn nodes(store: &Store) -> usize {
    let read = store.load_session(SessionReadScope::FullGraph).await;
    read.unwrap().unwrap().graph.nodes.len()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The bug this guards against: `lash-store inspect` of another user left a log and shared
/// memory of that user, and the owner could not write any more.
#[tokio::test]
async fn a_read_only_store_leaves_no_file_and_sees_what_others_write() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session.db");
    let writer = Store::open(&path).await.unwrap();
    writer
        .commit_runtime_state(append(None, chain(0, 1)))
        .await
        .unwrap();
    writer.close().await;
    assert_eq!(names(directory.path()), ["session.db"]);

    let reader = Store::open_readonly(&path).await.unwrap();
    assert_eq!(nodes(&reader).await, 1);
    assert_eq!(names(directory.path()), ["session.db"]);

    // Another handle writes, with a log, and without one again.
    let writer = Store::open(&path).await.unwrap();
    writer
        .commit_runtime_state(append(Some(1), chain(1, 1)))
        .await
        .unwrap();
    assert_eq!(nodes(&reader).await, 2);
    writer.close().await;
    reader.close().await;
    let reader = Store::open_readonly(&path).await.unwrap();
    let writer = Store::open(&path).await.unwrap();
    writer
        .commit_runtime_state(append(Some(2), chain(2, 1)))
        .await
        .unwrap();
    writer.close().await;
    assert_eq!(nodes(&reader).await, 3);
}

/// A log without shared memory: what a copy of a killed store's files is.
#[tokio::test]
async fn a_log_is_read_without_touching_it() {
    if let Some(path) = child::file() {
        let store = Store::open(&path).await.unwrap();
        store
            .commit_runtime_state(append(None, chain(0, 3)))
            .await
            .unwrap();
        println!("committed");
        std::thread::park();
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session.db");
    let mut child = Child::start(a_log_is_read_without_touching_it, &path);
    child.wait_for("committed");
    child.kill();
    fs::remove_file(directory.path().join("session.db-shm")).unwrap();
    let before = names(directory.path());
    assert_eq!(before, ["session.db", "session.db-wal"]);
    let log = fs::read(directory.path().join("session.db-wal")).unwrap();

    let reader = Store::open_readonly(&path).await.unwrap();
    assert_eq!(nodes(&reader).await, 3);
    assert_eq!(names(directory.path()), before);
    reader.close().await;
    assert_eq!(names(directory.path()), before);
    assert_eq!(
        fs::read(directory.path().join("session.db-wal")).unwrap(),
        log
    );
    let store = Store::open(&path).await.unwrap();
    assert_eq!(nodes(&store).await, 3);
}

/// What was read while another program wrote without our noticing is not returned.
#[tokio::test]
async fn what_was_read_while_the_file_changed_is_thrown_away() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session.db");
    let writer = Store::open(&path).await.unwrap();
    writer
        .commit_runtime_state(append(None, chain(0, 1)))
        .await
        .unwrap();
    writer.close().await;
    let reader = Store::open_readonly(&path).await.unwrap();
    assert_eq!(nodes(&reader).await, 1);
    let script = "db = sqlite3.connect(path)\ndb.execute('UPDATE session_meta SET rowid = rowid')\ndb.commit()\ndb.close()";
    if other::python(script, &path).is_some() {
        assert_eq!(nodes(&reader).await, 1);
    }
}

/// The bug this guards against: the connection of a store that reads could not be opened for
/// want of descriptors. That was taken for a directory that cannot be written, so the file was
/// read as if it never changed, and old data was returned for ever.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_store_that_lacked_descriptors_sees_what_it_writes() {
    if let Some(path) = child::file() {
        let store = Store::open(&path).await.unwrap();
        store
            .commit_runtime_state(append(None, chain(0, 1)))
            .await
            .unwrap();
        for left in 0..4 {
            let mut taken = Vec::new();
            while let Ok(file) = fs::File::open("/dev/null") {
                taken.push(file);
            }
            taken.truncate(taken.len() - left);
            // Whether it succeeds depends on how many were left.
            let _ = store.load_session(SessionReadScope::FullGraph).await;
        }
        store
            .commit_runtime_state(append(Some(1), chain(1, 1)))
            .await
            .unwrap();
        assert_eq!(nodes(&store).await, 2);
        println!("saw it");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session.db");
    let mut command = child::command_after(
        "ulimit -n 64",
        a_store_that_lacked_descriptors_sees_what_it_writes,
        &path,
    );
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("saw it"), "{text}");
}

/// In a directory where everybody may create files, while the owner has a log and without one.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn another_user_reads_and_leaves_nothing() {
    use crate::under::{open_directory, unprivileged};

    if let Some(directory) = child::file() {
        let committed = fs::read_to_string(directory.join("committed")).unwrap();
        let reader = Store::open_readonly(&directory.join("session.db")).await;
        let reader = reader.unwrap();
        assert_eq!(nodes(&reader).await.to_string(), committed);
        reader.close().await;
        return;
    }
    let directory = open_directory();
    let path = directory.path().join("session.db");
    let look = |committed: usize| {
        fs::write(directory.path().join("committed"), committed.to_string()).unwrap();
        let before = names(directory.path());
        unprivileged(":", another_user_reads_and_leaves_nothing, directory.path());
        assert_eq!(names(directory.path()), before);
    };
    for (head, first) in [(None, 0), (Some(2), 2)] {
        let builder = StoreBuilder::new().file_mode(0o644);
        let owner = builder.open(&path).await.unwrap();
        let commit = append(head, chain(first, 1));
        owner.commit_runtime_state(commit).await.unwrap();
        look(first + 1);
        let commit = append(Some(head.unwrap_or(0) + 1), chain(first + 1, 1));
        owner.commit_runtime_state(commit).await.unwrap();
        owner.close().await;
        look(first + 2);
    }
}
