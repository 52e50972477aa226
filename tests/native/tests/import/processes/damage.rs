//! Damaged databases of processes: a process is imported with its events and its lease,
//! or named.

use std::fs;

use lash_core::{ProcessListFilter, ProcessRegistry};
use lash_wasm_store::SqliteProcessRegistry;
use lash_wasm_store_testing::damage::wait_until_closed;
use lash_wasm_store_testing::fixtures::json;

use super::workload::{self, IDS, LARGE};
use crate::files::{Files, assert_sound};

/// What the native crate wrote and closed.
async fn closed(length: usize) -> Vec<u8> {
    let files = Files::new();
    let native = lash_sqlite_store::SqliteProcessRegistry::open(&files.source())
        .await
        .unwrap();
    workload::run(&native, length).await;
    drop(native);
    wait_until_closed(&files.source());
    fs::read(files.source()).unwrap()
}

/// A statement, what is named then, and the process that is left out.
type Case = (&'static str, &'static [&'static str], Option<&'static str>);

const CASES: &[Case] = &[
    (
        "UPDATE processes SET record_json = substr(record_json, 1, 40)
         WHERE process_id = 'leased'",
        &["processes: leased"],
        Some("leased"),
    ),
    (
        "UPDATE processes SET record_json = x'00' WHERE process_id = 'leased'",
        &["processes: leased"],
        Some("leased"),
    ),
    (
        "UPDATE processes SET status = 'completed' WHERE process_id = 'leased'",
        &["processes: leased"],
        Some("leased"),
    ),
    (
        "UPDATE processes SET registration_hash = 'x' WHERE process_id = 'leased'",
        &["processes: leased"],
        Some("leased"),
    ),
    // Its status was not what its events say.
    (
        "UPDATE processes SET status = 'running', record_json = json_set(record_json,
             '$.status', json('{\"state\":\"running\"}'))
         WHERE process_id = 'cancelled'",
        &["processes: cancelled"],
        Some("cancelled"),
    ),
    // It ended and waits.
    (
        "UPDATE processes SET record_json = json_set(record_json, '$.wait', json(
             (SELECT record_json ->> '$.wait' FROM processes WHERE process_id = 'waiting')))
         WHERE process_id = 'completed'",
        &[
            "processes: completed",
            "process_handle_grants: session:a-session completed",
        ],
        Some("completed"),
    ),
    // An event in the middle, the first, and the one that ended it.
    (
        "DELETE FROM process_events WHERE process_id = 'leased' AND sequence = 3",
        &["process_events: leased 3", "processes: leased"],
        Some("leased"),
    ),
    (
        "DELETE FROM process_events WHERE process_id = 'leased' AND sequence = 1",
        &["process_events: leased 1", "processes: leased"],
        Some("leased"),
    ),
    (
        "DELETE FROM process_events WHERE process_id = 'cancelled' AND sequence = 9",
        &["processes: cancelled"],
        Some("cancelled"),
    ),
    (
        "UPDATE process_events SET sequence = -1 WHERE process_id = 'leased' AND sequence = 8",
        &[
            "process_events: leased 1",
            "process_events: leased -1",
            "process_events: leased 0",
            "processes: leased",
        ],
        Some("leased"),
    ),
    (
        "UPDATE process_events SET event_json = replace(event_json, 'wake 2', 'wake 9')
         WHERE process_id = 'leased' AND sequence = 6",
        &["process_events: leased 6", "processes: leased"],
        Some("leased"),
    ),
    (
        "UPDATE process_events SET event_json = '{}' WHERE process_id = 'leased' AND sequence = 6",
        &["process_events: leased 6", "processes: leased"],
        Some("leased"),
    ),
    (
        "UPDATE process_events SET event_type = 'tick' WHERE process_id = 'leased' AND sequence = 6",
        &["process_events: leased 6", "processes: leased"],
        Some("leased"),
    ),
    (
        "UPDATE process_events SET idempotency_key = 'x' WHERE process_id = 'leased' AND sequence = 6",
        &["process_events: leased 6", "processes: leased"],
        Some("leased"),
    ),
    (
        "UPDATE process_events SET occurred_at_ms = 1 WHERE process_id = 'leased' AND sequence = 6",
        &["process_events: leased 6", "processes: leased"],
        Some("leased"),
    ),
    // A row of another table.
    (
        "UPDATE process_leases SET lease_token = NULL WHERE process_id = 'leased'",
        &["processes: leased"],
        Some("leased"),
    ),
    (
        "UPDATE process_leases SET lease_fencing_token = -1 WHERE process_id = 'leased'",
        &["processes: leased"],
        Some("leased"),
    ),
    (
        "UPDATE process_leases SET lease_fencing_token = 0x7fffffffffffffff
         WHERE process_id = 'leased'",
        &["processes: leased"],
        Some("leased"),
    ),
    (
        "UPDATE process_leases SET process_id = 'nobody' WHERE process_id = 'leased'",
        &["process_leases: nobody"],
        None,
    ),
    (
        "INSERT INTO process_wake_acks VALUES ('nobody', 1)",
        &["process_wake_acks: nobody 1"],
        None,
    ),
    (
        "INSERT INTO process_wake_acks VALUES ('leased', 'one')",
        &["process_wake_acks: leased one"],
        None,
    ),
    (
        "UPDATE process_handle_grants SET descriptor_json = '[' WHERE process_id = 'completed'",
        &["process_handle_grants: session:a-session completed"],
        None,
    ),
    (
        "UPDATE process_handle_grants SET process_id = 'nobody' WHERE process_id = 'completed'",
        &["process_handle_grants: session:a-session nobody"],
        None,
    ),
    (
        "UPDATE process_handle_grants SET session_id = 'another' WHERE process_id = 'completed'",
        &["process_handle_grants: session:a-session completed"],
        None,
    ),
    // All that belonged to it belongs to nothing.
    (
        "DELETE FROM processes WHERE process_id = 'new ''é\"'",
        &["process_handle_grants: session:a-session/frame:a-frame new 'é\""],
        Some("new 'é\""),
    ),
];

