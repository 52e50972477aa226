//! What a commit checks, in which order, and what it writes.

use std::sync::Arc;

use lash_core::runtime::QueuedWorkCompletion;
use lash_core::store::{GraphCommitDelta, RuntimeCommit, RuntimeTurnCommitStamp};
use lash_core::{
    AttachmentId, AttachmentIntent, AttachmentManifest, BlobRef, HydratedSessionCheckpoint,
    RuntimePersistence, SessionHead, SessionMeta, SessionReadScope, StoreError,
};
use lash_wasm_store::{EngineError, Error, Store};
use lash_wasm_store_testing::fixtures::{
    Place, SESSION, TestClock, append, chain, checkpointed, claim, commit, full_checkpoint, graph,
    ids, joining_work, json, ledger, node, replace, usage, work,
};

const FULL: SessionReadScope = SessionReadScope::FullGraph;

fn stamp(turn: &str, hash: &str) -> RuntimeTurnCommitStamp {
    RuntimeTurnCommitStamp::new(SESSION, turn, hash)
}

fn unknown_completion() -> QueuedWorkCompletion {
    QueuedWorkCompletion {
        session_id: SESSION.to_owned(),
        claim_id: "qwc:1:1".to_owned(),
        lease_token: "none".to_owned(),
        batch_ids: vec!["qwb:none".to_owned()],
    }
}

#[tokio::test]
async fn the_checks_come_in_the_order_of_the_contract_and_a_refused_commit_writes_nothing() {
    let place = Place::new();
    let store = place.open().await;
    let first = store
        .commit_runtime_state(append(None, chain(0, 1)).with_turn_commit(stamp("t1", "h1")))
        .await
        .unwrap();
    let raw = place.raw();
    let (before, version) = (raw.dump(), raw.data_version());

    // Wrong in every respect; then one respect after the other is put right.
    let wrong = RuntimeCommit {
        session_id: "other".to_owned(),
        ..append(Some(7), vec![node("n0", None)])
    }
    .with_turn_commit(RuntimeTurnCommitStamp::new("third", "t1", "h2"))
    .completing_queue_claim(unknown_completion());
    let error = store.commit_runtime_state(wrong.clone()).await.unwrap_err();
    assert!(
        matches!(
            &error,
            StoreError::SessionBindingMismatch { bound_session_id, attempted_session_id }
                if bound_session_id == SESSION && attempted_session_id == "other"
        ),
        "{error}"
    );

    let wrong = RuntimeCommit {
        session_id: SESSION.to_owned(),
        ..wrong
    };
    let error = store.commit_runtime_state(wrong.clone()).await.unwrap_err();
    assert!(
        matches!(
            &error,
            StoreError::RuntimeTurnCommitConflict { session_id, turn_id }
                if session_id == "third" && turn_id == "t1"
        ),
        "{error}"
    );

    let wrong = wrong.with_turn_commit(stamp("t1", "h2"));
    let error = store.commit_runtime_state(wrong.clone()).await.unwrap_err();
    assert!(
        matches!(
            &error,
            StoreError::RuntimeTurnCommitConflict { session_id, turn_id }
                if session_id == SESSION && turn_id == "t1"
        ),
        "{error}"
    );

    // A replay is recognised before the revision, the claims and the graph are
    // looked at.
    let replayed = wrong.clone().with_turn_commit(stamp("t1", "h1"));
    let replayed = store.commit_runtime_state(replayed).await.unwrap();
    assert_eq!(json(&replayed), json(&first));

    let wrong = wrong.with_turn_commit(stamp("t2", "h2"));
    let error = store.commit_runtime_state(wrong.clone()).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::HeadRevisionConflict {
                expected: Some(7),
                actual: 1
            }
        ),
        "{error}"
    );

    let wrong = RuntimeCommit {
        expected_head_revision: Some(1),
        ..wrong
    };
    let error = store.commit_runtime_state(wrong.clone()).await.unwrap_err();
    assert!(
        matches!(
            &error,
            StoreError::QueuedWorkClaimExpired { session_id, claim_id }
                if session_id == SESSION && claim_id == "qwc:1:1"
        ),
        "{error}"
    );

    let wrong = RuntimeCommit {
        completed_queue_claims: Vec::new(),
        ..wrong
    };
    let error = store.commit_runtime_state(wrong.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::Backend(_)), "{error}");
    assert_eq!(raw.data_version(), version);
    assert_eq!(raw.dump(), before);

    let right = RuntimeCommit {
        graph: append(None, chain(1, 1)).graph,
        ..wrong
    };
    assert_eq!(
        store
            .commit_runtime_state(right)
            .await
            .unwrap()
            .head_revision,
        2
    );
    assert_ne!(raw.data_version(), version);
}

