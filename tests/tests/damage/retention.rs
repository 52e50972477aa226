//! One corrupt process, scope, occurrence, stamp, entry or node, and retention stopped there for
//! good. It is passed over and named, and all others go.

use lash_wasm_store_guest::bindings::effect_types::{Acquired, EffectKey, Recorded, Request};
use lash_wasm_store_guest::bindings::host_event_types::{
    OccurrenceDraft, Settlement, SubscriptionDraft,
};
use lash_wasm_store_guest::bindings::process_types::{
    End, EventDraft, Registered, Registration, Status,
};
use lash_wasm_store_guest::bindings::types::Corruption;
use lash_wasm_store_guest::{effects, host_events, processes};
use lash_wasm_store_testing::faults::FaultyEnvironment;

const NOW: i64 = 1_000_000;

fn environment(fill: impl FnOnce(&FaultyEnvironment)) -> Vec<u8> {
    let mut db = FaultyEnvironment::empty();
    db.set_time(NOW);
    fill(&db);
    db.image()
}

/// A copy that SQL has changed, a minute later.
fn changed(image: &[u8], sql: &str) -> FaultyEnvironment {
    let db = FaultyEnvironment::from_image(image);
    db.set_time(NOW + 60_000);
    db.damage(sql);
    db
}

/// The event that ends a process.
fn ended(id: &str, number: u64) -> EventDraft {
    EventDraft {
        process_id: id.to_owned(),
        process_number: number,
        event_type: "end".to_owned(),
        replay_key: None,
        payload_hash: "hash".to_owned(),
        content: Vec::new(),
        occurred_at_ms: NOW.unsigned_abs(),
        wakes: false,
        end: Some(End {
            status: Status::Completed,
            outcome: Vec::new(),
        }),
        last_sequence: 0,
        fencing_token: None,
        release: None,
    }
}

fn names(corrupt: &[Corruption], table: &str) {
    assert_eq!(corrupt.len(), 1, "{corrupt:?}");
    assert!(corrupt[0].table.starts_with(table), "{corrupt:?}");
}

#[test]
fn a_corrupt_occurrence_keeps_no_other_one() {
    let image = environment(|db| {
        host_events::initialize(db).unwrap();
        let draft = SubscriptionDraft {
            scope_id: "scope".to_owned(),
            session_id: None,
            name: None,
            source_type: "type".to_owned(),
            source_key: "key".to_owned(),
            content: Vec::new(),
        };
        host_events::subscribe(db, draft).unwrap();
        for number in 0..5 {
            let id = format!("o{number}");
            let draft = OccurrenceDraft {
                id: id.clone(),
                idempotency_key: id.clone(),
                request_hash: "hash".to_owned(),
                source_type: "type".to_owned(),
                source_key: "key".to_owned(),
                content: Vec::new(),
            };
            host_events::record_occurrence(db, draft).unwrap();
            host_events::reserve(db, &id).unwrap();
            let settlement = Settlement {
                occurrence_id: id,
                subscriptions: vec![1],
            };
            host_events::settle(db, &[settlement]).unwrap();
        }
    });
    for sql in [
        "UPDATE occurrences SET request_hash = 'x' WHERE number = 1",
        "UPDATE occurrences SET checksum = 0 WHERE number = 3",
        "DELETE FROM deliveries WHERE occurrence = 5",
        "UPDATE occurrences SET source_key = x'ff' WHERE number = 2",
    ] {
        for limit in [1, 2, 256] {
            let db = changed(&image, sql);
            let mut removed = 0;
            loop {
                let pruned = host_events::prune(&db, u64::MAX, limit).unwrap();
                removed += pruned.occurrences;
                if pruned.occurrences < u64::from(limit) {
                    names(&pruned.corrupt, "");
                    break;
                }
            }
            assert_eq!(removed, 4, "{sql}, {limit}");
        }
    }
}

