//! Regression tests for races, broken leases, hangs and panics of
//! lash-sqlite-store 0.1.0-alpha.46.

use std::collections::BTreeSet;
use std::pin::pin;

use lash_core::runtime::QueuedWorkClaimBoundary;
use lash_core::store::{GraphCommitDelta, RuntimeTurnCommitStamp, SessionHeadMeta};
use lash_core::{
    AttachmentId, AttachmentIntent, AttachmentManifest, RuntimePersistence, SessionReadScope,
    StoreError,
};
use lash_wasm_store::{BlobArtifactDescriptor, Error, Store, StoreGcPolicy, StoreOptions};
use lash_wasm_store_tests::fixtures::{
    Place, SESSION, TestClock, append, chain, checkpointed, claim, claimed_ids, commit,
    full_checkpoint, ids, joining_work, large_node, node, poll_once, replace, usage, work,
};

const FULL: SessionReadScope = SessionReadScope::FullGraph;

fn expired(error: &StoreError) -> bool {
    matches!(error, StoreError::QueuedWorkClaimExpired { .. })
}

// R2. To renew a claim or to claim an effect, the native crate looks at the clock
// before the call has the connection and the write lock, for which it may wait 15 s.
// The lease is then born partly or wholly expired, and two workers do the same work.
// Here every lease starts when the lock is held.

#[tokio::test]
async fn a_lease_starts_when_the_write_lock_is_held() {
    let place = Place::new();
    let clock = TestClock::at(1_000);
    let store = place.open_with(clock.builder()).await;
    store.enqueue_queued_work(work("w")).await.unwrap();

    let raw = place.raw();
    let lock = raw.lock();
    let reads = clock.reads();
    let mut claiming = pin!(claim(&store, 500, 1));
    assert!(poll_once(claiming.as_mut()).is_pending());
    // The claim has looked at the queue; what is left for it is to wait.
    while clock.reads() == reads {
        tokio::task::yield_now().await;
    }
    clock.set(20_000);
    drop(lock);

    let held = claiming.await.unwrap();
    assert_eq!(held.claimed_at_epoch_ms, 20_000);
    assert_eq!(held.expires_at_epoch_ms, 20_500);
    assert!(claim(&store, 500, 1).await.is_none());
}

#[tokio::test]
async fn a_renewed_lease_starts_when_the_write_lock_is_held() {
    let place = Place::new();
    let clock = TestClock::at(1_000);
    let store = place.open_with(clock.builder()).await;
    store.enqueue_queued_work(work("w")).await.unwrap();
    let held = claim(&store, 500, 1).await.unwrap();

    let raw = place.raw();
    let lock = raw.lock();
    let mut renewing = pin!(store.renew_queued_work_claim(&held, 500));
    assert!(poll_once(renewing.as_mut()).is_pending());
    clock.set(20_000);
    drop(lock);
    assert_eq!(renewing.await.unwrap().expires_at_epoch_ms, 20_500);
}

// R6. Native lease tokens are digests of session, owner, claim identifier and
// time, and the sequence in the claim identifier starts anew when the queue has
// been drained. The same owner gets the same token in the same millisecond, and a
// commit that completes the earlier claim, which is void, is accepted. Here
// sequences are never used twice and tokens are random.

