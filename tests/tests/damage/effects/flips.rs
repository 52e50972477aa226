//! A damaged file of effects is answered rightly or not at all.
//!
//! How many cases there are is said in `src/flips.rs`.

use std::path::{Path, PathBuf};

use lash_core::{EffectScope, RuntimeEffectControllerError};
use lash_wasm_store::{Durability, SqliteEffectHost, StoreBuilder};
use lash_wasm_store_tests::damage::Random;
use lash_wasm_store_tests::effects::{
    Ended, LONG, controller_of, effect, effect_with, ending, forbidden, gated, open_with, outcome,
    place, returning, run, sleep, spawn,
};
use lash_wasm_store_tests::fixtures::{TestClock, at, json};
use lash_wasm_store_tests::flips::{self, Answers};
use serde_json::Value;

/// When the file is read, in ms since 1970.
const NOW_MS: u64 = 1_700_000_000_000;

/// When the scopes that are pruned were over.
const LONG_AGO_MS: u64 = NOW_MS - 1_000_000;

const SCOPES: usize = 12;
const EFFECTS: usize = 6;

fn scope(number: usize) -> EffectScope {
    EffectScope::turn(format!("session {}", number % 3), format!("turn {number}"))
}

fn old_scope(number: usize) -> EffectScope {
    EffectScope::process(format!("old {number}"))
}

fn key(number: usize) -> String {
    format!("effect {number}")
}

fn builder(clock: &TestClock) -> StoreBuilder {
    clock.builder().durability(Durability::Normal)
}

/// Records effects of a scope: outcomes, large and small, and a failure.
async fn record(host: &SqliteEffectHost, scope: EffectScope) {
    let of = format!("{scope:?}");
    let controller = controller_of(host, scope);
    for number in 0..EFFECTS {
        let ended = if number == 1 {
            Err(RuntimeEffectControllerError::new("told", of.clone()))
        } else {
            Ok(outcome(format!("{of} {number} ").repeat(1 + number * 40)))
        };
        let answer = run(&controller, effect(&key(number)), ending(ended.clone())).await;
        assert_eq!(answer.is_ok(), ended.is_ok());
    }
    run(&controller, sleep("sleep", 0), forbidden())
        .await
        .unwrap();
}

/// A file with something of everything.
async fn good() -> Vec<u8> {
    let place = place();
    let clock = TestClock::at(LONG_AGO_MS.try_into().unwrap());
    let host = open_with(builder(&clock), LONG, place.path()).await;
    for number in 0..SCOPES {
        record(&host, old_scope(number)).await;
    }
    clock.set(NOW_MS.try_into().unwrap());
    for number in 0..SCOPES {
        record(&host, scope(number)).await;
    }
    // One is claimed by somebody who is not there any more.
    let (gate, executor) = gated();
    let held = spawn(&controller_of(&host, scope(0)), effect("held"), executor);
    gate.entered.await.unwrap();
    // Copies the log into the file; it answers whether somebody was in the way.
    assert_eq!(place.raw().integer("PRAGMA wal_checkpoint(TRUNCATE)"), 0);
    let bytes = std::fs::read(place.path()).unwrap();
    held.abort();
    bytes
}

fn text(ended: Ended) -> Result<Value, String> {
    ended
        .map(|outcome| json(&outcome))
        .map_err(|error| format!("{}: {}", error.code, error.message))
}