#[tokio::test]
async fn a_replay_writes_nothing_also_when_later_commits_have_come() {
    let place = Place::new();
    let store = place.open().await;
    let stamped = |expected, turn: usize| {
        let mut next = append(expected, chain(turn, 1));
        next.checkpoint = full_checkpoint(turn);
        next.usage_deltas = vec![usage("turn", "model", [1, 1, 1, 1])];
        next.with_turn_commit(stamp(&format!("t{turn}"), "h"))
    };
    let first = store.commit_runtime_state(stamped(None, 0)).await.unwrap();
    let second = store
        .commit_runtime_state(stamped(Some(1), 1))
        .await
        .unwrap();

    let raw = place.raw();
    let (before, version) = (raw.dump(), raw.data_version());
    for store in [store, place.open().await] {
        let replayed = store.commit_runtime_state(stamped(None, 0)).await.unwrap();
        assert_eq!(json(&replayed), json(&first));
        let replayed = store
            .commit_runtime_state(stamped(Some(1), 1))
            .await
            .unwrap();
        assert_eq!(json(&replayed), json(&second));
    }
    assert_eq!(raw.data_version(), version);
    assert_eq!(raw.dump(), before);
}

#[tokio::test]
async fn a_commit_answers_what_it_stored() {
    let store = Store::memory().await.unwrap();
    let result = store
        .commit_runtime_state(checkpointed(None, 4))
        .await
        .unwrap();
    assert_eq!(result.head_revision, 1);
    assert_eq!(result.manifest.turn_state.turn_index, 4);
    assert_eq!(result.manifest.plugin_snapshot_revision, Some(7));
    let head = store.try_load_session_head_meta().await.unwrap().unwrap();
    assert_eq!(head.head_revision, 1);
    assert_eq!(head.checkpoint_ref, Some(result.checkpoint_ref.clone()));
    let stored = store
        .try_get_checkpoint(&result.checkpoint_ref)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.tool_state_ref, result.manifest.tool_state_ref);
    assert_eq!(
        stored.plugin_snapshot_ref,
        result.manifest.plugin_snapshot_ref
    );
    assert_eq!(
        stored.execution_state_ref,
        result.manifest.execution_state_ref
    );
    let execution = result.manifest.execution_state_ref.unwrap();
    let execution = store.try_get_blob(&execution).await.unwrap();
    assert_eq!(execution.unwrap(), b"execution 4");

    // The next commit may name what is stored instead of bringing it.
    let mut next = commit(Some(1));
    next.checkpoint.tool_state_ref = stored.tool_state_ref.clone();
    next.checkpoint.execution_state_ref = stored.execution_state_ref.clone();
    store.commit_runtime_state(next).await.unwrap();
    let read = store.load_session(FULL).await.unwrap().unwrap();
    let checkpoint = read.checkpoint.unwrap();
    assert_eq!(checkpoint.tool_state.unwrap().generation(), 4);
    assert_eq!(checkpoint.execution_state.unwrap(), b"execution 4");
    assert!(checkpoint.plugin_snapshot.is_none());
    assert!(checkpoint.plugin_snapshot_ref.is_none());
}

