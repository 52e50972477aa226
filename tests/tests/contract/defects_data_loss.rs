//! Regression tests for defects by which lash-sqlite-store 0.1.0-alpha.46 loses
//! work, or answers something else than what was stored.

use std::sync::Arc;

use lash_core::store::{GraphCommitDelta, RuntimeCommit, RuntimeTurnCommitStamp};
use lash_core::{
    AttachmentId, AttachmentIntent, AttachmentManifest, BlobRef, HydratedSessionCheckpoint,
    LashlangArtifactStore, MessageRole, RuntimePersistence, SessionHead, SessionMeta,
    SessionPolicy, SessionReadScope, SessionRelation, SessionStoreCreateRequest, StoreError,
};
use lash_wasm_store::{
    BlobArtifactDescriptor, BuiltinBlobProfile, Error, SqliteSessionStoreFactory, Store,
    StoreBuilder, StoreGcPolicy, StoreOptions,
};
use lash_wasm_store_tests::fixtures::{
    Place, SESSION, append, chain, checkpointed, claim, commit, full_checkpoint, graph, ids,
    joining_work, json, ledger, message_node, meta, node, noise, replace, usage, work,
};

const FULL: SessionReadScope = SessionReadScope::FullGraph;

/// What the runtime calls; the inherent method of the same name answers no error.
async fn gc(store: &Store) -> Result<lash_core::GcReport, StoreError> {
    RuntimePersistence::gc_unreachable(store).await
}

// D1. The native garbage collector takes the live references from the head row,
// and a head that it cannot decode counts as no head: there are no roots, every
// blob is garbage, and a successful report is returned for a session whose tool,
// plugin and execution state is gone. A manifest that is missing hides what it
// refers to in the same way. Here a reference that cannot be followed stops the
// collection, and nothing is removed.

#[tokio::test]
async fn gc_removes_nothing_while_the_head_is_damaged_or_missing() {
    for damage in [
        "UPDATE session_head SET content = x'7b'",
        "UPDATE session_head SET checkpoint = NULL",
        "UPDATE session_head SET retained = x'00'",
        "DELETE FROM session_head",
    ] {
        let place = Place::new();
        let store = place.open().await;
        store
            .commit_runtime_state(checkpointed(None, 1))
            .await
            .unwrap();
        let raw = place.raw();
        let blobs = raw.integer("SELECT count(*) FROM blobs");
        assert_eq!(blobs, 4);
        raw.damage(damage);

        assert!(gc(&store).await.is_err(), "{damage}");
        assert_eq!(raw.integer("SELECT count(*) FROM blobs"), blobs, "{damage}");
    }
}

#[tokio::test]
async fn gc_removes_nothing_while_a_referenced_blob_is_damaged_or_missing() {
    // Kind 1 is the manifest of a checkpoint, 2 to 4 are its parts.
    for kind in 1..=4 {
        for damage in ["DELETE FROM blobs", "UPDATE blobs SET content = x'00'"] {
            let place = Place::new();
            let store = place.open().await;
            store
                .commit_runtime_state(checkpointed(None, 1))
                .await
                .unwrap();
            store.put_blob(b"garbage").await;
            let raw = place.raw();
            raw.damage(&format!("{damage} WHERE kind = {kind}"));
            let before = raw.dump();

            assert!(gc(&store).await.is_err(), "{damage} of kind {kind}");
            assert_eq!(raw.dump(), before, "{damage} of kind {kind}");
        }
    }
}

#[tokio::test]
async fn gc_removes_nothing_while_an_artifact_is_missing() {
    let place = Place::new();
    let store = place.open().await;
    store
        .put_artifact_bytes("name", "generic", b"kept")
        .await
        .unwrap();
    let raw = place.raw();
    raw.damage("DELETE FROM artifacts");
    assert!(gc(&store).await.is_err());
    assert_eq!(raw.integer("SELECT count(*) FROM blobs"), 1);
}

// D2. The native collector remembers a blob by its hash together with the kind by
// which it was met first. An artifact whose bytes happen to equal the manifest of
// the live checkpoint makes it a blob without references, and the checkpoint's
// parts are deleted. Here references are recorded with the blob.

#[tokio::test]
async fn gc_keeps_the_parts_of_a_checkpoint_that_an_artifact_aliases() {
    let place = Place::new();
    let store = place.open().await;
    let result = store
        .commit_runtime_state(checkpointed(None, 1))
        .await
        .unwrap();
    let manifest = store.try_get_blob(&result.checkpoint_ref).await.unwrap();
    store
        .put_artifact_bytes("alias", "generic", &manifest.unwrap())
        .await
        .unwrap();

    assert_eq!(gc(&store).await.unwrap().deleted_blob_count, 0);
    let read = store.load_session(FULL).await.unwrap().unwrap();
    let checkpoint = read.checkpoint.unwrap();
    assert_eq!(checkpoint.execution_state.unwrap(), b"execution 1");
    assert!(checkpoint.tool_state.is_some() && checkpoint.plugin_snapshot.is_some());
}

