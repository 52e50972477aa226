//! What host events cost, seen at the seam between the logic and the database.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use lash_wasm_store_guest::bindings::exports::lash::store::host_events::{
    FanOut, OccurrenceDraft, Recorded, Settlement, SubscriptionDraft, SubscriptionFilter,
};
use lash_wasm_store_guest::host_events;
use lash_wasm_store_tests::recorder::Recorder;

/// How many statements the host keeps compiled for a connection.
const STATEMENT_CACHE: usize = 64;

fn recorder() -> Recorder {
    Recorder::new(|env| host_events::initialize(env))
}

/// What an operation cost: how many statements, and how many rows were read.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    statements: usize,
    rows: u64,
}

/// What these tests do with a recorder.
trait Actions {
    fn cost(&self, operation: impl FnOnce(&Recorder)) -> Cost;
    fn subscribe(&self, session: &str, source_key: &str) -> u64;
    fn record(&self, source_key: &str, key: &str);
    fn reserve(&self, key: &str) -> FanOut;
    fn settle(&self, fan_out: &FanOut);
}

impl Actions for Recorder {
    fn cost(&self, operation: impl FnOnce(&Recorder)) -> Cost {
        self.rows();
        self.statements();
        operation(self);
        Cost {
            rows: self.rows(),
            statements: self.statements().len(),
        }
    }

    fn subscribe(&self, session: &str, source_key: &str) -> u64 {
        let draft = SubscriptionDraft {
            scope_id: format!("session:{session}"),
            session_id: Some(session.to_owned()),
            name: Some(format!("name of {session}")),
            source_type: "button".to_owned(),
            source_key: source_key.to_owned(),
            content: vec![7; 100],
        };
        host_events::subscribe(self, draft).unwrap().sequence
    }

    fn record(&self, source_key: &str, key: &str) {
        let draft = OccurrenceDraft {
            id: format!("id of {key}"),
            idempotency_key: key.to_owned(),
            request_hash: "hash".to_owned(),
            source_type: "button".to_owned(),
            source_key: source_key.to_owned(),
            content: vec![9; 100],
        };
        let recorded = host_events::record_occurrence(self, draft).unwrap();
        assert!(matches!(recorded, Recorded::Occurrence(_)));
    }

    fn reserve(&self, key: &str) -> FanOut {
        let id = format!("id of {key}");
        host_events::reserve(self, &id).unwrap().unwrap()
    }

    fn settle(&self, fan_out: &FanOut) {
        let sequences = fan_out.deliveries.iter();
        let settlement = Settlement {
            occurrence_id: fan_out.occurrence.id.clone(),
            subscriptions: sequences.map(|d| d.subscription.sequence).collect(),
        };
        host_events::settle(self, &[settlement]).unwrap();
    }
}

fn everything() -> SubscriptionFilter {
    SubscriptionFilter {
        session_id: None,
        sequence: None,
        name: None,
        source_type: None,
        source_key: None,
        enabled: None,
    }
}

/// Every filter by which an index leads to the rows.
fn filters() -> Vec<SubscriptionFilter> {
    let some = |text: &str| Some(text.to_owned());
    vec![
        SubscriptionFilter {
            session_id: some("s"),
            ..everything()
        },
        SubscriptionFilter {
            session_id: some("s"),
            sequence: Some(1),
            ..everything()
        },
        SubscriptionFilter {
            sequence: Some(1),
            ..everything()
        },
        SubscriptionFilter {
            sequence: Some(999_999),
            ..everything()
        },
        SubscriptionFilter {
            name: some("name of s"),
            ..everything()
        },
        SubscriptionFilter {
            source_type: some("button"),
            enabled: Some(true),
            ..everything()
        },
        SubscriptionFilter {
            source_type: some("button"),
            source_key: some("k"),
            ..everything()
        },
    ]
}

/// Does everything there is to do with one session.
fn everything_with_one_session(recorder: &Recorder, round: u64) {
    let session = format!("session {round}");
    let source = format!("source {round}");
    let first = recorder.subscribe(&session, &source);
    recorder.subscribe(&session, &source);
    recorder.subscribe(&session, &source);
    let ended = host_events::unsubscribe(recorder, &session, first).unwrap();
    assert!(ended);
    assert!(!host_events::unsubscribe(recorder, &session, 999_999).unwrap());
    let key = format!("key {round}");
    recorder.record(&source, &key);
    recorder.record(&source, &key);
    let fan_out = recorder.reserve(&key);
    assert_eq!(fan_out.deliveries.len(), 2);
    assert!(recorder.reserve(&key).deliveries.is_empty());
    assert_eq!(host_events::unsettled(recorder, 0, 100).unwrap().len(), 1);
    recorder.settle(&fan_out);
    let other = format!("other {round}");
    recorder.record(&source, &other);
    recorder.reserve(&other);
    for filter in filters() {
        host_events::subscriptions(recorder, &filter).unwrap();
    }
    let removed = host_events::remove_session(recorder, &session).unwrap();
    assert_eq!(removed, 3);
    recorder.advance(1);
    assert_eq!(host_events::prune(recorder, u64::MAX, 100).unwrap(), 2);
}

