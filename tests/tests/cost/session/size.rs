//! What a session takes in its file, and what a commit writes to it.

use std::path::Path;

use lash_core::store::{RuntimeCommit, RuntimeTurnCommitStamp};
use lash_core::{RuntimePersistence, RuntimeSessionState, SessionReadScope};
use lash_wasm_store_testing::fixtures::{
    Place, SESSION, append, commit, large_node, node, noise, replace,
};

/// Far less than any of the histories below, far more than a call needs.
const LITTLE: u64 = 256 * 1024;

/// The length of a file's write-ahead log.
fn log_length(path: &Path) -> u64 {
    std::fs::metadata(path.with_extension("db-wal")).map_or(0, |log| log.len())
}

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

/// Defects P2 and P3 of the native crate: a state is written anew as decimal numbers with
/// every commit. Here it is one blob of raw bytes, which is not written again.
#[tokio::test]
async fn an_execution_state_is_stored_once_and_as_it_is() {
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

/// Defect P12 of the native crate: a file never becomes smaller.
#[tokio::test]
async fn a_file_shrinks_when_garbage_is_collected_and_nodes_are_vacuumed() {
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
    store.close().await;
    let length = std::fs::metadata(place.path()).unwrap().len();
    assert!(length < 1 << 20, "{length} bytes");
}

#[tokio::test]
async fn the_stamp_of_a_turn_does_not_repeat_its_state() {
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

/// Defect P14 of the native crate: it deletes and inserts every row. Here the rows that
/// both graphs begin with stay where they are.
#[tokio::test]
async fn replacing_a_graph_by_a_longer_one_writes_what_is_new() {
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
