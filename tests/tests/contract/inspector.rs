//! Looking into databases: what they hold, and whether it is what was written.

use lash_core::{
    AttachmentId, AttachmentIntent, AttachmentManifest, RuntimeCommit, RuntimePersistence,
    RuntimeTurnCommitStamp,
};
use lash_wasm_store::inspect::{BlobKind, Inspector, Problem, SessionStatistics, Statistics};
use lash_wasm_store::{BlobArtifactDescriptor, DatabaseKind, EngineError, Store};
use lash_wasm_store_testing::fixtures::{
    Place, SESSION, append, chain, checkpointed, claim, full_checkpoint, usage, work,
};

async fn session_statistics(place: &Place) -> SessionStatistics {
    let inspector = Inspector::open(place.path()).await.unwrap();
    match inspector.statistics().await.unwrap() {
        Statistics::Session(statistics) => statistics,
        other => panic!("{other:?}"),
    }
}

async fn problems(place: &Place) -> Vec<Problem> {
    let inspector = Inspector::open(place.path()).await.unwrap();
    inspector.verify().await.unwrap().problems
}

/// Three turns with a checkpoint each, and something of everything else.
async fn filled(place: &Place) -> Store {
    let store = place.open().await;
    let mut revision = None;
    for turn in 0..3 {
        let commit = RuntimeCommit {
            checkpoint: full_checkpoint(turn),
            ..append(revision, chain(turn * 10, 10))
        };
        let committed = store.commit_runtime_state(commit).await.unwrap();
        revision = Some(committed.head_revision);
    }
    store
        .append_usage_deltas(&[usage("turn", "model", [1, 2, 3, 4])])
        .await;
    for number in 0..4 {
        let draft = work(&format!("work {number}"));
        let draft = match number {
            0 => draft.with_available_at_ms(u64::MAX),
            _ => draft,
        };
        store.enqueue_queued_work(draft).await.unwrap();
    }
    claim(&store, 3_600_000, 1).await.unwrap();
    for name in ["a", "b"] {
        let intent = AttachmentIntent {
            attachment_id: AttachmentId::new(name),
            session_id: SESSION.to_owned(),
            canonical_uri: format!("file:{name}"),
            intent_at_epoch_ms: 7,
        };
        store.record_intent(intent).unwrap();
    }
    store
        .commit_refs(SESSION, &[AttachmentId::new("a")])
        .unwrap();
    store
}

#[tokio::test]
async fn statistics_of_a_session_are_what_was_done() {
    let place = Place::new();
    let store = filled(&place).await;
    let counted = session_statistics(&place).await;
    let head = counted.head.unwrap();
    assert_eq!(head.session_id, SESSION);
    assert_eq!(head.revision, 3);
    assert!(head.checkpoint.unwrap().starts_with("blake3:"));
    assert_eq!(counted.nodes, 30);
    assert_eq!(counted.tombstoned_nodes, 0);
    assert_eq!(counted.usage_entries, 1);
    assert_eq!(counted.queue.ready, 2);
    assert_eq!(counted.queue.claimed, 1);
    assert_eq!(counted.queue.waiting, 1);
    assert!(counted.queue.next_ready_at_ms.is_some());
    assert_eq!(counted.attachments.committed, 1);
    assert_eq!(counted.attachments.uncommitted, 1);
    assert_eq!(counted.attachments.oldest_uncommitted_at_ms, Some(7));
    let manifests = counted
        .blobs
        .iter()
        .find(|blobs| blobs.kind == BlobKind::CheckpointManifest);
    assert_eq!(manifests.map(|blobs| blobs.count), Some(3));
    for blobs in &counted.blobs {
        assert!(blobs.stored_bytes <= blobs.bytes, "{blobs:?}");
    }

    let ids: Vec<String> = chain(0, 2).into_iter().map(|node| node.node_id).collect();
    store.tombstone_nodes(&ids).await.unwrap();
    let counted = session_statistics(&place).await;
    assert_eq!((counted.nodes, counted.tombstoned_nodes), (28, 2));
}

/// What is counted as garbage is what a collection then removes.
#[tokio::test]
async fn garbage_is_counted_as_it_is_collected() {
    let place = Place::new();
    let store = filled(&place).await;
    let loose = b"nothing refers to it ".repeat(1000);
    store
        .try_put_artifact_blob(BlobArtifactDescriptor::tool_state_snapshot(), &loose)
        .await
        .unwrap();
    let before = session_statistics(&place).await;
    let garbage = before.garbage.clone().unwrap();
    assert!(garbage.stored_bytes > 0);
    let report = store.try_gc_unreachable().await.unwrap();
    assert_eq!(report.deleted_blob_count as u64, garbage.blobs);
    let after = session_statistics(&place).await;
    assert_eq!(after.garbage.as_ref().unwrap().blobs, 0);
    let stored = |statistics: &SessionStatistics| -> u64 {
        statistics
            .blobs
            .iter()
            .map(|blobs| blobs.stored_bytes)
            .sum()
    };
    assert_eq!(stored(&before) - stored(&after), garbage.stored_bytes);
}

#[tokio::test]
async fn a_whole_session_is_sound_while_it_is_written() {
    let place = Place::new();
    let store = filled(&place).await;
    let inspector = Inspector::open(place.path()).await.unwrap();
    assert_eq!(inspector.kind(), DatabaseKind::Session);
    for turn in 3..6 {
        let found = inspector.verify().await.unwrap();
        assert!(found.is_sound(), "{found:?}");
        let nodes = found
            .tables
            .iter()
            .find(|table| table.name == "graph_nodes");
        assert_eq!(nodes.map(|table| table.rows), Some(turn as u64 * 10));
        let commit = append(Some(turn as u64), chain(turn * 10, 10));
        store.commit_runtime_state(commit).await.unwrap();
    }
}

