//! Opening: what is created, what is refused, what each kind of store can do.

use std::path::Path;
use std::time::Duration;

use lash_core::{DurabilityTier, LashlangArtifactStore, RuntimePersistence, SessionReadScope};
use lash_wasm_store::{
    Durability, EngineError, Error, Store, StoreBuilder, StoreGcPolicy, StoreOptions,
};
use lash_wasm_store_testing::fixtures::{
    Place, SESSION, append, chain, claim, commit, full_checkpoint, ids, meta, work,
};

const FULL: SessionReadScope = SessionReadScope::FullGraph;

#[tokio::test]
async fn a_new_file_is_a_session_database_in_wal_mode() {
    let place = Place::new();
    let store = place.open().await;
    assert_eq!(store.path(), place.path());
    assert_eq!(
        RuntimePersistence::durability_tier(&store),
        DurabilityTier::Durable
    );
    let raw = place.raw();
    assert_eq!(raw.integer("PRAGMA user_version"), 3);
    assert_eq!(raw.integer("PRAGMA application_id"), 0x4c53_5301);
    assert_eq!(raw.texts("PRAGMA journal_mode"), ["wal"]);
    let tables = "SELECT count(*) FROM sqlite_master WHERE name = 'runtime_turn_commits'";
    assert_eq!(raw.integer(tables), 1);
}

#[tokio::test]
async fn what_was_committed_is_there_after_the_last_handle_is_dropped() {
    let place = Place::new();
    let store = place.open().await;
    store
        .commit_runtime_state(append(None, chain(0, 3)))
        .await
        .unwrap();
    drop(store);
    let store = place.open().await;
    let read = store.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(ids(&read.graph.nodes), ["n0", "n1", "n2"]);
    store.close().await;
    assert!(!place.path().with_extension("db-wal").exists());
}

#[tokio::test]
async fn stores_in_memory_are_private_and_durable_by_name() {
    let first = Store::memory().await.unwrap();
    let second = Store::open(Path::new(":memory:")).await.unwrap();
    for store in [&first, &second] {
        assert_eq!(store.path(), Path::new(":memory:"));
        assert_eq!(
            RuntimePersistence::durability_tier(store),
            DurabilityTier::Durable
        );
        assert!(store.load_session(FULL).await.unwrap().is_none());
        store.commit_runtime_state(commit(None)).await.unwrap();
    }
    assert!(!Path::new(":memory:").exists());
}

#[tokio::test]
async fn a_store_that_is_open_for_reading_reads_everything_and_writes_nothing() {
    let place = Place::new();
    let writer = place.open().await;
    let mut first = append(None, chain(0, 2));
    first.checkpoint = full_checkpoint(1);
    writer.commit_runtime_state(first).await.unwrap();
    writer.save_session_meta(meta()).await;
    writer.enqueue_queued_work(work("w")).await.unwrap();
    writer
        .put_artifact_bytes("name", "generic", b"content")
        .await
        .unwrap();

    let reader = Store::open_readonly(place.path()).await.unwrap();
    let raw = place.raw();
    let version = raw.data_version();
    let read = reader.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(ids(&read.graph.nodes), ["n0", "n1"]);
    assert!(read.checkpoint.unwrap().execution_state.is_some());
    assert!(reader.load_picker_info().await.is_some());
    assert_eq!(reader.list_queued_work(SESSION).await.unwrap().len(), 1);
    let bytes = reader.get_artifact_bytes("name").await.unwrap();
    assert_eq!(bytes.unwrap(), b"content");

    assert!(reader.commit_runtime_state(commit(Some(1))).await.is_err());
    assert!(reader.enqueue_queued_work(work("x")).await.is_err());
    assert!(reader.vacuum().await.is_err());
    assert!(reader.tombstone_nodes(&["n0".to_owned()]).await.is_err());
    assert_eq!(raw.data_version(), version);

    // It sees what is committed later.
    writer
        .commit_runtime_state(append(Some(1), chain(2, 1)))
        .await
        .unwrap();
    let read = reader.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(ids(&read.graph.nodes), ["n0", "n1", "n2"]);
}

