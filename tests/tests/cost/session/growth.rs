//! Regression tests for costs of lash-sqlite-store 0.1.0-alpha.46 that grow with
//! the history of a session, or fall on those who do nothing.
//!
//! None of them measures time. They count bytes, pages and threads, or hold a lock
//! that an idle call must not need. What is counted is the whole process's, so the
//! tests of this file run one after the other.
// What is counted by /proc is counted on Linux only.
#![cfg_attr(not(target_os = "linux"), allow(unused_imports))]

use std::path::Path;
use std::pin::pin;

use lash_core::runtime::QueuedWorkClaimBoundary;
use lash_core::store::{RuntimeCommit, RuntimeTurnCommitStamp};
use lash_core::{
    AttachmentManifest, DeliveryPolicy, LashlangArtifactStore, MessageRole, RuntimePersistence,
    RuntimeSessionState, SessionReadScope,
};
use lash_wasm_store::Store;
use lash_wasm_store_tests::fixtures::{
    Place, SESSION, append, chain, claim, commit, full_checkpoint, large_node, message_node, meta,
    node, noise, poll_once, replace, usage, work,
};
use tokio::sync::Mutex;

static ALONE: Mutex<()> = Mutex::const_new(());

/// Far less than any of the histories below, far more than a call needs.
const LITTLE: u64 = 256 * 1024;

/// The length of a file's write-ahead log.
fn log_length(path: &Path) -> u64 {
    std::fs::metadata(path.with_extension("db-wal")).map_or(0, |log| log.len())
}

/// How many bytes the process has read from files.
#[cfg(target_os = "linux")]
fn bytes_read() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("rchar: "));
    line.unwrap().parse().unwrap()
}

/// How many threads the process has.
#[cfg(target_os = "linux")]
fn threads() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    line.unwrap().trim().parse().unwrap()
}

/// A session of about 8 MB: a short branch, then a long one.
#[cfg(target_os = "linux")]
async fn long_session(place: &Place) -> Store {
    let store = place.open().await;
    store.save_session_meta(meta()).await;
    let mut nodes = vec![
        message_node("first", None, MessageRole::User, "question"),
        node("short", Some("first")),
    ];
    for number in 0..4_000_usize {
        let parent = number
            .checked_sub(1)
            .map_or_else(|| "first".to_owned(), |parent| format!("n{parent}"));
        nodes.push(large_node(&format!("n{number}"), Some(&parent), 2_000));
    }
    store
        .commit_runtime_state(append(None, nodes))
        .await
        .unwrap();
    // Comes after all that the commit left to be done.
    store.try_put_blob(b"settled").await.unwrap();
    assert!(place.raw().integer("PRAGMA page_count") > 1_900);
    store
}

// P1. Every native commit counts the nodes of the session, by a scan of the table
// that holds their bodies: a session gets slower with every turn. Here the count is
// kept.

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_commit_does_not_read_the_history() {
    let _alone = ALONE.lock().await;
    let place = Place::new();
    let _seeded = long_session(&place).await;
    let store = place.open().await;
    store
        .commit_runtime_state(append(Some(1), vec![node("a", Some("n3999"))]))
        .await
        .unwrap();
    let before = bytes_read();
    store
        .commit_runtime_state(append(Some(2), vec![node("b", Some("a"))]))
        .await
        .unwrap();
    let read = bytes_read() - before;
    assert!(read < LITTLE, "{read} bytes");
    let head = store.try_load_session_head_meta().await.unwrap().unwrap();
    assert_eq!(head.graph_node_count, 4_004);
}

// P2, P3, P4. A native frame carries its execution state in the JSON of the head as
// a list of decimal numbers, 3.6 bytes for one, and every commit decodes and writes
// it anew; a blob is an array of integers in MessagePack, half as large again. Here
// both are one blob of raw bytes, and one that is stored is not written again.

fn with_execution_state(expected: Option<u64>, content: &[u8]) -> RuntimeCommit {
    let mut state = RuntimeSessionState {
        session_id: SESSION.to_owned(),
        ..RuntimeSessionState::default()
    };
    state.ensure_agent_frame_initialized();
    state.set_execution_state_snapshot(Some(content.to_vec()));
    RuntimeCommit {
        expected_head_revision: expected,
        graph: append(None, Vec::new()).graph,
        ..RuntimeCommit::persisted_state(&state, &[])
    }
}

