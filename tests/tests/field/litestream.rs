//! Litestream copies the log of a database that is in use to another place.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use lash_core::RuntimePersistence;
use lash_wasm_store::Store;
use lash_wasm_store::inspect::Inspector;
use lash_wasm_store_testing::child::{self, Child};
use lash_wasm_store_testing::fixtures::{append, chain};
use rustix::process::{Pid, Signal, kill_process};

const COMMITS: u64 = 1200;

async fn commit(path: &Path) {
    let store = Store::open(path).await.unwrap();
    for committed in 0..COMMITS {
        let head = (committed > 0).then_some(committed);
        let nodes = chain(usize::try_from(committed).unwrap(), 1);
        store
            .commit_runtime_state(append(head, nodes))
            .await
            .unwrap();
    }
    println!("all committed");
    child::wait_to_be_told();
}

#[tokio::test]
async fn what_litestream_restores_is_what_was_committed() {
    if let Some(path) = child::file() {
        return commit(&path).await;
    }
    if Command::new("litestream").arg("version").output().is_err() {
        println!("skipped: a replica, because litestream is missing");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session.db");
    let copies = directory.path().join("replica");
    Store::open(&path).await.unwrap().close().await;
    let replica = format!("file://{}", copies.display());
    let mut litestream = Command::new("litestream")
        .arg("replicate")
        .args([path.to_str().unwrap(), &replica])
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !copies.exists() {
        assert!(started.elapsed() < Duration::from_secs(60), "no replica");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut writer = Child::start(what_litestream_restores_is_what_was_committed, &path);
    writer.wait_for("all committed");
    writer.kill();
    // Before it ends, it copies the rest.
    let pid = i32::try_from(litestream.id()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
    litestream.wait().unwrap();

    let restored = directory.path().join("restored.db");
    let output = Command::new("litestream")
        .args(["restore", "-o", restored.to_str().unwrap(), &replica])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    for path in [restored, path] {
        let store = Store::open(&path).await.unwrap();
        let inspector = Inspector::open(&path).await.unwrap();
        let inspected = inspector.verify().await.unwrap();
        assert!(inspected.is_sound(), "{inspected:?}");
        let head = store.try_load_session_head_meta().await.unwrap().unwrap();
        assert_eq!(head.head_revision, COMMITS);
    }
}