#[tokio::test]
async fn opening_for_reading_creates_nothing() {
    let place = Place::new();
    assert!(matches!(
        Store::open_readonly(place.path()).await,
        Err(Error::Engine(EngineError::Missing { .. }))
    ));
    assert!(!place.path().exists());
    std::fs::write(place.path(), b"").unwrap();
    assert!(matches!(
        StoreBuilder::new().open_readonly(place.path()).await,
        Err(Error::Engine(EngineError::Missing { .. }))
    ));
    assert_eq!(std::fs::metadata(place.path()).unwrap().len(), 0);
}

#[tokio::test]
async fn a_file_that_is_something_else_is_refused_and_not_touched() {
    let sql = |statements: &'static str| {
        move |path: &Path| {
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.execute_batch(statements).unwrap();
        }
    };
    type Make = Box<dyn Fn(&Path)>;
    type Refused = fn(&Error) -> bool;
    let cases: [(&str, Make, Refused); 6] = [
        (
            "text",
            Box::new(|path| std::fs::write(path, "text ".repeat(100)).unwrap()),
            |error| matches!(error, Error::Engine(EngineError::NotADatabase { .. })),
        ),
        (
            "one byte",
            Box::new(|path| std::fs::write(path, "x").unwrap()),
            |error| matches!(error, Error::Engine(EngineError::NotADatabase { .. })),
        ),
        (
            "tables of somebody",
            Box::new(sql("CREATE TABLE theirs (x)")),
            |error| matches!(error, Error::Engine(EngineError::Foreign { .. })),
        ),
        (
            "a version of somebody",
            Box::new(sql("CREATE TABLE theirs (x); PRAGMA user_version = 99")),
            |error| {
                let message = error.to_string();
                matches!(error, Error::Engine(EngineError::Foreign { .. }))
                    && message.contains("user_version 99")
            },
        ),
        (
            "another kind of ours",
            Box::new(sql(
                "CREATE TABLE t (x); PRAGMA application_id = 0x4c535001; PRAGMA user_version = 1",
            )),
            |error| matches!(error, Error::Engine(EngineError::OtherKind { .. })),
        ),
        (
            "another version of ours",
            Box::new(sql(
                "CREATE TABLE t (x); PRAGMA application_id = 0x4c535304; PRAGMA user_version = 3",
            )),
            |error| {
                let message = error.to_string();
                matches!(error, Error::Engine(EngineError::OtherVersion { .. }))
                    && message.contains("version 4")
                    && message.contains("version 1")
            },
        ),
    ];
    for (what, make, refused) in cases {
        let place = Place::new();
        make(place.path());
        let before = std::fs::read(place.path()).unwrap();
        for error in [
            Store::open(place.path()).await.unwrap_err(),
            Store::open_readonly(place.path()).await.unwrap_err(),
        ] {
            // What is empty but for its tables is told only by looking inside.
            let inside = what == "tables of somebody"
                && matches!(error, Error::Engine(EngineError::Missing { .. }));
            assert!(inside || refused(&error), "{what}: {error}");
            assert_eq!(error.path(), place.path());
        }
        assert_eq!(std::fs::read(place.path()).unwrap(), before, "{what}");
        assert!(!place.path().with_extension("db-wal").exists(), "{what}");
    }
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_an_error() {
    let place = Place::new();
    let path = place.path().join("below").join("session.db");
    assert!(matches!(
        Store::open(&path).await,
        Err(Error::Engine(EngineError::Io { .. }))
    ));
    let directory = place.path().parent().unwrap();
    assert!(matches!(
        Store::open(directory).await,
        Err(Error::Engine(EngineError::Io { .. }))
    ));
}

#[test]
fn a_new_file_may_be_opened_by_many_threads_at_once() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                let store = runtime.block_on(Store::open(place.path())).unwrap();
                let read = runtime.block_on(store.load_session(FULL)).unwrap();
                assert!(read.is_none());
                assert_eq!(place.raw().integer("PRAGMA user_version"), 3);
            });
        }
    });
}

