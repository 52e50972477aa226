//! Sources that are damaged: every loss is named, and either nothing is imported, or
//! what is whole.

use std::{fs, iter};

use lash_core::{RuntimePersistence, SessionReadScope};
use lash_sqlite_store::BuiltinBlobProfile;
use lash_wasm_store::Store;
use lash_wasm_store::import::{ImportError, NativeImport};
use lash_wasm_store_testing::damage::{Random, setting, wait_until_closed};
use lash_wasm_store_testing::fixtures::{Raw, append, json, large_node};
use lash_wasm_store_testing::flips::{self, is_sound};

use super::workload::Workload;
use crate::files::{Files, assert_sound};

/// A session that the native crate wrote and closed.
async fn closed() -> (Vec<u8>, Workload) {
    let files = Files::new();
    let path = files.source();
    let (store, workload) = Workload::run(&path, BuiltinBlobProfile::Balanced, false).await;
    drop(store);
    wait_until_closed(&path);
    (fs::read(path).unwrap(), workload)
}

/// A copy of a file, with what a statement did to it.
fn damaged(bytes: &[u8], sql: &str) -> Files {
    let files = Files::new();
    fs::write(files.source(), bytes).unwrap();
    let raw = Raw::open(&files.source());
    raw.execute("PRAGMA foreign_keys = OFF");
    assert!(raw.execute(sql) > 0, "{sql}");
    drop(raw);
    files
}

/// Parents and payloads are found by an index. A flipped byte in it hid them, and what
/// they belong to was imported as if it had none, without a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_its_index_does_not_know_is_a_loss() {
    const NODE: &str = "answer-2";
    let (bytes, _) = closed().await;
    let count = |files: &Files, source: &str| -> Option<i64> {
        let sql = format!("SELECT count(*) FROM graph_nodes {source} WHERE node_id = '{NODE}'");
        let raw = Raw::open(&files.source());
        raw.try_integer(&sql)
    };
    let places = bytes
        .windows(NODE.len())
        .enumerate()
        .filter_map(|(place, found)| (found == NODE.as_bytes()).then_some(place));
    let mut hidden = 0;
    for place in places {
        let files = Files::new();
        let mut flipped = bytes.clone();
        flipped[place + NODE.len() - 1] = b'!';
        fs::write(files.source(), flipped).unwrap();
        if count(&files, "") == Some(0) && count(&files, "NOT INDEXED") == Some(1) {
            hidden += 1;
            assert!(!files.refused_losses().await.is_empty());
        }
    }
    assert_eq!(hidden, 1);
}

