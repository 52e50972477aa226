//! Fencing tokens and claims, below the traits of lash-core, which cannot present them.

use lash_wasm_store_guest::bindings::import_types::ImportedBatch;
use lash_wasm_store_guest::bindings::process_types::{Changed, Claimed, Registration};
use lash_wasm_store_guest::bindings::session_types::{
    Batch, Boundary, ClaimRequest, DeliveryPolicy, SlotPolicy,
};
use lash_wasm_store_guest::bindings::types::Error;
use lash_wasm_store_guest::processes;
use lash_wasm_store_guest::session::{self, queue};
use lash_wasm_store_testing::faults::FaultyEnvironment;

/// The highest fencing token that can be stored.
const LAST: u64 = i64::MAX as u64 - 1;

fn claim() -> ClaimRequest {
    ClaimRequest {
        session_id: "s".to_owned(),
        owner_id: "o".to_owned(),
        boundary: Boundary::Idle,
        lease_ttl_ms: 0,
        max_batches: 1,
        exactly: None,
    }
}

/// The last token was given out again and again: two owners had the same.
#[test]
fn a_fencing_token_of_a_batch_is_never_given_out_twice() {
    let db = FaultyEnvironment::empty();
    session::initialize(&db).unwrap();
    let batch = Batch {
        id: "b".to_owned(),
        session_id: "s".to_owned(),
        sequence: 1,
        source_key: None,
        delivery: DeliveryPolicy::EarliestSafeBoundary,
        slot: SlotPolicy::Exclusive,
        merge_key: String::new(),
        available_at_ms: 0,
        enqueued_at_ms: 0,
        payloads: ["work"].into_iter().collect(),
    };
    let imported = ImportedBatch {
        batch,
        claim: None,
        fencing_token: LAST - 1,
    };
    queue::add(&db, vec![imported]).unwrap();
    let last = queue::claim(&db, claim()).unwrap().unwrap();
    assert_eq!(last.fencing_token, LAST);
    match queue::claim(&db, claim()).unwrap_err() {
        Error::Invalid(reason) => assert!(reason.contains("used up"), "{reason}"),
        error => panic!("{error:?}"),
    }
}

/// A worker that lost its lease could still say what a process waits for, and where its
/// work is done.
#[test]
fn a_worker_that_lost_its_lease_does_not_change_the_process() {
    let db = FaultyEnvironment::empty();
    db.set_time(1);
    processes::initialize(&db).unwrap();
    let registration = Registration {
        id: "p".to_owned(),
        hash: "h".to_owned(),
        content: Vec::new(),
    };
    processes::register(&db, &registration).unwrap();
    let tokens =
        ["first", "second"].map(
            |owner| match processes::claim(&db, "p", owner, 0).unwrap() {
                Claimed::Lease(lease) => Some(lease.fencing_token),
                other => panic!("{other:?}"),
            },
        );
    let [lost, held] = &tokens;
    let content = || b"x".to_vec();
    let before = db.dump();
    for refused in [
        processes::set_wait(&db, "p", None, Some(content()), *lost).unwrap(),
        processes::set_external_ref(&db, "p", None, content(), *lost).unwrap(),
    ] {
        assert!(
            matches!(refused, Changed::Fenced(newer) if Some(newer) == *held),
            "{refused:?}"
        );
    }
    assert_eq!(db.dump(), before);
    for token in [*held, None] {
        for changed in [
            processes::set_wait(&db, "p", None, Some(content()), token).unwrap(),
            processes::set_external_ref(&db, "p", None, content(), token).unwrap(),
        ] {
            assert!(matches!(changed, Changed::Process(_)), "{changed:?}");
        }
    }
}
