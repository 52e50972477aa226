//! The operations on a database of host events.

use std::rc::Rc;

use lash_wasm_store_guest::bindings::host_event_types::{
    FanOut, OccurrenceDraft, Settlement, SubscriptionDraft, SubscriptionFilter,
};
use lash_wasm_store_guest::host_events;
use lash_wasm_store_testing::faults::FaultyEnvironment;

use crate::sweep::deployment_import;
use crate::sweep::run::{Effect, NOW, Operation, Retry, Table, copy, repair, sound};

const GONE: &str = "what it removed is gone";

fn subscription(session: Option<&str>, source_key: &str) -> SubscriptionDraft {
    SubscriptionDraft {
        scope_id: format!("scope of {session:?}"),
        session_id: session.map(str::to_owned),
        name: Some(format!("name of {source_key}")),
        source_type: "button".to_owned(),
        source_key: source_key.to_owned(),
        content: vec![7; 100],
    }
}

fn occurrence(key: &str, source_key: &str) -> OccurrenceDraft {
    OccurrenceDraft {
        id: format!("id of {key}"),
        idempotency_key: key.to_owned(),
        request_hash: "hash".to_owned(),
        source_type: "button".to_owned(),
        source_key: source_key.to_owned(),
        content: vec![9; 100],
    }
}

fn record(db: &FaultyEnvironment, key: &str, source_key: &str) {
    host_events::record_occurrence(db, occurrence(key, source_key)).unwrap();
}

fn reserve(db: &FaultyEnvironment, key: &str) -> FanOut {
    host_events::reserve(db, &format!("id of {key}"))
        .unwrap()
        .unwrap()
}

fn settlement(key: &str, subscriptions: &[u64]) -> Settlement {
    Settlement {
        occurrence_id: format!("id of {key}"),
        subscriptions: subscriptions.to_vec(),
    }
}

/// Subscriptions 1 and 2 of a session, 3 of another and 4 of the host, all to one
/// source; 5, of the session, has ended. Of the occurrences `old` and `older` all is
/// settled, of `pending` nothing is, and `new` is not reserved.
fn fill(db: &FaultyEnvironment) {
    host_events::initialize(db).unwrap();
    db.set_time(NOW - 60_000);
    for session in [Some("s"), Some("s"), Some("t"), None, Some("s")] {
        host_events::subscribe(db, subscription(session, "a")).unwrap();
    }
    host_events::unsubscribe(db, "s", 5).unwrap();
    for key in ["older", "old"] {
        record(db, key, "a");
        reserve(db, key);
        host_events::settle(db, &[settlement(key, &[1, 2, 3, 4])]).unwrap();
    }
    db.set_time(NOW);
    record(db, "pending", "a");
    reserve(db, "pending");
    record(db, "new", "a");
}

/// The table.
pub fn table() -> Table {
    let mut db = copy(&[]);
    db.seed(0);
    fill(&db);
    let mut operations = reads();
    operations.extend(subscribers());
    operations.extend(occurrences());
    operations.extend(settlements());
    operations.extend(deployment_import::of_host_events());
    let image = db.image();
    operations.push(repair(
        "repair.host-events",
        &image,
        "UPDATE table_digests SET digests = zeroblob(8);
         UPDATE database_identity SET identity = x'00';
         UPDATE subscriptions SET source_identity = 1 WHERE seq = 2;
         UPDATE occurrences SET identity = 1 WHERE number = 2",
        host_events::repair,
    ));
    Table {
        kind: "host events",
        start: image.into(),
        operations,
        goes_on: Box::new(|db| {
            host_events::subscribe(db, subscription(Some("work"), "work")).unwrap();
            record(db, "work", "work");
            let fan_out = reserve(db, "work");
            assert_eq!(fan_out.deliveries.len(), 1);
            let sequence = fan_out.deliveries[0].subscription.sequence;
            format!(
                "{:?}",
                host_events::settle(db, &[settlement("work", &[sequence])])
            )
        }),
    }
}

fn reads() -> Vec<Operation> {
    let everything = SubscriptionFilter {
        session_id: None,
        sequence: None,
        name: None,
        source_type: None,
        source_key: None,
        enabled: None,
    };
    let some = |text: &str| Some(text.to_owned());
    let everything = || everything.clone();
    let filters = [
        ("all", everything()),
        (
            "by session",
            SubscriptionFilter {
                session_id: some("s"),
                ..everything()
            },
        ),
        (
            "by number",
            SubscriptionFilter {
                sequence: Some(1),
                ..everything()
            },
        ),
        (
            "by name",
            SubscriptionFilter {
                name: some("name of a"),
                ..everything()
            },
        ),
        (
            "by type",
            SubscriptionFilter {
                source_type: some("button"),
                ..everything()
            },
        ),
        (
            "by source",
            SubscriptionFilter {
                source_type: some("button"),
                source_key: some("a"),
                enabled: Some(true),
                ..everything()
            },
        ),
    ];
    let mut operations: Vec<Operation> = filters
        .into_iter()
        .map(|(variant, filter)| {
            Operation::new(
                "host-events.subscriptions",
                variant,
                Effect::Reads,
                move |db| host_events::subscriptions(db, &filter),
            )
        })
        .collect();
    for (variant, after) in [("all", 0), ("after the first", 9)] {
        operations.push(Operation::new(
            "host-events.unsettled",
            variant,
            Effect::Reads,
            move |db| host_events::unsettled(db, after, 10),
        ));
    }
    operations.push(Operation::new(
        "host-events.unreserved",
        "",
        Effect::Reads,
        |db| host_events::unreserved(db, 0, 10),
    ));
    operations.push(Operation::new(
        "host-event-export.read-page",
        "",
        Effect::Reads,
        |db| host_events::read_page(db, None),
    ));
    operations.push(Operation::new(
        "host-event-inspection.statistics",
        "",
        Effect::Reads,
        host_events::statistics,
    ));
    operations.push(Operation::new(
        "host-event-inspection.verify",
        "",
        Effect::Reads,
        |db| sound(|cursor| host_events::verify(db, cursor)),
    ));
    operations
}