#[tokio::test]
async fn an_execution_state_is_stored_once_and_as_it_is() {
    let _alone = ALONE.lock().await;
    let place = Place::new();
    let store = place.open().await;
    let content = noise(1 << 20);
    let first = with_execution_state(None, &content);
    assert!(first.agent_frames[0].execution_state_snapshot.is_some());
    store.commit_runtime_state(first).await.unwrap();

    let raw = place.raw();
    assert!(raw.integer("SELECT length(content) FROM session_head") < 16_384);
    let blobs = raw.integer("SELECT sum(length(content)) FROM blobs");
    assert!((1 << 20..(1 << 20) + 16_384).contains(&blobs), "{blobs}");
    let bytes = raw.integer("PRAGMA page_count") * raw.integer("PRAGMA page_size");
    assert!(bytes < 5 << 18, "{bytes} bytes for 1 MiB");

    let before = log_length(place.path());
    store
        .commit_runtime_state(with_execution_state(Some(1), &content))
        .await
        .unwrap();
    let written = log_length(place.path()).saturating_sub(before);
    assert!(written < LITTLE, "{written} bytes");

    let read = store.load_session(SessionReadScope::FullGraph).await;
    let read = read.unwrap().unwrap();
    let frame = read.agent_frames[0].execution_state_snapshot.as_ref();
    assert_eq!(frame, Some(&content));
    let checkpoint = read.checkpoint.unwrap().execution_state;
    assert_eq!(checkpoint, Some(content));
}

// P6. A native handle has one connection on a thread of its own: a thousand open
// sessions are a thousand threads, and a read waits for whatever the same handle
// writes, and for the lock of another process for which that write waits.

#[cfg(target_os = "linux")]
#[tokio::test]
async fn open_stores_need_no_threads_of_their_own() {
    let _alone = ALONE.lock().await;
    let warm = Store::memory().await.unwrap();
    warm.commit_runtime_state(commit(None)).await.unwrap();
    let before = threads();
    let mut open = Vec::new();
    for _ in 0..48 {
        let place = Place::new();
        let store = place.open().await;
        store
            .commit_runtime_state(append(None, chain(0, 1)))
            .await
            .unwrap();
        store
            .load_session(SessionReadScope::FullGraph)
            .await
            .unwrap();
        open.push((store, place));
    }
    let more = threads().saturating_sub(before);
    assert!(more < 12, "{more} threads for {} stores", open.len());
}

#[tokio::test]
async fn nothing_that_reads_waits_for_a_writer() {
    let _alone = ALONE.lock().await;
    let place = Place::new();
    let store = place.open().await;
    let mut first = append(None, chain(0, 2));
    first.checkpoint = full_checkpoint(1);
    let result = store.commit_runtime_state(first).await.unwrap();
    store.save_session_meta(meta()).await;
    store.enqueue_queued_work(work("w")).await.unwrap();
    store
        .put_artifact_bytes("name", "generic", b"content")
        .await
        .unwrap();

    let raw = place.raw();
    let lock = raw.lock();
    // This one waits, in the same handle and for the lock of another.
    let mut waiting = pin!(store.commit_runtime_state(commit(Some(1))));
    assert!(poll_once(waiting.as_mut()).is_pending());

    let opened = place.open().await;
    let readonly = Store::open_readonly(place.path()).await.unwrap();
    for store in [&store, &opened, &readonly] {
        for scope in [
            SessionReadScope::FullGraph,
            SessionReadScope::ActivePath { leaf_node_id: None },
        ] {
            let read = store.load_session(scope).await.unwrap().unwrap();
            assert_eq!(read.head_revision, 1);
        }
        assert!(store.load_node("n1").await.unwrap().is_some());
        assert_eq!(store.list_queued_work(SESSION).await.unwrap().len(), 1);
        let pending = store.list_pending_queued_work(SESSION).await;
        assert_eq!(pending.unwrap().len(), 1);
        assert!(store.try_load_picker_info().await.unwrap().is_some());
        assert!(store.try_load_session_meta().await.unwrap().is_some());
        assert!(store.try_load_session_head().await.unwrap().is_some());
        let checkpoint = store.try_get_checkpoint(&result.checkpoint_ref).await;
        assert!(checkpoint.unwrap().is_some());
        assert!(store.try_load_usage_deltas().await.unwrap().is_empty());
        assert!(store.get_artifact_bytes("name").await.unwrap().is_some());
        assert!(store.list_uncommitted(1).unwrap().is_empty());
    }
    drop(lock);
    assert_eq!(waiting.await.unwrap().head_revision, 2);
}