#[tokio::test]
async fn gc_keeps_the_parts_of_a_checkpoint_of_which_the_manifest_was_stored_before_as_bytes() {
    let other = Store::memory().await.unwrap();
    let stored = other.try_put_checkpoint(&full_checkpoint(1)).await.unwrap();
    let manifest = other.try_get_blob(&stored.checkpoint_ref).await.unwrap();

    let place = Place::new();
    let store = place.open().await;
    store
        .put_artifact_bytes("alias", "generic", &manifest.unwrap())
        .await
        .unwrap();
    let result = store
        .commit_runtime_state(checkpointed(None, 1))
        .await
        .unwrap();
    assert_eq!(result.checkpoint_ref, stored.checkpoint_ref);

    assert_eq!(gc(&store).await.unwrap().deleted_blob_count, 0);
    let read = store.load_session(FULL).await.unwrap().unwrap();
    assert!(read.checkpoint.unwrap().execution_state.is_some());
}

// D3. A checkpoint of which the native crate cannot read the manifest or a part is
// answered as if there were none. The runtime then goes on at turn 0 without
// tools, plugins and execution state, and its next commit overwrites the head: the
// state is lost for good, and nobody was told. It also commits references to
// blobs that are not stored. Here both are errors.

#[tokio::test]
async fn a_checkpoint_that_cannot_be_read_is_an_error_and_not_no_checkpoint() {
    for kind in 1..=4 {
        for damage in [
            "DELETE FROM blobs",
            "UPDATE blobs SET content = substr(content, 1, length(content) - 1)",
            "UPDATE blobs SET content = zeroblob(length(content))",
            "UPDATE blobs SET encoding = 1 - encoding",
            "UPDATE blobs SET length = length + 1",
        ] {
            let place = Place::new();
            let store = place.open().await;
            let result = store
                .commit_runtime_state(checkpointed(None, 1))
                .await
                .unwrap();
            place.raw().damage(&format!("{damage} WHERE kind = {kind}"));

            let case = format!("{damage} of kind {kind}");
            for scope in [FULL, SessionReadScope::ActivePath { leaf_node_id: None }] {
                let error = store.load_session(scope).await.unwrap_err();
                assert!(error.to_string().contains("damaged"), "{case}: {error}");
            }
            assert!(
                matches!(
                    store.try_load_session_head().await,
                    Err(Error::Corrupt { .. })
                ),
                "{case}"
            );
            // Without its manifest a checkpoint is unknown, not damaged.
            if kind != 1 || !damage.starts_with("DELETE") {
                let checkpoint = store.try_get_checkpoint(&result.checkpoint_ref).await;
                assert!(matches!(checkpoint, Err(Error::Corrupt { .. })), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_commit_of_a_part_that_is_not_stored_is_refused_and_writes_nothing() {
    let unknown = BlobRef(format!("blake3:{}", "0".repeat(64)));
    let parts: [fn(&mut HydratedSessionCheckpoint, BlobRef); 3] = [
        |checkpoint, reference| checkpoint.tool_state_ref = Some(reference),
        |checkpoint, reference| checkpoint.plugin_snapshot_ref = Some(reference),
        |checkpoint, reference| checkpoint.execution_state_ref = Some(reference),
    ];
    let place = Place::new();
    let store = place.open().await;
    store
        .commit_runtime_state(checkpointed(None, 1))
        .await
        .unwrap();
    let raw = place.raw();
    let before = raw.dump();
    for part in parts {
        let mut refused = append(Some(1), chain(0, 1));
        part(&mut refused.checkpoint, unknown.clone());
        let error = store.commit_runtime_state(refused).await.unwrap_err();
        assert!(error.to_string().contains(unknown.as_str()), "{error}");

        let mut checkpoint = HydratedSessionCheckpoint::default();
        part(&mut checkpoint, unknown.clone());
        assert!(matches!(
            store.try_put_checkpoint(&checkpoint).await,
            Err(Error::MissingBlob { .. })
        ));
    }
    assert_eq!(raw.dump(), before);
}

#[tokio::test]
async fn a_head_can_not_be_made_to_refer_to_a_checkpoint_that_is_not_stored() {
    let store = Store::memory().await.unwrap();
    let orphan = store.try_put_blob(b"not a manifest").await.unwrap();
    for reference in [
        BlobRef(format!("blake3:{}", "0".repeat(64))),
        BlobRef("nonsense".to_owned()),
        orphan,
    ] {
        let head = SessionHead {
            checkpoint_ref: Some(reference.clone()),
            ..SessionHead::default()
        };
        assert!(
            store.try_save_session_head(head).await.is_err(),
            "{reference}"
        );
    }
    assert!(store.try_load_session_head_meta().await.unwrap().is_none());
}

// D4. The native crate drops node rows that it cannot decode, so that a session
// comes back with holes in its history, and answers a graph or a ledger that it
// cannot read as empty. Here what is damaged or missing is an error, wherever it
// is met.

#[tokio::test]
async fn a_damaged_or_missing_node_is_an_error_and_not_a_hole() {
    for damage in [
        "UPDATE graph_nodes SET body = x'7b7d' WHERE node_id = 'n1'",
        "UPDATE graph_nodes SET parent_seq = NULL WHERE node_id = 'n1'",
        "UPDATE graph_nodes SET tombstoned = 1 WHERE node_id = 'n1'",
        "UPDATE graph_nodes SET node_id = 'other' WHERE node_id = 'n1'",
        "DELETE FROM graph_nodes WHERE node_id = 'n1'",
    ] {
        let place = Place::new();
        let store = place.open().await;
        store
            .commit_runtime_state(append(None, chain(0, 3)))
            .await
            .unwrap();
        place.raw().damage(damage);

        for scope in [FULL, SessionReadScope::ActivePath { leaf_node_id: None }] {
            assert!(store.load_session(scope).await.is_err(), "{damage}");
        }
        assert!(store.try_load_session_graph().await.is_err(), "{damage}");
        assert!(store.try_load_session_head().await.is_err(), "{damage}");
        // A row that is gone with its index entry can not be told from one that
        // never was, when it is asked for alone.
        let gone = damage.starts_with("DELETE") || damage.contains("'other'");
        if !gone {
            assert!(store.load_node("n1").await.is_err(), "{damage}");
        }
    }
}

#[tokio::test]
async fn a_damaged_first_message_is_an_error_for_the_picker() {
    let place = Place::new();
    let store = place.open().await;
    store.try_save_session_meta(meta()).await.unwrap();
    let nodes = vec![message_node("m0", None, MessageRole::User, "hello")];
    store
        .commit_runtime_state(append(None, nodes))
        .await
        .unwrap();
    place
        .raw()
        .damage("UPDATE graph_nodes SET body = x'7b7d' WHERE node_id = 'm0'");
    assert!(matches!(
        store.try_load_picker_info().await,
        Err(Error::Corrupt { .. })
    ));
    assert!(store.load_picker_info().await.is_none());
}

#[tokio::test]
async fn a_damaged_or_missing_entry_of_the_ledger_is_an_error_and_not_less_usage() {
    for (damage, entries_fail, totals_fail) in [
        (
            "UPDATE usage_entries SET input_tokens = 0 WHERE seq = 1",
            true,
            false,
        ),
        ("DELETE FROM usage_entries WHERE seq = 2", true, false),
        (
            "UPDATE usage_totals SET input_tokens = 0 WHERE seq = 1",
            false,
            true,
        ),
        ("DELETE FROM usage_totals WHERE seq = 1", false, true),
    ] {
        let place = Place::new();
        let store = place.open().await;
        let mut first = commit(None);
        first.usage_deltas = vec![
            usage("turn", "a", [1, 2, 3, 4]),
            usage("turn", "b", [5, 6, 7, 8]),
        ];
        store.commit_runtime_state(first).await.unwrap();
        place.raw().damage(damage);

        let entries = store.try_load_usage_deltas().await;
        assert_eq!(entries.is_err(), entries_fail, "{damage}");
        let session = store.load_session(FULL).await;
        assert_eq!(session.is_err(), totals_fail, "{damage}");
    }
}

#[tokio::test]
async fn a_table_that_is_gone_is_an_error_and_not_an_empty_one() {
    for table in [
        "graph_nodes",
        "usage_entries",
        "usage_totals",
        "session_head",
    ] {
        let place = Place::new();
        let store = place.open().await;
        store
            .commit_runtime_state(append(None, chain(0, 1)))
            .await
            .unwrap();
        drop(store);
        place
            .raw()
            .execute(&format!("ALTER TABLE {table} RENAME TO elsewhere"));

        let store = place.open().await;
        if table == "usage_entries" {
            assert!(store.try_load_usage_deltas().await.is_err());
        } else {
            assert!(store.load_session(FULL).await.is_err(), "{table}");
        }
    }
}

// D5. A commit without an expected revision skips the native compare-and-swap: of
// two processes that both believe to create a session, the second replaces the
// whole graph that the first has committed. Here no expectation means that there
// must be no head yet.

#[tokio::test]
async fn of_two_creators_of_a_session_only_one_commits() {
    let place = Place::new();
    let first = place.open().await;
    let second = place.open().await;
    first
        .commit_runtime_state(replace(None, chain(0, 3)))
        .await
        .unwrap();
    let error = second
        .commit_runtime_state(replace(None, vec![node("usurper", None)]))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::HeadRevisionConflict {
                expected: None,
                actual: 1
            }
        ),
        "{error}"
    );
    let read = second.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(read.head_revision, 1);
    assert_eq!(ids(&read.graph.nodes), ["n0", "n1", "n2"]);
}

#[tokio::test]
async fn a_commit_that_expects_no_head_is_refused_also_by_a_head_of_revision_0() {
    let store = Store::memory().await.unwrap();
    let head = SessionHead {
        session_id: SESSION.to_owned(),
        graph: graph(chain(0, 2)),
        ..SessionHead::default()
    };
    assert_eq!(store.try_save_session_head(head).await.unwrap(), 0);
    let error = store
        .commit_runtime_state(replace(None, Vec::new()))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::HeadRevisionConflict {
                expected: None,
                actual: 0
            }
        ),
        "{error}"
    );
    // Who has seen that head may go on from it.
    let result = store.commit_runtime_state(append(Some(0), chain(2, 1)));
    assert_eq!(result.await.unwrap().head_revision, 1);
}

// D6. The native crate reads a session by several statements without a
// transaction around them. When a commit comes in between, head N is answered with
// the graph and the ledger of N+1, or a checkpoint that has just been collected is
// "not there". Here a load is one snapshot. Every commit of this test makes the
// revision, the graph, the ledger and the checkpoint say the same number, and the
// graph is so long that reading it takes longer than several commits.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_read_from_one_snapshot_while_another_handle_commits() {
    const COMMITS: usize = 120;
    const OLD: usize = 1_500;
    let place = Place::new();
    let writer = place.open().await;
    let reader = place.open().await;
    writer.try_save_session_meta(meta()).await.unwrap();

    let writing = tokio::spawn(async move {
        for turn in 0..COMMITS {
            let mut nodes = match turn {
                0 => chain(0, OLD),
                _ => Vec::new(),
            };
            nodes.push(message_node(
                &format!("m{turn}"),
                Some("n0"),
                MessageRole::User,
                "text",
            ));
            let expected = (turn > 0).then_some(turn as u64);
            let mut next = append(expected, nodes);
            next.checkpoint = full_checkpoint(turn + 1);
            next.usage_deltas = vec![usage("turn", "model", [1, 0, 0, 0])];
            writer.commit_runtime_state(next).await.unwrap();
            if turn % 8 == 0 {
                gc(&writer).await.unwrap();
            }
        }
    });
    let mut seen = 0;
    while seen < COMMITS as u64 {
        let Some(read) = reader.load_session(FULL).await.unwrap() else {
            continue;
        };
        seen = read.head_revision;
        assert_eq!(read.graph.nodes.len() as u64, OLD as u64 + seen);
        assert_eq!(read.token_ledger[0].usage.input_tokens as u64, seen);
        let checkpoint = read.checkpoint.unwrap();
        assert_eq!(checkpoint.turn_state.turn_index as u64, seen);
        assert_eq!(
            checkpoint.execution_state.unwrap(),
            format!("execution {seen}").into_bytes()
        );

        let head = reader.try_load_session_head().await.unwrap().unwrap();
        assert_eq!(
            head.graph.nodes.len() as u64,
            OLD as u64 + head.head_revision
        );
        assert_eq!(
            head.graph.leaf_node_id,
            head.graph.nodes.last().map(|node| node.node_id.clone())
        );
        let head = reader.try_load_session_head_meta().await.unwrap().unwrap();
        assert_eq!(
            head.graph_node_count as u64,
            OLD as u64 + head.head_revision
        );
        let info = reader.try_load_picker_info().await.unwrap().unwrap();
        assert!(info.user_message_count as u64 >= head.head_revision);
        assert_eq!(info.first_user_message, "text");
    }
    writing.await.unwrap();
}