#[tokio::test]
async fn a_snapshot_that_is_given_wins_over_a_reference() {
    let store = Store::memory().await.unwrap();
    let mut next = checkpointed(None, 1);
    next.checkpoint.execution_state_ref = Some(BlobRef("ignored".to_owned()));
    store.commit_runtime_state(next).await.unwrap();
    let read = store.load_session(FULL).await.unwrap().unwrap();
    let checkpoint = read.checkpoint.unwrap();
    assert_eq!(checkpoint.execution_state.unwrap(), b"execution 1");
}

#[tokio::test]
async fn the_graph_is_left_extended_or_replaced_and_the_leaf_is_what_was_said() {
    let store = Store::memory().await.unwrap();
    let read = async || store.load_session(FULL).await.unwrap().unwrap().graph;
    store
        .commit_runtime_state(append(None, chain(0, 3)))
        .await
        .unwrap();
    assert_eq!(read().await.leaf_node_id.as_deref(), Some("n2"));

    let mut next = commit(Some(1));
    next.graph = GraphCommitDelta::Unchanged {
        leaf_node_id: Some("n1".to_owned()),
    };
    store.commit_runtime_state(next).await.unwrap();
    assert_eq!(ids(&read().await.nodes), ["n0", "n1", "n2"]);
    assert_eq!(read().await.leaf_node_id.as_deref(), Some("n1"));

    let mut next = commit(Some(2));
    next.graph = GraphCommitDelta::Append {
        nodes: vec![node("branch", Some("n0"))],
        leaf_node_id: Some("n2".to_owned()),
    };
    store.commit_runtime_state(next).await.unwrap();
    assert_eq!(ids(&read().await.nodes), ["n0", "n1", "n2", "branch"]);
    assert_eq!(read().await.leaf_node_id.as_deref(), Some("n2"));

    store
        .commit_runtime_state(replace(Some(3), vec![node("other", None)]))
        .await
        .unwrap();
    assert_eq!(ids(&read().await.nodes), ["other"]);
    assert!(store.load_node("n0").await.unwrap().is_none());
    let head = store.try_load_session_head_meta().await.unwrap().unwrap();
    assert_eq!(head.graph_node_count, 1);

    store.commit_runtime_state(commit(Some(4))).await.unwrap();
    assert_eq!(read().await.leaf_node_id, None);
}

#[tokio::test]
async fn nodes_come_back_as_they_were_committed() {
    let store = Store::memory().await.unwrap();
    let nodes = chain(0, 5);
    store
        .commit_runtime_state(append(None, nodes.clone()))
        .await
        .unwrap();
    let read = store.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(json(&read.graph.nodes), json(&nodes));
    // A child may stand before its parent in one commit.
    let swapped = vec![node("b", Some("a")), node("a", Some("n4"))];
    let mut next = append(Some(1), swapped.clone());
    next.graph = GraphCommitDelta::Append {
        nodes: swapped,
        leaf_node_id: Some("b".to_owned()),
    };
    store.commit_runtime_state(next).await.unwrap();
    let path = store
        .load_session(SessionReadScope::ActivePath { leaf_node_id: None })
        .await
        .unwrap()
        .unwrap();
    let expected = ["n0", "n1", "n2", "n3", "n4", "a", "b"];
    assert_eq!(ids(&path.graph.nodes), expected);
}

#[tokio::test]
async fn one_commit_completes_several_claims_or_none() {
    let place = Place::new();
    let store = place.open().await;
    for text in ["a", "b"] {
        store.enqueue_queued_work(work(text)).await.unwrap();
    }
    let first = claim(&store, 60_000, 1).await.unwrap();
    let second = claim(&store, 60_000, 1).await.unwrap();
    let mut stale = second.completion();
    stale.lease_token.push('0');
    let raw = place.raw();
    let before = raw.dump();
    let mut next = append(None, chain(0, 1));
    next.usage_deltas = vec![usage("turn", "model", [1, 0, 0, 0])];
    let error = store
        .commit_runtime_state(
            next.clone()
                .completing_queue_claims([first.completion(), stale]),
        )
        .await
        .unwrap_err();
    assert!(
        matches!(
            &error,
            StoreError::QueuedWorkClaimExpired { claim_id, .. } if *claim_id == second.claim_id
        ),
        "{error}"
    );
    assert_eq!(raw.dump(), before);

    store
        .commit_runtime_state(
            next.completing_queue_claims([first.completion(), second.completion()]),
        )
        .await
        .unwrap();
    assert!(store.list_queued_work(SESSION).await.unwrap().is_empty());
    assert_eq!(raw.integer("SELECT count(*) FROM queued_payloads"), 0);
}

