//! Damage anywhere in a file of effects.

use std::path::Path;
use std::sync::Arc;

use lash_core::{EffectScope, RuntimeEffectControllerError};
use lash_wasm_store::{
    Durability, Error, SqliteEffectHost, SqliteEffectReplayOptions, StoreBuilder,
};
use lash_wasm_store_testing::effects::{
    Ended, LONG, controller_of, effect, effect_with, ending, forbidden, gated, open_with, outcome,
    place, returning, run, sleep, spawn,
};
use lash_wasm_store_testing::fixtures::{TestClock, at, json};

use crate::harness::{self, Answers, Subject, copied, passes};

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
pub(crate) struct Effects {
    bytes: Vec<u8>,
    earlier: Vec<u8>,
}

fn text(ended: Ended) -> Result<String, String> {
    ended
        .map(|outcome| json(&outcome).to_string())
        .map_err(|error| format!("{}: {}", error.code, error.message))
}

fn count(answer: Result<u64, Error>) -> Result<String, String> {
    answer
        .map(|count| count.to_string())
        .map_err(|error| format!("refused: {error}"))
}

async fn open(path: &Path) -> Result<SqliteEffectHost, Error> {
    let clock = TestClock::at(NOW_MS.try_into().unwrap());
    let options = SqliteEffectReplayOptions { lease_ttl: LONG };
    builder(&clock).open_effect_host(path, options).await
}

impl Subject for Effects {
    async fn new() -> Self {
        let place = place();
        let clock = TestClock::at(LONG_AGO_MS.try_into().unwrap());
        let host = open_with(builder(&clock), LONG, place.path()).await;
        for number in 0..SCOPES {
            record(&host, old_scope(number)).await;
        }
        let earlier = copied(&place);
        clock.set(NOW_MS.try_into().unwrap());
        for number in 0..SCOPES {
            record(&host, scope(number)).await;
        }
        // One is claimed by somebody who is not there any more.
        let (gate, executor) = gated();
        let held = spawn(&controller_of(&host, scope(0)), effect("held"), executor);
        gate.entered.await.unwrap();
        let bytes = copied(&place);
        held.abort();
        Self { bytes, earlier }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn earlier(&self) -> &[u8] {
        &self.earlier
    }

    async fn ask(&self, path: &Path) -> Answers {
        ask(path).await
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
}

/// Asks everything, at last by writing.
async fn ask(path: &Path) -> Answers {
    let mut answers = Answers::new();
    let host = match open(path).await {
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

passes!(Effects);

/// But the number of a row that no other one refers to.
#[tokio::test]
async fn a_changed_column_is_found_by_verify() {
    let missed = harness::columns_that_verify_misses::<Effects>().await;
    assert_eq!(missed, ["effects.id"]);
}

/// What every question is answered of the file as it is.
#[tokio::test]
async fn the_file_has_something_of_everything() {
    let right = harness::right(&Arc::new(Effects::new().await)).await;
    assert_eq!(right.len(), SCOPES * (2 * EFFECTS + 3) + SCOPES / 2);
    for (question, answer) in right {
        let text = answer.unwrap_or_else(|error| error);
        let expected = match question.split_once(' ').unwrap() {
            ("replay", what) if what.ends_with("effect 1") => "told: ",
            ("replay", _) => "turn",
            ("conflict", _) => "sqlite_effect_replay_hash_conflict: ",
            ("sleep", _) => "sleep",
            ("write:", what) if what.starts_with("forget") => "7",
            ("write:", what) if what.starts_with("execute") => "new",
            ("write:", _) => "turn",
            _ => "?",
        };
        assert!(text.contains(expected), "{question}: {text}");
    }
}

/// Pruning looks at all scopes, so it is asked alone.
mod pruning {
    use super::*;

    struct Pruning(Effects);

    impl Subject for Pruning {
        async fn new() -> Self {
            Self(Effects::new().await)
        }

        fn bytes(&self) -> &[u8] {
            &self.0.bytes
        }

        fn earlier(&self) -> &[u8] {
            &self.0.earlier
        }

        async fn ask(&self, path: &Path) -> Answers {
            let pruned = match open(path).await {
                Ok(host) => host.prune(at(NOW_MS)).await,
                Err(error) => Err(error),
            };
            Answers::from([("prune".to_owned(), count(pruned))])
        }

        /// What is corrupt is passed over.
        fn may_differ(question: &str, answers: &Answers) -> bool {
            let most = SCOPES * (EFFECTS + 1);
            let count = answers[question]
                .as_ref()
                .ok()
                .and_then(|count| count.parse().ok());
            count.is_none_or(|count: usize| count < most)
        }
    }

    passes!(Pruning: a_lost_or_misdirected_page);

    #[tokio::test]
    async fn what_is_old_is_pruned() {
        let right = harness::right(&Arc::new(Pruning::new().await)).await;
        assert_eq!(right["prune"], Ok((SCOPES * (EFFECTS + 1)).to_string()));
    }
}
