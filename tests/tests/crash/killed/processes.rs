//! What becomes of a process when its worker is killed.

use std::path::Path;

use lash_core::ProcessRegistry;
use lash_wasm_store_testing::child::{self, Child};
use lash_wasm_store_testing::fixtures::{Place, TestClock};
use lash_wasm_store_testing::process_fixtures::{
    open, open_with, register, registration, says, success,
};

async fn claims_and_waits_to_be_killed(path: &Path) {
    let registry = open(path).await;
    registry
        .claim_process_lease("p", "victim", 60_000)
        .await
        .unwrap();
    println!("claimed");
    std::future::pending::<()>().await;
}

/// A worker is killed while it holds a lease. Nobody gets the process before the
/// lease expires, and anybody afterwards.
#[tokio::test]
async fn the_process_of_a_killed_worker_is_taken_over_when_its_lease_expires() {
    if let Some(path) = child::file() {
        return claims_and_waits_to_be_killed(&path).await;
    }
    let place = Place::new();
    let registry = open(place.path()).await;
    register(&registry, &["p"]).await;

    let mut victim = Child::start(
        the_process_of_a_killed_worker_is_taken_over_when_its_lease_expires,
        place.path(),
    );
    victim.wait_for("claimed");
    victim.kill();

    let error = registry
        .claim_process_lease("p", "heir", 100)
        .await
        .unwrap_err();
    says(&error, "already leased by `victim`");
    let later = TestClock::at(
        i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap() + 61_000,
    );
    let heir = open_with(later.builder(), place.path()).await;
    let running: Vec<_> = heir.list_non_terminal().await.unwrap();
    assert_eq!(running.len(), 1);
    let lease = heir.claim_process_lease("p", "heir", 100).await.unwrap();
    heir.complete_process_with_lease(&lease, success("heir"))
        .await
        .unwrap();
    // Registering it again, as a recovery does, does not start it again.
    let record = heir.register_process(registration("p")).await.unwrap();
    assert!(record.is_terminal());
}
