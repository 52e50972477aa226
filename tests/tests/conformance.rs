//! The suites by which lash-core holds its backends to their contract.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use lash_core::DurabilityTier;
use lash_core::testing::conformance::{
    ReopenableHostEventStore, ReopenableLashlangArtifactStore, ReopenableRuntimePersistence,
    host_event_store_reopenable, lashlang_artifact_store_reopenable,
    runtime_persistence_reopenable,
};
use lash_wasm_store::{SqliteHostEventStore, Store};
use tempfile::TempDir;

/// Makes files that live as long as the suite.
#[derive(Default)]
struct Files(Mutex<Vec<TempDir>>);

impl Files {
    fn fresh(&self) -> PathBuf {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("session.db");
        self.0.lock().unwrap().push(dir);
        path
    }
}

/// Opens a store within a runtime that is gone when the store is used.
fn open(path: &Path) -> Arc<Store> {
    let path = path.to_path_buf();
    std::thread::spawn(move || Arc::new(runtime().block_on(Store::open(&path)).unwrap()))
        .join()
        .unwrap()
}

/// As [`open`].
fn open_host_events(path: &Path) -> Arc<SqliteHostEventStore> {
    let path = path.to_path_buf();
    std::thread::spawn(move || {
        Arc::new(
            runtime()
                .block_on(SqliteHostEventStore::open(&path))
                .unwrap(),
        )
    })
    .join()
    .unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

#[tokio::test]
async fn runtime_persistence() {
    let files = Files::default();
    runtime_persistence_reopenable(|| {
        let path = files.fresh();
        ReopenableRuntimePersistence {
            open: open(&path),
            reopen: open(&path),
        }
    })
    .await;
}

#[tokio::test]
async fn lashlang_artifact_store() {
    let files = Files::default();
    lashlang_artifact_store_reopenable(
        || {
            let path = files.fresh();
            ReopenableLashlangArtifactStore {
                open: open(&path),
                reopen: open(&path),
            }
        },
        DurabilityTier::Durable,
    )
    .await;
}

#[tokio::test]
async fn host_event_store() {
    let files = Files::default();
    host_event_store_reopenable(
        || {
            let path = files.fresh();
            ReopenableHostEventStore {
                open: open_host_events(&path),
                reopen: open_host_events(&path),
            }
        },
        DurabilityTier::Durable,
    )
    .await;
}