// D7. The native manifest has one row for an attachment identifier, which is a
// digest of the content, and keeps the oldest. Writing an attachment again does
// not renew its intent, so that a sweep for old intents deletes bytes that have
// just been written; and another session's row makes this session's stamp match
// nothing, so that what a commit refers to is swept. Here each session has its own
// row, the intent is renewed, and what any session committed is never listed.

fn intent(session_id: &str, id: &str, at: u64) -> AttachmentIntent {
    AttachmentIntent {
        attachment_id: AttachmentId::new(id),
        session_id: session_id.to_owned(),
        canonical_uri: format!("file:{session_id}/{id}"),
        intent_at_epoch_ms: at,
    }
}

#[tokio::test]
async fn writing_an_attachment_again_renews_its_intent() {
    let store = Store::memory().await.unwrap();
    store.record_intent(intent(SESSION, "a", 100)).unwrap();
    store.record_intent(intent(SESSION, "a", 5_000)).unwrap();
    assert!(store.list_uncommitted(4_999).unwrap().is_empty());
    let listed = store.list_uncommitted(5_000).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].intent_at_epoch_ms, 5_000);
}

#[tokio::test]
async fn an_intent_of_another_session_does_not_stand_in_the_way_of_a_stamp() {
    let store = Store::memory().await.unwrap();
    store.record_intent(intent("other", "a", 100)).unwrap();
    store.record_intent(intent(SESSION, "a", 200)).unwrap();
    let stamped = commit(None).with_committed_attachments([AttachmentId::new("a")]);
    store.commit_runtime_state(stamped).await.unwrap();
    // The bytes are in use, whoever else once meant to write them.
    assert!(store.list_uncommitted(u64::MAX).unwrap().is_empty());
}

