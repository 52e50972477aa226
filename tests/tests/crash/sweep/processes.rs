//! The operations on a database of processes, but for those of `process_handles`.

use std::rc::Rc;

use lash_wasm_store_guest::bindings::process_types::{
    Appended, Claimed, End, EventDraft, Grant, Lease, Registered, Registration, Selection, Status,
};
use lash_wasm_store_guest::processes;
use lash_wasm_store_testing::faults::FaultyEnvironment;

use crate::sweep::run::{Effect, NOW, Operation, Retry, Table, copy, repair, sound};
use crate::sweep::{deployment_import, process_handles};

/// The time of a lease.
pub const TTL: u64 = 60_000;

/// Why a second removal answers that there is nothing.
pub const GONE: &str = "what it removed is gone";

fn registration(id: &str) -> Registration {
    Registration {
        id: id.to_owned(),
        hash: "hash".to_owned(),
        content: vec![1; 100],
    }
}

fn register(db: &FaultyEnvironment, id: &str) -> u64 {
    match processes::register(db, &registration(id)).unwrap() {
        Registered::Process(process) => process.number,
        Registered::Conflict(hash) => panic!("{hash}"),
    }
}

/// The event after `last_sequence`.
fn draft(process_id: &str, process_number: u64, last_sequence: u64) -> EventDraft {
    EventDraft {
        process_id: process_id.to_owned(),
        process_number,
        event_type: "tick".to_owned(),
        replay_key: Some(format!("key {last_sequence}")),
        payload_hash: "hash".to_owned(),
        content: vec![2; 100],
        occurred_at_ms: NOW.unsigned_abs(),
        wakes: true,
        end: None,
        last_sequence,
        fencing_token: None,
        release: None,
    }
}

fn append(db: &FaultyEnvironment, draft: &EventDraft) {
    let appended = processes::append(db, draft).unwrap();
    assert!(matches!(appended, Appended::Sequence(_)), "{appended:?}");
}

fn end(status: Status) -> Option<End> {
    Some(End {
        status,
        outcome: b"outcome".to_vec(),
    })
}

/// A handle.
pub fn grant(scope: &str, process_id: &str, session: &str) -> Grant {
    Grant {
        session_id: session.to_owned(),
        scope_id: scope.to_owned(),
        process_id: process_id.to_owned(),
        descriptor: scope.as_bytes().to_vec(),
    }
}

/// What is known of the start.
pub struct Known {
    /// The number of `p`, which has two events.
    number: u64,
    /// The lease on it.
    pub lease: Lease,
}

/// `p` runs under a lease and waits, with handles of two sessions; `q` runs; `ended`
/// and `old` ended, and no handle keeps `old` and `older`.
fn fill(db: &FaultyEnvironment) -> Known {
    processes::initialize(db).unwrap();
    db.set_time(NOW - 60_000);
    for (id, status) in [
        ("older", Status::Cancelled),
        ("old", Status::Failed),
        ("ended", Status::Completed),
    ] {
        let number = register(db, id);
        append(db, &draft(id, number, 0));
        append(
            db,
            &EventDraft {
                end: end(status),
                ..draft(id, number, 1)
            },
        );
    }
    db.set_time(NOW);
    let number = register(db, "p");
    register(db, "q");
    for last in 0..2 {
        append(db, &draft("p", number, last));
    }
    processes::set_wait(db, "p", None, Some(b"wait".to_vec()), None).unwrap();
    for (scope, id, session) in [
        ("a", "p", "session"),
        ("b", "p", "another"),
        ("a", "q", "session"),
        ("a", "ended", "session"),
    ] {
        assert!(processes::grant_handle(db, grant(scope, id, session)).unwrap());
    }
    match processes::claim(db, "p", "owner", TTL).unwrap() {
        Claimed::Lease(lease) => Known { number, lease },
        other => panic!("{other:?}"),
    }
}