#[tokio::test]
async fn a_lease_that_expired_still_completes_until_somebody_else_claims() {
    let clock = TestClock::at(1_000);
    let store = clock.builder().memory().await.unwrap();
    for text in ["a", "b"] {
        store.enqueue_queued_work(joining_work(text)).await.unwrap();
    }
    let held = claim(&store, 10, 2).await.unwrap();
    clock.advance(1_000_000);
    store
        .commit_runtime_state(commit(None).completing_queue_claim(held.completion()))
        .await
        .unwrap();

    store.enqueue_queued_work(work("c")).await.unwrap();
    let lost = claim(&store, 10, 1).await.unwrap();
    clock.advance(10);
    let taker = claim(&store, 10, 1).await.unwrap();
    let error = store
        .commit_runtime_state(commit(Some(1)).completing_queue_claim(lost.completion()))
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::QueuedWorkClaimExpired { .. }),
        "{error}"
    );
    store
        .commit_runtime_state(commit(Some(1)).completing_queue_claim(taker.completion()))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_completion_of_another_session_is_refused() {
    let store = Store::memory().await.unwrap();
    let mut draft = work("w");
    draft.session_id = "other".to_owned();
    store.enqueue_queued_work(draft).await.unwrap();
    let held = store
        .claim_ready_queued_work(
            "other",
            "o",
            lash_core::runtime::QueuedWorkClaimBoundary::Idle,
            60_000,
            1,
        )
        .await
        .unwrap()
        .unwrap();
    let error = store
        .commit_runtime_state(commit(None).completing_queue_claim(held.completion()))
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::QueuedWorkClaimExpired { .. }),
        "{error}"
    );
    assert_eq!(store.list_queued_work("other").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_commit_stamps_its_attachments_and_no_others() {
    let clock = TestClock::at(5_000);
    let place = Place::new();
    let store = place.open_with(clock.builder()).await;
    for (session, id) in [(SESSION, "a"), (SESSION, "b"), ("other", "c")] {
        store
            .record_intent(AttachmentIntent {
                attachment_id: AttachmentId::new(id),
                session_id: session.to_owned(),
                canonical_uri: String::new(),
                intent_at_epoch_ms: 1,
            })
            .unwrap();
    }
    // `c` is not this session's, and `d` has no intent.
    let stamped = ["a", "c", "d", "a"].map(AttachmentId::new);
    store
        .commit_runtime_state(commit(None).with_committed_attachments(stamped))
        .await
        .unwrap();
    let committed = "SELECT attachment_id FROM attachment_intents
                     WHERE committed_at_ms = 5000 ORDER BY attachment_id";
    assert_eq!(place.raw().texts(committed), ["a"]);
    // The first stamp stays.
    clock.set(6_000);
    store
        .commit_runtime_state(commit(Some(1)).with_committed_attachments([AttachmentId::new("a")]))
        .await
        .unwrap();
    assert_eq!(place.raw().texts(committed), ["a"]);
    let left = store.list_uncommitted(u64::MAX).unwrap();
    assert_eq!(left.len(), 2);
}

#[tokio::test]
async fn usage_is_added_to_the_ledger() {
    let store = Store::memory().await.unwrap();
    for (expected, tokens) in [(None, [1, 2, 3, 4]), (Some(1), [10, 20, 30, 40])] {
        let mut next = commit(expected);
        next.usage_deltas = vec![usage("turn", "model", tokens)];
        store.commit_runtime_state(next).await.unwrap();
    }
    let read = store.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(
        ledger(&read.token_ledger),
        [("turn".to_owned(), "model".to_owned(), [11, 22, 33, 44])]
    );
    assert_eq!(store.try_load_usage_deltas().await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_configuration_and_the_frames_are_those_of_the_last_commit() {
    let store = Store::memory().await.unwrap();
    let mut first = commit(None);
    first.config.provider_id = "a provider".to_owned();
    first.current_agent_frame_id = "frame".to_owned();
    store.commit_runtime_state(first).await.unwrap();
    let mut second = commit(Some(1));
    second.config.provider_id = "another".to_owned();
    second.current_agent_frame_id = "next frame".to_owned();
    store.commit_runtime_state(second).await.unwrap();
    let read = store.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(read.config.provider_id, "another");
    assert_eq!(read.current_agent_frame_id, "next frame");
    assert_eq!(read.session_id, SESSION);
}

/// Defect D3 of the native crate, its other half: references to blobs that are not
/// stored are committed.
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
            Err(Error::Engine(EngineError::MissingBlob { .. }))
        ));
    }
    assert_eq!(raw.dump(), before);
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