#[tokio::test]
async fn an_intent_that_follows_a_commit_does_not_make_the_attachment_uncommitted() {
    let store = Store::memory().await.unwrap();
    store.record_intent(intent(SESSION, "a", 100)).unwrap();
    store
        .commit_refs(SESSION, &[AttachmentId::new("a")])
        .unwrap();
    store.record_intent(intent(SESSION, "a", 200)).unwrap();
    store.record_intent(intent("other", "a", 200)).unwrap();
    assert!(store.list_uncommitted(u64::MAX).unwrap().is_empty());
}

// D8. Saving metadata through the native trait answers success also when the
// write failed. Loading answers an error as "none", upon which the factory
// overwrites the stored metadata with defaults, and a relation that cannot be
// decoded makes a child a root. Here each is an error, and what is stored stays.

fn request(session_id: &str) -> SessionStoreCreateRequest {
    SessionStoreCreateRequest {
        session_id: session_id.to_owned(),
        relation: SessionRelation::Root,
        policy: SessionPolicy::default(),
    }
}

#[tokio::test]
async fn metadata_that_could_not_be_saved_is_an_error() {
    let place = Place::new();
    drop(place.open().await);
    let store = Store::open_readonly(place.path()).await.unwrap();
    let saved = RuntimePersistence::save_session_meta(&store, meta()).await;
    assert!(saved.is_err());
    assert!(matches!(
        store.try_save_session_meta(meta()).await,
        Err(Error::ReadOnly { .. })
    ));
}