fn subscribers() -> Vec<Operation> {
    let subscribe = |variant, session| {
        let why = "a subscription has no identity but the number that it gets";
        let effect = Effect::Writes(Retry::Again("Ok(Subscription { sequence: 7", why));
        Operation::new("host-events.subscribe", variant, effect, move |db| {
            host_events::subscribe(db, subscription(session, "a"))
        })
    };
    let unsubscribe = |variant, effect, session, sequence| {
        Operation::new("host-events.unsubscribe", variant, effect, move |db| {
            host_events::unsubscribe(db, session, sequence)
        })
    };
    let remove = |variant, effect, session| {
        Operation::new("host-events.remove-session", variant, effect, move |db| {
            host_events::remove_session(db, session)
        })
    };
    let ended = Effect::Writes(Retry::Answers("Ok(false)", "it has ended"));
    let gone = || Effect::Writes(Retry::Answers("Ok(0)", GONE));
    vec![
        Operation::new(
            "host-events.initialize",
            "empty",
            Effect::Writes(Retry::Same),
            host_events::initialize,
        )
        .on(&Rc::default()),
        Operation::new(
            "host-events.initialize",
            "made before",
            Effect::Keeps,
            host_events::initialize,
        ),
        subscribe("of a session", Some("s")),
        subscribe("of the host", None),
        unsubscribe("live", ended, "s", 1),
        unsubscribe("ended before", Effect::Keeps, "s", 5),
        unsubscribe("of another", Effect::Keeps, "s", 3),
        unsubscribe("unknown", Effect::Keeps, "s", 99),
        remove("with deliveries", gone(), "s"),
        remove("unknown", Effect::Keeps, "unknown"),
    ]
}

fn occurrences() -> Vec<Operation> {
    let record = |variant, effect, key, hash: &'static str| {
        Operation::new(
            "host-events.record-occurrence",
            variant,
            effect,
            move |db| {
                let request_hash = hash.to_owned();
                let draft = OccurrenceDraft {
                    request_hash,
                    ..occurrence(key, "a")
                };
                host_events::record_occurrence(db, draft)
            },
        )
    };
    let reserve = |variant, effect, key| {
        Operation::new("host-events.reserve", variant, effect, move |db| {
            host_events::reserve(db, &format!("id of {key}"))
        })
    };
    let why = "what was reserved before is in `unsettled`";
    let reserved = Effect::Writes(Retry::Answers("Ok(Some(FanOut", why));
    vec![
        record("new", Effect::Writes(Retry::Same), "newest", "hash"),
        record("known", Effect::Keeps, "pending", "hash"),
        record("another under the key", Effect::Keeps, "pending", "another"),
        reserve("new", reserved, "new"),
        reserve("reserved before", Effect::Keeps, "pending"),
        reserve("unknown", Effect::Keeps, "unknown"),
    ]
}

fn settlements() -> Vec<Operation> {
    let settle = |variant, effect, settlements: Vec<Settlement>| {
        Operation::new("host-events.settle", variant, effect, move |db| {
            host_events::settle(db, &settlements)
        })
    };
    let prune = |variant, effect, before_ms, limit| {
        Operation::new("host-events.prune", variant, effect, move |db| {
            host_events::prune(db, before_ms, limit)
        })
    };
    let all = vec![
        settlement("pending", &[1, 2, 3, 4]),
        settlement("unknown", &[1]),
        settlement("old", &[1]),
    ];
    let gone = Effect::Writes(Retry::Answers("Ok(Pruned { occurrences: 0", GONE));
    let next = Effect::Writes(Retry::Again(
        "Ok(Pruned { occurrences: 1",
        "the next is removed",
    ));
    vec![
        settle("all of an occurrence", Effect::Writes(Retry::Same), all),
        settle(
            "some",
            Effect::Writes(Retry::Same),
            vec![settlement("pending", &[2, 99])],
        ),
        settle(
            "settled before",
            Effect::Keeps,
            vec![settlement("old", &[1, 2])],
        ),
        prune("two", gone, u64::MAX, 10),
        prune("one of two", next, u64::MAX, 1),
        prune("nothing old enough", Effect::Keeps, 1, 10),
    ]
}
