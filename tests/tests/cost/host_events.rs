//! What host events cost, seen at the seam between the logic and the database.

use std::collections::BTreeSet;

use lash_wasm_store_guest::bindings::host_event_types::{
    FanOut, OccurrenceDraft, Recorded, Settlement, SubscriptionDraft, SubscriptionFilter,
};
use lash_wasm_store_guest::host_events;
use lash_wasm_store_testing::recorder::{Recorder, assert_fits_the_cache, assert_no_scan};

fn recorder() -> Recorder {
    Recorder::new(host_events::initialize)
}

/// What an operation cost: how many statements, and how many rows were read.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    statements: usize,
    rows: u64,
}

fn cost(recorder: &Recorder, operation: impl FnOnce(&Recorder)) -> Cost {
    recorder.rows();
    recorder.statements();
    operation(recorder);
    Cost {
        rows: recorder.rows(),
        statements: recorder.statements().len(),
    }
}

fn subscribe(recorder: &Recorder, session: &str, source_key: &str) -> u64 {
    let draft = SubscriptionDraft {
        scope_id: format!("session:{session}"),
        session_id: Some(session.to_owned()),
        name: Some(format!("name of {session}")),
        source_type: "button".to_owned(),
        source_key: source_key.to_owned(),
        content: vec![7; 100],
    };
    host_events::subscribe(recorder, draft).unwrap().sequence
}

fn record(recorder: &Recorder, source_key: &str, key: &str) {
    let draft = OccurrenceDraft {
        id: format!("id of {key}"),
        idempotency_key: key.to_owned(),
        request_hash: "hash".to_owned(),
        source_type: "button".to_owned(),
        source_key: source_key.to_owned(),
        content: vec![9; 100],
    };
    let recorded = host_events::record_occurrence(recorder, draft).unwrap();
    assert!(matches!(recorded, Recorded::Occurrence(_)));
}

fn reserve(recorder: &Recorder, key: &str) -> FanOut {
    let id = format!("id of {key}");
    host_events::reserve(recorder, &id).unwrap().unwrap()
}

fn settle(recorder: &Recorder, fan_out: &FanOut) {
    let sequences = fan_out.deliveries.iter();
    let settlement = Settlement {
        occurrence_id: fan_out.occurrence.id.clone(),
        subscriptions: sequences.map(|d| d.subscription.sequence).collect(),
    };
    host_events::settle(recorder, &[settlement]).unwrap();
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
    let first = subscribe(recorder, &session, &source);
    subscribe(recorder, &session, &source);
    subscribe(recorder, &session, &source);
    let ended = host_events::unsubscribe(recorder, &session, first).unwrap();
    assert!(ended);
    assert!(!host_events::unsubscribe(recorder, &session, 999_999).unwrap());
    let key = format!("key {round}");
    record(recorder, &source, &key);
    record(recorder, &source, &key);
    let fan_out = reserve(recorder, &key);
    assert_eq!(fan_out.deliveries.len(), 2);
    assert!(reserve(recorder, &key).deliveries.is_empty());
    let unsettled = host_events::unsettled(recorder, 0, 100).unwrap();
    assert_eq!(unsettled.fan_outs.len(), 1);
    settle(recorder, &fan_out);
    let other = format!("other {round}");
    record(recorder, &source, &other);
    let unreserved = host_events::unreserved(recorder, 0, 100).unwrap();
    assert_eq!(unreserved.occurrence_ids.len(), 1);
    reserve(recorder, &other);
    for filter in filters() {
        host_events::subscriptions(recorder, &filter).unwrap();
    }
    let removed = host_events::remove_session(recorder, &session).unwrap();
    assert_eq!(removed, 3);
    recorder.advance(1);
    let pruned = host_events::prune(recorder, u64::MAX, 100).unwrap();
    assert_eq!(pruned.occurrences, 2);
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
    assert_fits_the_cache(&texts);
}

/// P10: the native crate has no column for the session or the name of a
/// subscription. To cancel one it scans an index, to remove those of a session it
/// decodes every row there is, and to find one by name it parses the JSON of all
/// of them.
#[test]
fn nothing_but_the_list_of_everything_scans_a_table() {
    let recorder = recorder();
    everything_with_one_session(&recorder, 0);
    let texts: BTreeSet<String> = recorder.statements().into_iter().collect();
    let searches = assert_no_scan(&recorder, &texts);
    assert!(searches > 20, "{texts:?}");
}

/// P10, measured: what a session does costs as much beside a thousand others.
#[test]
fn other_sessions_and_past_occurrences_cost_nothing() {
    let run = |others: u64| {
        let recorder = recorder();
        for other in 0..others {
            let session = format!("other {other}");
            let ended = subscribe(&recorder, &session, "another source");
            subscribe(&recorder, &session, "another source");
            host_events::unsubscribe(&recorder, &session, ended).unwrap();
            record(&recorder, "another source", &format!("past {other}"));
        }
        if others > 0 {
            let fan_out = reserve(&recorder, &format!("past {}", others - 1));
            settle(&recorder, &fan_out);
        }
        let mut costs = Vec::new();
        let mut subscriptions = Vec::new();
        for _ in 0..3 {
            costs.push(cost(&recorder, |recorder| {
                subscriptions.push(subscribe(recorder, "mine", "my source"));
            }));
        }
        costs.push(cost(&recorder, |recorder| {
            host_events::unsubscribe(recorder, "mine", subscriptions[0]).unwrap();
        }));
        costs.push(cost(&recorder, |recorder| {
            record(recorder, "my source", "now")
        }));
        let mut fan_out = None;
        costs.push(cost(&recorder, |recorder| {
            fan_out = Some(reserve(recorder, "now"))
        }));
        costs.push(cost(&recorder, |recorder| {
            host_events::unsettled(recorder, 0, 100).unwrap();
        }));
        costs.push(cost(&recorder, |recorder| {
            settle(recorder, fan_out.as_ref().unwrap())
        }));
        for enabled in [None, Some(true), Some(false)] {
            let filter = SubscriptionFilter {
                session_id: Some("mine".to_owned()),
                enabled,
                ..everything()
            };
            costs.push(cost(&recorder, |recorder| {
                host_events::subscriptions(recorder, &filter).unwrap();
            }));
        }
        costs.push(cost(&recorder, |recorder| {
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
            let sequence = subscribe(&recorder, "mine", "k");
            assert!(host_events::unsubscribe(&recorder, "mine", sequence).unwrap());
        }
        subscribe(&recorder, "mine", "k");
        record(&recorder, "k", "now");
        let filter = SubscriptionFilter {
            session_id: Some("mine".to_owned()),
            enabled: Some(true),
            ..everything()
        };
        [
            cost(&recorder, |recorder| {
                reserve(recorder, "now");
            }),
            cost(&recorder, |recorder| {
                host_events::subscriptions(recorder, &filter).unwrap();
            }),
        ]
    };
    assert_eq!(run(500), run(0));
}
