//! The operations of imports of processes, host events and effects.

use std::rc::Rc;

use lash_wasm_store_guest::bindings::effect_types::{EffectKey, Recorded, Request};
use lash_wasm_store_guest::bindings::host_event_types::{OccurrenceDraft, SubscriptionDraft};
use lash_wasm_store_guest::bindings::import_types::{
    ImportedDelivery, ImportedEffect, ImportedEffectClaim, ImportedEnd, ImportedEvent,
    ImportedHandle, ImportedLease, ImportedOccurrence, ImportedProcess, ImportedState,
    ImportedSubscription, Wake,
};
use lash_wasm_store_guest::bindings::process_types::{Registration, Status};
use lash_wasm_store_guest::{effects, host_events, processes};

use crate::sweep::run::{Effect, Operation, Retry, copy};

fn refused() -> Effect {
    let why = "what is stored is not imported a second time";
    Effect::Writes(Retry::Answers("Err(Error::Invalid", why))
}

fn event(replay_key: &str, wake: Wake) -> ImportedEvent {
    ImportedEvent {
        event_type: "tick".to_owned(),
        replay_key: Some(replay_key.to_owned()),
        payload_hash: "hash".to_owned(),
        content: vec![2; 100],
        wake,
    }
}

fn process(id: &str) -> ImportedProcess {
    ImportedProcess {
        registration: Registration {
            id: id.to_owned(),
            hash: "hash".to_owned(),
            content: vec![1; 100],
        },
        created_at_ms: 1,
        updated_at_ms: 2,
        external_ref: Some(b"elsewhere".to_vec()),
        wait: Some(b"wait".to_vec()),
        end: None,
        fencing_token: 70,
        lease: Some(ImportedLease {
            owner_id: "owner".to_owned(),
            token: "token".to_owned(),
            claimed_at_ms: 1,
            expires_at_ms: u64::MAX,
        }),
        events: vec![event("a", Wake::Pending), event("b", Wake::Acknowledged)],
    }
}

/// One that ended, at a time that no clock would say.
fn ended(id: &str) -> ImportedProcess {
    ImportedProcess {
        wait: None,
        end: Some(ImportedEnd {
            status: Status::Failed,
            outcome: b"outcome".to_vec(),
            ended_at_ms: 0,
        }),
        lease: None,
        fencing_token: 0,
        ..process(id)
    }
}

fn handle(scope: &str, id: &str) -> ImportedHandle {
    ImportedHandle {
        process_id: id.to_owned(),
        scope_id: scope.to_owned(),
        session_id: "session".to_owned(),
        descriptor: scope.as_bytes().to_vec(),
    }
}

/// Those of processes. `p` has two events, and a handle in `a`.
pub fn of_processes() -> Vec<Operation> {
    let add = |variant, effect, imported: fn() -> Vec<ImportedProcess>| {
        let function = "process-import.add-processes";
        Operation::new(function, variant, effect, move |db| {
            processes::add_processes(db, &imported())
        })
    };
    let add_events = |variant, effect, last, key| {
        let function = "process-import.add-events";
        Operation::new(function, variant, effect, move |db| {
            processes::add_events(db, "p", last, &[event(key, Wake::Pending)])
        })
    };
    let add_handles = |variant, effect, handles: fn() -> Vec<ImportedHandle>| {
        let function = "process-import.add-handles";
        Operation::new(function, variant, effect, move |db| {
            processes::add_handles(db, &handles())
        })
    };
    vec![
        add("new", refused(), || vec![process("i"), ended("j")]),
        add("none", Effect::Keeps, Vec::new),
        add("there already", Effect::Keeps, || {
            vec![process("i"), process("p")]
        }),
        add("it ended and waits", Effect::Keeps, || {
            let wait = Some(b"wait".to_vec());
            vec![ImportedProcess { wait, ..ended("i") }]
        }),
        add("a lease without a fencing token", Effect::Keeps, || {
            let fencing_token = 0;
            vec![ImportedProcess {
                fencing_token,
                ..process("i")
            }]
        }),
        add("no fencing token is left", Effect::Keeps, || {
            let fencing_token = i64::MAX.unsigned_abs();
            vec![ImportedProcess {
                fencing_token,
                ..process("i")
            }]
        }),
        add("two events with one replay key", Effect::Keeps, || {
            let events = vec![event("a", Wake::Nobody), event("a", Wake::Nobody)];
            vec![ImportedProcess {
                events,
                ..process("i")
            }]
        }),
        add_events("the next", refused(), 2, "imported"),
        add_events("not the next", Effect::Keeps, 1, "imported"),
        add_events("a replay key that is taken", Effect::Keeps, 2, "key 0"),
        add_handles("new", refused(), || {
            vec![handle("x", "p"), handle("x", "ended"), handle("y", "p")]
        }),
        add_handles("granted already", Effect::Keeps, || {
            vec![handle("x", "p"), handle("a", "p")]
        }),
        add_handles("of nothing", Effect::Keeps, || {
            vec![handle("x", "p"), handle("x", "unknown")]
        }),
    ]
}