#[tokio::test]
async fn damaged_metadata_is_an_error_and_is_not_overwritten_by_the_factory() {
    for damage in [
        "UPDATE session_meta SET relation = x'00'",
        "UPDATE session_meta SET relation = '\"root\"'",
        "UPDATE session_meta SET session_name = 'other'",
        "DELETE FROM session_meta",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let factory = SqliteSessionStoreFactory::new(directory.path());
        let store = factory.try_create_store(&request(SESSION)).await.unwrap();
        store.try_save_session_meta(meta()).await.unwrap();
        let raw = lash_wasm_store_tests::fixtures::Raw::open(store.path());
        raw.damage(damage);
        let before = raw.dump();

        assert!(
            RuntimePersistence::load_session_meta(&*store)
                .await
                .is_err(),
            "{damage}"
        );
        assert!(store.load_session_meta().await.is_none(), "{damage}");
        let reopened = factory.try_create_store(&request(SESSION)).await;
        assert!(matches!(reopened, Err(Error::Corrupt { .. })), "{damage}");
        assert_eq!(raw.dump(), before, "{damage}");
    }
}

// D9. Where the native crate cannot write a blob, nodes, a head or a ledger, it
// logs a warning and answers as if it had: a reference is returned to content that
// is nowhere. Here every such method has a twin that answers the error, and the
// reference that is answered for nothing names no blob, so that nothing can be
// committed with it.

#[tokio::test]
async fn what_could_not_be_written_is_an_error_of_the_twin() {
    let place = Place::new();
    drop(place.open().await);
    let store = Store::open_readonly(place.path()).await.unwrap();
    let generic = BlobArtifactDescriptor::process_execution_env;
    let head = lash_core::store::SessionHeadMeta::default;
    let outcomes = [
        ("blob", store.try_put_blob(b"x").await.err()),
        (
            "artifact blob",
            store.try_put_artifact_blob(generic(), b"x").await.err(),
        ),
        ("typed blob", store.try_put_typed_blob(&1).await.err()),
        (
            "typed artifact blob",
            store.try_put_typed_artifact_blob(generic(), &1).await.err(),
        ),
        (
            "checkpoint",
            store.try_put_checkpoint(&full_checkpoint(1)).await.err(),
        ),
        (
            "nodes",
            store
                .try_append_session_graph_nodes(&chain(0, 1))
                .await
                .err(),
        ),
        (
            "graph",
            store
                .try_replace_session_graph(&graph(chain(0, 1)))
                .await
                .err(),
        ),
        (
            "head",
            store
                .try_save_session_head(SessionHead::default())
                .await
                .err(),
        ),
        (
            "head row",
            store.try_save_session_head_meta(head()).await.err(),
        ),
        (
            "usage",
            store
                .try_append_usage_deltas(&[usage("s", "m", [1, 1, 1, 1])])
                .await
                .err(),
        ),
        ("garbage", store.try_gc_unreachable().await.err()),
    ];
    for (what, error) in outcomes {
        assert!(
            matches!(error, Some(Error::ReadOnly { .. })),
            "{what}: {error:?}"
        );
    }
}

#[tokio::test]
async fn the_reference_to_what_could_not_be_written_can_not_be_committed() {
    let place = Place::new();
    let store = place.open().await;
    let readonly = Store::open_readonly(place.path()).await.unwrap();
    let references = [
        readonly.put_blob(b"x").await,
        readonly.put_typed_blob(&1).await,
        readonly
            .put_checkpoint(&full_checkpoint(1))
            .await
            .checkpoint_ref,
    ];
    for reference in references {
        assert!(store.try_get_blob(&reference).await.unwrap().is_none());
        let mut next = commit(None);
        next.checkpoint.execution_state_ref = Some(reference);
        assert!(store.commit_runtime_state(next).await.is_err());
    }
}