/// Asks everything, at last by writing.
async fn ask(path: &Path) -> Answers {
    let mut answers = Answers::new();
    let clock = TestClock::at(NOW_MS.try_into().unwrap());
    let options = lash_wasm_store::SqliteEffectReplayOptions { lease_ttl: LONG };
    let host = match builder(&clock).open_effect_host(path, options).await {
        Ok(host) => host,
        Err(error) => {
            answers.insert("open".to_owned(), Err(error.to_string()));
            return answers;
        }
    };
    let mut note = |question: String, answer| answers.insert(question, answer);
    for number in 0..SCOPES {
        let controller = controller_of(&host, scope(number));
        for effect_number in 0..EFFECTS {
            let key = key(effect_number);
            let replayed = run(&controller, effect(&key), returning("again")).await;
            note(format!("replay {number} {key}"), text(replayed));
            let other = run(&controller, effect_with(&key, "other"), returning("other")).await;
            note(format!("conflict {number} {key}"), text(other));
        }
        let slept = run(&controller, sleep("sleep", 0), forbidden()).await;
        note(format!("sleep {number}"), text(slept));
    }
    let count = |answer: Result<u64, lash_wasm_store::Error>| {
        answer
            .map(Value::from)
            .map_err(|error| format!("refused: {error}"))
    };
    for number in 0..SCOPES / 2 {
        let forgotten = match host.forget_scope(&old_scope(number)).await {
            // That a scope is not known is not confirmed: it stays, which harms nobody.
            Ok(0) => Err("refused: nothing is known of it".to_owned()),
            forgotten => count(forgotten),
        };
        note(format!("write: forget {number}"), forgotten);
    }
    for number in 0..SCOPES {
        let controller = controller_of(&host, scope(number));
        let new = run(&controller, effect("new"), returning("new")).await;
        note(format!("write: execute {number}"), text(new));
        // As a controller that claims at once.
        let replayed = run(&controller, effect(&key(0)), returning("again")).await;
        note(format!("write: replay {number}"), text(replayed));
    }
    answers
}

/// What was recorded, and that something else was, are answers.
fn is_answer(error: &str) -> bool {
    let codes = [
        "told:",
        "sqlite_effect_replay_hash_conflict:",
        "sqlite_effect_replay_lease_lost:",
        "sqlite_effect_replay_missing:",
    ];
    codes.iter().any(|code| error.starts_with(code))
}

async fn pass(damage: fn(&mut [u8], &mut Random) -> String) {
    let bytes = good().await;
    let ask = |path: PathBuf| async move { ask(&path).await };
    let right = flips::pass(&bytes, ask, is_answer, damage).await;
    assert_eq!(right.len(), SCOPES * (2 * EFFECTS + 3) + SCOPES / 2);
    for (question, answer) in right {
        let text = format!("{answer:?}");
        let expected = match question.split_once(' ').unwrap() {
            ("replay", what) if what.ends_with("effect 1") => "told: ",
            ("replay", _) => "turn",
            ("conflict", _) => "sqlite_effect_replay_hash_conflict: ",
            ("sleep", _) => "sleep",
            ("write:", what) if what.starts_with("forget") => "Number(7)",
            ("write:", what) if what.starts_with("execute") => "new",
            ("write:", _) => "turn",
            _ => "?",
        };
        assert!(text.contains(expected), "{question}: {text}");
    }
}

#[tokio::test]
async fn a_flipped_bit_is_never_an_answer() {
    pass(flips::flip).await;
}

#[tokio::test]
async fn a_page_of_zeros_is_never_an_answer() {
    pass(flips::zero).await;
}

#[tokio::test]
async fn a_page_that_was_written_elsewhere_is_never_an_answer() {
    pass(flips::misplace).await;
}

/// Pruning looks at all scopes, so it is asked alone.
#[tokio::test]
async fn a_damaged_file_is_never_pruned_wrongly() {
    async fn prune(path: PathBuf) -> Answers {
        let clock = TestClock::at(NOW_MS.try_into().unwrap());
        let options = lash_wasm_store::SqliteEffectReplayOptions { lease_ttl: LONG };
        let answer = match builder(&clock).open_effect_host(&path, options).await {
            Ok(host) => host.prune(at(NOW_MS)).await,
            Err(error) => Err(error),
        };
        let answer = answer
            .map(Value::from)
            .map_err(|error| format!("refused: {error}"));
        Answers::from([("prune".to_owned(), answer)])
    }
    let right = flips::pass(&good().await, prune, is_answer, flips::zero).await;
    assert_eq!(right["prune"], Ok(Value::from(SCOPES * (EFFECTS + 1))));
}
