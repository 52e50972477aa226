//! The suites by which lash-core holds its backends to their contract.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use lash_core::testing::conformance::{
    ReopenableHostEventStore, ReopenableLashlangArtifactStore, ReopenableProcessRegistry,
    ReopenableRuntimePersistence, effect_controller_concurrent_replay_deterministic,
    host_event_store_reopenable, lashlang_artifact_store_reopenable, process_registry_reopenable,
    runtime_persistence_reopenable,
};
use lash_core::{DurabilityTier, EffectScope};
use lash_wasm_store::{
    Error, SqliteEffectHost, SqliteHostEventStore, SqliteProcessRegistry,
    SqliteRuntimeEffectController, Store,
};
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
    Arc::new(elsewhere(async move { Store::open(&path).await }))
}

pub(super) fn elsewhere<T: Send + 'static>(
    open: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> T {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(open).unwrap()
    })
    .join()
    .unwrap()
}

#[tokio::test]
async fn runtime_persistence() {
    holds_sessions(open).await;
}

#[tokio::test]
async fn lashlang_artifact_store() {
    holds_artifacts(open).await;
}

/// The suite for sessions, on what `open` makes of a file.
pub(super) async fn holds_sessions(open: fn(&Path) -> Arc<Store>) {
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

/// The suite for artifacts, on what `open` makes of a file.
pub(super) async fn holds_artifacts(open: fn(&Path) -> Arc<Store>) {
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
async fn effect_host() {
    let files = Files::default();
    lash_core::testing::conformance::effect_host(|| {
        let path = files.fresh();
        Arc::new(elsewhere(
            async move { SqliteEffectHost::open(&path).await },
        ))
    })
    .await;
}

#[tokio::test]
async fn effect_controller() {
    let files = Files::default();
    let path = files.fresh();
    let scope = EffectScope::turn("effect-conformance-session", "effect-conformance-turn");
    let controller =
        elsewhere(async move { SqliteRuntimeEffectController::open(&path, scope).await });
    effect_controller_concurrent_replay_deterministic(&controller, || controller.start_replay())
        .await;
}

#[tokio::test]
async fn processes() {
    let files = Files::default();
    let open = |path: &Path| {
        let path = path.to_path_buf();
        Arc::new(elsewhere(async move {
            SqliteProcessRegistry::open(&path).await
        }))
    };
    process_registry_reopenable(|| {
        let path = files.fresh();
        ReopenableProcessRegistry {
            open: open(&path),
            reopen: open(&path),
        }
    })
    .await;
}

#[tokio::test]
async fn host_event_store() {
    let files = Files::default();
    let open = |path: &Path| {
        let path = path.to_path_buf();
        Arc::new(elsewhere(
            async move { SqliteHostEventStore::open(&path).await },
        ))
    };
    host_event_store_reopenable(
        || {
            let path = files.fresh();
            ReopenableHostEventStore {
                open: open(&path),
                reopen: open(&path),
            }
        },
        DurabilityTier::Durable,
    )
    .await;
}