// D10. The native `save_session_head` writes the graph and the head in two
// transactions and sets the revision back to 0. A stale handle that still expects
// an old revision then wins a compare-and-swap that it must lose. Copying a head
// leaves out the execution state and the usage, and ignores every failure. Here a
// revision is never used twice, and both are whole or not done.

#[tokio::test]
async fn saving_a_head_does_not_give_a_stale_handle_its_revision_back() {
    let place = Place::new();
    let store = place.open().await;
    let stale = place.open().await;
    store
        .commit_runtime_state(append(None, chain(0, 1)))
        .await
        .unwrap();
    let seen = stale.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(seen.head_revision, 1);

    let head = SessionHead {
        session_id: SESSION.to_owned(),
        graph: graph(vec![node("saved", None)]),
        ..SessionHead::default()
    };
    store.save_session_head(head).await;
    store
        .commit_runtime_state(append(Some(2), vec![node("next", Some("saved"))]))
        .await
        .unwrap();
    let error = stale
        .commit_runtime_state(replace(Some(seen.head_revision), Vec::new()))
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::HeadRevisionConflict { actual: 3, .. }),
        "{error}"
    );
    let read = store.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(ids(&read.graph.nodes), ["saved", "next"]);
}

#[tokio::test]
async fn a_head_that_is_refused_leaves_the_graph_as_it_was() {
    let place = Place::new();
    let store = place.open().await;
    store
        .commit_runtime_state(append(None, chain(0, 2)))
        .await
        .unwrap();
    let raw = place.raw();
    let before = raw.dump();
    let mut refused = SessionHead {
        session_id: SESSION.to_owned(),
        graph: graph(vec![node("other", None)]),
        ..SessionHead::default()
    };
    refused.graph.set_leaf_node_id(Some("nowhere".to_owned()));
    assert!(matches!(
        store.try_save_session_head(refused).await,
        Err(Error::Invalid { .. })
    ));
    assert_eq!(raw.dump(), before);
}

#[tokio::test]
async fn copying_a_head_copies_all_that_it_refers_to() {
    let source = Store::memory().await.unwrap();
    let mut first = append(None, chain(0, 2));
    first.checkpoint = full_checkpoint(3);
    first.usage_deltas = vec![usage("turn", "model", [1, 2, 3, 4])];
    source.commit_runtime_state(first).await.unwrap();

    let place = Place::new();
    let target = place.open().await;
    target
        .append_usage_deltas(&[usage("old", "old", [9, 9, 9, 9])])
        .await;
    target.head_copy_from_store(&source).await;

    let copy = target.load_session(FULL).await.unwrap().unwrap();
    let original = source.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(json(&copy.graph), json(&original.graph));
    assert_eq!(ledger(&copy.token_ledger), ledger(&original.token_ledger));
    assert_eq!(copy.checkpoint_ref, original.checkpoint_ref);
    assert_eq!(json(&copy.checkpoint), json(&original.checkpoint));
    assert_eq!(
        copy.checkpoint.unwrap().execution_state.unwrap(),
        b"execution 3"
    );
    assert_eq!(gc(&target).await.unwrap().deleted_blob_count, 0);
}

#[tokio::test]
async fn a_head_that_can_not_be_read_whole_is_not_copied() {
    let from = Place::new();
    let source = from.open().await;
    let mut first = append(None, chain(0, 2));
    first.checkpoint = full_checkpoint(1);
    source.commit_runtime_state(first).await.unwrap();
    from.raw().damage("DELETE FROM blobs WHERE kind = 4");

    let to = Place::new();
    let target = to.open().await;
    let raw = to.raw();
    let before = raw.dump();
    assert!(matches!(
        target.try_head_copy_from_store(&source).await,
        Err(Error::Corrupt { .. })
    ));
    assert_eq!(raw.dump(), before);
}

// D12. The native queue knows a source key only while its batch is queued. When a
// wake is delivered late once more, after its work was completed, it is queued and
// done again. Here a completed source key is remembered with a digest of its
// payloads; other work under the same key is new work and is never dropped.

#[tokio::test]
async fn work_that_was_completed_is_not_queued_again_by_a_late_delivery() {
    let place = Place::new();
    let store = place.open().await;
    let draft = work("wake").with_source_key("process:1:wake:1");
    let batch = store.enqueue_queued_work(draft.clone()).await.unwrap();
    let held = claim(&store, 60_000, 1).await.unwrap();
    store
        .commit_runtime_state(commit(None).completing_queue_claim(held.completion()))
        .await
        .unwrap();

    // Also through another handle, opened later.
    for store in [store, place.open().await] {
        let late = store.enqueue_queued_work(draft.clone()).await.unwrap();
        assert_eq!(late.batch_id, batch.batch_id);
        assert_eq!(late.enqueue_seq, batch.enqueue_seq);
        assert_eq!(json(&late.items), json(&batch.items));
        assert!(store.list_queued_work(SESSION).await.unwrap().is_empty());
        assert!(claim(&store, 60_000, 1).await.is_none());
    }
}