/// What is wrong in one place is a loss by name; everything else comes over.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_damaged_is_named_and_the_rest_is_imported() {
    let (bytes, workload) = closed().await;
    let last = workload.checkpoints.last().unwrap();
    let loose = &workload.blobs[workload.blobs.len() - 4];
    let [loose, manifest] = [loose, last].map(|key| key.as_str());
    let at_key = |what: &str, key: &str| format!("{what} WHERE hash = '{key}'");
    let of_node = |value: &str, node: &str| {
        format!("UPDATE graph_nodes SET node_json = {value} WHERE node_id = '{node}'")
    };
    let cases: Vec<(String, Vec<String>)> = vec![
        (
            at_key("UPDATE blobs SET content = x'00'", loose),
            vec![format!("blobs: {loose}")],
        ),
        (
            at_key("UPDATE blobs SET hash = 'no key'", loose),
            vec!["blobs: no key".to_owned()],
        ),
        (
            at_key("UPDATE blobs SET content = 'text'", loose),
            vec![format!("blobs: {loose}")],
        ),
        (
            at_key("DELETE FROM blobs", manifest),
            vec!["session_head: root".to_owned()],
        ),
        (
            at_key("UPDATE blobs SET content = x'c1'", manifest),
            vec![
                format!("blobs: {manifest}"),
                "session_head: root".to_owned(),
            ],
        ),
        (
            "DELETE FROM blobs WHERE hash IN (SELECT blob_ref FROM artifact_refs
             WHERE artifact_ref = 'bytes')"
                .to_owned(),
            vec!["artifact_refs: bytes".to_owned()],
        ),
        (
            of_node("substr(node_json, 1, 20)", "answer-2"),
            vec![
                "graph_nodes: answer-2".to_owned(),
                "graph_nodes: question-3".to_owned(),
            ],
        ),
        (
            of_node("json_set(node_json, '$.node_id', 'another')", "side-5"),
            vec!["graph_nodes: side-5".to_owned()],
        ),
        (
            of_node(
                "json_set(node_json, '$.parent_node_id', 'answer-5')",
                "question-0",
            ),
            vec!["graph_nodes: question-0".to_owned()],
        ),
        (
            "UPDATE graph_nodes SET seq = -5 WHERE node_id = 'side-5'".to_owned(),
            vec!["graph_nodes: side-5".to_owned()],
        ),
        (
            "UPDATE usage_deltas SET input_tokens = 'many' WHERE seq = 2".to_owned(),
            vec!["usage_deltas: 2".to_owned()],
        ),
        (
            "UPDATE runtime_turn_commits SET result_json = '{' WHERE turn_id = 'turn-3'".to_owned(),
            vec!["runtime_turn_commits: turn-3".to_owned()],
        ),
        (
            "UPDATE runtime_turn_commits
             SET result_json = json_set(result_json, '$.head_revision', 99)
             WHERE turn_id = 'turn-3'"
                .to_owned(),
            vec!["runtime_turn_commits: turn-3".to_owned()],
        ),
        (
            "UPDATE queued_work_batches SET slot_policy = 'never' WHERE source_key = 'held'"
                .to_owned(),
            vec!["queued_work_batches: ".to_owned()],
        ),
        (
            "UPDATE queued_work_batches SET claim_token = NULL WHERE source_key = 'held'"
                .to_owned(),
            vec!["queued_work_batches: ".to_owned()],
        ),
        (
            "DELETE FROM queued_work_items WHERE item_index = 0 AND batch_id IN
                 (SELECT batch_id FROM queued_work_items WHERE item_index = 1)"
                .to_owned(),
            vec!["queued_work_batches: ".to_owned()],
        ),
        (
            "DELETE FROM queued_work_batches WHERE source_key = 'held'".to_owned(),
            vec!["queued_work_items: ".to_owned()],
        ),
        (
            "UPDATE attachment_manifest SET intent_at_ms = 'x'
             WHERE attachment_id = 'uncommitted'"
                .to_owned(),
            vec!["attachment_manifest: uncommitted".to_owned()],
        ),
        (
            "UPDATE session_meta SET relation_json = '{'".to_owned(),
            vec!["session_meta: root".to_owned()],
        ),
        (
            // There is no stamp without a head that it is not later than.
            "UPDATE session_head SET head_json = '{'".to_owned(),
            iter::once("session_head: root".to_owned())
                .chain((0..6).map(|turn| format!("runtime_turn_commits: turn-{turn}")))
                .collect(),
        ),
        (
            "UPDATE session_head SET head_revision = -1".to_owned(),
            iter::once("session_head: root".to_owned())
                .chain((0..6).map(|turn| format!("runtime_turn_commits: turn-{turn}")))
                .collect(),
        ),
    ];
    for (sql, expected) in cases {
        let files = damaged(&bytes, &sql);
        let agrees = |losses: &[String]| {
            losses.len() == expected.len()
                && losses
                    .iter()
                    .zip(&expected)
                    .all(|(loss, expected)| loss.starts_with(expected.as_str()))
        };
        let refused = files.refused_losses().await;
        assert!(agrees(&refused), "{sql}: {refused:?}");
        let partial = files.partial_losses().await;
        assert_eq!(partial, refused, "{sql}");
        assert_sound(&files.destination()).await;
        let store = Store::open(&files.destination()).await.unwrap();
        let read = store.load_session(SessionReadScope::FullGraph).await;
        read.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// A snapshot of the checkpoint that the head refers to is missing: the others are kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_without_one_of_its_snapshots_keeps_the_others() {
    let (bytes, workload) = closed().await;
    let key = workload.checkpoints.last().unwrap();
    let files = Files::new();
    fs::write(files.source(), &bytes).unwrap();
    let native = lash_sqlite_store::Store::open(&files.source())
        .await
        .unwrap();
    let before = native.get_checkpoint(key).await.unwrap();
    drop(native);
    wait_until_closed(&files.source());
    let lost = before.plugin_snapshot_ref.as_ref().unwrap();
    let files = damaged(&bytes, &format!("DELETE FROM blobs WHERE hash = '{lost}'"));
    assert_eq!(files.refused_losses().await, ["session_head: root"]);
    assert_eq!(files.partial_losses().await, ["session_head: root"]);
    assert_sound(&files.destination()).await;
    let store = Store::open(&files.destination()).await.unwrap();
    let after = store.try_get_checkpoint(key).await.unwrap().unwrap();
    assert_eq!(json(&after.turn_state), json(&before.turn_state));
    assert_eq!(json(&after.tool_state), json(&before.tool_state));
    assert_eq!(after.execution_state, before.execution_state);
    assert!(after.plugin_snapshot_ref.is_none() && after.plugin_snapshot.is_none());
}

