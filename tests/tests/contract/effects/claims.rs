//! Who executes an effect, and for how long.

use std::future::pending;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use lash_core::{
    ProcessCommand, ProcessListMode, RuntimeEffectLocalExecutor, RuntimeEffectOutcome,
    SessionScope, TestLocalProcessRegistry,
};
use lash_wasm_store::{SqliteEffectReplayOptions, StoreBuilder};
use lash_wasm_store_testing::effects::{
    Count, LONG, code, controller, effect, ending, forbidden, gated, marker, open, open_with,
    outcome, place, process, returning, run, sleep, spawn, until, until_waiting,
};
use lash_wasm_store_testing::fixtures::{TestClock, guarded, poll_once};
use tokio::sync::oneshot;

/// R1: a lease of the native crate is never renewed. An effect that took longer
/// than 30 s was executed a second time by whoever else wanted it, and the first
/// result was thrown away.
#[tokio::test]
async fn an_effect_that_outlasts_its_lease_is_executed_once() {
    const TTL: i64 = 60;
    let place = place();
    let ttl = Duration::from_millis(TTL.unsigned_abs());
    let clock = TestClock::at(1_000_000);
    let ours = open_with(clock.builder(), ttl, place.path()).await;
    let theirs = open_with(clock.builder(), ttl, place.path()).await;
    let (gate, executor) = gated();
    let first = spawn(&controller(&ours), effect("a"), executor);
    gate.entered.await.unwrap();
    let second = spawn(&controller(&theirs), effect("a"), forbidden());
    // Ten leases pass, no faster than they are renewed.
    let raw = place.raw();
    for half in 0..20 {
        let now = 1_000_000 + half * TTL / 2;
        until(&raw, &format!("lease_expires_ms = {}", now + TTL)).await;
        clock.set(now + TTL / 2);
    }
    assert!(!first.is_finished() && !second.is_finished());
    gate.end.send(Ok(outcome("ours"))).unwrap();
    for ended in [first, second] {
        assert_eq!(marker(guarded(ended).await.unwrap()), "ours");
    }
}

/// Others may hold the write lock for longer than a renewal waits for it.
#[tokio::test]
async fn a_renewal_that_fails_is_tried_again() {
    let place = place();
    let builder = StoreBuilder::new().busy_timeout(Duration::from_millis(1));
    let host = open_with(builder, Duration::from_millis(90), place.path()).await;
    let (gate, executor) = gated();
    let first = spawn(&controller(&host), effect("a"), executor);
    gate.entered.await.unwrap();
    let raw = place.raw();
    let lock = raw.lock();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = raw.integer("SELECT lease_expires_ms FROM effects");
    drop(lock);
    until(&raw, &format!("lease_expires_ms > {begun}")).await;
    gate.end.send(Ok(outcome("a"))).unwrap();
    assert_eq!(marker(guarded(first).await.unwrap()), "a");
}

