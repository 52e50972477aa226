//! The work queue: enqueueing, claims, renewal, giving back, cancelling, listing.

use std::pin::pin;

use lash_core::runtime::{QueuedWorkBatchDraft, QueuedWorkClaimBoundary, QueuedWorkPayload};
use lash_core::{DeliveryPolicy, MergeKey, RuntimePersistence, StoreError, TurnInput};
use lash_wasm_store::Store;
use lash_wasm_store_testing::fixtures::{
    Place, SESSION, TestClock, claim, claimed_ids, commit, guarded, joining_work, json, poll_once,
    work,
};

fn waiting(draft: QueuedWorkBatchDraft) -> QueuedWorkBatchDraft {
    QueuedWorkBatchDraft {
        delivery_policy: DeliveryPolicy::AfterCurrentTurnCommit,
        ..draft
    }
}

#[tokio::test]
async fn a_batch_comes_back_as_it_was_enqueued() {
    let clock = TestClock::at(1_000);
    let store = clock.builder().memory().await.unwrap();
    let mut draft = waiting(joining_work("one"))
        .with_source_key("key")
        .with_available_at_ms(900)
        .with_merge_key(MergeKey::Group("group".to_owned()));
    draft
        .payloads
        .push(QueuedWorkPayload::turn_input(TurnInput::text("two")));
    let batch = store.enqueue_queued_work(draft.clone()).await.unwrap();

    let digits = batch.batch_id.strip_prefix("qwb:").unwrap();
    assert_eq!(digits.len(), 64);
    assert!(digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(batch.session_id, SESSION);
    assert_eq!(batch.source_key.as_deref(), Some("key"));
    assert_eq!(batch.delivery_policy, draft.delivery_policy);
    assert_eq!(batch.slot_policy, draft.slot_policy);
    assert_eq!(batch.merge_key, draft.merge_key);
    assert_eq!(batch.available_at_ms, 900);
    assert_eq!(batch.enqueued_at_ms, 1_000);
    let items: Vec<&str> = batch
        .items
        .iter()
        .map(|item| item.item_id.as_str())
        .collect();
    assert_eq!(
        items,
        [0, 1].map(|index| format!("{}:item:{index}", batch.batch_id))
    );
    let payloads: Vec<_> = batch.items.iter().map(|item| &item.payload).collect();
    assert_eq!(json(&payloads), json(&draft.payloads));

    let listed = store.list_queued_work(SESSION).await.unwrap();
    assert_eq!(json(&listed), json(&[&batch]));
    let held = claim(&store, 60_000, 1).await.unwrap();
    assert_eq!(json(&held.batches), json(&[&batch]));
    let cancelled = {
        store.abandon_queued_work_claim(&held).await.unwrap();
        store.cancel_queued_work_batch(SESSION, &batch.batch_id)
    };
    assert_eq!(json(&cancelled.await.unwrap().unwrap()), json(&batch));
}

#[tokio::test]
async fn a_batch_without_payloads_is_kept() {
    let store = Store::memory().await.unwrap();
    let mut draft = work("x");
    draft.payloads.clear();
    store.enqueue_queued_work(draft).await.unwrap();
    let held = claim(&store, 60_000, 1).await.unwrap();
    assert!(held.is_empty());
    assert_eq!(held.batches.len(), 1);
}

#[tokio::test]
async fn a_claim_says_who_holds_what_until_when() {
    let clock = TestClock::at(1_000);
    let store = clock.builder().memory().await.unwrap();
    let batch = store.enqueue_queued_work(work("w")).await.unwrap();
    let held = claim(&store, 250, 1).await.unwrap();
    assert_eq!(held.session_id, SESSION);
    assert_eq!(held.owner_id, "owner");
    assert_eq!(held.fencing_token, 1);
    assert_eq!(held.claim_id, format!("qwc:{}:1", batch.enqueue_seq));
    assert_eq!(held.claimed_at_epoch_ms, 1_000);
    assert_eq!(held.expires_at_epoch_ms, 1_250);
}

#[tokio::test]
async fn a_claim_of_nothing_is_none() {
    let store = Store::memory().await.unwrap();
    assert!(claim(&store, 60_000, 10).await.is_none());
    store.enqueue_queued_work(work("w")).await.unwrap();
    assert!(claim(&store, 60_000, 0).await.is_none());
    let exactly_nothing = store
        .claim_ready_queued_work_by_batch_ids(
            SESSION,
            "o",
            QueuedWorkClaimBoundary::Idle,
            60_000,
            &[],
        )
        .await;
    assert!(exactly_nothing.unwrap().is_none());
    let elsewhere = store
        .claim_ready_queued_work("other", "o", QueuedWorkClaimBoundary::Idle, 60_000, 1)
        .await;
    assert!(elsewhere.unwrap().is_none());
    assert!(claim(&store, 60_000, 1).await.is_some());
}

#[tokio::test]
async fn work_that_waits_for_the_end_of_the_turn_blocks_what_is_behind_it() {
    let store = Store::memory().await.unwrap();
    store.enqueue_queued_work(waiting(work("a"))).await.unwrap();
    store.enqueue_queued_work(work("b")).await.unwrap();
    let within = store
        .claim_ready_queued_work(
            SESSION,
            "o",
            QueuedWorkClaimBoundary::ActiveTurnCheckpoint,
            60_000,
            10,
        )
        .await;
    assert!(within.unwrap().is_none());
    assert_eq!(claim(&store, 60_000, 10).await.unwrap().batches.len(), 1);
    let within = store
        .claim_ready_queued_work(
            SESSION,
            "o",
            QueuedWorkClaimBoundary::ActiveTurnCheckpoint,
            60_000,
            10,
        )
        .await;
    assert_eq!(within.unwrap().unwrap().batches.len(), 1);
}

#[tokio::test]
async fn an_exact_claim_takes_all_it_names_in_order_or_nothing() {
    let place = Place::new();
    let store = place.open().await;
    let mut ids = Vec::new();
    for text in ["a", "b", "c"] {
        let batch = store.enqueue_queued_work(joining_work(text)).await.unwrap();
        ids.push(batch.batch_id);
    }
    let exact = async |wanted: &[String]| {
        store
            .claim_ready_queued_work_by_batch_ids(
                SESSION,
                "o",
                QueuedWorkClaimBoundary::Idle,
                60_000,
                wanted,
            )
            .await
            .unwrap()
    };
    let raw = place.raw();
    let before = raw.dump();
    let reversed: Vec<String> = ids.iter().rev().cloned().collect();
    for wrong in [
        &ids[1..],
        &reversed,
        &[ids[0].clone(), ids[0].clone()],
        &[ids[0].clone(), "qwb:unknown".to_owned()],
    ] {
        assert!(exact(wrong).await.is_none(), "{wrong:?}");
    }
    assert_eq!(raw.dump(), before);
    let held = exact(&ids[..2]).await.unwrap();
    assert_eq!(claimed_ids(&held), ids[..2]);
    assert_eq!(claimed_ids(&exact(&ids[2..]).await.unwrap()), ids[2..]);
}

#[tokio::test]
async fn a_lease_that_expired_can_be_renewed_until_somebody_else_claims() {
    let clock = TestClock::at(1_000);
    let store = clock.builder().memory().await.unwrap();
    store.enqueue_queued_work(work("w")).await.unwrap();
    let held = claim(&store, 10, 1).await.unwrap();
    clock.set(5_000);
    let renewed = store.renew_queued_work_claim(&held, 100).await.unwrap();
    assert_eq!(renewed.expires_at_epoch_ms, 5_100);
    assert_eq!(renewed.lease_token, held.lease_token);
    assert!(claim(&store, 10, 1).await.is_none());

    clock.set(5_100);
    let taker = claim(&store, 1_000, 1).await.unwrap();
    for stale in [&held, &renewed] {
        let error = store.renew_queued_work_claim(stale, 100).await.unwrap_err();
        assert!(
            matches!(
                &error,
                StoreError::QueuedWorkClaimExpired { session_id, claim_id }
                    if session_id == SESSION && *claim_id == held.claim_id
            ),
            "{error}"
        );
    }
    // A stale holder gives nothing back either.
    store.abandon_queued_work_claim(&held).await.unwrap();
    assert!(claim(&store, 10, 1).await.is_none());
    store.renew_queued_work_claim(&taker, 100).await.unwrap();
}

#[tokio::test]
async fn a_claim_that_was_given_back_can_neither_be_renewed_nor_completed() {
    let store = Store::memory().await.unwrap();
    store.enqueue_queued_work(work("w")).await.unwrap();
    let held = claim(&store, 60_000, 1).await.unwrap();
    store.abandon_queued_work_claim(&held).await.unwrap();
    store.abandon_queued_work_claim(&held).await.unwrap();
    assert!(store.renew_queued_work_claim(&held, 1).await.is_err());
    let error = store
        .commit_runtime_state(commit(None).completing_queue_claim(held.completion()))
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::QueuedWorkClaimExpired { .. }),
        "{error}"
    );
    assert_eq!(
        store.list_pending_queued_work(SESSION).await.unwrap().len(),
        1
    );
}