#[tokio::test]
async fn no_claim_is_ever_repeated_although_the_queue_drains_and_the_clock_stands_still() {
    let clock = TestClock::at(1_000);
    let store = clock.builder().memory().await.unwrap();
    let mut sequences = BTreeSet::new();
    let mut identifiers = BTreeSet::new();
    let mut tokens = BTreeSet::new();
    let mut earlier = None;
    for revision in 0..8_u64 {
        let batch = store.enqueue_queued_work(work("w")).await.unwrap();
        let held = claim(&store, 60_000, 1).await.unwrap();
        assert!(sequences.insert(batch.enqueue_seq));
        assert!(identifiers.insert(held.claim_id.clone()));
        assert!(tokens.insert(held.lease_token.clone()));

        let expected = (revision > 0).then_some(revision);
        if let Some(earlier) = earlier.replace(held.completion()) {
            let error = store
                .commit_runtime_state(commit(expected).completing_queue_claim(earlier))
                .await
                .unwrap_err();
            assert!(expired(&error), "{error}");
        }
        store
            .commit_runtime_state(commit(expected).completing_queue_claim(held.completion()))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_token_is_not_repeated_when_the_same_owner_claims_again_at_the_same_time() {
    let clock = TestClock::at(1_000);
    let store = clock.builder().memory().await.unwrap();
    store.enqueue_queued_work(work("w")).await.unwrap();
    let first = claim(&store, 60_000, 1).await.unwrap();
    store.abandon_queued_work_claim(&first).await.unwrap();
    let second = claim(&store, 60_000, 1).await.unwrap();
    assert_ne!(first.lease_token, second.lease_token);
    assert!(second.fencing_token > first.fencing_token);
    // The first claim's token does not fit the second claim.
    let mut forged = second.completion();
    forged.lease_token = first.lease_token;
    let error = store
        .commit_runtime_state(commit(None).completing_queue_claim(forged))
        .await
        .unwrap_err();
    assert!(expired(&error), "{error}");
}

// R7. The native batch identifier is a digest of session, time and a counter that
// every handle starts at 0: two handles that enqueue in the same millisecond
// collide, and one call fails with a constraint error. The same counter decides
// when garbage is collected, so that enqueueing makes a collection be skipped.

#[tokio::test]
async fn handles_that_enqueue_at_the_same_time_do_not_collide() {
    let place = Place::new();
    let clock = TestClock::at(1_000);
    let first = place.open_with(clock.builder()).await;
    let second = place.open_with(clock.builder()).await;
    let mut identifiers = BTreeSet::new();
    for _ in 0..10 {
        let (a, b) = tokio::join!(
            first.enqueue_queued_work(work("w")),
            second.enqueue_queued_work(work("w"))
        );
        assert!(identifiers.insert(a.unwrap().batch_id));
        assert!(identifiers.insert(b.unwrap().batch_id));
    }
    let listed = first.list_queued_work(SESSION).await.unwrap();
    assert_eq!(listed.len(), 20);
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

// R8. The native renewal extends whatever rows still match, commits that, and then
// reports the claim as lost because they are too few: batches stay locked for an
// owner that was told to stop. Here a renewal extends all batches of a claim or
// none.

#[tokio::test]
async fn a_renewal_that_is_refused_extends_nothing() {
    let clock = TestClock::at(1_000);
    let store = clock.builder().memory().await.unwrap();
    for text in ["a", "b"] {
        store.enqueue_queued_work(joining_work(text)).await.unwrap();
    }
    let lost = claim(&store, 100, 2).await.unwrap();
    assert_eq!(lost.batches.len(), 2);
    clock.advance(100);
    // Somebody else takes the first batch, and the second is free.
    let taker = claim(&store, 100, 1).await.unwrap();
    assert_eq!(claimed_ids(&taker), claimed_ids(&lost)[..1]);

    let error = store
        .renew_queued_work_claim(&lost, 1_000_000)
        .await
        .unwrap_err();
    assert!(expired(&error), "{error}");
    let next = claim(&store, 100, 2).await.unwrap();
    assert_eq!(claimed_ids(&next), claimed_ids(&lost)[1..]);
}

// R10. A native claim of several batches raises each row's own fencing token by one
// and answers that of the first. A batch that was claimed more often than the first
// one before gets a token that an earlier owner already had. Here the token of a
// claim is higher than that of any earlier claim of any of its batches.

#[tokio::test]
async fn the_fencing_token_of_a_joined_claim_is_higher_than_all_before() {
    let store = Store::memory().await.unwrap();
    for text in ["a", "b"] {
        store.enqueue_queued_work(joining_work(text)).await.unwrap();
    }
    let first = claim(&store, 60_000, 1).await.unwrap();
    let mut highest = 0;
    for _ in 0..5 {
        let second = claim(&store, 60_000, 1).await.unwrap();
        highest = second.fencing_token;
        store.abandon_queued_work_claim(&second).await.unwrap();
    }
    assert_eq!(highest, 5);
    store.abandon_queued_work_claim(&first).await.unwrap();
    let joined = claim(&store, 60_000, 2).await.unwrap();
    assert_eq!(joined.batches.len(), 2);
    assert!(joined.fencing_token > highest, "{}", joined.fencing_token);
}

// R11. A native value that cannot be encoded panics on the thread that owns the
// connection, which ends, and every later call fails until the store is opened
// again; a checkpoint that cannot be stored panics in the caller. The synchronous
// attachment manifest runs a future on the caller's thread and panics when that
// already runs one.

struct Unencodable;

impl serde::Serialize for Unencodable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not today"))
    }
}

#[tokio::test]
async fn a_value_that_can_not_be_encoded_is_an_error_and_the_store_goes_on() {
    let store = Store::memory().await.unwrap();
    let descriptor = BlobArtifactDescriptor::tool_state_snapshot;
    for error in [
        store.try_put_typed_blob(&Unencodable).await.unwrap_err(),
        store
            .try_put_typed_artifact_blob(descriptor(), &Unencodable)
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(error, Error::Encode { .. }), "{error}");
    }
    assert_eq!(store.put_typed_blob(&Unencodable).await.as_str(), "");
    store.commit_runtime_state(commit(None)).await.unwrap();
}

