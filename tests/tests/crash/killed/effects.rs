//! What becomes of an effect when the process that executes it is killed.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lash_core::{RuntimeEffectLocalExecutor, ScopedEffectController};
use lash_wasm_store::StoreBuilder;
use lash_wasm_store_testing::child::{self, Child};
use lash_wasm_store_testing::effects::{
    LONG, controller, effect, forbidden, marker, open, open_with, outcome, place, returning, run,
    sleep, spawn, until_waiting,
};
use lash_wasm_store_testing::fixtures::{TestClock, guarded};

/// How long the claims of the other process last that is killed.
const TTL: Duration = Duration::from_millis(300);

/// Starts the other process, and kills it as soon as it says so.
fn killed_while(test: impl Fn(), path: &Path) {
    let mut child = Child::start(test, path);
    child.wait_for("kill me");
    child.kill();
}

async fn wait_to_be_killed() -> ! {
    println!("kill me");
    std::future::pending().await
}

/// The controller of the other process.
async fn other(path: &Path) -> ScopedEffectController<'static> {
    controller(&open_with(StoreBuilder::new(), TTL, path).await)
}

async fn is_killed_executing(path: &Path) {
    let side_effect = path.with_extension("side-effect");
    let executor = RuntimeEffectLocalExecutor::testing(|_| async move {
        std::fs::write(side_effect, "done").unwrap();
        wait_to_be_killed().await
    });
    run(&other(path).await, effect("a"), executor)
        .await
        .unwrap();
}

async fn is_killed_when_it_has_finished(path: &Path) {
    run(&other(path).await, effect("a"), returning("theirs"))
        .await
        .unwrap();
    wait_to_be_killed().await
}

async fn is_killed_sleeping(path: &Path) {
    let executor = RuntimeEffectLocalExecutor::testing(|_| async { wait_to_be_killed().await });
    run(&other(path).await, sleep("a", 1000), executor)
        .await
        .unwrap();
}

async fn finishes_when_it_is_told(path: &Path) {
    let executor = RuntimeEffectLocalExecutor::testing(|_| async {
        println!("tell me");
        child::wait_to_be_told();
        Ok(outcome("theirs"))
    });
    run(&controller(&open(path).await), effect("a"), executor)
        .await
        .unwrap();
}

/// At least once: the side effect has happened and nobody knows, so it happens
/// again, as soon as the lease of who died has expired.
#[tokio::test]
async fn an_effect_is_executed_again_when_its_owner_was_killed_over_it() {
    if let Some(path) = child::file() {
        return is_killed_executing(&path).await;
    }
    let place = place();
    drop(open(place.path()).await);
    killed_while(
        an_effect_is_executed_again_when_its_owner_was_killed_over_it,
        place.path(),
    );
    assert!(place.path().with_extension("side-effect").exists());
    let host = open_with(StoreBuilder::new(), LONG, place.path()).await;
    let again = run(&controller(&host), effect("a"), returning("ours")).await;
    assert_eq!(marker(again), "ours");
}

#[tokio::test]
async fn a_result_outlives_the_process_that_recorded_it() {
    if let Some(path) = child::file() {
        return is_killed_when_it_has_finished(&path).await;
    }
    let place = place();
    drop(open(place.path()).await);
    killed_while(a_result_outlives_the_process_that_recorded_it, place.path());
    let host = open(place.path()).await;
    assert_eq!(
        marker(run(&controller(&host), effect("a"), forbidden()).await),
        "theirs"
    );
}

#[tokio::test]
async fn a_sleep_goes_on_where_the_killed_process_left_it() {
    if let Some(path) = child::file() {
        return is_killed_sleeping(&path).await;
    }
    let place = place();
    drop(open(place.path()).await);
    killed_while(
        a_sleep_goes_on_where_the_killed_process_left_it,
        place.path(),
    );
    let raw = place.raw();
    let due = raw.integer("SELECT due_at_ms FROM effects");
    let host = open(place.path()).await;
    let executor = RuntimeEffectLocalExecutor::unavailable();
    run(&controller(&host), sleep("a", 1000), executor)
        .await
        .unwrap();
    assert_eq!(raw.integer("SELECT due_at_ms FROM effects"), due);
    let settled = raw.integer("SELECT settled_at_ms FROM effects");
    // Timers and clocks may differ by a little.
    assert!(settled >= due - 20, "{settled} {due}");
}

/// Nobody in this process tells who waits; the file does.
#[tokio::test]
async fn who_waits_is_woken_by_a_result_of_another_process() {
    if let Some(path) = child::file() {
        return finishes_when_it_is_told(&path).await;
    }
    let place = place();
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let clock = TestClock::at(i64::try_from(now_ms.as_millis()).unwrap());
    let host = open_with(clock.builder(), LONG, place.path()).await;
    let mut child = Child::start(
        who_waits_is_woken_by_a_result_of_another_process,
        place.path(),
    );
    child.wait_for("tell me");
    let reads = clock.reads();
    let waiting = spawn(&controller(&host), effect("a"), forbidden());
    until_waiting(&clock, reads, 1).await;
    child.tell();
    assert_eq!(marker(guarded(waiting).await.unwrap()), "theirs");
    assert!(child.wait().success());
}