#[tokio::test]
async fn a_write_that_waits_too_long_for_another_writer_is_busy_and_reads_go_on() {
    let place = Place::new();
    let builder = StoreBuilder::new().busy_timeout(Duration::ZERO);
    let store = place.open_with(builder).await;
    store.commit_runtime_state(commit(None)).await.unwrap();
    let raw = place.raw();
    let lock = raw.lock();
    assert!(matches!(
        store.try_put_blob(b"x").await,
        Err(Error::Engine(EngineError::Busy { .. }))
    ));
    let read = store.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(read.head_revision, 1);
    drop(lock);
    store.try_put_blob(b"x").await.unwrap();
}

#[tokio::test]
async fn both_durabilities_commit() {
    for durability in [Durability::Full, Durability::Normal] {
        let place = Place::new();
        let builder = StoreBuilder::new().durability(durability);
        let store = place.open_with(builder).await;
        store.enqueue_queued_work(work("w")).await.unwrap();
        let held = claim(&store, 60_000, 1).await.unwrap();
        store
            .commit_runtime_state(commit(None).completing_queue_claim(held.completion()))
            .await
            .unwrap();
        let other = place.open().await;
        let read = other.load_session(FULL).await.unwrap().unwrap();
        assert_eq!(read.head_revision, 1);
    }
}

async fn collected_after_each_commit(every: Option<u64>, commits: u64) -> Vec<bool> {
    let store = Store::memory_with_options(StoreOptions {
        gc_policy: StoreGcPolicy {
            auto_run_every_commits: every,
        },
        ..StoreOptions::default()
    })
    .await
    .unwrap();
    let mut collected = Vec::new();
    for revision in 0..commits {
        let garbage = store.try_put_blob(&revision.to_le_bytes()).await.unwrap();
        let expected = (revision > 0).then_some(revision);
        store.commit_runtime_state(commit(expected)).await.unwrap();
        // What is called next comes after a collection.
        collected.push(store.try_get_blob(&garbage).await.unwrap().is_none());
    }
    collected
}

#[tokio::test]
async fn garbage_is_collected_after_every_so_many_commits() {
    let never = [false; 4];
    assert_eq!(collected_after_each_commit(None, 4).await, never);
    assert_eq!(collected_after_each_commit(Some(0), 4).await, never);
    assert_eq!(collected_after_each_commit(Some(1), 2).await, [true; 2]);
    assert_eq!(
        collected_after_each_commit(Some(3), 6).await,
        [false, false, true, false, false, true]
    );
}

#[tokio::test]
async fn a_collection_that_fails_does_not_fail_the_commit_before_it() {
    let place = Place::new();
    let options = StoreOptions {
        gc_policy: StoreGcPolicy {
            auto_run_every_commits: Some(1),
        },
        ..StoreOptions::default()
    };
    let store = place.open_with(StoreBuilder::new().options(options)).await;
    store
        .put_artifact_bytes("name", "generic", b"content")
        .await
        .unwrap();
    place.raw().damage("DELETE FROM blobs");
    for (expected, revision) in [(None, 1), (Some(1), 2)] {
        let result = store.commit_runtime_state(commit(expected)).await.unwrap();
        assert_eq!(result.head_revision, revision);
    }
    assert!(store.try_gc_unreachable().await.is_err());
}

#[tokio::test]
async fn enqueueing_does_not_shift_when_garbage_is_collected() {
    let store = Store::memory_with_options(StoreOptions {
        gc_policy: StoreGcPolicy {
            auto_run_every_commits: Some(2),
        },
        ..StoreOptions::default()
    })
    .await
    .unwrap();
    let garbage = store.try_put_blob(b"garbage").await.unwrap();
    store.commit_runtime_state(commit(None)).await.unwrap();
    store.enqueue_queued_work(work("w")).await.unwrap();
    assert!(store.try_get_blob(&garbage).await.unwrap().is_some());
    store.commit_runtime_state(commit(Some(1))).await.unwrap();
    // What is called next comes after the collection.
    assert!(store.try_get_blob(&garbage).await.unwrap().is_none());
}
