//! A program that is interrupted leaves everything as it was.
#![cfg(unix)]

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

use lash_wasm_store::{BlobArtifactDescriptor, Store};
use lash_wasm_store_testing::fixtures::{Place, noise};
use lash_wasm_store_testing::program::interrupt;

use crate::{PROGRAM, fill};

/// The files in the directory of a database, but for those that SQLite makes for a reader.
fn beside(path: &Path) -> Vec<OsString> {
    let mut names: Vec<OsString> = std::fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| !name.to_str().unwrap().ends_with("-shm"))
        .filter(|name| !name.to_str().unwrap().ends_with("-wal"))
        .collect();
    names.sort();
    names
}

/// The reader takes a line and then no more, so the program cannot come to its end.
#[tokio::test]
async fn an_export_that_nobody_takes_is_interrupted_at_once() {
    let place = Place::new();
    fill(place.path()).await;
    let store = Store::open(place.path()).await.unwrap();
    let large = noise(1 << 20);
    store
        .try_put_artifact_blob(BlobArtifactDescriptor::tool_state_snapshot(), &large)
        .await
        .unwrap();
    store.close().await;
    let before = std::fs::read(place.path()).unwrap();

    let mut child = PROGRAM
        .command(["export"])
        .arg(place.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("\"record\":\"database\""), "{first}");
    interrupt(&child);
    let status = child.wait().unwrap();
    assert!(status.signal().is_some(), "{status:?}");

    assert_eq!(std::fs::read(place.path()).unwrap(), before);
    assert_eq!(beside(place.path()), ["session.db"]);
    PROGRAM.on("verify", place.path()).succeeded();
}

/// The second database is locked, so the program waits, with the first in a temporary
/// file.
#[tokio::test]
async fn an_export_to_a_file_leaves_nothing_when_it_is_interrupted() {
    let place = Place::named("a.db");
    fill(place.path()).await;
    let locked = place.path().with_file_name("b.db");
    fill(&locked).await;
    let raw = lash_wasm_store_testing::fixtures::Raw::open(&locked);
    raw.batch("PRAGMA locking_mode = EXCLUSIVE");
    raw.execute("CREATE TABLE t (a)");
    let before = beside(place.path());

    let target = place.path().with_file_name("all.jsonl");
    let mut child = PROGRAM
        .command(["export", "--wait", "3600", "--output"])
        .arg(&target)
        .arg(place.path().parent().unwrap())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while beside(place.path()) == before {
        assert!(child.try_wait().unwrap().is_none(), "it has ended");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    interrupt(&child);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{status:?}");
    assert_eq!(beside(place.path()), before);
}
