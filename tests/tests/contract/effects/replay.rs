//! What is recorded of an effect is answered from then on.

use std::time::Duration;

use lash_core::{
    EffectScope, RuntimeEffectControllerError, RuntimeEffectLocalExecutor, RuntimeEffectOutcome,
    RuntimeInvocation,
};
use lash_wasm_store::{
    EngineError, Error, SqliteEffectHost, SqliteRuntimeEffectController, Store, StoreBuilder,
};
use lash_wasm_store_testing::effects::{
    Count, LONG, code, controller, controller_of, effect, effect_with, ending, forbidden, marker,
    open, open_with, outcome, place, returning, run, sleep, turn,
};
use lash_wasm_store_testing::fixtures::{Place, TestClock};

#[tokio::test]
async fn an_effect_is_executed_once_and_replayed_by_every_later_controller() {
    let place = place();
    let count = Count::default();
    let host = open(place.path()).await;
    let first = controller(&host);
    assert_eq!(
        marker(run(&first, effect("a"), count.executor("a")).await),
        "a"
    );
    assert_eq!(marker(run(&first, effect("a"), forbidden()).await), "a");
    assert_eq!(
        marker(run(&first, effect("b"), count.executor("b")).await),
        "b"
    );
    drop((first, host));
    let host = open(place.path()).await;
    for key in ["b", "a"] {
        assert_eq!(
            marker(run(&controller(&host), effect(key), forbidden()).await),
            key
        );
    }
    assert_eq!(count.get(), 2);
}

#[tokio::test]
async fn the_same_key_with_other_content_is_refused() {
    let place = place();
    let host = open(place.path()).await;
    let controller = controller(&host);
    run(&controller, effect_with("a", "one"), returning("a"))
        .await
        .unwrap();
    let refused = run(&controller, effect_with("a", "two"), forbidden()).await;
    assert_eq!(code(refused), "sqlite_effect_replay_hash_conflict");
    assert_eq!(
        marker(run(&controller, effect_with("a", "one"), forbidden()).await),
        "a"
    );
}

#[tokio::test]
async fn an_effect_without_a_replay_key_is_refused() {
    let host = SqliteEffectHost::memory().await.unwrap();
    let mut envelope = effect("a");
    envelope.invocation = RuntimeInvocation {
        replay: None,
        ..envelope.invocation
    };
    let refused = run(&controller(&host), envelope, forbidden()).await;
    assert_eq!(code(refused), "sqlite_effect_replay_key_missing");
}

/// R3: the native crate tells effects apart by the last identifier of their scope.
/// A turn and a process, or the turns of two sessions, with equal identifiers
/// replayed each other's results.
#[tokio::test]
async fn scopes_of_other_kinds_and_sessions_share_nothing() {
    let place = place();
    let host = open(place.path()).await;
    let count = Count::default();
    let scopes = [
        EffectScope::turn("session", "id"),
        EffectScope::turn("another", "id"),
        EffectScope::queue_drain("session", "id"),
        EffectScope::process("id"),
        EffectScope::session_delete("id"),
        EffectScope::runtime_operation("id"),
    ];
    for scope in scopes.clone() {
        let controller = controller_of(&host, scope);
        run(&controller, effect("a"), count.executor("a"))
            .await
            .unwrap();
    }
    assert_eq!(count.get(), scopes.len());
}

/// R5: one flag of the native crate decides for all scopes of a host. A replay of
/// one turn failed every other turn that was being executed.
#[tokio::test]
async fn replaying_one_scope_leaves_the_others_alone() {
    let place = place();
    let path = place.path();
    let replaying = SqliteRuntimeEffectController::open(path, turn())
        .await
        .unwrap();
    let clone = replaying.clone();
    let host = open(place.path()).await;
    let other = controller_of(&host, EffectScope::turn("session", "other"));
    replaying.start_replay();
    for strict in [&replaying, &clone] {
        use lash_core::RuntimeEffectController;
        let missing = strict.execute_effect(effect("a"), forbidden()).await;
        assert_eq!(code(missing), "sqlite_effect_replay_missing");
    }
    assert_eq!(marker(run(&other, effect("a"), returning("a")).await), "a");
    assert_eq!(
        marker(run(&controller(&host), effect("a"), returning("b")).await),
        "b"
    );
}