#[tokio::test]
async fn what_is_not_under_a_live_claim_can_be_cancelled_and_is_pending() {
    let clock = TestClock::at(1_000);
    let store = clock.builder().memory().await.unwrap();
    let later = work("later").with_available_at_ms(u64::MAX);
    let later = store.enqueue_queued_work(later).await.unwrap();
    let batch = store.enqueue_queued_work(work("w")).await.unwrap();
    let pending = async || {
        let pending = store.list_pending_queued_work(SESSION).await.unwrap();
        let ids: Vec<String> = pending.into_iter().map(|batch| batch.batch_id).collect();
        ids
    };
    assert_eq!(pending().await, [&*later.batch_id, &*batch.batch_id]);
    let held = claim(&store, 100, 1).await.unwrap();
    assert_eq!(pending().await, [&*later.batch_id]);
    clock.set(1_099);
    let cancel = async |session: &str, id: &str| {
        let cancelled = store.cancel_queued_work_batch(session, id).await;
        cancelled.unwrap().map(|batch| batch.batch_id)
    };
    assert_eq!(cancel(SESSION, &batch.batch_id).await, None);
    clock.set(1_100);
    assert_eq!(pending().await, [&*later.batch_id, &*batch.batch_id]);
    assert_eq!(cancel("other", &batch.batch_id).await, None);
    assert_eq!(cancel(SESSION, "qwb:unknown").await, None);
    assert_eq!(
        cancel(SESSION, &batch.batch_id).await,
        Some(batch.batch_id.clone())
    );
    assert_eq!(cancel(SESSION, &batch.batch_id).await, None);
    assert!(store.renew_queued_work_claim(&held, 1).await.is_err());
    assert_eq!(
        cancel(SESSION, &later.batch_id).await,
        Some(later.batch_id.clone())
    );
    assert!(pending().await.is_empty());
}