#[tokio::test]
async fn stores_that_wait_for_locks_do_not_hold_up_another_store() {
    let _alone = ALONE.lock().await;
    let mut locked = Vec::new();
    for _ in 0..6 {
        let place = Place::new();
        locked.push((place.open().await, place));
    }
    let raws: Vec<_> = locked.iter().map(|(_, place)| place.raw()).collect();
    let locks: Vec<_> = raws.iter().map(|raw| raw.lock()).collect();
    let mut waiting: Vec<_> = locked
        .iter()
        .map(|(store, _)| Box::pin(store.commit_runtime_state(commit(None))))
        .collect();
    for commit in &mut waiting {
        assert!(poll_once(commit.as_mut()).is_pending());
    }

    let place = Place::new();
    let free = place.open().await;
    for revision in 0..5 {
        let expected = (revision > 0).then_some(revision);
        free.commit_runtime_state(commit(expected)).await.unwrap();
    }
    for commit in &mut waiting {
        assert!(poll_once(commit.as_mut()).is_pending());
    }
    drop(locks);
    for commit in waiting {
        assert_eq!(commit.await.unwrap().head_revision, 1);
    }
}

// P7. A native claim takes the write lock before it looks whether there is work,
// at every checkpoint of every turn. Here a claim that finds nothing needs no lock.

#[tokio::test]
async fn a_claim_that_finds_nothing_takes_no_lock() {
    let _alone = ALONE.lock().await;
    let place = Place::new();
    let store = place.open().await;
    let raw = place.raw();
    let within = async || {
        let boundary = QueuedWorkClaimBoundary::ActiveTurnCheckpoint;
        let claim = store.claim_ready_queued_work(SESSION, "o", boundary, 60_000, 5);
        claim.await.unwrap()
    };
    {
        let _lock = raw.lock();
        assert!(claim(&store, 60_000, 5).await.is_none());
        assert!(within().await.is_none());
    }

    // Work that is not ready, that is held, and that waits for the turn's end.
    store.enqueue_queued_work(work("held")).await.unwrap();
    claim(&store, 3_600_000, 1).await.unwrap();
    let later = work("later").with_available_at_ms(u64::MAX);
    store.enqueue_queued_work(later).await.unwrap();
    {
        let _lock = raw.lock();
        assert!(claim(&store, 60_000, 5).await.is_none());
    }
    let mut draft = work("after the turn");
    draft.delivery_policy = DeliveryPolicy::AfterCurrentTurnCommit;
    store.enqueue_queued_work(draft).await.unwrap();
    {
        let _lock = raw.lock();
        assert!(within().await.is_none());
    }
    assert!(claim(&store, 60_000, 5).await.is_some());
}