/// Behind what is read at first.
const LARGE_CASES: &[Case] = &[
    (
        "DELETE FROM process_events WHERE process_id = 'large' AND sequence = 11",
        &["process_events: large 11", "processes: large"],
        Some("large"),
    ),
    (
        "UPDATE process_events SET payload_hash = 'x' WHERE process_id = 'large' AND sequence = 12",
        &["process_events: large 12", "processes: large"],
        Some("large"),
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_is_named_and_the_rest_is_imported() {
    check(1, CASES).await;
    check(LARGE, LARGE_CASES).await;
}

async fn check(length: usize, cases: &[Case]) {
    let bytes = closed(length).await;
    for (sql, losses, left_out) in cases {
        let files = Files::damaged(&bytes, sql);
        assert_eq!(files.refused_losses().await, *losses, "{sql}");
        assert_eq!(files.partial_losses().await, *losses, "{sql}");
        assert_sound(&files.destination()).await;
        let ours = SqliteProcessRegistry::open(&files.destination())
            .await
            .unwrap();
        let any = ProcessListFilter::decode(&serde_json::json!({ "status": "any" })).unwrap();
        let found = ours.list_processes(&any).await.unwrap();
        let mut expected = Vec::from(IDS);
        expected.retain(|id| Some(*id) != *left_out);
        expected.sort_unstable();
        let found: Vec<&str> = found.iter().map(|record| record.id.as_str()).collect();
        assert_eq!(found, expected, "{sql}");
    }
}

/// Events were found by an index. One that led past the last event of a process would
/// have lost it without a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_index_loses_nothing() {
    let bytes = closed(1).await;
    let damage = "UPDATE sqlite_schema SET rootpage =
        (SELECT rootpage FROM sqlite_schema WHERE name = 'idx_process_handle_grants_session')
        WHERE name = 'sqlite_autoindex_process_events_1'";
    let files = Files::new();
    fs::write(files.source(), &bytes).unwrap();
    let raw = lash_wasm_store_testing::fixtures::Raw::open(&files.source());
    raw.batch("PRAGMA writable_schema = ON");
    raw.damage(damage);
    drop(raw);
    let losses = files.partial_losses().await;
    assert!(
        losses.iter().all(|loss| !loss.starts_with("process")),
        "{losses:?}"
    );
    let ours = SqliteProcessRegistry::open(&files.destination())
        .await
        .unwrap();
    for id in IDS.into_iter().filter(|id| *id != "new 'é\"") {
        let events = ours.events_after(id, 0).await.unwrap();
        assert!(events.len() >= 8, "{id}: {}", json(&events));
    }
}
