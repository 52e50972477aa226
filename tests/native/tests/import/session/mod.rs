//! Session databases.

pub(crate) mod answers;
mod damage;
mod foreign;
mod speed;
pub(crate) mod workload;

use lash_core::{RuntimePersistence, SessionReadScope};
use lash_wasm_store::import::NativeImport;
use lash_wasm_store::{BuiltinBlobProfile, DatabaseKind, Store, StoreBuilder, StoreOptions};
use lash_wasm_store_testing::fixtures::{SESSION, append, claim, json, node, work};

use crate::files::{Files, assert_sound, image};
use answers::{answers, assert_equal};
use workload::Workload;

/// Both crates answer everything alike while the native one still has its file open;
/// ours then goes on.
async fn round_trip(
    native: lash_sqlite_store::BuiltinBlobProfile,
    ours: BuiltinBlobProfile,
    collect_garbage: bool,
) {
    let files = Files::new();
    let (store, workload) = Workload::run(&files.source(), native, collect_garbage).await;
    let before = image(&files.source());
    let import = NativeImport::new().options(StoreOptions {
        blob_profile: ours,
        ..StoreOptions::default()
    });
    let report = import
        .session(&files.source(), &files.destination())
        .await
        .unwrap();
    assert_eq!(report.kind, DatabaseKind::Session);
    assert!(report.is_complete(), "{:?}", report.losses);
    assert_eq!(image(&files.source()), before, "the source is as it was");
    assert_eq!(files.beside_destination(), ["ours.db"]);
    for table in &report.records {
        let sql = format!("SELECT count(*) FROM {}", table.table);
        let rows = lash_wasm_store_testing::fixtures::Raw::open(&files.source()).integer(&sql);
        assert_eq!(table.rows, u64::try_from(rows).unwrap(), "{}", table.table);
    }
    assert_sound(&files.destination()).await;

    let imported = Store::open(&files.destination()).await.unwrap();
    let expected = answers(&store, &workload).await;
    assert_equal(&expected, &answers(&imported, &workload).await);
    replay(&store, &imported, &workload).await;
    go_on(&store, &imported, &workload).await;
    drop(imported);
    assert_sound(&files.destination()).await;
}

/// A turn that was committed before the import and is sent again answers what it did.
async fn replay(native: &lash_sqlite_store::Store, imported: &Store, workload: &Workload) {
    for commit in &workload.turns {
        let first = native.commit_runtime_state(commit.clone()).await.unwrap();
        let again = imported.commit_runtime_state(commit.clone()).await.unwrap();
        assert_eq!(json(&again), json(&first));
        let mut other = commit.clone();
        let stamp = other.turn_commit.as_mut().unwrap();
        stamp.turn_commit_hash = "another".to_owned();
        let refused = imported.commit_runtime_state(other).await.unwrap_err();
        assert!(refused.to_string().contains("turn"), "{refused}");
    }
}

/// The claim that was held is still held, and everything can be written to.
async fn go_on(native: &lash_sqlite_store::Store, imported: &Store, workload: &Workload) {
    let held = &workload.claim;
    for renewed in [
        native.renew_queued_work_claim(held, 60_000).await,
        imported.renew_queued_work_claim(held, 60_000).await,
    ] {
        assert_eq!(renewed.unwrap().lease_token, held.lease_token);
    }
    let read = imported
        .load_session(SessionReadScope::FullGraph)
        .await
        .unwrap()
        .unwrap();
    let leaf = read.graph.leaf_node_id.as_deref();
    // It refers to blobs by the keys that the native crate gave them.
    let mut commit = append(Some(read.head_revision), vec![node("new", leaf)])
        .completing_queue_claim(held.completion());
    let checkpoint = read.checkpoint.unwrap();
    commit.checkpoint.execution_state_ref = checkpoint.execution_state_ref.clone();
    let committed = imported.commit_runtime_state(commit).await.unwrap();
    assert_eq!(committed.head_revision, read.head_revision + 1);
    let stored = imported
        .try_get_checkpoint(&committed.checkpoint_ref)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.execution_state, checkpoint.execution_state);
    let queued = imported.list_queued_work(SESSION).await.unwrap();
    let last = queued.iter().map(|batch| batch.enqueue_seq).max().unwrap();
    let batch = imported.enqueue_queued_work(work("new")).await.unwrap();
    assert!(batch.enqueue_seq > last);
    assert!(claim(imported, 60_000, 10).await.is_some());
    imported.try_vacuum().await.unwrap();
    let report = imported.try_gc_unreachable().await.unwrap();
    assert!(report.deleted_blob_count > 0, "{report:?}");
    // What a replay answers is kept.
    for commit in &workload.turns {
        imported.commit_runtime_state(commit.clone()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_answered_alike_after_an_import() {
    round_trip(
        lash_sqlite_store::BuiltinBlobProfile::Balanced,
        BuiltinBlobProfile::Balanced,
        false,
    )
    .await;
}

/// The native garbage collection removes the manifests of older turns, but their stamps
/// stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_collected_is_answered_alike() {
    round_trip(
        lash_sqlite_store::BuiltinBlobProfile::LowLatency,
        BuiltinBlobProfile::Compact,
        true,
    )
    .await;
}

/// What was compressed stays compressed, whatever the profile is.
#[tokio::test(flavor = "multi_thread")]
async fn a_compact_session_is_answered_alike() {
    round_trip(
        lash_sqlite_store::BuiltinBlobProfile::Compact,
        BuiltinBlobProfile::LowLatency,
        false,
    )
    .await;
}

/// Nothing was committed yet, and nothing was stored.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_session_is_imported() {
    let files = Files::new();
    drop(
        lash_sqlite_store::Store::open(&files.source())
            .await
            .unwrap(),
    );
    let report = Store::import_native(&files.source(), &files.destination())
        .await
        .unwrap();
    assert!(report.records.iter().all(|table| table.rows == 0));
    assert_sound(&files.destination()).await;
    let store = StoreBuilder::new()
        .open(&files.destination())
        .await
        .unwrap();
    let read = store.load_session(SessionReadScope::FullGraph).await;
    assert!(read.unwrap().is_none());
    let nodes = vec![node("first", None)];
    store
        .commit_runtime_state(append(None, nodes))
        .await
        .unwrap();
}