/// The table.
pub fn table() -> Table {
    let mut db = copy(&[]);
    db.seed(0);
    let known = fill(&db);
    let mut operations = reads();
    operations.extend(registry());
    operations.extend(appends(&known));
    operations.extend(wakes());
    operations.extend(process_handles::operations(&known));
    operations.extend(deployment_import::of_processes());
    let image = db.image();
    operations.push(repair(
        "repair.processes",
        &image,
        "UPDATE table_digests SET digests = zeroblob(8);
         UPDATE processes SET identity = 1 WHERE seq = 1;
         UPDATE process_events SET type_identity = 1 WHERE id & 1 = 1;
         UPDATE process_grants SET session_identity = 1 WHERE id = 1",
        processes::repair,
    ));
    Table {
        kind: "processes",
        start: image.into(),
        operations,
        goes_on: Box::new(|db| {
            let number = register(db, "work");
            format!("{:?}", processes::append(db, &draft("work", number, 0)))
        }),
    }
}

fn reads() -> Vec<Operation> {
    let mut operations = Vec::new();
    for id in ["p", "ended", "unknown"] {
        let key = Some("key 1");
        operations.extend([
            Operation::new("processes.get", id, Effect::Reads, move |db| {
                processes::get(db, id, None)
            }),
            Operation::new("process-events.get-basis", id, Effect::Reads, move |db| {
                processes::get_basis(db, id, Some("hash"), key)
            }),
            Operation::new("process-events.after", id, Effect::Reads, move |db| {
                processes::after(db, id, 0)
            }),
            Operation::new("process-events.recent", id, Effect::Reads, move |db| {
                processes::recent(db, id, 1)
            }),
            Operation::new("process-events.wakes-after", id, Effect::Reads, move |db| {
                processes::wakes_after(db, id, 0)
            }),
            Operation::new(
                "process-events.first-of-type",
                id,
                Effect::Reads,
                move |db| processes::first_of_type(db, id, "tick", 1),
            ),
            Operation::new(
                "process-events.get-position",
                id,
                Effect::Reads,
                move |db| processes::get_position(db, id),
            ),
            Operation::new("process-handles.is-granted", id, Effect::Reads, move |db| {
                processes::is_granted(db, "a", id)
            }),
            Operation::new("process-handles.of-process", id, Effect::Reads, move |db| {
                processes::of_process(db, id)
            }),
        ]);
    }
    for (variant, selection) in [("all", Selection::All), ("running", Selection::Running)] {
        operations.extend([
            Operation::new("processes.list", variant, Effect::Reads, move |db| {
                processes::list(db, selection, None)
            }),
            Operation::new(
                "process-handles.of-scope",
                variant,
                Effect::Reads,
                move |db| processes::of_scope(db, "a", selection, None),
            ),
        ]);
    }
    operations.extend([
        Operation::new("processes.prunable", "", Effect::Reads, |db| {
            processes::prunable(db, u64::MAX, 10)
        }),
        Operation::new("process-events.last-sequences", "", Effect::Reads, |db| {
            processes::last_sequences(db, &["p".to_owned(), "unknown".to_owned()])
        }),
    ]);
    operations.push(Operation::new(
        "process-export.read-page",
        "",
        Effect::Reads,
        |db| processes::read_page(db, None),
    ));
    operations.push(Operation::new(
        "process-inspection.statistics",
        "",
        Effect::Reads,
        processes::statistics,
    ));
    operations.push(Operation::new(
        "process-inspection.verify",
        "",
        Effect::Reads,
        |db| sound(|cursor| processes::verify(db, cursor)),
    ));
    operations
}

fn registry() -> Vec<Operation> {
    let register = |variant, effect, id, hash: &'static str| {
        Operation::new("processes.register", variant, effect, move |db| {
            let hash = hash.to_owned();
            processes::register(
                db,
                &Registration {
                    hash,
                    ..registration(id)
                },
            )
        })
    };
    let refer = |variant, effect, id, fencing_token| {
        Operation::new("processes.set-external-ref", variant, effect, move |db| {
            let elsewhere = b"elsewhere".to_vec();
            processes::set_external_ref(db, id, None, elsewhere, fencing_token)
        })
    };
    let wait = |variant, effect, id, wait: Option<&'static [u8]>| {
        Operation::new("processes.set-wait", variant, effect, move |db| {
            processes::set_wait(db, id, Some("hash"), wait.map(<[u8]>::to_vec), None)
        })
    };
    let prune = |variant, effect, ids: &'static [&'static str]| {
        Operation::new("processes.prune", variant, effect, move |db| {
            let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            processes::prune(db, u64::MAX, &ids)
        })
    };
    let write = || Effect::Writes(Retry::Same);
    let gone = Effect::Writes(Retry::Answers("Ok([])", GONE));
    vec![
        Operation::new(
            "processes.initialize",
            "empty",
            write(),
            processes::initialize,
        )
        .on(&Rc::default()),
        Operation::new(
            "processes.initialize",
            "made before",
            Effect::Keeps,
            processes::initialize,
        ),
        register("new", write(), "new", "hash"),
        register("known", Effect::Keeps, "p", "hash"),
        register(
            "another under the identifier",
            Effect::Keeps,
            "p",
            "another",
        ),
        refer("running", write(), "p", None),
        refer("under the newest lease", write(), "p", Some(u64::MAX)),
        refer("under an older lease", Effect::Keeps, "p", Some(0)),
        refer("unknown", Effect::Keeps, "unknown", None),
        wait("something", write(), "q", Some(b"wait")),
        wait("nothing", write(), "p", None),
        wait("ended", Effect::Keeps, "ended", Some(b"wait")),
        wait("unknown", Effect::Keeps, "unknown", None),
        prune(
            "two that may go",
            gone,
            &["old", "unknown", "older", "ended", "p"],
        ),
        prune("none that may go", Effect::Keeps, &["ended", "p"]),
    ]
}

