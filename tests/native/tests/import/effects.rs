//! Databases of effects.

use std::fs;
use std::time::{Duration, SystemTime};

use lash_core::{EffectHost, EffectScope, RuntimeEffectControllerError};
use lash_sqlite_store::SqliteEffectReplayOptions as NativeOptions;
use lash_wasm_store::{DatabaseKind, SqliteEffectHost, StoreBuilder};
use lash_wasm_store_testing::damage::wait_until_closed;
use lash_wasm_store_testing::effects::{
    Count, Ended, LONG, code, controller, controller_of, effect, effect_with, ending, forbidden,
    gated, marker, open, open_with, outcome, returning, run, sleep, spawn, turn,
};
use lash_wasm_store_testing::fixtures::{Raw, TestClock, guarded, json};

use crate::files::{Files, assert_sound, image};
use crate::processes::assert_counted;
use crate::session::answers::Answers;

pub(crate) async fn native(
    files: &Files,
    lease_ttl: Duration,
) -> lash_sqlite_store::SqliteEffectHost {
    let options = NativeOptions { lease_ttl };
    lash_sqlite_store::SqliteEffectHost::open_with_options(&files.source(), options)
        .await
        .unwrap()
}

fn failure() -> RuntimeEffectControllerError {
    RuntimeEffectControllerError::new("a_code", "a message")
}

/// Not recorded by ours, but by the native crate.
fn cancelled() -> RuntimeEffectControllerError {
    RuntimeEffectControllerError::new("runtime_effect_sleep_cancelled", "cancelled")
}

fn other_scope() -> EffectScope {
    EffectScope::process("a process 'é\"")
}

/// Effects that end, in two scopes.
pub(crate) async fn workload(host: &dyn EffectHost) {
    let first = controller(host);
    let second = controller_of(host, other_scope());
    run(&first, effect("a"), returning("result a"))
        .await
        .unwrap();
    run(&second, effect("a"), returning("another result"))
        .await
        .unwrap();
    run(&first, effect("b"), ending(Err(failure())))
        .await
        .unwrap_err();
    run(&first, effect("c"), ending(Err(cancelled())))
        .await
        .unwrap_err();
    run(&first, sleep("d", 1), forbidden()).await.unwrap();
    for n in 0..20 {
        let key = format!("é {n}");
        run(&first, effect(&key), returning("many")).await.unwrap();
    }
}

fn shown(ended: &Ended) -> serde_json::Value {
    match ended {
        Ok(outcome) => json(outcome),
        Err(error) => json(error),
    }
}

/// What is recorded, or that it is another effect, of everything in the workload.
async fn answers(host: &dyn EffectHost) -> Vec<serde_json::Value> {
    let first = controller(host);
    let second = controller_of(host, other_scope());
    let mut answers = Vec::new();
    for key in ["a", "b", "c", "é 7", "é 8", "é 19", "é 0"] {
        answers.push(shown(&run(&first, effect(key), forbidden()).await));
        let other = effect_with(key, "other code");
        let refused = run(&first, other, forbidden()).await;
        answers.push(code(refused).into());
    }
    answers.push(shown(&run(&first, sleep("d", 1), forbidden()).await));
    answers.push(shown(&run(&second, effect("a"), forbidden()).await));
    answers
}

/// What is recorded, of a host that may be damaged: what is not is executed.
pub(crate) async fn recorded(host: &dyn EffectHost) -> Answers {
    let first = controller(host);
    let second = controller_of(host, other_scope());
    let mut answers = Answers::new();
    for (scope, controller) in [("first", &first), ("second", &second)] {
        for key in ["a", "b", "c", "é 7", "é 8", "é 19", "é 0"] {
            let ended = run(controller, effect(key), returning("executed")).await;
            // The messages of the two crates are not the same.
            let ended = ended.map(|outcome| json(&outcome));
            let answer = ended.unwrap_or_else(|error| error.code.into());
            answers.insert(format!("{scope} {key}"), answer);
        }
    }
    answers
}