#[test]
fn a_corrupt_delivery_hides_no_other_one() {
    let image = environment(|db| {
        host_events::initialize(db).unwrap();
        for source in ["a", "b", "c"] {
            let draft = SubscriptionDraft {
                scope_id: "scope".to_owned(),
                session_id: None,
                name: None,
                source_type: "type".to_owned(),
                source_key: source.to_owned(),
                content: Vec::new(),
            };
            host_events::subscribe(db, draft).unwrap();
            let draft = OccurrenceDraft {
                id: source.to_owned(),
                idempotency_key: source.to_owned(),
                request_hash: "hash".to_owned(),
                source_type: "type".to_owned(),
                source_key: source.to_owned(),
                content: Vec::new(),
            };
            host_events::record_occurrence(db, draft).unwrap();
            host_events::reserve(db, source).unwrap();
        }
    });
    for sql in [
        "UPDATE deliveries SET checksum = 0 WHERE number = 1",
        "UPDATE occurrences SET checksum = 0 WHERE number = 2",
        "DELETE FROM occurrence_payloads WHERE number = 3",
        "UPDATE subscriptions SET checksum = 0 WHERE seq = 3",
        "DELETE FROM subscriptions WHERE seq = 1",
    ] {
        for limit in [1, 2, 256] {
            let db = changed(&image, sql);
            let (mut found, mut corrupt) = (0, 0);
            let mut after = Some(0);
            while let Some(from) = after {
                let page = host_events::unsettled(&db, from, limit).unwrap();
                found += page.fan_outs.len();
                corrupt += page.corrupt.len();
                after = page.next;
            }
            assert_eq!(found, 2, "{sql}, {limit}");
            assert!(corrupt > 0, "{sql}, {limit}");
        }
    }
}

#[test]
fn a_corrupt_process_keeps_no_other_one() {
    let image = environment(|db| {
        processes::initialize(db).unwrap();
        for id in ["a", "b", "c", "d"] {
            let registration = Registration {
                id: id.to_owned(),
                hash: "hash".to_owned(),
                content: Vec::new(),
            };
            let Registered::Process(process) = processes::register(db, &registration).unwrap()
            else {
                panic!("it is new");
            };
            let draft = ended(id, process.number);
            processes::append(db, &draft).unwrap();
        }
    });
    for sql in [
        "UPDATE processes SET registration_hash = 'x' WHERE seq = 1",
        "UPDATE process_states SET updated_at_ms = 0 WHERE seq = 2",
        "DELETE FROM process_events WHERE id >> 32 = 3",
        "DELETE FROM processes WHERE seq = 4",
    ] {
        for limit in [1, 2, 256] {
            let db = changed(&image, sql);
            let mut removed = 0;
            loop {
                let page = processes::prunable(&db, u64::MAX, limit).unwrap();
                if page.ids.is_empty() {
                    names(&page.corrupt, "process");
                    break;
                }
                let pruned = processes::prune(&db, u64::MAX, &page.ids).unwrap();
                assert_eq!(pruned, page.ids, "{sql}");
                removed += pruned.len();
            }
            assert_eq!(removed, 3, "{sql}, {limit}");
        }
    }
}

#[test]
fn a_corrupt_scope_keeps_no_other_one() {
    let image = environment(|db| {
        effects::initialize(db).unwrap();
        for scope in ["a", "b", "c"] {
            for replay_key in ["x", "y"] {
                let request = Request {
                    key: EffectKey {
                        scope: scope.to_owned(),
                        replay_key: replay_key.to_owned(),
                    },
                    envelope_hash: "hash".to_owned(),
                };
                let acquired = effects::acquire(db, request, "owner".to_owned(), 10, None);
                let Acquired::Claimed(claim) = acquired.unwrap() else {
                    panic!("it is new");
                };
                let recorded = Recorded::Outcome(vec![1]);
                assert!(effects::finish(db, &claim.key, &claim.token, &recorded).unwrap());
            }
        }
    });
    for sql in [
        "UPDATE effect_scopes SET checksum = 0 WHERE id = 1",
        "UPDATE effect_scopes SET scope = x'ff' WHERE id = 2",
        "UPDATE effects SET envelope_hash = 'x' WHERE id = 3",
        "DELETE FROM effects WHERE id = 6",
    ] {
        for limit in [1, 2, 256] {
            let db = changed(&image, sql);
            let (mut removed, mut corrupt) = (0, Vec::new());
            let mut after = Some(0);
            while let Some(from) = after {
                let pruned = effects::prune(&db, u64::MAX, from, limit).unwrap();
                removed += pruned.effects;
                corrupt.extend(pruned.corrupt);
                after = pruned.last;
            }
            names(&corrupt, "effect");
            assert_eq!(removed, 4, "{sql}, {limit}");
        }
    }
}
