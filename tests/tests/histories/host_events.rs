//! Occurrences and their deliveries.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lash_core::HostEventStore;
use lash_wasm_store::SqliteHostEventStore;
use lash_wasm_store_testing::host_events::{request, subscribe};
use lash_wasm_store_testing::random::Random;
use serde::{Deserialize, Serialize};

use crate::history::{self, Call, Log, Violation, violation};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Op {
    Record { key: String },
    Reserve { occurrence: String },
    Settle { occurrence: String },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Outcome {
    Recorded(String),
    /// The subscriptions that it is delivered to.
    Reserved(Vec<String>),
    Settled,
    Failed(String),
}

/// The source that all are subscribed to.
const SOURCE: &str = "k";

/// How many there are.
const SUBSCRIPTIONS: usize = 3;

/// Makes the subscriptions.
pub async fn prepare(store: &SqliteHostEventStore) {
    for number in 0..SUBSCRIPTIONS {
        subscribe(store, &format!("session {number}"), SOURCE).await;
    }
}

/// Works until it is killed.
pub async fn work_on(
    store: &SqliteHostEventStore,
    path: &Path,
    worker: usize,
    who: &str,
    mut random: Random,
) {
    let log = Log::open(path, who);
    if let Some(Op::Record { key }) = history::interrupted::<Op, Outcome>(path, worker) {
        record(store, &log, key).await;
    }
    let mut first = 0;
    loop {
        // Others report the same now.
        let key = format!("key {};", first + random.below(8));
        first += random.below(2);
        let Some(occurrence) = record(store, &log, key).await else {
            continue;
        };
        if random.percent(80) {
            reserve(store, &log, &occurrence, random.percent(70)).await;
        }
    }
}

async fn record(store: &SqliteHostEventStore, log: &Log, key: String) -> Option<String> {
    let request = request(SOURCE, &key);
    let outcome = log.call(Op::Record { key }, async {
        match store.record_occurrence(request).await {
            Ok(record) => Outcome::Recorded(record.occurrence_id),
            Err(error) => Outcome::Failed(error.to_string()),
        }
    });
    match outcome.await {
        Outcome::Recorded(occurrence) => Some(occurrence),
        _ => None,
    }
}

async fn reserve(store: &SqliteHostEventStore, log: &Log, occurrence: &str, settle: bool) {
    let mut reserved = Vec::new();
    let op = Op::Reserve {
        occurrence: occurrence.to_owned(),
    };
    log.call(op, async {
        match store.reserve_matching_deliveries(occurrence).await {
            Ok(deliveries) => {
                let handles = deliveries.iter().map(|d| d.subscription.handle.clone());
                let outcome = Outcome::Reserved(handles.collect());
                reserved = deliveries;
                outcome
            }
            Err(error) => Outcome::Failed(error.to_string()),
        }
    })
    .await;
    if settle && !reserved.is_empty() {
        let op = Op::Settle {
            occurrence: occurrence.to_owned(),
        };
        log.call(op, async {
            match store.settle_deliveries(&reserved).await {
                Ok(()) => Outcome::Settled,
                Err(error) => Outcome::Failed(format!("{error:?}")),
            }
        })
        .await;
    }
}

/// Reserves at the end what is left of everything that was recorded.
pub async fn audit(store: &SqliteHostEventStore, path: &Path) {
    let log = Log::open(path, "audit");
    let keys: BTreeSet<String> = history::read::<Op, Outcome>(path)
        .into_iter()
        .filter_map(|call| match call.op {
            Op::Record { key } => Some(key),
            _ => None,
        })
        .collect();
    for key in keys {
        if let Some(occurrence) = record(store, &log, key).await {
            reserve(store, &log, &occurrence, false).await;
        }
    }
}

/// All that is wrong with a history.
pub fn check(calls: &[Call<Op, Outcome>]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut occurrences: BTreeMap<&str, &str> = BTreeMap::new();
    let mut keys: BTreeMap<&str, &str> = BTreeMap::new();
    let mut reserved: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut uncertain: BTreeSet<&str> = BTreeSet::new();
    let mut audited: BTreeSet<&str> = BTreeSet::new();
    for call in calls {
        match (&call.op, call.result()) {
            (Op::Record { key }, Some(Outcome::Recorded(occurrence))) => {
                if *occurrences.entry(key).or_insert(occurrence) != occurrence {
                    violations.push(violation(key, "a key has two occurrences"));
                }
                if *keys.entry(occurrence).or_insert(key) != key {
                    violations.push(violation(occurrence, "an occurrence has two keys"));
                }
            }
            (Op::Reserve { occurrence }, Some(Outcome::Reserved(handles))) => {
                let known = reserved.entry(occurrence).or_default();
                for handle in handles {
                    if !known.insert(handle) {
                        violations.push(violation(occurrence, "a delivery was reserved twice"));
                    }
                }
                if call.who == "audit" {
                    audited.insert(occurrence);
                }
            }
            (Op::Reserve { occurrence }, None) => {
                uncertain.insert(occurrence);
            }
            (_, Some(Outcome::Failed(error))) => {
                violations.push(violation(&call.who, format!("a call failed: {error}")));
            }
            _ => {}
        }
    }
    for occurrence in audited.difference(&uncertain) {
        if reserved[occurrence].len() != SUBSCRIPTIONS {
            violations.push(violation(occurrence, "a delivery is lost"));
        }
    }
    violations
}