#[tokio::test]
async fn a_checkpoint_that_can_not_be_stored_does_not_panic() {
    let place = Place::new();
    drop(place.open().await);
    let store = Store::open_readonly(place.path()).await.unwrap();
    let stored = store.put_checkpoint(&full_checkpoint(1)).await;
    assert_eq!(stored.checkpoint_ref.as_str(), "");
    assert!(store.get_checkpoint(&stored.checkpoint_ref).await.is_none());
}

#[test]
fn the_attachment_manifest_works_on_the_only_thread_of_a_runtime_and_without_one() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
    };
    let store = runtime().block_on(Store::memory()).unwrap();
    let record = |id: &str| {
        store
            .record_intent(AttachmentIntent {
                attachment_id: AttachmentId::new(id),
                session_id: SESSION.to_owned(),
                canonical_uri: String::new(),
                intent_at_epoch_ms: 1,
            })
            .unwrap();
    };
    record("outside");
    runtime().block_on(async {
        record("inside");
        // Also while a call of the same runtime is under way.
        let mut pending = pin!(store.try_put_blob(b"x"));
        let _ = poll_once(pending.as_mut());
        record("between");
    });
    assert_eq!(store.list_uncommitted(1).unwrap().len(), 3);
}

// R12. The native query for a path follows parents without looking for a cycle.
// One damaged or wrongly written parent makes it run for ever on the only thread
// of the store. It also stores nodes with parents and leaves that do not exist,
// and answers a repeated node with SQLite's own text. Here a graph that is no
// forest is refused, and a walk ends whatever the rows say.

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
        assert!(matches!(error, Error::Invalid { .. }), "{case}: {error}");
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
async fn a_damaged_parent_that_makes_a_cycle_ends_with_an_error() {
    let place = Place::new();
    let store = place.open().await;
    store
        .commit_runtime_state(append(None, chain(0, 3)))
        .await
        .unwrap();
    for parent in [1, 2, 3] {
        place.raw().damage(&format!(
            "UPDATE graph_nodes SET parent_seq = {parent} WHERE node_id = 'n0'"
        ));
        let read = store
            .load_session(SessionReadScope::ActivePath { leaf_node_id: None })
            .await;
        assert!(read.unwrap_err().to_string().contains("damaged"));
    }
}

