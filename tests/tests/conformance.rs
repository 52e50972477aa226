//! The suites by which lash-core holds its backends to their contract.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use lash_core::DurabilityTier;
use lash_core::testing::conformance::{
    ReopenableLashlangArtifactStore, ReopenableRuntimePersistence,
    lashlang_artifact_store_reopenable, runtime_persistence_reopenable,
};
use lash_wasm_store::Store;
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
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        Arc::new(runtime.block_on(Store::open(&path)).unwrap())
    })
    .join()
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