#[tokio::test]
async fn a_host_that_replays_hands_out_controllers_that_replay_and_leaves_earlier_ones_alone() {
    let place = place();
    let host = open(place.path()).await;
    let earlier = controller(&host);
    run(&earlier, effect("a"), returning("a")).await.unwrap();
    host.clone().start_replay();
    let later = controller(&host);
    assert_eq!(marker(run(&later, effect("a"), forbidden()).await), "a");
    let missing = run(&later, effect("b"), forbidden()).await;
    assert_eq!(code(missing), "sqlite_effect_replay_missing");
    assert_eq!(
        marker(run(&earlier, effect("b"), returning("b")).await),
        "b"
    );
    assert_eq!(marker(run(&later, effect("b"), forbidden()).await), "b");
}

/// P8: every replay of the native crate takes the write lock, so replaying a turn
/// waits for whoever writes.
#[tokio::test]
async fn a_replay_does_not_wait_for_the_write_lock() {
    let place = place();
    let keys = ["a", "b", "c"];
    let host = open(place.path()).await;
    for key in keys {
        run(&controller(&host), effect(key), returning(key))
            .await
            .unwrap();
    }
    let raw = place.raw();
    let _lock = raw.lock();
    let replaying = controller(&host);
    for key in keys {
        assert_eq!(marker(run(&replaying, effect(key), forbidden()).await), key);
    }
}

/// What is known to be new is claimed without being looked for. That must not
/// hide what somebody else has recorded meanwhile.
#[tokio::test]
async fn a_controller_that_goes_forward_still_finds_what_is_recorded() {
    let place = place();
    let (ours, theirs) = (open(place.path()).await, open(place.path()).await);
    let (ours, theirs) = (controller(&ours), controller(&theirs));
    run(&ours, effect("a"), returning("a")).await.unwrap();
    run(&theirs, effect("b"), returning("theirs"))
        .await
        .unwrap();
    assert_eq!(marker(run(&ours, effect("b"), forbidden()).await), "theirs");
    assert_eq!(marker(run(&ours, effect("c"), returning("c")).await), "c");
}

/// R4: an error that says something about an effect is what every later attempt
/// gets, so that a replay takes the same way.
#[tokio::test]
async fn an_error_of_the_effect_is_replayed() {
    let place = place();
    let host = open(place.path()).await;
    let error = RuntimeEffectControllerError::new("tool_result_missing", "no result");
    run(&controller(&host), effect("a"), ending(Err(error)))
        .await
        .unwrap_err();
    let again = run(&controller(&host), effect("a"), forbidden())
        .await
        .unwrap_err();
    assert_eq!(
        (again.code.as_str(), again.message.as_str()),
        ("tool_result_missing", "no result")
    );
}

/// R4: the native crate also records that a database was locked or that a turn was
/// cancelled, and answers that for ever.
#[tokio::test]
async fn an_error_that_says_nothing_about_the_effect_is_forgotten() {
    let place = place();
    let host = open(place.path()).await;
    for code in [
        "store_commit_failed",
        "runtime_effect_await_event_cancelled",
    ] {
        let error = RuntimeEffectControllerError::new(code, "not now");
        let first = run(&controller(&host), effect(code), ending(Err(error))).await;
        assert_eq!(first.unwrap_err().code, code);
        // The claim was given back too: the lease lasts an hour.
        assert_eq!(
            marker(run(&controller(&host), effect(code), returning("b")).await),
            "b"
        );
    }
}