/// Rows that are right by themselves, but not together, which no checksum shows.
#[tokio::test]
async fn what_is_referred_to_and_missing_is_named() {
    let cases = [
        (
            "DELETE FROM blobs WHERE kind = 1",
            "blobs",
            "something refers to it",
        ),
        (
            "DELETE FROM graph_nodes WHERE seq = 5",
            "graph_nodes",
            "parent",
        ),
        (
            "DELETE FROM queued_payloads WHERE seq = 2",
            "queued_batches",
            "payloads",
        ),
        (
            "DELETE FROM queued_batches WHERE seq = 2",
            "queued_payloads",
            "no batch",
        ),
        (
            "DELETE FROM attachment_intents",
            "attachment_intents",
            "missing",
        ),
        ("DELETE FROM session_head", "session_head", "missing"),
        (
            "UPDATE graph_nodes SET body = x'00' WHERE seq = 3",
            "graph_nodes",
            "checksum",
        ),
        (
            "UPDATE blobs SET content = x'00' WHERE id = 1",
            "blobs",
            "its key",
        ),
        ("DELETE FROM table_digests", "table_digests", "missing"),
    ];
    for (sql, table, reason) in cases {
        let place = Place::new();
        drop(filled(&place).await);
        assert!(place.raw().execute(sql) > 0, "{sql}");
        let found = problems(&place).await;
        let named = |problem: &Problem| problem.table == table && problem.reason.contains(reason);
        assert!(found.iter().any(named), "{sql}: {found:#?}");
    }
}

/// Each damaged row is named, and what comes after it is read.
#[tokio::test]
async fn a_verification_goes_on_after_damage() {
    let place = Place::new();
    drop(filled(&place).await);
    let damaged = "UPDATE graph_nodes SET body = x'00' WHERE seq % 10 = 4";
    assert_eq!(place.raw().execute(damaged), 3);
    let found = problems(&place).await;
    let damaged: Vec<&str> = found
        .iter()
        .filter(|problem| problem.reason == "the checksum does not match")
        .map(|problem| problem.key.as_str())
        .collect();
    let expected: Vec<String> = chain(0, 30)
        .into_iter()
        .skip(3)
        .step_by(10)
        .map(|node| node.node_id)
        .collect();
    assert_eq!(damaged, expected);
}

#[tokio::test]
async fn what_is_no_database_of_this_crate_is_refused_by_name() {
    let place = Place::new();
    let open = || Inspector::open(place.path());
    assert!(matches!(open().await, Err(EngineError::Missing { .. })));
    std::fs::write(
        place.path(),
        "this is no database, but a text of some length",
    )
    .unwrap();
    assert!(matches!(
        open().await,
        Err(EngineError::NotADatabase { .. })
    ));
    std::fs::remove_file(place.path()).unwrap();
    place.raw().execute("CREATE TABLE t (a)");
    assert!(matches!(open().await, Err(EngineError::Missing { .. })));
    place.raw().execute("PRAGMA application_id = 7");
    assert!(matches!(open().await, Err(EngineError::Foreign { .. })));
}

#[tokio::test]
async fn every_kind_of_database_is_known() {
    let place = Place::new();
    let path = |name: &str| place.path().with_file_name(name);
    lash_wasm_store::SqliteProcessRegistry::open(&path("processes"))
        .await
        .unwrap();
    lash_wasm_store::SqliteHostEventStore::open(&path("host-events"))
        .await
        .unwrap();
    lash_wasm_store::SqliteEffectHost::open(&path("effects"))
        .await
        .unwrap();
    for (name, kind) in [
        ("processes", DatabaseKind::Processes),
        ("host-events", DatabaseKind::HostEvents),
        ("effects", DatabaseKind::Effects),
    ] {
        let inspector = Inspector::open(&path(name)).await.unwrap();
        assert_eq!(inspector.kind(), kind);
        assert!(inspector.verify().await.unwrap().is_sound());
        let file = inspector.file_statistics().await.unwrap();
        assert_eq!(file.bytes, file.pages * file.page_bytes);
        let statistics = inspector.statistics().await.unwrap();
        assert_eq!(
            serde_json::to_value(&statistics).unwrap().get("kind"),
            Some(&serde_json::to_value(kind).unwrap())
        );
    }
}

/// A verification said that blobs are missing after a garbage collection that had
/// removed them: it keeps the manifest of a stamped turn, which a replay answers, but not
/// what that refers to.
#[tokio::test]
async fn a_session_is_sound_after_a_collection_that_kept_the_manifest_of_a_turn() {
    let place = Place::new();
    let store = place.open().await;
    for turn in 0..3 {
        let commit = checkpointed((turn > 0).then_some(turn as u64), turn);
        let hash = commit.turn_commit_hash().unwrap();
        let stamp = RuntimeTurnCommitStamp::new(SESSION, format!("turn {turn}"), hash);
        let committed = store.commit_runtime_state(commit.with_turn_commit(stamp));
        committed.await.unwrap();
    }
    let report = store.try_gc_unreachable().await.unwrap();
    assert!(report.deleted_blob_count > 0);
    assert_eq!(problems(&place).await, []);

    // What the head's manifest refers to is not like that.
    place
        .raw()
        .damage("DELETE FROM blobs WHERE id = (SELECT max(id) - 1 FROM blobs)");
    let found = problems(&place).await;
    let missing = |problem: &Problem| problem.reason.contains("something refers to it");
    assert!(found.iter().any(missing), "{found:#?}");
}
