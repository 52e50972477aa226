//! Leases on processes: who may end a process, and who may not any more.

use std::path::Path;
use std::pin::pin;

use lash_core::{ProcessLease, ProcessLeaseCompletion, ProcessRegistry};
use lash_wasm_store::SqliteProcessRegistry;
use lash_wasm_store_testing::fixtures::{Place, TestClock, at, poll_once};
use lash_wasm_store_testing::process_fixtures::{open, open_with, register, says, success, tick};

const LOST: &str = "process lease for `p` is missing or expired";

async fn release(registry: &SqliteProcessRegistry, lease: &ProcessLease) {
    registry
        .complete_process_lease(&ProcessLeaseCompletion::from_lease(lease))
        .await
        .unwrap();
}

/// Two registries of one file, `p` claimed by the first one and then, after the
/// lease expired, by the second.
async fn taken_over(place: &Place) -> [(SqliteProcessRegistry, ProcessLease); 2] {
    let clock = TestClock::at(1_000);
    let stale = open_with(clock.builder(), place.path()).await;
    register(&stale, &["p"]).await;
    let old = stale.claim_process_lease("p", "old", 100).await.unwrap();
    clock.advance(100);
    let owner = open_with(clock.builder(), place.path()).await;
    let new = owner.claim_process_lease("p", "new", 100).await.unwrap();
    assert!(new.fencing_token > old.fencing_token);
    [(stale, old), (owner, new)]
}

// R9. The native crate looks at a lease when it is renewed, and not when the process
// is ended: a worker that was stopped between the two ends a process that somebody
// else works on by now, and the result of that one is refused.

#[tokio::test]
async fn a_stale_owner_cannot_end_a_process_after_a_takeover() {
    let place = Place::new();
    let [(stale, _), (owner, new)] = taken_over(&place).await;
    let before = place.raw().dump();
    let error = stale
        .complete_process("p", success("stale"))
        .await
        .unwrap_err();
    says(&error, LOST);
    assert_eq!(place.raw().dump(), before);
    // What ends nothing may come from anybody.
    stale.append_event("p", tick(1)).await.unwrap();

    owner.complete_process("p", success("new")).await.unwrap();
    release(&owner, &new).await;
    assert_eq!(owner.await_process("p").await.unwrap(), success("new"));
}

#[tokio::test]
async fn a_lease_that_only_expired_still_lets_its_owner_end_the_process() {
    let place = Place::new();
    let clock = TestClock::at(1_000);
    let owner = open_with(clock.builder(), place.path()).await;
    register(&owner, &["p"]).await;
    let lease = owner.claim_process_lease("p", "owner", 100).await.unwrap();
    clock.advance(100_000);
    says(
        &owner.renew_process_lease(&lease, 100).await.unwrap_err(),
        LOST,
    );
    owner.complete_process("p", success("late")).await.unwrap();
}

/// A user who cancels has no lease, and needs none.
#[tokio::test]
async fn who_never_claimed_may_end_a_process_that_is_leased() {
    let place = Place::new();
    let owner = open(place.path()).await;
    register(&owner, &["p", "q"]).await;
    owner
        .claim_process_lease("p", "owner", 60_000)
        .await
        .unwrap();
    owner
        .claim_process_lease("q", "owner", 60_000)
        .await
        .unwrap();
    let user = open(place.path()).await;
    user.complete_process("p", success("user")).await.unwrap();
    // Not even if the lease on another process was lost.
    owner.complete_process("q", success("owner")).await.unwrap();
}

#[tokio::test]
async fn who_gave_a_lost_lease_back_is_a_user_like_any_other() {
    let place = Place::new();
    let [(stale, old), (owner, new)] = taken_over(&place).await;
    release(&stale, &old).await;
    // That released nothing of the new owner's.
    let renewed = owner.renew_process_lease(&new, 100).await.unwrap();
    assert_eq!(renewed.lease_token, new.lease_token);
    stale
        .complete_process("p", success("cancelled"))
        .await
        .unwrap();
}