fn appends(known: &Known) -> Vec<Operation> {
    let append = |variant, effect, draft: EventDraft| {
        Operation::new("process-events.append", variant, effect, move |db| {
            processes::append(db, &draft)
        })
    };
    let keeps = |variant, draft| append(variant, Effect::Keeps, draft);
    let keyed = || {
        let why = "the replay key leads to the event";
        Effect::Writes(Retry::Answers(
            "Ok(Appended::Existing(Event { sequence: 3",
            why,
        ))
    };
    let moved = || {
        let why = "without a replay key only the number of events tells, which has moved";
        Effect::Writes(Retry::Answers("Ok(Appended::Moved", why))
    };
    let next = || draft("p", known.number, 2);
    let ending = |status| EventDraft {
        end: end(status),
        fencing_token: Some(known.lease.fencing_token),
        release: Some(known.lease.token.clone()),
        ..next()
    };
    let fenced = EventDraft {
        fencing_token: Some(known.lease.fencing_token - 1),
        ..next()
    };
    let known_key = EventDraft {
        replay_key: Some("key 0".to_owned()),
        ..next()
    };
    let mut operations = vec![
        append("a wake", keyed(), next()),
        append(
            "no wake",
            keyed(),
            EventDraft {
                wakes: false,
                ..next()
            },
        ),
        append(
            "no replay key",
            moved(),
            EventDraft {
                replay_key: None,
                ..next()
            },
        ),
        append(
            "gives the lease back",
            keyed(),
            EventDraft {
                end: None,
                ..ending(Status::Failed)
            },
        ),
        append(
            "ends, no replay key",
            moved(),
            EventDraft {
                replay_key: None,
                ..ending(Status::Failed)
            },
        ),
        keeps("behind", draft("p", known.number, 1)),
        keeps(
            "moved",
            EventDraft {
                replay_key: None,
                ..draft("p", known.number, 1)
            },
        ),
        keeps("fenced", fenced),
        keeps("a known replay key", known_key.clone()),
        keeps(
            "ends, a known replay key",
            EventDraft {
                end: end(Status::Failed),
                ..known_key
            },
        ),
        keeps("another number", draft("p", known.number + 100, 2)),
        keeps("unknown", draft("unknown", known.number, 0)),
        // Found out when the event is written already.
        keeps("ends with no end", ending(Status::Running)),
    ];
    for (variant, status) in [
        ("completes", Status::Completed),
        ("fails", Status::Failed),
        ("cancels", Status::Cancelled),
    ] {
        operations.push(append(variant, keyed(), ending(status)));
    }
    operations
}

fn wakes() -> Vec<Operation> {
    let acknowledge = |variant, effect, id, sequence| {
        Operation::new(
            "process-events.acknowledge-wake",
            variant,
            effect,
            move |db| processes::acknowledge_wake(db, id, sequence),
        )
    };
    vec![
        acknowledge("pending", Effect::Writes(Retry::Same), "p", 1),
        acknowledge(
            "of a process that ended",
            Effect::Writes(Retry::Same),
            "ended",
            1,
        ),
        acknowledge("no event", Effect::Keeps, "p", 99),
        acknowledge("unknown", Effect::Keeps, "unknown", 1),
    ]
}
