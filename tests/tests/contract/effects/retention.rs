//! What is forgotten of effects, and what is not.

use lash_core::EffectScope;
use lash_wasm_store::{EngineError, Error, SqliteEffectHost};
use lash_wasm_store_testing::effects::{
    Count, LONG, controller, controller_of, effect, forbidden, gated, marker, open, open_with,
    outcome, place, returning, run, spawn, turn, until,
};
use lash_wasm_store_testing::fixtures::{TestClock, at};

async fn record(host: &SqliteEffectHost, scope: &EffectScope, keys: &[&str]) {
    let controller = controller_of(host, scope.clone());
    for key in keys {
        run(&controller, effect(key), returning("x")).await.unwrap();
    }
}

/// Whether an effect is executed, which it is if nothing is recorded.
async fn is_forgotten(host: &SqliteEffectHost, scope: &EffectScope, key: &str) -> bool {
    let count = Count::default();
    let controller = controller_of(host, scope.clone());
    run(&controller, effect(key), count.executor("x"))
        .await
        .unwrap();
    count.get() == 1
}

#[tokio::test]
async fn a_scope_that_is_forgotten_is_forgotten_whole_and_alone() {
    let place = place();
    let host = open(place.path()).await;
    let other = EffectScope::turn("another", "turn");
    record(&host, &turn(), &["a", "b", "c"]).await;
    record(&host, &other, &["a"]).await;
    assert_eq!(host.forget_scope(&turn()).await.unwrap(), 3);
    assert_eq!(host.forget_scope(&turn()).await.unwrap(), 0);
    let raw = place.raw();
    assert_eq!(raw.integer("SELECT count(*) FROM effects"), 1);
    assert_eq!(raw.integer("SELECT count(*) FROM effect_scopes"), 1);
    assert!(is_forgotten(&host, &turn(), "a").await);
    assert!(!is_forgotten(&host, &other, "a").await);
}

#[tokio::test]
async fn what_is_being_executed_is_not_forgotten() {
    let place = place();
    let host = open(place.path()).await;
    record(&host, &turn(), &["a"]).await;
    let (gate, executor) = gated();
    let running = spawn(&controller(&host), effect("b"), executor);
    gate.entered.await.unwrap();
    assert_eq!(host.forget_scope(&turn()).await.unwrap(), 1);
    gate.end.send(Ok(outcome("b"))).unwrap();
    assert_eq!(marker(running.await.unwrap()), "b");
    assert_eq!(
        marker(run(&controller(&host), effect("b"), forbidden()).await),
        "b"
    );
    assert_eq!(host.forget_scope(&turn()).await.unwrap(), 1);
}

/// P12: the native crate never forgets an effect.
#[tokio::test]
async fn scopes_in_which_nothing_happened_for_long_are_pruned() {
    let place = place();
    let clock = TestClock::at(1_000);
    let host = open_with(clock.builder(), LONG, place.path()).await;
    let scope = |name: &str| EffectScope::turn("session", name);
    record(&host, &scope("old"), &["a", "b"]).await;
    record(&host, &scope("lasting"), &["a"]).await;
    let (gate, executor) = gated();
    let running = spawn(
        &controller_of(&host, scope("running")),
        effect("b"),
        executor,
    );
    gate.entered.await.unwrap();
    let (cancelled_gate, executor) = gated();
    let cancelled = spawn(
        &controller_of(&host, scope("cancelled")),
        effect("a"),
        executor,
    );
    cancelled_gate.entered.await.unwrap();
    cancelled.abort();
    cancelled.await.unwrap_err();
    until(&place.raw(), "status = 2").await;
    clock.set(2_000);
    record(&host, &scope("lasting"), &["b"]).await;
    record(&host, &scope("new"), &["a"]).await;

    assert_eq!(host.prune(at(1_000)).await.unwrap(), 0);
    // Both of the old scope, and the one that was given back.
    assert_eq!(host.prune(at(2_000)).await.unwrap(), 3);
    assert!(is_forgotten(&host, &scope("old"), "a").await);
    for (name, key) in [("lasting", "a"), ("lasting", "b"), ("new", "a")] {
        assert!(
            !is_forgotten(&host, &scope(name), key).await,
            "{name} {key}"
        );
    }
    gate.end.send(Ok(outcome("x"))).unwrap();
    running.await.unwrap().unwrap();
    assert!(!is_forgotten(&host, &scope("running"), "b").await);
}

/// Nobody takes over what a process left that died; it must not stay forever.
#[tokio::test]
async fn a_claim_of_somebody_who_died_is_pruned_once_its_lease_is_old() {
    let place = place();
    let clock = TestClock::at(1_000);
    let host = open_with(clock.builder(), LONG, place.path()).await;
    record(&host, &turn(), &["a"]).await;
    let (gate, executor) = gated();
    let running = spawn(&controller(&host), effect("b"), executor);
    gate.entered.await.unwrap();

    let expires_ms = 1_000 + u64::try_from(LONG.as_millis()).unwrap();
    // A time in the future counts as now: a live claim stays.
    assert_eq!(host.prune(at(expires_ms + 1)).await.unwrap(), 0);
    clock.set(i64::try_from(expires_ms).unwrap() + 1);
    assert_eq!(host.prune(at(expires_ms)).await.unwrap(), 0);
    assert_eq!(host.prune(at(expires_ms + 1)).await.unwrap(), 2);
    running.abort();
}

/// A batch is 256 scopes.
#[tokio::test]
async fn however_many_scopes_there_are_all_are_pruned() {
    let place = place();
    let clock = TestClock::at(1_000);
    let builder = clock
        .builder()
        .durability(lash_wasm_store::Durability::Normal);
    let host = open_with(builder, LONG, place.path()).await;
    for number in 0..300 {
        record(&host, &EffectScope::process(format!("p{number}")), &["a"]).await;
    }
    clock.advance(1);
    let all = host.prune(at(10_000)).await.unwrap();
    assert_eq!(all, 300);
    assert_eq!(place.raw().integer("SELECT count(*) FROM effect_scopes"), 0);
}

/// If a row of the scope is not to be seen, it cannot be known whether the scope
/// is over.
#[tokio::test]
async fn a_scope_with_a_missing_effect_is_not_pruned() {
    let place = place();
    let clock = TestClock::at(1_000);
    let host = open_with(clock.builder(), LONG, place.path()).await;
    record(&host, &turn(), &["a", "b"]).await;
    place
        .raw()
        .damage("DELETE FROM effects WHERE replay_key = 'b'");
    clock.advance(1);
    assert_eq!(host.prune(at(10_000)).await.unwrap(), 0);
    let error = host.forget_scope(&turn()).await.unwrap_err();
    assert!(
        matches!(error, Error::Engine(EngineError::Corrupt { .. })),
        "{error}"
    );
    assert_eq!(
        marker(run(&controller(&host), effect("a"), forbidden()).await),
        "x"
    );
}