#[tokio::test]
async fn two_workers_of_one_registry_are_told_apart_by_their_leases() {
    let clock = TestClock::at(1_000);
    let registry = open_with(clock.builder(), Path::new(":memory:")).await;
    register(&registry, &["p"]).await;
    let old = registry.claim_process_lease("p", "old", 100).await.unwrap();
    registry
        .append_event_with_lease(&old, tick(1))
        .await
        .unwrap();
    clock.advance(100);
    let new = registry.claim_process_lease("p", "new", 100).await.unwrap();

    let error = registry.append_event_with_lease(&old, tick(2)).await;
    says(&error.unwrap_err(), LOST);
    let error = registry
        .complete_process_with_lease(&old, success("old"))
        .await;
    says(&error.unwrap_err(), LOST);
    assert_eq!(registry.events_after("p", 0).await.unwrap().len(), 1);

    registry
        .append_event_with_lease(&new, tick(2))
        .await
        .unwrap();
    let record = registry
        .complete_process_with_lease(&new, success("new"))
        .await
        .unwrap();
    assert_eq!(record.status.await_output(), Some(&success("new")));
    // The lease was given back together with the end.
    says(
        &registry.renew_process_lease(&new, 100).await.unwrap_err(),
        LOST,
    );
    registry
        .claim_process_lease("p", "somebody", 100)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_completion_that_is_repeated_gives_the_lease_back_too() {
    let registry = SqliteProcessRegistry::memory().await.unwrap();
    register(&registry, &["p"]).await;
    let lease = registry
        .claim_process_lease("p", "owner", 60_000)
        .await
        .unwrap();
    registry
        .complete_process("p", success("done"))
        .await
        .unwrap();
    registry
        .complete_process_with_lease(&lease, success("done"))
        .await
        .unwrap();
    registry
        .claim_process_lease("p", "other", 60_000)
        .await
        .unwrap();
}

/// A process that was removed takes its leases with it: one on it is worth nothing
/// for a later process with its identifier, and does not stand in its way.
#[tokio::test]
async fn a_lease_on_a_removed_process_does_not_reach_a_later_one_of_its_name() {
    let place = Place::new();
    let clock = TestClock::at(1_000);
    let worker = open_with(clock.builder(), place.path()).await;
    register(&worker, &["p"]).await;
    let old = worker
        .claim_process_lease("p", "worker", 100)
        .await
        .unwrap();
    let other = open_with(clock.builder(), place.path()).await;
    other.complete_process("p", success("first")).await.unwrap();
    clock.advance(1_000);
    assert_eq!(other.prune_ended(at(2_000), None).await.unwrap(), 1);

    register(&other, &["p"]).await;
    let error = worker
        .complete_process_with_lease(&old, success("old"))
        .await;
    says(&error.unwrap_err(), LOST);
    // The registry's own memory of the lease is about the removed process.
    worker
        .complete_process("p", success("second"))
        .await
        .unwrap();
    let later = other.claim_process_lease("p", "other", 100).await.unwrap();
    assert!(later.fencing_token > old.fencing_token);
}

// R2. The native crate takes the time of some leases before the call has the
// connection and the write lock, for which it may wait 15 s: they are born expired.

#[tokio::test]
async fn a_process_lease_starts_when_the_write_lock_is_held() {
    let place = Place::new();
    let clock = TestClock::at(1_000);
    let registry = open_with(clock.builder(), place.path()).await;
    register(&registry, &["p"]).await;

    let raw = place.raw();
    let lock = raw.lock();
    let mut claiming = pin!(registry.claim_process_lease("p", "owner", 500));
    assert!(poll_once(claiming.as_mut()).is_pending());
    clock.set(20_000);
    drop(lock);
    let lease = claiming.await.unwrap();
    assert_eq!(lease.claimed_at_epoch_ms, 20_000);
    assert_eq!(lease.expires_at_epoch_ms, 20_500);

    let lock = raw.lock();
    let mut renewing = pin!(registry.renew_process_lease(&lease, 500));
    assert!(poll_once(renewing.as_mut()).is_pending());
    clock.set(20_400);
    drop(lock);
    assert_eq!(renewing.await.unwrap().expires_at_epoch_ms, 20_900);
}

// R6. Native tokens are digests of process, owner, time and fencing token.

#[tokio::test]
async fn a_lease_is_never_repeated_and_a_live_one_keeps_others_out() {
    let clock = TestClock::at(1_000);
    let registry = open_with(clock.builder(), Path::new(":memory:")).await;
    register(&registry, &["p"]).await;
    let first = registry
        .claim_process_lease("p", "owner", u64::MAX)
        .await
        .unwrap();
    let again = registry
        .claim_process_lease("p", "owner", u64::MAX)
        .await
        .unwrap();
    assert_ne!(first.lease_token, again.lease_token);
    assert!(again.fencing_token > first.fencing_token);
    // R13: a time to live that does not fit is very long, and not over at once.
    clock.set(i64::MAX / 2);
    let error = registry
        .claim_process_lease("p", "other", 1)
        .await
        .unwrap_err();
    says(&error, "process `p` is already leased by `owner` until");
}

/// A claim was committed, but whoever asked for it had gone: nobody knew the token,
/// and the process stood still until the lease expired.
#[tokio::test]
async fn a_claim_that_is_dropped_while_it_is_made_holds_up_nobody() {
    let place = Place::new();
    let registry = open(place.path()).await;
    register(&registry, &["p"]).await;
    let raw = place.raw();
    for round in 0..20 {
        let lock = raw.lock();
        let worker = format!("worker {round}");
        {
            let mut claim = pin!(registry.claim_process_lease("p", &worker, 3_600_000));
            assert!(poll_once(claim.as_mut()).is_pending());
            drop(lock);
        }
        // After the claim, which was begun, or was not.
        let lease = loop {
            match registry.claim_process_lease("p", "heir", 3_600_000).await {
                Ok(lease) => break lease,
                Err(error) => says(&error, &format!("already leased by `{worker}`")),
            }
        };
        release(&registry, &lease).await;
    }
}
