//! Handles side by side: who waits for whom, and what is seen meanwhile.

use std::pin::pin;

use lash_core::runtime::QueuedWorkClaimBoundary;
use lash_core::{
    AttachmentManifest, DeliveryPolicy, LashlangArtifactStore, MessageRole, RuntimePersistence,
    SessionReadScope,
};
use lash_wasm_store::Store;
use lash_wasm_store_testing::fixtures::{
    Place, SESSION, append, chain, claim, commit, full_checkpoint, message_node, meta, poll_once,
    usage, work,
};

const FULL: SessionReadScope = SessionReadScope::FullGraph;

/// Defect D6 of the native crate: it reads by several statements without a transaction.
///
/// Every commit makes the revision, the graph, the ledger and the checkpoint say the same
/// number, and the graph is so long that reading it takes longer than several commits.
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
                RuntimePersistence::gc_unreachable(&writer).await.unwrap();
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

#[tokio::test]
async fn nothing_that_reads_waits_for_a_writer() {
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

/// Defect P7 of the native crate: it takes the write lock before it looks whether there
/// is work, at every checkpoint of every turn.
#[tokio::test]
async fn a_claim_that_finds_nothing_takes_no_lock() {
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