// P11. The native picker reads and decodes every node of a session to show one
// line, a path is found by parsing the JSON of nodes, and loading the ledger adds up
// every entry there ever was. Here each reads what it answers.

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_picker_and_a_short_path_do_not_read_the_history() {
    let _alone = ALONE.lock().await;
    let place = Place::new();
    let _seeded = long_session(&place).await;
    let store = place.open().await;
    store.try_load_session_meta().await.unwrap();

    let before = bytes_read();
    let info = store.try_load_picker_info().await.unwrap().unwrap();
    let read = bytes_read() - before;
    assert_eq!(info.first_user_message, "question");
    assert_eq!(info.user_message_count, 1);
    assert!(read < LITTLE, "{read} bytes for the picker");

    let before = bytes_read();
    let path = store
        .load_session(SessionReadScope::ActivePath {
            leaf_node_id: Some("short".to_owned()),
        })
        .await
        .unwrap()
        .unwrap();
    let read = bytes_read() - before;
    assert_eq!(path.graph.nodes.len(), 2);
    assert!(read < LITTLE, "{read} bytes for a path");

    let before = bytes_read();
    assert!(store.load_node("n2000").await.unwrap().is_some());
    let read = bytes_read() - before;
    assert!(read < LITTLE, "{read} bytes for a node");

    // What the figures are compared with.
    let before = bytes_read();
    store
        .load_session(SessionReadScope::FullGraph)
        .await
        .unwrap();
    assert!(bytes_read() - before > 16 * LITTLE);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn loading_a_session_does_not_read_every_entry_of_the_ledger() {
    let _alone = ALONE.lock().await;
    let place = Place::new();
    let seeded = place.open().await;
    seeded.commit_runtime_state(commit(None)).await.unwrap();
    let source = "a long name ".repeat(100);
    let entries = vec![usage(&source, "model", [1, 0, 0, 0]); 4_000];
    seeded.append_usage_deltas(&entries).await;
    seeded.try_put_blob(b"settled").await.unwrap();

    let store = place.open().await;
    store.try_load_session_meta().await.unwrap();
    let before = bytes_read();
    let scope = SessionReadScope::FullGraph;
    let session = store.load_session(scope).await.unwrap().unwrap();
    let read = bytes_read() - before;
    assert_eq!(session.token_ledger.len(), 1);
    assert_eq!(session.token_ledger[0].usage.input_tokens, 4_000);
    assert!(read < LITTLE, "{read} bytes");
}

// P12. A native file never becomes smaller: vacuum deletes rows and keeps their
// pages, and the stamp of every turn repeats the whole manifest. Here the pages of
// what is deleted go back to the file system, and a stamp has a fixed size.

#[tokio::test]
async fn a_file_shrinks_when_garbage_is_collected_and_nodes_are_vacuumed() {
    let _alone = ALONE.lock().await;
    let place = Place::new();
    let store = place.open().await;
    let nodes: Vec<_> = (0..500)
        .map(|number| large_node(&format!("n{number}"), None, 4_000))
        .collect();
    let hidden: Vec<String> = nodes.iter().map(|node| node.node_id.clone()).collect();
    let raw = place.raw();
    let empty = raw.integer("PRAGMA page_count");
    store
        .commit_runtime_state(append(None, nodes))
        .await
        .unwrap();
    store.try_put_blob(&noise(2 << 20)).await.unwrap();
    let full = raw.integer("PRAGMA page_count");
    assert!(full > empty + 900, "{empty} to {full} pages");

    assert_eq!(store.gc_unreachable().await.deleted_blob_count, 1);
    let collected = raw.integer("PRAGMA page_count");
    assert!(full - collected > 500, "{full} to {collected} pages");
    store.tombstone_nodes(&hidden).await.unwrap();
    assert_eq!(store.vacuum().await.unwrap().removed_node_count, 500);
    let vacuumed = raw.integer("PRAGMA page_count");
    assert!(vacuumed < empty + 40, "{empty}, then {vacuumed} pages");
    assert_eq!(raw.integer("PRAGMA freelist_count"), 0);

    drop(raw);
    drop(store);
    let length = std::fs::metadata(place.path()).unwrap().len();
    assert!(length < 1 << 20, "{length} bytes");
}

#[tokio::test]
async fn the_stamp_of_a_turn_does_not_repeat_its_state() {
    let _alone = ALONE.lock().await;
    let place = Place::new();
    let store = place.open().await;
    let mut next = commit(None);
    next.checkpoint.turn_state.protocol_turn_options =
        serde_json::from_value(serde_json::json!({ "payload": { "large": "x".repeat(100_000) } }))
            .unwrap();
    let stamped = next.with_turn_commit(RuntimeTurnCommitStamp::new(SESSION, "turn", "hash"));
    let first = store.commit_runtime_state(stamped.clone()).await.unwrap();
    let stamp = "SELECT sum(length(session_id) + length(turn_id) + length(commit_hash)
                 + length(checkpoint)) FROM runtime_turn_commits";
    let raw = place.raw();
    assert!(raw.integer(stamp) < 200);
    let pages = raw.integer("PRAGMA page_count") * raw.integer("PRAGMA page_size");
    assert!(pages < 400_000, "{pages} bytes");
    let replayed = store.commit_runtime_state(stamped).await.unwrap();
    assert_eq!(
        serde_json::to_value(&replayed).unwrap(),
        serde_json::to_value(&first).unwrap()
    );
}

// P14. A native commit that replaces the graph deletes and inserts every row, and
// the runtime replaces it whenever it opens a frame with nodes. Here the rows that
// both graphs begin with stay where they are.

#[tokio::test]
async fn replacing_a_graph_by_a_longer_one_writes_what_is_new() {
    let _alone = ALONE.lock().await;
    let place = Place::new();
    let store = place.open().await;
    let mut nodes: Vec<_> = (0..800_usize)
        .map(|number| {
            let parent = number.checked_sub(1).map(|parent| format!("n{parent}"));
            large_node(&format!("n{number}"), parent.as_deref(), 2_000)
        })
        .collect();
    store
        .commit_runtime_state(replace(None, nodes.clone()))
        .await
        .unwrap();
    let rows = "SELECT seq FROM graph_nodes ORDER BY seq";
    let raw = place.raw();
    let first = raw.integers(rows);
    assert_eq!(first.len(), 800);

    let before = log_length(place.path());
    nodes.push(node("new", Some("n799")));
    store
        .commit_runtime_state(replace(Some(1), nodes.clone()))
        .await
        .unwrap();
    let written = log_length(place.path()).saturating_sub(before);
    assert!(written < LITTLE, "{written} bytes");
    let second = raw.integers(rows);
    assert_eq!(second[..800], first[..]);
    assert_eq!(second.len(), 801);

    // Where the graphs part, rows are new; a sequence is not used again.
    nodes.truncate(799);
    nodes.push(node("other", Some("n798")));
    store
        .commit_runtime_state(replace(Some(2), nodes))
        .await
        .unwrap();
    let third = raw.integers(rows);
    assert_eq!(third[..799], first[..799]);
    assert!(third[799] > second[800]);
    let graph = store.try_load_session_graph().await.unwrap();
    assert_eq!(graph.nodes.last().unwrap().node_id, "other");
}
