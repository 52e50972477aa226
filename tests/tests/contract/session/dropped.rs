//! Calls whose future is dropped: done wholly or not at all.

use std::pin::pin;

use lash_core::store::RuntimeTurnCommitStamp;
use lash_core::{RuntimePersistence, SessionReadScope};
use lash_wasm_store_testing::fixtures::{
    Place, SESSION, append, chain, full_checkpoint, ids, large_node, poll_once, usage, work,
};

const FULL: SessionReadScope = SessionReadScope::FullGraph;

#[tokio::test]
async fn a_commit_that_was_never_polled_leaves_no_trace() {
    let place = Place::new();
    let store = place.open().await;
    let raw = place.raw();
    let before = raw.dump();
    drop(store.commit_runtime_state(append(None, chain(0, 1))));
    drop(store.enqueue_queued_work(work("w")));
    drop(store.try_put_blob(b"x"));
    // What comes next would come after them.
    store.try_gc_unreachable().await.unwrap();
    assert_eq!(raw.dump(), before);
}

#[tokio::test]
async fn a_commit_that_was_dropped_while_it_waited_and_its_retry_are_one_commit() {
    for polls in 1..=3 {
        let place = Place::new();
        let store = place.open().await;
        let raw = place.raw();
        let stamped = || {
            let mut next = append(None, chain(0, 2));
            next.usage_deltas = vec![usage("turn", "model", [1, 0, 0, 0])];
            next.with_turn_commit(RuntimeTurnCommitStamp::new(SESSION, "turn", "hash"))
        };
        {
            let lock = raw.lock();
            let mut dropped = pin!(store.commit_runtime_state(stamped()));
            for _ in 0..polls {
                assert!(poll_once(dropped.as_mut()).is_pending());
                tokio::task::yield_now().await;
            }
            drop(lock);
        }
        let result = store.commit_runtime_state(stamped()).await.unwrap();
        assert_eq!(result.head_revision, 1);
        let read = store.load_session(FULL).await.unwrap().unwrap();
        assert_eq!(read.head_revision, 1);
        assert_eq!(ids(&read.graph.nodes), ["n0", "n1"]);
        assert_eq!(read.token_ledger[0].usage.input_tokens, 1);
        assert_eq!(raw.integer("SELECT count(*) FROM runtime_turn_commits"), 1);
    }
}

#[tokio::test]
async fn commits_that_are_dropped_at_any_time_are_whole_or_nothing() {
    let place = Place::new();
    let store = place.open().await;
    let mut revision = 0_u64;
    for round in 0..40_usize {
        let parent = (revision > 0).then(|| format!("r{}", revision - 1));
        let nodes = vec![large_node(
            &format!("r{revision}"),
            parent.as_deref(),
            10_000,
        )];
        let mut next = append((revision > 0).then_some(revision), nodes);
        next.checkpoint = full_checkpoint(round);
        next.usage_deltas = vec![usage("turn", "model", [1, 0, 0, 0])];
        let stamp = RuntimeTurnCommitStamp::new(SESSION, format!("t{revision}"), "hash");
        let next = next.with_turn_commit(stamp);
        {
            let mut dropped = pin!(store.commit_runtime_state(next.clone()));
            for _ in 0..round {
                if poll_once(dropped.as_mut()).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        store.commit_runtime_state(next).await.unwrap();
        revision += 1;
        let read = store.load_session(FULL).await.unwrap().unwrap();
        assert_eq!(read.head_revision, revision);
        assert_eq!(read.graph.nodes.len() as u64, revision);
        assert_eq!(read.token_ledger[0].usage.input_tokens as u64, revision);
    }
}
