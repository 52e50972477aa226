//! The suites by which lash-core holds its backends to their contract.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use lash_core::DurabilityTier;
use lash_core::testing::conformance::{
    ReopenableLashlangArtifactStore, ReopenableProcessRegistry, ReopenableRuntimePersistence,
    lashlang_artifact_store_reopenable, process_registry_reopenable,
    runtime_persistence_reopenable,
};
use lash_wasm_store::{Error, SqliteProcessRegistry, Store};
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

/// Opens something within a runtime that is gone when it is used.
fn open<T, F>(path: &Path, open: fn(PathBuf) -> F) -> Arc<T>
where
    T: Send + Sync + 'static,
    F: Future<Output = Result<T, Error>> + 'static,
{
    let path = path.to_path_buf();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        Arc::new(runtime.block_on(open(path)).unwrap())
    })
    .join()
    .unwrap()
}

async fn store(path: PathBuf) -> Result<Store, Error> {
    Store::open(&path).await
}

async fn process_registry(path: PathBuf) -> Result<SqliteProcessRegistry, Error> {
    SqliteProcessRegistry::open(&path).await
}

#[tokio::test]
async fn runtime_persistence() {
    let files = Files::default();
    runtime_persistence_reopenable(|| {
        let path = files.fresh();
        ReopenableRuntimePersistence {
            open: open(&path, store),
            reopen: open(&path, store),
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
                open: open(&path, store),
                reopen: open(&path, store),
            }
        },
        DurabilityTier::Durable,
    )
    .await;
}

#[tokio::test]
async fn processes() {
    let files = Files::default();
    process_registry_reopenable(|| {
        let path = files.fresh();
        ReopenableProcessRegistry {
            open: open(&path, process_registry),
            reopen: open(&path, process_registry),
        }
    })
    .await;
}
