//! Effects that are executed at least once and recorded once.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use lash_core::RuntimeEffectLocalExecutor;
use lash_wasm_store::SqliteEffectHost;
use lash_wasm_store_testing::effects::{controller, effect, marker, outcome};
use lash_wasm_store_testing::random::Random;
use serde::{Deserialize, Serialize};

use crate::history::{self, Call, Log, Violation, violation};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Op {
    Run {
        key: String,
    },
    /// What the executor returns is unique.
    Execute {
        key: String,
        value: String,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Outcome {
    Value(String),
    Executed,
    /// The lease expired meanwhile, as the machine had no time for its renewal; the result of
    /// whoever adopted it counts.
    Adopted,
    Failed(String),
}

/// How long claims last, unless they are renewed.
pub const TTL: Duration = Duration::from_millis(90);

/// Works until it is killed.
pub async fn work_on(host: &SqliteEffectHost, path: &Path, who: &str, mut random: Random) {
    let log = Log::open(path, who);
    let mut first = last_key(path);
    for count in 0_u64.. {
        let key = first + random.below(6);
        first += random.below(2);
        let pause = random.below(4);
        let value = format!("value {who}.{count};");
        run(host, &log, key, value, pause).await;
    }
}

/// Where others are.
fn last_key(path: &Path) -> u64 {
    let keys = history::read::<Op, Outcome>(path).into_iter();
    let keys = keys.filter_map(|call| match call.op {
        Op::Run { key } => key.strip_prefix("key ")?.strip_suffix(';')?.parse().ok(),
        Op::Execute { .. } => None,
    });
    keys.max().unwrap_or(0_u64).saturating_sub(6)
}

async fn run(host: &SqliteEffectHost, log: &Log, key: u64, value: String, pause_ms: u64) {
    let key = format!("key {key};");
    // Its calls are within those of the other.
    let inner = log.with(format!("{}/executor", log.who));
    let execution = Op::Execute {
        key: key.clone(),
        value: value.clone(),
    };
    let executor = RuntimeEffectLocalExecutor::testing(move |_| async move {
        inner
            .call(execution, async {
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                Outcome::Executed
            })
            .await;
        Ok(outcome(value))
    });
    let controller = controller(host);
    let effect = effect(&key);
    log.call(Op::Run { key }, async {
        let ended = controller
            .controller()
            .execute_effect(effect, executor)
            .await;
        match &ended {
            Ok(_) => Outcome::Value(marker(ended).as_str().unwrap().to_owned()),
            Err(error) if error.code == "sqlite_effect_replay_lease_lost" => Outcome::Adopted,
            Err(error) => Outcome::Failed(format!("{error:?}")),
        }
    })
    .await;
}

/// Asks for all that was ever recorded.
pub async fn audit(host: &SqliteEffectHost, path: &Path) {
    let log = Log::open(path, "audit");
    for key in 0..last_key(path) + 12 {
        run(host, &log, key, format!("value audit {key};"), 0).await;
    }
}

/// All that is wrong with a history.
pub fn check(calls: &[Call<Op, Outcome>]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut values: BTreeMap<&str, &str> = BTreeMap::new();
    let mut recorded: BTreeMap<&str, usize> = BTreeMap::new();
    for call in calls {
        let Op::Run { key } = &call.op else { continue };
        match &call.ended {
            Some((at, Outcome::Value(value))) => {
                if *values.entry(key).or_insert(value) != value {
                    violations.push(violation(key, "it has two results"));
                }
                let first = recorded.entry(key).or_insert(*at);
                *first = (*first).min(*at);
            }
            Some((_, Outcome::Failed(error))) => {
                violations.push(violation(key, format!("a call failed: {error}")));
            }
            _ => {}
        }
    }
    let mut executed: BTreeMap<&str, &str> = BTreeMap::new();
    let mut runs: BTreeMap<&str, usize> = BTreeMap::new();
    for call in calls {
        let caller = call.who.split('/').next().unwrap_or_default();
        let Op::Execute { key, value } = &call.op else {
            runs.insert(caller, call.begun);
            continue;
        };
        // Whoever had claimed it before may be late, if its lease was adopted.
        let begun = runs.get(caller).copied().unwrap_or(call.begun);
        if recorded.get(key.as_str()).is_some_and(|at| *at < begun) {
            violations.push(violation(key, "it was executed after it was recorded"));
        }
        if call.ended.is_some() {
            executed.insert(value, key);
        }
    }
    for (key, value) in values {
        if executed.get(value) != Some(&key) {
            violations.push(violation(key, "nobody executed it so"));
        }
    }
    violations
}