/// R2: the native crate counts a lease from before it has waited for the write
/// lock, so that it may have expired before it begins.
#[tokio::test]
async fn a_lease_begins_when_the_lock_is_held() {
    const TTL: u64 = 10_000;
    let place = place();
    let clock = TestClock::at(1_000_000);
    let host = open_with(clock.builder(), Duration::from_millis(TTL), place.path()).await;
    let raw = place.raw();
    let lock = raw.lock();
    let (gate, executor) = gated();
    let first = spawn(&controller(&host), effect("a"), executor);
    let reads = clock.reads();
    // It has looked, found nothing, and waits for the lock.
    guarded(async {
        while clock.reads() == reads {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    clock.set(5_000_000);
    drop(lock);
    gate.entered.await.unwrap();
    let expiry = place.raw().integer("SELECT lease_expires_ms FROM effects");
    assert_eq!(expiry, 5_000_000 + i64::try_from(TTL).unwrap());
    gate.end.send(Ok(outcome("a"))).unwrap();
    assert_eq!(marker(guarded(first).await.unwrap()), "a");
}

#[tokio::test]
async fn who_waits_is_woken_by_a_result_of_another_handle() {
    let place = place();
    let (ours, theirs) = (open(place.path()).await, open(place.path()).await);
    let (gate, executor) = gated();
    let first = spawn(&controller(&ours), effect("a"), executor);
    gate.entered.await.unwrap();
    let theirs = controller(&theirs);
    let mut waiting = pin!(run(&theirs, effect("a"), forbidden()));
    assert!(poll_once(waiting.as_mut()).is_pending());
    gate.end.send(Ok(outcome("ours"))).unwrap();
    assert_eq!(marker(waiting.await), "ours");
    assert_eq!(marker(first.await.unwrap()), "ours");
}

/// A database in memory has no file that could be looked at: who waits is told, of
/// a result and of a claim that is given back.
#[tokio::test]
async fn who_waits_in_this_process_is_told() {
    let clock = TestClock::at(1_000_000);
    let options = SqliteEffectReplayOptions { lease_ttl: LONG };
    let host = clock
        .builder()
        .open_effect_host(Path::new(":memory:"), options)
        .await
        .unwrap();
    let (gate, executor) = gated();
    let first = spawn(&controller(&host), effect("a"), executor);
    gate.entered.await.unwrap();
    let (second_gate, executor) = gated();
    let reads = clock.reads();
    let second = spawn(&controller(&host), effect("a"), executor);
    until_waiting(&clock, reads, 1).await;
    first.abort();
    guarded(second_gate.entered).await.unwrap();
    let reads = clock.reads();
    let third = spawn(&controller(&host), effect("a"), forbidden());
    until_waiting(&clock, reads, 1).await;
    second_gate.end.send(Ok(outcome("second"))).unwrap();
    for ended in [second, third] {
        assert_eq!(marker(guarded(ended).await.unwrap()), "second");
    }
}

/// Waiting takes no write lock and writes nothing, and another handle of the file
/// goes on meanwhile.
#[tokio::test]
async fn waiting_writes_nothing() {
    const WAITING: u64 = 20;
    let place = place();
    let clock = TestClock::at(1_000_000);
    let host = open_with(clock.builder(), LONG, place.path()).await;
    let other = open(place.path()).await;
    let (gate, executor) = gated();
    let first = spawn(&controller(&host), effect("a"), executor);
    gate.entered.await.unwrap();
    let raw = place.raw();
    let version = raw.data_version();
    let reads = clock.reads();
    let lock = raw.lock();
    let waiting: Vec<_> = (0..WAITING)
        .map(|_| spawn(&controller(&host), effect("a"), forbidden()))
        .collect();
    // They begin to wait although somebody else holds the lock.
    until_waiting(&clock, reads, WAITING).await;
    drop(lock);
    // Whoever wrote now and then would have done so by now.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(raw.data_version(), version);
    let ended = run(&controller(&other), effect("b"), returning("b")).await;
    assert_eq!(marker(ended), "b");
    assert_ne!(raw.data_version(), version);
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    gate.end.send(Ok(outcome("a"))).unwrap();
    for ended in waiting {
        assert_eq!(marker(guarded(ended).await.unwrap()), "a");
    }
    assert_eq!(marker(first.await.unwrap()), "a");
}

/// R4: an execution of the native crate that is dropped leaves its claim behind,
/// and the next attempt waits for the lease, here an hour.
#[tokio::test]
async fn an_execution_that_is_dropped_holds_up_nobody() {
    let place = place();
    let (ours, theirs) = (open(place.path()).await, open(place.path()).await);
    let (gate, executor) = gated();
    let first = spawn(&controller(&ours), effect("a"), executor);
    gate.entered.await.unwrap();
    let waiting = spawn(&controller(&theirs), effect("a"), returning("theirs"));
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(marker(guarded(waiting).await.unwrap()), "theirs");
}

#[tokio::test]
async fn an_execution_that_panics_holds_up_nobody() {
    let place = place();
    let host = open(place.path()).await;
    let executor = RuntimeEffectLocalExecutor::testing(|_| async { panic!("as told") });
    let first = spawn(&controller(&host), effect("a"), executor);
    assert!(first.await.unwrap_err().is_panic());
    assert_eq!(
        marker(run(&controller(&host), effect("a"), returning("b")).await),
        "b"
    );
}

/// The claim is made by a thread that does not know yet that nobody waits for it.
#[tokio::test]
async fn a_call_that_is_dropped_while_it_claims_holds_up_nobody() {
    let place = place();
    let host = open(place.path()).await;
    for round in 0..20 {
        let key = format!("a{round}");
        let ours = controller(&host);
        {
            let mut dropped = pin!(run(&ours, effect(&key), ending(Ok(outcome("")))));
            for _ in 0..round {
                if poll_once(dropped.as_mut()).is_ready() {
                    break;
                }
                tokio::time::sleep(Duration::from_micros(50)).await;
            }
        }
        run(&controller(&host), effect(&key), returning("b"))
            .await
            .unwrap();
    }
}

/// The result of an effect that was executed must not be lost because the caller
/// is gone: the effect would be executed a second time.
#[tokio::test]
async fn a_result_is_recorded_even_if_the_caller_goes_away() {
    let place = place();
    let host = open(place.path()).await;
    let raw = place.raw();
    let (gate, executor) = gated();
    let ours = controller(&host);
    {
        let mut ending = pin!(run(&ours, effect("a"), executor));
        guarded(async {
            tokio::select! {
                _ = &mut ending => panic!("it has not ended"),
                entered = gate.entered => entered.unwrap(),
            }
        })
        .await;
        // It cannot be recorded before the caller is gone.
        let _lock = raw.lock();
        gate.end.send(Ok(outcome("kept"))).unwrap();
        assert!(poll_once(ending.as_mut()).is_pending());
    }
    assert_eq!(
        marker(run(&controller(&host), effect("a"), forbidden()).await),
        "kept"
    );
}

/// Who has lost the claim must not overwrite the result of who took it over.
#[tokio::test]
async fn a_claim_that_was_taken_over_records_nothing() {
    let place = place();
    let clock = TestClock::at(1_000_000);
    // Renewed every 20 minutes of real time, so not at all.
    let host = open_with(clock.builder(), LONG, place.path()).await;
    let (gate, executor) = gated();
    let first = spawn(&controller(&host), effect("a"), executor);
    gate.entered.await.unwrap();
    clock.advance(2 * 3_600_000);
    let second = run(&controller(&host), effect("a"), returning("theirs")).await;
    assert_eq!(marker(second), "theirs");
    gate.end.send(Ok(outcome("ours"))).unwrap();
    assert_eq!(
        code(first.await.unwrap()),
        "sqlite_effect_replay_lease_lost"
    );
    assert_eq!(
        marker(run(&controller(&host), effect("a"), forbidden()).await),
        "theirs"
    );
}

/// Somebody else's claim is not a missing effect: its result will be there.
#[tokio::test]
async fn a_replay_waits_for_who_executes_and_executes_nothing_itself() {
    let place = place();
    let host = open(place.path()).await;
    let (gate, executor) = gated();
    let first = spawn(&controller(&host), effect("a"), executor);
    gate.entered.await.unwrap();
    let (second_gate, executor) = gated();
    let other = spawn(&controller(&host), effect("b"), executor);
    second_gate.entered.await.unwrap();
    host.start_replay();
    let finished = spawn(&controller(&host), effect("a"), forbidden());
    let released = spawn(&controller(&host), effect("b"), forbidden());
    gate.end.send(Ok(outcome("a"))).unwrap();
    assert_eq!(marker(guarded(finished).await.unwrap()), "a");
    other.abort();
    assert_eq!(
        code(guarded(released).await.unwrap()),
        "sqlite_effect_replay_missing"
    );
    first.await.unwrap().unwrap();
}

/// A sleep that is taken over ends when the first one would have.
#[tokio::test]
async fn a_sleep_that_is_taken_over_lasts_for_the_remainder() {
    const HOUR: u64 = 3_600_000;
    let place = place();
    let clock = TestClock::at(1_000_000);
    let host = open_with(clock.builder(), LONG, place.path()).await;
    let (entered, enter) = oneshot::channel();
    let asleep = RuntimeEffectLocalExecutor::testing(move |_| async move {
        entered.send(()).unwrap();
        pending().await
    });
    let first = spawn(&controller(&host), sleep("a", 2 * HOUR), asleep);
    enter.await.unwrap();
    first.abort();
    clock.advance(i64::try_from(2 * HOUR).unwrap() - 30);
    let begun = std::time::Instant::now();
    let second = run(&controller(&host), sleep("a", 2 * HOUR), returning("")).await;
    assert!(matches!(second, Ok(RuntimeEffectOutcome::Sleep)));
    assert!(begun.elapsed() >= Duration::from_millis(25));
    let due = place.raw().integer("SELECT due_at_ms FROM effects");
    assert_eq!(due, 1_000_000 + i64::try_from(2 * HOUR).unwrap());
}

#[tokio::test]
async fn a_claim_says_who_holds_it_and_a_finished_effect_has_no_holder() {
    let place = place();
    let host = open(place.path()).await;
    let (gate, executor) = gated();
    let first = spawn(&controller(&host), effect("a"), executor);
    gate.entered.await.unwrap();
    let raw = place.raw();
    let owner = raw.texts("SELECT owner_id FROM effects").remove(0);
    assert!(
        owner.starts_with(&format!("pid{}-", std::process::id())),
        "{owner}"
    );
    gate.end.send(Ok(outcome("a"))).unwrap();
    first.await.unwrap().unwrap();
    until(
        &raw,
        "owner_id IS NULL AND lease_token IS NULL AND status = 3",
    )
    .await;
}

/// Many want one effect at the same time, through several handles of the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_a_time_one_executes_and_all_get_its_result() {
    let place = place();
    let count = Count::default();
    let mut all = Vec::new();
    for _ in 0..4 {
        let host = open(place.path()).await;
        for key in ["a", "b", "c"] {
            for _ in 0..4 {
                all.push((
                    key,
                    spawn(&controller(&host), effect(key), count.executor(key)),
                ));
            }
        }
    }
    for (key, ended) in all {
        assert_eq!(marker(guarded(ended).await.unwrap()), key);
    }
    assert_eq!(count.get(), 3);
}

/// Process commands run against the registry that the executor brings, and what it
/// answers is recorded like everything else.
#[tokio::test]
async fn a_process_command_is_executed_once() {
    let place = place();
    let host = open(place.path()).await;
    let list = || {
        process(
            "list",
            ProcessCommand::List {
                session_scope: SessionScope::new("session"),
                mode: ProcessListMode::All,
            },
        )
    };
    let registry = || Arc::new(TestLocalProcessRegistry::default());
    let executor = RuntimeEffectLocalExecutor::process_control(registry());
    let listed = run(&controller(&host), list(), executor).await.unwrap();
    assert!(
        matches!(listed, RuntimeEffectOutcome::Process { .. }),
        "{listed:?}"
    );
    let executor = RuntimeEffectLocalExecutor::unavailable();
    run(&controller(&host), list(), executor).await.unwrap();

    let cancel = || {
        process(
            "cancel",
            ProcessCommand::Cancel {
                process_id: "nobody".to_owned(),
                reason: None,
            },
        )
    };
    // Without a registry it could not be executed, which is not recorded.
    let executor = RuntimeEffectLocalExecutor::unavailable();
    let unavailable = run(&controller(&host), cancel(), executor).await;
    assert_eq!(
        code(unavailable),
        "runtime_effect_local_executor_unavailable"
    );
    let executor = RuntimeEffectLocalExecutor::process_control(registry());
    assert_eq!(
        code(run(&controller(&host), cancel(), executor).await),
        "plugin"
    );
    let executor = RuntimeEffectLocalExecutor::unavailable();
    assert_eq!(
        code(run(&controller(&host), cancel(), executor).await),
        "plugin"
    );
}

/// What was executed was thrown away when the file was locked for longer than a call
/// waits, and was executed again.
#[tokio::test]
async fn a_result_outlasts_a_lock() {
    let place = place();
    let busy_timeout = Duration::from_secs(2);
    let builder = StoreBuilder::new().busy_timeout(busy_timeout);
    let host = open_with(builder, LONG, place.path()).await;
    let (gate, executor) = gated();
    let execution = spawn(&controller(&host), effect("a"), executor);
    gate.entered.await.unwrap();
    let raw = place.raw();
    let lock = raw.lock();
    gate.end.send(Ok(outcome("a"))).unwrap();
    tokio::time::sleep(busy_timeout + Duration::from_millis(500)).await;
    drop(lock);
    assert_eq!(marker(execution.await.unwrap()), "a");
    assert_eq!(
        marker(run(&controller(&host), effect("a"), forbidden()).await),
        "a"
    );
}