#[tokio::test]
async fn sessions_in_one_file_have_queues_of_their_own() {
    let store = Store::memory().await.unwrap();
    let mut ours = Vec::new();
    for number in 0..4 {
        for session in [SESSION, "other"] {
            let draft = QueuedWorkBatchDraft {
                session_id: session.to_owned(),
                ..joining_work(&number.to_string()).with_source_key(number.to_string())
            };
            let batch = store.enqueue_queued_work(draft).await.unwrap();
            if session == SESSION {
                ours.push(batch.batch_id);
            }
        }
    }
    let listed = store.list_queued_work(SESSION).await.unwrap();
    let listed: Vec<String> = listed.into_iter().map(|batch| batch.batch_id).collect();
    assert_eq!(listed, ours);
    // The other session's batches in between do not end a joined claim.
    assert_eq!(claimed_ids(&claim(&store, 60_000, 10).await.unwrap()), ours);
    assert_eq!(
        store.list_pending_queued_work("other").await.unwrap().len(),
        4
    );
}

#[tokio::test]
async fn a_source_key_that_is_queued_answers_the_queued_batch_also_while_it_is_claimed() {
    let store = Store::memory().await.unwrap();
    let draft = work("w").with_source_key("key");
    let batch = store.enqueue_queued_work(draft.clone()).await.unwrap();
    claim(&store, 60_000, 1).await.unwrap();
    let other = work("other payload").with_source_key("key");
    for again in [draft, other] {
        let again = store.enqueue_queued_work(again).await.unwrap();
        assert_eq!(json(&again), json(&batch));
    }
    assert_eq!(store.list_queued_work(SESSION).await.unwrap().len(), 1);
}