/// A number is part of what a later effect is identified by. serde_json reads some
/// numbers back as their neighbour, and then that effect conflicts with itself.
#[tokio::test]
async fn numbers_are_replayed_as_they_were() {
    let place = place();
    let host = open(place.path()).await;
    // Each reads back as another number where serde_json is not told to be exact.
    let numbers = [0.9583275921953511, 0.19327636160092454, 123.456_f64.sqrt()];
    for (index, number) in numbers.into_iter().enumerate() {
        let envelope = effect(&format!("a{index}"));
        let executor = ending(Ok(outcome(number)));
        run(&controller(&host), envelope.clone(), executor)
            .await
            .unwrap();
        assert_eq!(
            marker(run(&controller(&host), envelope, forbidden()).await),
            number
        );
    }
}

#[tokio::test]
async fn a_sleep_lasts_as_long_as_it_should_and_is_replayed_at_once() {
    let place = place();
    let host = open(place.path()).await;
    let begun = std::time::Instant::now();
    let executor = RuntimeEffectLocalExecutor::unavailable();
    run(&controller(&host), sleep("a", 120), executor)
        .await
        .unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(100));
    let executor = RuntimeEffectLocalExecutor::unavailable();
    let replayed = run(&controller(&host), sleep("a", 120), executor).await;
    assert!(matches!(replayed, Ok(RuntimeEffectOutcome::Sleep)));
}

/// The native crate never asks the executor of a sleep, which alone knows that it
/// is cancelled: a cancelled turn slept on.
#[tokio::test]
async fn a_sleep_can_be_cancelled_and_keeps_its_due_time() {
    const HOUR: u64 = 3_600_000;
    let place = place();
    let clock = TestClock::at(1_000_000);
    let host = open_with(clock.builder(), LONG, place.path()).await;
    let cancelled = RuntimeEffectControllerError::new("runtime_effect_sleep_cancelled", "stop");
    let ended = run(&controller(&host), sleep("a", HOUR), ending(Err(cancelled))).await;
    assert_eq!(code(ended), "runtime_effect_sleep_cancelled");
    // What is left an hour later is nothing.
    clock.advance(i64::try_from(HOUR).unwrap());
    run(&controller(&host), sleep("a", HOUR), forbidden())
        .await
        .unwrap();
}

/// An executor that ends early, or cannot sleep, shortens no sleep.
#[tokio::test]
async fn a_sleep_does_not_depend_on_its_executor() {
    let host = SqliteEffectHost::memory().await.unwrap();
    let begun = std::time::Instant::now();
    run(&controller(&host), sleep("a", 60), returning("early"))
        .await
        .unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(50));
}