/// A session of many pages of nodes, and the pages that they are on.
async fn long() -> (Vec<u8>, Vec<usize>) {
    let files = Files::new();
    let store = lash_sqlite_store::Store::open(&files.source())
        .await
        .unwrap();
    let nodes = (0..200).map(|number: usize| {
        let parent = number.checked_sub(1).map(|parent| format!("n{parent}"));
        large_node(&format!("n{number}"), parent.as_deref(), 500)
    });
    store
        .commit_runtime_state(append(None, nodes.collect()))
        .await
        .unwrap();
    drop(store);
    wait_until_closed(&files.source());
    let pages = Raw::open(&files.source()).integers(
        "SELECT pageno FROM dbstat WHERE name = 'graph_nodes' AND pagetype = 'leaf' ORDER BY path",
    );
    wait_until_closed(&files.source());
    let pages = pages.into_iter().map(|page| page as usize).collect();
    (fs::read(files.source()).unwrap(), pages)
}

/// The rows before and behind a damaged page are found.
#[tokio::test(flavor = "multi_thread")]
async fn pages_that_are_damaged_cost_no_more_than_what_was_on_them() {
    let (bytes, pages) = long().await;
    let counts: Vec<usize> = vec![0, pages.len() / 2, pages.len() - 1];
    for lost in counts {
        let files = Files::new();
        let mut damaged = bytes.clone();
        let start = (pages[lost] - 1) * 4096;
        damaged[start..start + 4096].fill(0xff);
        fs::write(files.source(), &damaged).unwrap();
        assert!(!files.refused_losses().await.is_empty());
        let losses = files.partial_losses().await;
        assert!(
            losses.iter().any(|loss| loss.starts_with("graph_nodes: ")),
            "{losses:?}"
        );
        assert_sound(&files.destination()).await;
        let store = Store::open(&files.destination()).await.unwrap();
        let graph = store.try_load_session_graph().await.unwrap();
        let least = 200 - 2 * 200 / pages.len() - 4;
        assert!(
            (least..200).contains(&graph.nodes.len()),
            "{} of 200 nodes, page {lost} of {}",
            graph.nodes.len(),
            pages.len()
        );
    }
}

/// Whatever is imported is sound, or nothing is.
async fn sound_or_nothing(files: &Files, partial: bool, what: &str) {
    let import = NativeImport::new().partial(partial);
    let import = import.any(&files.source(), &files.destination()).await;
    match import {
        Ok(report) => {
            assert!(partial || report.is_complete(), "{what}");
            assert!(is_sound(&files.destination()).await, "{what}");
        }
        Err(error) => {
            assert!(
                matches!(
                    error,
                    ImportError::Damaged { .. }
                        | ImportError::NotNative { .. }
                        | ImportError::Source { .. }
                        | ImportError::Io { .. }
                ),
                "{what}: {error:?}"
            );
            assert_eq!(files.beside_destination(), [""; 0], "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_cut_off_is_refused() {
    let (bytes, _) = closed().await;
    for length in [
        0,
        50,
        100,
        4096,
        bytes.len() / 2,
        bytes.len() - 4096,
        bytes.len() - 1,
    ] {
        let files = Files::new();
        fs::write(files.source(), &bytes[..length]).unwrap();
        let what = format!("{length} bytes");
        let refused = NativeImport::new()
            .session(&files.source(), &files.destination())
            .await;
        assert!(refused.is_err(), "{what}");
        sound_or_nothing(&files, true, &what).await;
    }
}

/// Bits and pages that are not as they were, wherever they are.
#[tokio::test(flavor = "multi_thread")]
async fn damage_anywhere_is_named_or_does_no_harm() {
    let (bytes, _) = closed().await;
    let seed = setting("LASH_DAMAGE_SEED", 1);
    for case in 0..setting("LASH_DAMAGE_FLIPS", 20) {
        for damage in [flips::flip, flips::zero, flips::misplace] {
            let files = Files::new();
            let mut damaged = bytes.clone();
            let what = damage(&mut damaged, &mut Random::new(seed, case));
            fs::write(files.source(), &damaged).unwrap();
            sound_or_nothing(&files, case % 2 == 0, &format!("case {case}, {what}")).await;
            assert_eq!(fs::read(files.source()).unwrap(), damaged, "{what}");
        }
    }
}