/// A queue that is deeper than what is read as a whole, with few or many batches that
/// are ready, in between others that are not yet available or under a lease.
#[tokio::test]
async fn a_deep_queue_is_claimed_in_order_whatever_of_it_is_not_ready() {
    for period in [2, 10] {
        let clock = TestClock::at(1_000);
        let store = clock.builder().memory().await.unwrap();
        let mut ready = Vec::new();
        for number in 0..300 {
            let later = number % period != 0;
            let draft = joining_work(&number.to_string()).with_available_at_ms(match later {
                true => 2_000,
                false => 900,
            });
            let batch = store.enqueue_queued_work(draft).await.unwrap();
            if !later {
                ready.push(batch.batch_id);
            }
        }
        let held = claim(&store, 500, 10).await.unwrap();
        assert_eq!(claimed_ids(&held), ready[..10]);
        let rest = claim(&store, 60_000, 1_000).await.unwrap();
        assert_eq!(claimed_ids(&rest), ready[10..]);
        assert!(claim(&store, 60_000, 1_000).await.is_none());

        clock.advance(500);
        let again = claim(&store, 60_000, 1_000).await.unwrap();
        assert_eq!(claimed_ids(&again), ready[..10]);
        clock.advance(500);
        let later = claim(&store, 60_000, 1_000).await.unwrap();
        assert_eq!(later.batches.len(), 300 - ready.len());
        assert!(later.batches.is_sorted_by_key(|batch| batch.enqueue_seq));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_are_claimed_once_however_many_handles_claim() {
    let place = Place::new();
    let store = place.open().await;
    for number in 0..20 {
        store
            .enqueue_queued_work(work(&number.to_string()))
            .await
            .unwrap();
    }
    let mut workers = Vec::new();
    for _ in 0..4 {
        let store = place.open().await;
        workers.push(tokio::spawn(async move {
            let mut ids = Vec::new();
            while let Some(held) = claim(&store, 3_600_000, 1).await {
                ids.extend(held.batches.into_iter().map(|batch| batch.batch_id));
            }
            ids
        }));
    }
    let mut claimed = Vec::new();
    for worker in workers {
        claimed.extend(worker.await.unwrap());
    }
    claimed.sort();
    claimed.dedup();
    assert_eq!(claimed.len(), 20);
}

/// A claim was committed, but whoever asked for it had gone: nobody knew the token,
/// and the work was not done until the lease expired.
#[tokio::test]
async fn a_claim_that_is_dropped_while_it_is_made_holds_up_nobody() {
    let place = Place::new();
    let clock = TestClock::at(1_000);
    let store = place.open_with(clock.builder()).await;
    store.enqueue_queued_work(work("w")).await.unwrap();
    let raw = place.raw();
    for _ in 0..20 {
        let lock = raw.lock();
        let reads = clock.reads();
        {
            let mut dropped = pin!(claim(&store, 3_600_000, 1));
            assert!(poll_once(dropped.as_mut()).is_pending());
            // It has looked at the queue: what is left for it is to wait for the lock.
            while clock.reads() == reads {
                tokio::task::yield_now().await;
            }
            drop(lock);
        }
        let heir = guarded(async {
            loop {
                if let Some(claim) = claim(&store, 3_600_000, 1).await {
                    break claim;
                }
            }
        });
        store.abandon_queued_work_claim(&heir.await).await.unwrap();
    }
}

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
    let elsewhere = QueuedWorkBatchDraft {
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

/// Defect D13 of the native crate: it compares the number of batches, so that wrong
/// identifiers of the right number pass.
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