#[tokio::test]
async fn other_work_under_a_completed_source_key_is_queued() {
    let store = Store::memory().await.unwrap();
    let draft = work("first").with_source_key("key");
    let batch = store.enqueue_queued_work(draft.clone()).await.unwrap();
    let held = claim(&store, 60_000, 1).await.unwrap();
    store
        .commit_runtime_state(commit(None).completing_queue_claim(held.completion()))
        .await
        .unwrap();
    let other = store
        .enqueue_queued_work(work("second").with_source_key("key"))
        .await
        .unwrap();
    assert_ne!(other.batch_id, batch.batch_id);
    assert_eq!(store.list_queued_work(SESSION).await.unwrap().len(), 1);
    // The same key of another session has nothing to do with it.
    let elsewhere = lash_core::runtime::QueuedWorkBatchDraft {
        session_id: "other".to_owned(),
        ..draft
    };
    store.enqueue_queued_work(elsewhere).await.unwrap();
    assert_eq!(store.list_queued_work("other").await.unwrap().len(), 1);
}

#[tokio::test]
async fn work_that_was_cancelled_may_be_queued_again() {
    let store = Store::memory().await.unwrap();
    let draft = work("again").with_source_key("key");
    let batch = store.enqueue_queued_work(draft.clone()).await.unwrap();
    let cancelled = store.cancel_queued_work_batch(SESSION, &batch.batch_id);
    assert!(cancelled.await.unwrap().is_some());
    let again = store.enqueue_queued_work(draft).await.unwrap();
    assert_ne!(again.batch_id, batch.batch_id);
    assert_eq!(store.list_queued_work(SESSION).await.unwrap().len(), 1);
}

// D13. The native completion counts the rows that a claim owns and compares their
// number with that of the batches it names. Wrong identifiers of the right number
// pass, nothing is deleted, and work that was done is delivered again. Here a
// completion must name exactly the batches of its claim.

#[tokio::test]
async fn a_completion_must_name_the_batches_of_its_claim() {
    let place = Place::new();
    let store = place.open().await;
    let mut batches = Vec::new();
    for text in ["a", "b"] {
        batches.push(store.enqueue_queued_work(joining_work(text)).await.unwrap());
    }
    let held = claim(&store, 60_000, 2).await.unwrap();
    let other = store.enqueue_queued_work(joining_work("c")).await.unwrap();
    let [first, second] = [&batches[0].batch_id, &batches[1].batch_id];

    let raw = place.raw();
    let before = raw.dump();
    for wrong in [
        vec![first.clone(), first.clone()],
        vec![first.clone(), "qwb:unknown".to_owned()],
        vec![first.clone(), other.batch_id.clone()],
        vec![first.clone()],
        vec![second.clone()],
        Vec::new(),
        vec![first.clone(), second.clone(), first.clone()],
    ] {
        let mut completion = held.completion();
        completion.batch_ids = wrong.clone();
        let error = store
            .commit_runtime_state(commit(None).completing_queue_claim(completion))
            .await
            .unwrap_err();
        assert!(
            matches!(error, StoreError::QueuedWorkClaimExpired { .. }),
            "{wrong:?}: {error}"
        );
        assert_eq!(raw.dump(), before, "{wrong:?}");
    }

    let mut completion = held.completion();
    completion.batch_ids.reverse();
    store
        .commit_runtime_state(commit(None).completing_queue_claim(completion))
        .await
        .unwrap();
    let left = store.list_queued_work(SESSION).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].batch_id, other.batch_id);
}

// D15. A native blob that cannot be decompressed is answered as the bytes of its
// envelope, bytes that look like an envelope are unwrapped although nobody wrapped
// them, and no read compares content with its hash. Here a blob is what was
// stored, or an error.

#[tokio::test]
async fn a_damaged_blob_is_an_error_whatever_its_encoding() {
    for (profile, encoding) in [
        (BuiltinBlobProfile::LowLatency, 0),
        (BuiltinBlobProfile::Balanced, 1),
        (BuiltinBlobProfile::Compact, 1),
    ] {
        let place = Place::new();
        let options = StoreOptions {
            blob_profile: profile,
            gc_policy: StoreGcPolicy::default(),
        };
        let store = place.open_with(StoreBuilder::new().options(options)).await;
        let content = b"what is stored ".repeat(1000);
        let key = store
            .try_put_artifact_blob(BlobArtifactDescriptor::tool_state_snapshot(), &content)
            .await
            .unwrap();
        let raw = place.raw();
        assert_eq!(raw.integer("SELECT encoding FROM blobs"), encoding);
        let stored: Vec<u8> = raw
            .connection()
            .query_row("SELECT content FROM blobs", [], |row| row.get(0))
            .unwrap();
        for position in [0, 1, stored.len() / 2, stored.len() - 1] {
            let mut damaged = stored.clone();
            damaged[position] ^= 0x10;
            raw.connection()
                .execute("UPDATE blobs SET content = ?1", [&damaged])
                .unwrap();
            assert!(
                matches!(store.try_get_blob(&key).await, Err(Error::Corrupt { .. })),
                "{profile:?}, byte {position}"
            );
            assert!(store.get_blob(&key).await.is_none());
        }
        raw.connection()
            .execute("UPDATE blobs SET content = ?1", [&stored])
            .unwrap();
        assert_eq!(store.try_get_blob(&key).await.unwrap().unwrap(), content);
    }
}