/// A clock that was set back by a year makes no sleep longer than it was.
#[tokio::test]
async fn a_clock_that_was_set_back_does_not_hold_up_a_replay() {
    let place = place();
    let clock = TestClock::at(100_000_000_000);
    let host = open_with(clock.builder(), LONG, place.path()).await;
    run(&controller(&host), sleep("a", 1), returning(""))
        .await
        .unwrap();
    clock.set(1);
    run(&controller(&host), sleep("a", 1), forbidden())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_database_of_another_kind_is_refused() {
    let session = Place::new();
    drop(session.open().await);
    let refused = SqliteEffectHost::open(session.path()).await.unwrap_err();
    assert!(
        matches!(refused, Error::Engine(EngineError::OtherKind { .. })),
        "{refused}"
    );
    let effects = place();
    drop(open(effects.path()).await);
    let refused = Store::open(effects.path()).await.unwrap_err();
    assert!(
        matches!(refused, Error::Engine(EngineError::OtherKind { .. })),
        "{refused}"
    );
}

#[tokio::test]
async fn a_failing_database_is_said_with_all_that_is_known() {
    let place = place();
    let builder = StoreBuilder::new().busy_timeout(Duration::from_millis(1));
    let host = open_with(builder, LONG, place.path()).await;
    let raw = place.raw();
    let lock = raw.lock();
    let failed = run(&controller(&host), effect("a"), forbidden())
        .await
        .unwrap_err();
    assert_eq!(failed.code, "sqlite_effect_replay_store");
    assert!(failed.message.contains("effects.db is locked"), "{failed}");
    drop(lock);
    run(&controller(&host), effect("a"), returning("a"))
        .await
        .unwrap();
}

/// A result that could not be recorded is no result. The claim is given back, and
/// the effect is executed again.
#[tokio::test]
async fn a_result_that_could_not_be_recorded_holds_up_nobody() {
    let place = place();
    let host = open(place.path()).await;
    run(&controller(&host), effect("first"), returning("same"))
        .await
        .unwrap();
    // The same result cannot be stored twice now.
    let raw = place.raw();
    raw.execute("CREATE UNIQUE INDEX one_of_each ON effects (content)");
    let lost = run(&controller(&host), effect("a"), returning("same")).await;
    assert_eq!(code(lost), "sqlite_effect_replay_store");
    raw.execute("DROP INDEX one_of_each");
    let again = run(&controller(&host), effect("a"), returning("again")).await;
    assert_eq!(marker(again), "again");
}

/// What follows a replayed effect is read and decoded with it, and needs no further
/// call. It is held against what is asked for all the same.
#[tokio::test]
async fn what_is_read_ahead_is_answered_and_checked() {
    let place = place();
    let host = open(place.path()).await;
    let first = controller(&host);
    for key in ["a", "b", "c", "d"] {
        run(&first, effect(key), returning(key)).await.unwrap();
    }
    let again = controller(&host);
    assert_eq!(marker(run(&again, effect("a"), forbidden()).await), "a");
    // Nothing can be read from the file now.
    place.raw().execute("ALTER TABLE effects RENAME TO hidden");
    assert_eq!(marker(run(&again, effect("c"), forbidden()).await), "c");
    assert_eq!(marker(run(&again, effect("b"), forbidden()).await), "b");
    let other = effect_with("d", "another content");
    assert_eq!(
        code(run(&again, other, forbidden()).await),
        "sqlite_effect_replay_hash_conflict"
    );
    let unread = run(&again, effect("e"), forbidden()).await;
    assert_eq!(code(unread), "sqlite_effect_replay_store");
}

/// A corrupt effect is an error for whoever asks for it. It failed the one before it too,
/// which is whole.
#[tokio::test]
async fn what_cannot_be_read_ahead_fails_nobody_who_asked_for_something_else() {
    let place = place();
    let host = open(place.path()).await;
    let first = controller(&host);
    for key in ["a", "b", "c"] {
        run(&first, effect(key), returning(key)).await.unwrap();
    }
    place
        .raw()
        .damage("UPDATE effects SET content = x'7b7d' WHERE replay_key = 'b'");
    let again = controller(&host);
    assert_eq!(marker(run(&again, effect("a"), forbidden()).await), "a");
    let corrupt = run(&again, effect("b"), forbidden()).await;
    assert_eq!(code(corrupt), "sqlite_effect_replay_corrupt_row");
    assert_eq!(marker(run(&again, effect("c"), forbidden()).await), "c");
}

/// The effects of other scopes lie between, and some are not finished.
#[tokio::test]
async fn only_finished_effects_of_the_scope_are_read_ahead() {
    let place = place();
    let host = open(place.path()).await;
    let ours = controller(&host);
    let theirs = controller_of(&host, EffectScope::turn("another", "turn"));
    for number in 0..200 {
        let key = format!("a{number}");
        run(&theirs, effect(&key), returning("theirs"))
            .await
            .unwrap();
        run(&ours, effect(&key), returning("ours")).await.unwrap();
    }
    let again = controller(&host);
    for number in 0..200 {
        let key = format!("a{number}");
        assert_eq!(marker(run(&again, effect(&key), forbidden()).await), "ours");
    }
    let count = Count::default();
    run(&again, effect("new"), count.executor("new"))
        .await
        .unwrap();
    assert_eq!(count.get(), 1);
}