fn subscription(sequence: u64) -> ImportedSubscription {
    ImportedSubscription {
        sequence,
        draft: SubscriptionDraft {
            scope_id: "scope".to_owned(),
            session_id: Some("s".to_owned()),
            name: Some("name".to_owned()),
            source_type: "button".to_owned(),
            source_key: "imported".to_owned(),
            content: vec![7; 100],
        },
        enabled: sequence == 90,
        created_at_ms: 1,
        updated_at_ms: 2,
    }
}

fn occurrence(key: &str) -> ImportedOccurrence {
    ImportedOccurrence {
        draft: OccurrenceDraft {
            id: format!("id of {key}"),
            idempotency_key: key.to_owned(),
            request_hash: "hash".to_owned(),
            source_type: "button".to_owned(),
            source_key: "imported".to_owned(),
            content: vec![9; 100],
        },
        occurred_at_ms: 1,
    }
}

fn delivery(key: &str, subscription: u64) -> ImportedDelivery {
    ImportedDelivery {
        occurrence_id: format!("id of {key}"),
        subscription,
        created_at_ms: 1,
    }
}

/// Those of host events. There are subscriptions 1 to 5, and the occurrence `pending`
/// is delivered to the first four.
pub fn of_host_events() -> Vec<Operation> {
    let subscribe = |variant, effect, sequences: &'static [u64]| {
        let function = "host-event-import.add-subscriptions";
        Operation::new(function, variant, effect, move |db| {
            let subscriptions: Vec<_> = sequences.iter().copied().map(subscription).collect();
            host_events::add_subscriptions(db, &subscriptions)
        })
    };
    let skip = |variant, effect, last| {
        let function = "host-event-import.skip-subscriptions";
        Operation::new(function, variant, effect, move |db| {
            host_events::skip_subscriptions(db, last)
        })
    };
    let record = |variant, effect, keys: &'static [&str]| {
        let function = "host-event-import.add-occurrences";
        Operation::new(function, variant, effect, move |db| {
            let occurrences: Vec<_> = keys.iter().copied().map(occurrence).collect();
            host_events::add_occurrences(db, &occurrences)
        })
    };
    let deliver = |variant, effect, deliveries: &'static [(&str, u64)]| {
        let function = "host-event-import.add-deliveries";
        Operation::new(function, variant, effect, move |db| {
            let deliveries = deliveries.iter();
            let deliveries: Vec<_> = deliveries
                .map(|(key, subscription)| delivery(key, *subscription))
                .collect();
            host_events::add_deliveries(db, &deliveries)
        })
    };
    vec![
        subscribe("new", refused(), &[90, 80]),
        subscribe("there already", Effect::Keeps, &[90, 3]),
        subscribe("without a number", Effect::Keeps, &[90, 0]),
        subscribe("the last number", Effect::Keeps, &[u64::MAX / 2]),
        skip("some", Effect::Writes(Retry::Same), 90),
        skip("none", Effect::Keeps, 3),
        skip("all", Effect::Keeps, u64::MAX),
        record("new", refused(), &["imported", "another"]),
        record("there already", Effect::Keeps, &["imported", "old"]),
        deliver("new", refused(), &[("pending", 5), ("new", 1), ("new", 2)]),
        deliver("none", Effect::Keeps, &[]),
        deliver(
            "there already",
            Effect::Keeps,
            &[("new", 1), ("pending", 1)],
        ),
        deliver("of nothing", Effect::Keeps, &[("new", 1), ("unknown", 1)]),
        deliver("to nothing", Effect::Keeps, &[("new", 1), ("new", 9)]),
    ]
}