#[test]
fn all_statements_together_fit_into_the_cache() {
    let recorder = recorder();
    let mut texts = BTreeSet::new();
    for round in 0..3 {
        everything_with_one_session(&recorder, round);
        host_events::subscriptions(&recorder, &everything()).unwrap();
        texts.extend(recorder.statements());
    }
    assert!(texts.len() > 20, "{texts:?}");
    // The host's own BEGIN, COMMIT and ROLLBACK are in the cache too.
    assert!(texts.len() + 4 <= STATEMENT_CACHE, "{} texts", texts.len());
}

/// P10: the native crate has no column for the session or the name of a
/// subscription. To cancel one it scans an index, to remove those of a session it
/// decodes every row there is, and to find one by name it parses the JSON of all
/// of them.
#[test]
fn nothing_but_the_list_of_everything_scans_a_table() {
    let recorder = recorder();
    everything_with_one_session(&recorder, 0);
    let statements: BTreeSet<String> = recorder.statements().into_iter().collect();
    let mut searches = 0;
    for sql in &statements {
        for step in recorder.plan(sql).unwrap() {
            assert!(step.starts_with("SEARCH"), "{sql}: {step}");
            searches += 1;
        }
    }
    assert!(searches > 20, "{statements:?}");
}

/// P10, measured: what a session does costs as much beside a thousand others.
#[test]
fn other_sessions_and_past_occurrences_cost_nothing() {
    let run = |others: u64| {
        let recorder = recorder();
        for other in 0..others {
            let session = format!("other {other}");
            let ended = recorder.subscribe(&session, "another source");
            recorder.subscribe(&session, "another source");
            host_events::unsubscribe(&recorder, &session, ended).unwrap();
            recorder.record("another source", &format!("past {other}"));
        }
        if others > 0 {
            let fan_out = recorder.reserve(&format!("past {}", others - 1));
            recorder.settle(&fan_out);
        }
        let mut costs = Vec::new();
        let mut subscriptions = Vec::new();
        for _ in 0..3 {
            costs.push(recorder.cost(|recorder| {
                subscriptions.push(recorder.subscribe("mine", "my source"));
            }));
        }
        costs.push(recorder.cost(|recorder| {
            host_events::unsubscribe(recorder, "mine", subscriptions[0]).unwrap();
        }));
        costs.push(recorder.cost(|recorder| recorder.record("my source", "now")));
        let mut fan_out = None;
        costs.push(recorder.cost(|recorder| fan_out = Some(recorder.reserve("now"))));
        costs.push(recorder.cost(|recorder| {
            host_events::unsettled(recorder, 0, 100).unwrap();
        }));
        costs.push(recorder.cost(|recorder| recorder.settle(fan_out.as_ref().unwrap())));
        for enabled in [None, Some(true), Some(false)] {
            let filter = SubscriptionFilter {
                session_id: Some("mine".to_owned()),
                enabled,
                ..everything()
            };
            costs.push(recorder.cost(|recorder| {
                host_events::subscriptions(recorder, &filter).unwrap();
            }));
        }
        costs.push(recorder.cost(|recorder| {
            host_events::remove_session(recorder, "mine").unwrap();
        }));
        costs
    };
    assert_eq!(run(1000), run(0));
}

/// What ended stays, so that it can be listed; what is delivered, and what a
/// session lists of what is enabled, must not cost more for it.
#[test]
fn subscriptions_that_ended_cost_nothing() {
    let run = |ended: u64| {
        let recorder = recorder();
        for _ in 0..ended {
            let sequence = recorder.subscribe("mine", "k");
            assert!(host_events::unsubscribe(&recorder, "mine", sequence).unwrap());
        }
        recorder.subscribe("mine", "k");
        recorder.record("k", "now");
        let filter = SubscriptionFilter {
            session_id: Some("mine".to_owned()),
            enabled: Some(true),
            ..everything()
        };
        [
            recorder.cost(|recorder| {
                recorder.reserve("now");
            }),
            recorder.cost(|recorder| {
                host_events::subscriptions(recorder, &filter).unwrap();
            }),
        ]
    };
    assert_eq!(run(500), run(0));
}