#[tokio::test]
async fn a_blob_that_took_the_place_of_another_is_an_error() {
    let place = Place::new();
    let store = place.open().await;
    let contents = [noise(64), vec![7; 64]];
    let mut keys = Vec::new();
    for content in &contents {
        keys.push(store.try_put_blob(content).await.unwrap());
    }
    let raw = place.raw();
    for (id, content) in [(1, &contents[1]), (2, &contents[0])] {
        raw.connection()
            .execute(
                "UPDATE blobs SET content = ?2 WHERE id = ?1",
                rusqlite::params![id, content],
            )
            .unwrap();
    }
    for key in keys {
        assert!(matches!(
            store.try_get_blob(&key).await,
            Err(Error::Corrupt { .. })
        ));
    }
}

#[tokio::test]
async fn bytes_that_look_like_a_stored_form_come_back_as_they_are() {
    let place = Place::new();
    let store = place.open().await;
    let content = vec![3; 64 * 1024];
    let descriptor = BlobArtifactDescriptor::tool_state_snapshot();
    store
        .try_put_artifact_blob(descriptor.clone(), &content)
        .await
        .unwrap();
    let deflated: Vec<u8> = place
        .raw()
        .connection()
        .query_row("SELECT content FROM blobs WHERE encoding = 1", [], |row| {
            row.get(0)
        })
        .unwrap();
    for put in [
        store.try_put_blob(&deflated).await.unwrap(),
        store
            .try_put_artifact_blob(descriptor, &deflated)
            .await
            .unwrap(),
    ] {
        assert_eq!(store.try_get_blob(&put).await.unwrap().unwrap(), deflated);
    }
}

// D17. Native artifacts of all kinds share one name space in which the last put
// wins: bytes stored under the reference of a module replace the module, and a
// process can no longer be started. Here modules have names of their own, and an
// artifact is never replaced by one of another kind.

fn module() -> lashlang::ModuleArtifact {
    let program = lashlang::parse("process echo(value: str) { finish value }").unwrap();
    lashlang::ModuleArtifact::from_program(program).unwrap()
}

#[tokio::test]
async fn bytes_under_the_reference_of_a_module_do_not_replace_the_module() {
    let place = Place::new();
    let store = place.open().await;
    let module = module();
    let name = module.module_ref.as_str();
    store.put_module_artifact(&module).await.unwrap();
    store
        .put_artifact_bytes(name, "process_execution_env", b"bytes")
        .await
        .unwrap();

    // Another handle, which has nothing in its cache.
    let store = place.open().await;
    let loaded = store.get_module_artifact(&module.module_ref).await.unwrap();
    assert_eq!(
        loaded.unwrap().to_store_bytes().unwrap(),
        module.to_store_bytes().unwrap()
    );
    let bytes = store.get_artifact_bytes(name).await.unwrap();
    assert_eq!(bytes.unwrap(), b"bytes");
}

#[tokio::test]
async fn an_artifact_is_not_replaced_by_one_of_another_kind() {
    let store = Store::memory().await.unwrap();
    store
        .put_artifact_bytes("name", "process_execution_env", b"environment")
        .await
        .unwrap();
    let replaced = store.put_artifact_bytes("name", "generic", b"other").await;
    assert!(replaced.is_err());
    let bytes = store.get_artifact_bytes("name").await.unwrap();
    assert_eq!(bytes.unwrap(), b"environment");
}

// A retry of a commit whose answer was lost must not be mistaken for another
// commit, whatever has happened to the store in between.

#[tokio::test]
async fn a_commit_can_be_retried_after_later_commits_and_garbage_collection() {
    let store = Store::memory().await.unwrap();
    let stamped = |expected, turn: usize| -> RuntimeCommit {
        RuntimeCommit {
            graph: GraphCommitDelta::Unchanged { leaf_node_id: None },
            ..checkpointed(expected, turn)
        }
        .with_turn_commit(RuntimeTurnCommitStamp::new(
            SESSION,
            format!("turn-{turn}"),
            format!("hash-{turn}"),
        ))
    };
    let first = store.commit_runtime_state(stamped(None, 1)).await.unwrap();
    store
        .commit_runtime_state(stamped(Some(1), 2))
        .await
        .unwrap();
    gc(&store).await.unwrap();
    let retried = store.commit_runtime_state(stamped(None, 1)).await.unwrap();
    assert_eq!(json(&retried), json(&first));
    let store: Arc<dyn RuntimePersistence> = Arc::new(store);
    let read = store.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(read.head_revision, 2);
    let meta: Option<SessionMeta> = store.load_session_meta().await.unwrap();
    assert!(meta.is_none());
}