/// Everything is answered alike, by new effects too, while the native crate still has its
/// file open.
#[tokio::test(flavor = "multi_thread")]
async fn effects_are_replayed_alike_after_an_import() {
    let files = Files::new();
    let theirs = native(&files, LONG).await;
    workload(&theirs).await;
    let before = image(&files.source());
    let report = SqliteEffectHost::import_native(&files.source(), &files.destination())
        .await
        .unwrap();
    assert_eq!(report.kind, DatabaseKind::Effects);
    assert!(report.is_complete(), "{:?}", report.losses);
    assert_eq!(report.records.len(), 1);
    assert_counted(&report, &files);
    assert_eq!(image(&files.source()), before, "the source is as it was");
    assert_sound(&files.destination()).await;

    let ours = open(&files.destination()).await;
    let expected = answers(&theirs).await;
    assert_eq!(answers(&ours).await, expected);
    // Again, now that the effects belong to their scopes; and by a host that knows none.
    assert_eq!(answers(&ours).await, expected);
    drop(ours);
    assert_sound(&files.destination()).await;
    let ours = open(&files.destination()).await;
    assert_eq!(answers(&ours).await, expected);
    // New effects of these scopes and of others are executed, once.
    for scope in [turn(), other_scope(), EffectScope::session_delete("new")] {
        let count = Count::default();
        for _ in 0..2 {
            let controller = controller_of(&ours, scope.clone());
            let ended = run(&controller, effect("new"), count.executor("new")).await;
            assert_eq!(marker(ended), "new");
        }
        assert_eq!(count.get(), 1);
    }
    drop(ours);
    assert_sound(&files.destination()).await;
}

/// Who replays only finds what was imported, and misses what was not.
#[tokio::test(flavor = "multi_thread")]
async fn a_strict_replay_finds_what_was_imported() {
    let files = Files::new();
    let theirs = native(&files, LONG).await;
    workload(&theirs).await;
    SqliteEffectHost::import_native(&files.source(), &files.destination())
        .await
        .unwrap();
    let ours = open(&files.destination()).await;
    theirs.start_replay();
    ours.start_replay();
    for host in [&theirs as &dyn EffectHost, &ours] {
        let missing = run(&controller(host), effect("new"), forbidden()).await;
        assert_eq!(code(missing), "sqlite_effect_replay_missing");
    }
    assert_eq!(answers(&ours).await, answers(&theirs).await);
}

/// Two sessions may have turns of the same name. The native crate takes an effect of one
/// for that of the other, and refuses it.
#[tokio::test(flavor = "multi_thread")]
async fn an_effect_goes_to_the_scope_whose_digest_it_has() {
    let files = Files::new();
    let theirs = native(&files, LONG).await;
    run(&controller(&theirs), effect("a"), returning("result"))
        .await
        .unwrap();
    SqliteEffectHost::import_native(&files.source(), &files.destination())
        .await
        .unwrap();
    let ours = open(&files.destination()).await;
    let another = EffectScope::turn("another session", "turn");
    let theirs_too = effect_with("a", "its own code");
    for host in [&theirs as &dyn EffectHost, &ours] {
        let controller = controller_of(host, another.clone());
        let refused = run(&controller, theirs_too.clone(), forbidden()).await;
        assert_eq!(code(refused), "sqlite_effect_replay_hash_conflict");
    }
    let first = run(&controller(&ours), effect("a"), forbidden()).await;
    assert_eq!(marker(first), "result");
    // From then on the two have nothing to do with each other.
    let second = controller_of(&ours, another);
    let second = run(&second, theirs_too, returning("another result")).await;
    assert_eq!(marker(second), "another result");
    drop(ours);
    assert_sound(&files.destination()).await;
}

/// An effect that is executed when it is imported has its lease. When that is over it is
/// executed again.
#[tokio::test(flavor = "multi_thread")]
async fn an_effect_that_is_executed_keeps_its_lease() {
    let files = Files::new();
    let theirs = native(&files, LONG).await;
    let (gate, executor) = gated();
    let running = spawn(&controller(&theirs), effect("a"), executor);
    gate.entered.await.unwrap();
    SqliteEffectHost::import_native(&files.source(), &files.destination())
        .await
        .unwrap();
    assert_sound(&files.destination()).await;
    let source = Raw::open(&files.source());
    let copy = Raw::open(&files.destination());
    let expires = source.integer("SELECT lease_expires_at_ms FROM runtime_effect_replay");
    assert_eq!(
        copy.integer("SELECT lease_expires_ms FROM effects"),
        expires
    );
    assert_eq!(
        copy.texts("SELECT owner_id || lease_token FROM effects"),
        source.texts("SELECT lease_owner_id || lease_token FROM runtime_effect_replay")
    );
    let clock = TestClock::at(expires + 1);
    let ours = open_with(clock.builder(), LONG, &files.destination()).await;
    let count = Count::default();
    let ended = run(&controller(&ours), effect("a"), count.executor("again")).await;
    assert_eq!(marker(ended), "again");
    assert_eq!(count.get(), 1);
    gate.end.send(Ok(outcome("first"))).unwrap();
    assert_eq!(marker(running.await.unwrap()), "first");
}