// R13. The native crate turns unsigned numbers into signed ones by a cast: what is
// meant to be available never, or a lease that is meant to last for ever, is a
// negative time and thus long past. A limit that wraps claims 31 batches instead
// of all.

#[tokio::test]
async fn work_that_is_available_at_the_end_of_time_is_not_ready() {
    let clock = TestClock::at(i64::MAX / 2);
    let store = clock.builder().memory().await.unwrap();
    for at in [u64::MAX, u64::MAX - 1, 1 << 63, i64::MAX as u64] {
        let draft = work("later").with_available_at_ms(at);
        let batch = store.enqueue_queued_work(draft).await.unwrap();
        assert_eq!(batch.available_at_ms, at.min(i64::MAX as u64));
    }
    assert!(claim(&store, 1, 10).await.is_none());
    assert_eq!(store.list_queued_work(SESSION).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_lease_without_end_is_held() {
    let clock = TestClock::at(1_000);
    let store = clock.builder().memory().await.unwrap();
    store.enqueue_queued_work(work("w")).await.unwrap();
    let held = claim(&store, u64::MAX, 1).await.unwrap();
    assert!(held.expires_at_epoch_ms >= i64::MAX as u64);
    clock.set(i64::MAX / 2);
    assert!(claim(&store, 1, 1).await.is_none());
    assert!(
        store
            .list_pending_queued_work(SESSION)
            .await
            .unwrap()
            .is_empty()
    );
    let renewed = store
        .renew_queued_work_claim(&held, u64::MAX)
        .await
        .unwrap();
    assert!(renewed.expires_at_epoch_ms >= i64::MAX as u64);
    assert!(claim(&store, 1, 1).await.is_none());
}

#[tokio::test]
async fn a_claim_without_limit_takes_all_that_joins() {
    let store = Store::memory().await.unwrap();
    for number in 0..100 {
        let draft = joining_work(&number.to_string());
        store.enqueue_queued_work(draft).await.unwrap();
    }
    let held = claim(&store, 60_000, usize::MAX).await.unwrap();
    assert_eq!(held.batches.len(), 100);
}

#[tokio::test]
async fn an_intent_at_the_end_of_time_is_listed_last() {
    let store = Store::memory().await.unwrap();
    for (id, at) in [("last", u64::MAX), ("first", 1), ("second", 1 << 62)] {
        store
            .record_intent(AttachmentIntent {
                attachment_id: AttachmentId::new(id),
                session_id: SESSION.to_owned(),
                canonical_uri: String::new(),
                intent_at_epoch_ms: at,
            })
            .unwrap();
    }
    let listed = |at| -> Vec<String> {
        let entries = store.list_uncommitted(at).unwrap();
        entries
            .iter()
            .map(|entry| entry.attachment_id.as_str().to_owned())
            .collect()
    };
    assert_eq!(listed(u64::MAX), ["first", "second", "last"]);
    assert_eq!(listed((1 << 62) - 1), ["first"]);
    assert!(listed(0).is_empty());
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

#[tokio::test]
async fn a_revision_at_the_end_of_the_range_is_not_used_twice() {
    let store = Store::memory().await.unwrap();
    let meta = SessionHeadMeta {
        session_id: SESSION.to_owned(),
        head_revision: u64::MAX,
        ..SessionHeadMeta::default()
    };
    let saved = store.try_save_session_head_meta(meta).await;
    assert!(matches!(saved, Err(Error::Invalid { .. })), "{saved:?}");
    assert!(store.try_load_session_head_meta().await.unwrap().is_none());

    let meta = SessionHeadMeta {
        session_id: SESSION.to_owned(),
        head_revision: i64::MAX as u64 - 1,
        ..SessionHeadMeta::default()
    };
    let saved = store.try_save_session_head_meta(meta).await.unwrap();
    let last = store.commit_runtime_state(commit(Some(saved))).await;
    let last = last.unwrap().head_revision;
    assert_eq!(last, saved + 1);
    assert!(
        store
            .commit_runtime_state(commit(Some(last)))
            .await
            .is_err()
    );
}

// R14. The native crate knows only the clock of the machine, and takes a time
// before 1970 for 1970: leases of such a machine are expired for everybody else.
// Here the clock can be given, and a call that needs the time and finds it before
// 1970 fails and writes nothing.

#[tokio::test]
async fn leases_go_by_the_clock_that_was_given() {
    let clock = TestClock::at(1_000);
    let store = clock.builder().memory().await.unwrap();
    let later = work("later").with_available_at_ms(5_000);
    let batch = store.enqueue_queued_work(later).await.unwrap();
    assert_eq!(batch.enqueued_at_ms, 1_000);
    assert!(claim(&store, 100, 1).await.is_none());
    clock.set(5_000);
    let held = claim(&store, 100, 1).await.unwrap();
    assert_eq!(held.claimed_at_epoch_ms, 5_000);
    clock.set(5_099);
    assert!(claim(&store, 100, 1).await.is_none());
    clock.set(5_100);
    assert!(claim(&store, 100, 1).await.is_some());
}

#[tokio::test]
async fn a_clock_before_1970_is_an_error_and_nothing_is_written() {
    let place = Place::new();
    let clock = TestClock::at(1_000);
    let store = place.open_with(clock.builder()).await;
    store.enqueue_queued_work(work("w")).await.unwrap();
    let held = claim(&store, 60_000, 1).await.unwrap();
    let raw = place.raw();
    let before = raw.dump();

    clock.set(-1);
    assert!(store.enqueue_queued_work(work("x")).await.is_err());
    assert!(store.renew_queued_work_claim(&held, 1).await.is_err());
    assert!(store.commit_runtime_state(commit(None)).await.is_err());
    assert!(
        store
            .claim_ready_queued_work(SESSION, "o", QueuedWorkClaimBoundary::Idle, 1, 1)
            .await
            .is_err()
    );
    assert_eq!(raw.dump(), before);
    // What needs no time is answered.
    assert_eq!(store.list_queued_work(SESSION).await.unwrap().len(), 1);

    clock.set(1_001);
    store.commit_runtime_state(commit(None)).await.unwrap();
}

// R16. A native commit goes on when its future is dropped, and nobody can tell
// whether it did. Here a future that was never polled leaves no trace, and one that
// was dropped on its way is done wholly or not at all: a retry with the same stamp
// makes one commit of both.

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

// R17. The native crate inflates whatever a row holds to its end: a row of one
// megabyte can take a gigabyte of memory. Here no more is inflated than the row's
// checked length says.

#[tokio::test]
async fn a_row_that_inflates_to_more_than_its_length_is_an_error() {
    let place = Place::new();
    let store = place.open().await;
    let tools = BlobArtifactDescriptor::tool_state_snapshot;
    let small = vec![0; 8 * 1024];
    let large = vec![0; 16 << 20];
    let key = store.try_put_artifact_blob(tools(), &small).await.unwrap();
    store.try_put_artifact_blob(tools(), &large).await.unwrap();
    let raw = place.raw();
    assert_eq!(raw.integers("SELECT encoding FROM blobs"), [1, 1]);
    raw.damage(
        "UPDATE blobs SET content = (SELECT content FROM blobs WHERE length = 16777216)
         WHERE length = 8192",
    );
    assert!(matches!(
        store.try_get_blob(&key).await,
        Err(Error::Corrupt { .. })
    ));
    // Nor is a length believed that was not written with the row.
    raw.damage("UPDATE blobs SET length = 16777216 WHERE length = 8192");
    assert!(matches!(
        store.try_get_blob(&key).await,
        Err(Error::Corrupt { .. })
    ));
}