fn effect(scope_id: &str, replay_key: &str, state: ImportedState) -> ImportedEffect {
    ImportedEffect {
        scope_id: scope_id.to_owned(),
        replay_key: replay_key.to_owned(),
        envelope_hash: "hash".to_owned(),
        state,
        due_at_ms: Some(u64::MAX),
        claimed_at_ms: 1,
        updated_at_ms: 2,
    }
}

fn imported() -> Vec<ImportedEffect> {
    let claim = ImportedEffectClaim {
        owner_id: "owner".to_owned(),
        token: "token".to_owned(),
        expires_at_ms: 3,
    };
    let outcome = Recorded::Outcome(b"outcome".to_vec());
    let failure = Recorded::Failure(b"failure".to_vec());
    vec![
        effect("turn", "a", ImportedState::Finished(outcome)),
        effect("another", "a", ImportedState::Finished(failure)),
        effect("turn", "b", ImportedState::Claimed(claim)),
    ]
}

/// Those of effects.
pub fn of_effects(start: &[u8]) -> Vec<Operation> {
    let mut db = copy(start);
    db.seed(0);
    effects::add_effects(&db, &imported()).unwrap();
    let with_imported: Rc<Vec<u8>> = db.image().into();
    let adopt = |variant, effect, scope_id, replay_key: &'static str, hash: &'static str| {
        let function = "effect-import.adopt";
        let operation = Operation::new(function, variant, effect, move |db| {
            let request = Request {
                key: EffectKey {
                    scope: "live".to_owned(),
                    replay_key: replay_key.to_owned(),
                },
                envelope_hash: hash.to_owned(),
            };
            effects::adopt(db, scope_id, &request)
        });
        operation.on(&with_imported)
    };
    let adopted = || {
        let why = "it is the scope's already";
        Effect::Writes(Retry::Answers("Ok(Adopted::Nothing)", why))
    };
    vec![
        Operation::new("effect-import.add-effects", "new", refused(), |db| {
            effects::add_effects(db, &imported())
        }),
        Operation::new("effect-import.add-effects", "twice", Effect::Keeps, |db| {
            effects::add_effects(db, &[imported(), imported()].concat())
        }),
        Operation::new(
            "effect-import.has-imported",
            "",
            Effect::Reads,
            effects::has_imported,
        ),
        Operation::new(
            "effect-import.has-imported",
            "there are some",
            Effect::Keeps,
            effects::has_imported,
        )
        .on(&with_imported),
        adopt("a finished one", adopted(), "turn", "a", "hash"),
        adopt("a claimed one", adopted(), "turn", "b", "hash"),
        adopt(
            "the only one of its scope",
            adopted(),
            "another",
            "a",
            "hash",
        ),
        adopt("with another digest", Effect::Keeps, "turn", "a", "another"),
        adopt("one that is not known", Effect::Keeps, "turn", "c", "hash"),
        adopt(
            "one that the scope has",
            Effect::Keeps,
            "turn",
            "finished",
            "hash",
        ),
    ]
}
