//! Leases on queued work: when they begin and end, and that no claim is like another.

use std::collections::BTreeSet;
use std::pin::pin;

use lash_core::runtime::QueuedWorkClaimBoundary;
use lash_core::{RuntimePersistence, StoreError};
use lash_wasm_store_testing::fixtures::{
    Place, SESSION, TestClock, claim, commit, poll_once, work,
};

fn expired(error: &StoreError) -> bool {
    matches!(error, StoreError::QueuedWorkClaimExpired { .. })
}

/// Defect R2 of the native crate: it looks at the clock before it waits for the write
/// lock, so that a lease may be born expired.
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

/// Defect R6 of the native crate: tokens are digests of what can be the same again.
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