/// A retry of a commit whose answer was lost is not mistaken for another commit,
/// whatever has happened to the store in between.
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
    RuntimePersistence::gc_unreachable(&store).await.unwrap();
    let retried = store.commit_runtime_state(stamped(None, 1)).await.unwrap();
    assert_eq!(json(&retried), json(&first));
    let store: Arc<dyn RuntimePersistence> = Arc::new(store);
    let read = store.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(read.head_revision, 2);
    let meta: Option<SessionMeta> = store.load_session_meta().await.unwrap();
    assert!(meta.is_none());
}

#[tokio::test]
async fn nodes_that_are_no_forest_are_refused_and_nothing_is_written() {
    let place = Place::new();
    let store = place.open().await;
    store
        .commit_runtime_state(append(None, chain(0, 2)))
        .await
        .unwrap();
    let raw = place.raw();
    let before = raw.dump();
    for (nodes, says) in [
        (vec![node("a", Some("a"))], "ancestor"),
        (vec![node("a", Some("b")), node("b", Some("a"))], "ancestor"),
        (vec![node("a", Some("unknown"))], "unknown"),
        (vec![node("a", None), node("a", None)], "twice"),
        (vec![node("a", None), node("n1", None)], "n1"),
    ] {
        let stored_already = says == "n1";
        let case = format!("{:?}", ids(&nodes));
        let error = store
            .commit_runtime_state(append(Some(1), nodes.clone()))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(says), "{case}: {error}");
        let error = store
            .try_append_session_graph_nodes(&nodes)
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::Engine(EngineError::Invalid { .. })),
            "{case}: {error}"
        );
        if !stored_already {
            let error = store
                .commit_runtime_state(replace(Some(1), nodes))
                .await
                .unwrap_err();
            assert!(error.to_string().contains(says), "{case}: {error}");
        }
    }
    for graph in [
        GraphCommitDelta::Unchanged {
            leaf_node_id: Some("nowhere".to_owned()),
        },
        GraphCommitDelta::Append {
            nodes: vec![node("a", None)],
            leaf_node_id: Some("nowhere".to_owned()),
        },
    ] {
        let mut refused = commit(Some(1));
        refused.graph = graph;
        let error = store.commit_runtime_state(refused).await.unwrap_err();
        assert!(error.to_string().contains("nowhere"), "{error}");
    }
    assert_eq!(raw.dump(), before);
}

#[tokio::test]
async fn a_plugin_snapshot_revision_keeps_all_its_bits() {
    let store = Store::memory().await.unwrap();
    let mut next = checkpointed(None, 1);
    next.checkpoint.plugin_snapshot_revision = Some(u64::MAX);
    let result = store.commit_runtime_state(next).await.unwrap();
    assert_eq!(result.manifest.plugin_snapshot_revision, Some(u64::MAX));
    let read = store.load_session(FULL).await.unwrap().unwrap();
    let checkpoint = read.checkpoint.unwrap();
    assert_eq!(checkpoint.plugin_snapshot_revision, Some(u64::MAX));
}