/// A sleep that was begun is due when it was due.
#[tokio::test(flavor = "multi_thread")]
async fn a_sleep_is_due_when_it_was_due() {
    let files = Files::new();
    let theirs = native(&files, Duration::from_millis(1)).await;
    let sleeping = spawn(&controller(&theirs), sleep("d", 3_600_000), forbidden());
    let source = Raw::open(&files.source());
    guarded(async {
        while source.integer("SELECT count(*) FROM runtime_effect_replay") == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    sleeping.abort();
    SqliteEffectHost::import_native(&files.source(), &files.destination())
        .await
        .unwrap();
    let due = source.integer("SELECT due_at_ms FROM runtime_effect_replay");
    let copy = Raw::open(&files.destination());
    assert_eq!(copy.integer("SELECT due_at_ms FROM effects"), due);
    let clock = TestClock::at(due);
    let ours = open_with(clock.builder(), LONG, &files.destination()).await;
    run(&controller(&ours), sleep("d", 3_600_000), forbidden())
        .await
        .unwrap();
    assert_eq!(copy.integer("SELECT due_at_ms FROM effects"), due);
    assert_eq!(copy.integer("SELECT status FROM effects"), 3);
}

/// What nobody asks for goes with its age, and what somebody asked for with its scope.
#[tokio::test(flavor = "multi_thread")]
async fn imported_effects_are_forgotten_like_others() {
    let files = Files::new();
    let theirs = native(&files, LONG).await;
    workload(&theirs).await;
    SqliteEffectHost::import_native(&files.source(), &files.destination())
        .await
        .unwrap();
    let ours = open(&files.destination()).await;
    run(&controller(&ours), effect("a"), forbidden())
        .await
        .unwrap();
    assert_eq!(ours.forget_scope(&turn()).await.unwrap(), 1);
    assert_eq!(ours.forget_scope(&other_scope()).await.unwrap(), 0);
    let later = StoreBuilder::new().clock(|| SystemTime::now() + LONG);
    let later = open_with(later, LONG, &files.destination()).await;
    assert_eq!(later.prune(SystemTime::now() + LONG).await.unwrap(), 24);
    let raw = Raw::open(&files.destination());
    assert_eq!(raw.integer("SELECT count(*) FROM effect_scopes"), 0);
}

/// What is done to the effect `a` of the turn, which is lost then.
const CASES: [&str; 13] = [
    "SET outcome_json = NULL",
    "SET outcome_json = '{'",
    "SET outcome_json = x'00'",
    "SET status = 'failed'",
    "SET status = 'in_progress'",
    "SET status = 'done'",
    "SET error_json = 'null'",
    "SET lease_owner_id = 'x', lease_token = 'y'",
    "SET envelope_hash = 'x'",
    "SET envelope_hash = substr(envelope_hash, 1, 63) || 'x'",
    "SET created_at_ms = -1",
    "SET updated_at_ms = 'now'",
    "SET due_at_ms = 'now'",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_is_named_and_the_rest_is_imported() {
    let files = Files::new();
    let theirs = native(&files, LONG).await;
    workload(&theirs).await;
    drop(theirs);
    wait_until_closed(&files.source());
    let bytes = fs::read(files.source()).unwrap();
    for damage in CASES {
        let sql = format!(
            "UPDATE runtime_effect_replay {damage} WHERE scope_id = 'turn' AND replay_key = 'a'"
        );
        let files = Files::damaged(&bytes, &sql);
        let expected = ["runtime_effect_replay: turn a"];
        assert_eq!(files.refused_losses().await, expected, "{damage}");
        assert_eq!(files.partial_losses().await, expected, "{damage}");
        assert_sound(&files.destination()).await;
        let ours = open(&files.destination()).await;
        let count = Count::default();
        let ended = run(&controller(&ours), effect("a"), count.executor("again")).await;
        assert_eq!(
            (marker(ended), count.get()),
            ("again".into(), 1),
            "{damage}"
        );
        let ended = run(&controller(&ours), effect("b"), forbidden()).await;
        assert_eq!(code(ended), "a_code", "{damage}");
    }
}
