//! The registry of processes: what it answers, what it refuses, and that a refusal
//! leaves nothing behind.

use std::path::Path;
use std::time::SystemTime;

use lash_core::{
    ProcessEventAppendRequest, ProcessExternalRef, ProcessHandleDescriptor, ProcessListFilter,
    ProcessRegistry, ProcessStatusFilter, SessionScope, WaitKind, WaitState,
};
use lash_wasm_store::{Durability, EngineError, Error, SqliteProcessRegistry, Store};
use lash_wasm_store_testing::child::{self, Child};
use lash_wasm_store_testing::fixtures::{Place, TestClock, at, json};
use lash_wasm_store_testing::process_fixtures::{
    open, open_with, register, registration, says, success, tick, wake,
};

fn descriptor(label: &str) -> ProcessHandleDescriptor {
    ProcessHandleDescriptor::new(Some("kind"), Some(label))
}

fn waits() -> WaitState {
    WaitState {
        kind: WaitKind::Signal {
            name: "go".to_owned(),
            event_type: "signal.go".to_owned(),
            key: "a-key".to_owned(),
            ordinal: 1,
        },
        since_ms: 5,
    }
}

fn any() -> ProcessListFilter {
    ProcessListFilter {
        status: ProcessStatusFilter::Any,
        ..ProcessListFilter::default()
    }
}

/// Everything about a process survives closing and opening, byte for byte.
#[tokio::test]
async fn a_record_is_read_back_as_it_was() {
    let place = Place::new();
    let registry = open(place.path()).await;
    register(&registry, &["p"]).await;
    registry.set_process_wait("p", waits()).await.unwrap();
    let external = ProcessExternalRef {
        backend: "elsewhere".to_owned(),
        id: "1".to_owned(),
        metadata: Some(serde_json::json!({ "a": [1, 2.5, null] })),
    };
    let record = registry.set_external_ref("p", external).await.unwrap();
    assert_eq!(record.wait, Some(waits()));
    let event = registry.append_event("p", wake("hello")).await.unwrap();
    assert!(event.wake_delivery.is_some());
    let current = registry.get_process("p").await.unwrap();
    drop(registry);

    let registry = open(place.path()).await;
    let read = registry.try_get_process("p").await.unwrap().unwrap();
    assert_eq!(json(&read), json(&current));
    assert_eq!(json(&read.event_types), json(&record.event_types));
    let events = registry.events_after("p", 0).await.unwrap();
    assert_eq!(json(&events), json(&[event.event]));
    let again = registry.register_process(registration("p")).await.unwrap();
    assert_eq!(json(&again), json(&current));

    let ended = registry
        .complete_process("p", success("done"))
        .await
        .unwrap();
    assert_eq!(ended.wait, None);
    assert_eq!(json(&ended), json(&registry.get_process("p").await));
}

#[tokio::test]
async fn what_is_unknown_is_said_to_be_so_by_every_call() {
    let place = Place::new();
    let registry = open(place.path()).await;
    register(&registry, &["p"]).await;
    let before = place.raw().dump();
    let scope = SessionScope::new("s");
    let words = "unknown process `x`";
    says(
        &registry.append_event("x", tick(1)).await.unwrap_err(),
        words,
    );
    says(
        &registry
            .complete_process("x", success(""))
            .await
            .unwrap_err(),
        words,
    );
    says(&registry.events_after("x", 0).await.unwrap_err(), words);
    says(
        &registry.wake_events_after("x", 0).await.unwrap_err(),
        words,
    );
    says(&registry.ack_wake("x", 1).await.unwrap_err(), words);
    says(
        &registry.set_process_wait("x", waits()).await.unwrap_err(),
        words,
    );
    says(&registry.clear_process_wait("x").await.unwrap_err(), words);
    says(
        &registry.claim_process_lease("x", "o", 1).await.unwrap_err(),
        words,
    );
    says(
        &registry.handle_grants_for_process("x").await.unwrap_err(),
        words,
    );
    let external = ProcessExternalRef::default();
    says(
        &registry.set_external_ref("x", external).await.unwrap_err(),
        words,
    );
    let granted = registry.grant_handle(&scope, "x", descriptor("d")).await;
    says(&granted.unwrap_err(), words);
    assert!(!registry.has_handle_grant(&scope, "x").await.unwrap());
    assert!(registry.get_process("x").await.is_none());
    registry.revoke_handle(&scope, "x").await.unwrap();
    assert_eq!(place.raw().dump(), before);
}

#[tokio::test]
async fn what_contradicts_what_is_stored_is_refused_and_changes_nothing() {
    let place = Place::new();
    let registry = open(place.path()).await;
    register(&registry, &["p", "ended"]).await;
    let keyed = |n| tick(n).with_replay_key("key");
    registry.append_event("p", keyed(1)).await.unwrap();
    registry
        .complete_process("ended", success("one"))
        .await
        .unwrap();
    let before = place.raw().dump();

    let mut other = registration("p");
    other.wake_target = None;
    let error = registry.register_process(other).await.unwrap_err();
    says(&error, "process `p` registration hash conflict: existing ");
    let error = registry.append_event("p", keyed(2)).await.unwrap_err();
    says(
        &error,
        "event replay key `key` conflicts with an existing event",
    );
    let undeclared = ProcessEventAppendRequest::new("surprise", serde_json::json!({}));
    let error = registry.append_event("p", undeclared).await.unwrap_err();
    says(&error, "emitted undeclared event type `surprise`");
    let invalid = ProcessEventAppendRequest::new("tick", serde_json::json!({ "n": "x" }));
    let error = registry.append_event("p", invalid).await.unwrap_err();
    says(&error, "invalid `tick` payload");
    let error = registry
        .complete_process("ended", success("two"))
        .await
        .unwrap_err();
    says(&error, "conflicts with an existing event");
    let second = ProcessEventAppendRequest::new(
        "process.failed",
        serde_json::json!({ "await_output": success("no") }),
    );
    let error = registry
        .append_event("ended", second.with_replay_key("k"))
        .await;
    says(&error.unwrap_err(), "process `ended` is already terminal");
    let error = registry
        .set_process_wait("ended", waits())
        .await
        .unwrap_err();
    says(&error, "terminal process `ended` cannot enter a wait state");
    let [from, to] = ["from", "to"].map(SessionScope::new);
    let error = registry
        .transfer_handle_grants(&from, &to, &["p".to_owned()])
        .await
        .unwrap_err();
    says(
        &error,
        "process handle `p` is not granted to session `from`",
    );
    assert_eq!(place.raw().dump(), before);

    // The same again is no contradiction, and not a second event.
    let again = registry.append_event("p", keyed(1)).await.unwrap();
    assert_eq!(again.event.sequence, 1);
    registry
        .complete_process("ended", success("one"))
        .await
        .unwrap();
    assert_eq!(place.raw().dump(), before);
}

#[tokio::test]
async fn a_transfer_moves_all_handles_or_none() {
    let place = Place::new();
    let registry = open(place.path()).await;
    register(&registry, &["p", "q"]).await;
    let [from, to] = ["from", "to"].map(SessionScope::new);
    registry
        .grant_handle(&from, "p", descriptor("of from"))
        .await
        .unwrap();
    registry
        .grant_handle(&to, "p", descriptor("of to"))
        .await
        .unwrap();
    let before = place.raw().dump();
    let both = ["p".to_owned(), "q".to_owned()];
    let error = registry.transfer_handle_grants(&from, &to, &both).await;
    says(&error.unwrap_err(), "process handle `q` is not granted");
    assert_eq!(place.raw().dump(), before);

    registry
        .transfer_handle_grants(&from, &to, &both[..1])
        .await
        .unwrap();
    assert!(!registry.has_handle_grant(&from, "p").await.unwrap());
    let grants = registry.handle_grants_for_process("p").await.unwrap();
    assert_eq!(grants.len(), 1);
    assert_eq!(grants[0].session_id, "to");
    assert_eq!(grants[0].descriptor, descriptor("of from"));
}

#[tokio::test]
async fn deleting_a_session_takes_back_its_handles_and_nothing_else() {
    let registry = SqliteProcessRegistry::memory().await.unwrap();
    register(&registry, &["alone", "ended", "shared"]).await;
    let frames = ["f", "g"].map(|frame| SessionScope::for_agent_frame("s", frame));
    let other = SessionScope::new("t");
    for id in ["alone", "ended", "shared"] {
        for scope in &frames {
            registry
                .grant_handle(scope, id, descriptor(id))
                .await
                .unwrap();
        }
    }
    registry
        .grant_handle(&other, "shared", descriptor("t"))
        .await
        .unwrap();
    registry
        .complete_process("ended", success(""))
        .await
        .unwrap();
    assert_eq!(
        registry.list_handle_grants(&frames[0]).await.unwrap().len(),
        3
    );
    let live = registry.list_live_handle_grants(&frames[0]).await.unwrap();
    let live: Vec<_> = live
        .iter()
        .map(|(grant, _)| grant.process_id.as_str())
        .collect();
    assert_eq!(live, ["alone", "shared"]);

    let report = registry.delete_session_process_state("s").await.unwrap();
    assert_eq!(report.revoked_handle_count, 6);
    assert_eq!(report.deleted_wake_count, 0);
    assert_eq!(report.orphaned_process_ids, ["alone"]);
    assert_eq!(report.preserved_process_ids, ["shared"]);
    assert!(
        registry
            .list_handle_grants(&frames[0])
            .await
            .unwrap()
            .is_empty()
    );
    assert!(registry.has_handle_grant(&other, "shared").await.unwrap());
}

/// R13: the native crate casts, and a sequence above 2^63 becomes negative: all events
/// are after it.
#[tokio::test]
async fn nothing_comes_after_the_highest_sequence() {
    let registry = SqliteProcessRegistry::memory().await.unwrap();
    register(&registry, &["p"]).await;
    registry.append_event("p", wake("a")).await.unwrap();
    for after in [1, u64::from(u32::MAX), 1 << 32, i64::MAX as u64, u64::MAX] {
        assert!(registry.events_after("p", after).await.unwrap().is_empty());
        assert!(
            registry
                .wake_events_after("p", after)
                .await
                .unwrap()
                .is_empty()
        );
        registry
            .ack_wake("p", after + u64::from(after == 1))
            .await
            .unwrap();
    }
    assert_eq!(registry.wake_events_after("p", 0).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_acknowledged_wake_is_not_answered_again() {
    let place = Place::new();
    let registry = open(place.path()).await;
    register(&registry, &["p"]).await;
    for n in 0..3 {
        registry.append_event("p", tick(n)).await.unwrap();
        registry.append_event("p", wake("w")).await.unwrap();
    }
    let pending = |wakes: Vec<lash_core::ProcessEvent>| -> Vec<u64> {
        wakes.iter().map(|event| event.sequence).collect()
    };
    assert_eq!(
        pending(registry.wake_events_after("p", 0).await.unwrap()),
        [2, 4, 6]
    );
    assert_eq!(
        pending(registry.wake_events_after("p", 2).await.unwrap()),
        [4, 6]
    );
    registry.ack_wake("p", 4).await.unwrap();
    let before = place.raw().dump();
    // Again, no wake, and no event yet: nothing to note.
    for sequence in [4, 3, 0, 7] {
        registry.ack_wake("p", sequence).await.unwrap();
    }
    assert_eq!(place.raw().dump(), before);
    drop(registry);
    let registry = open(place.path()).await;
    assert_eq!(
        pending(registry.wake_events_after("p", 0).await.unwrap()),
        [2, 6]
    );
    assert_eq!(registry.events_after("p", 0).await.unwrap().len(), 6);
    registry
        .append_event("p", wake("not acknowledged in advance"))
        .await
        .unwrap();
    assert_eq!(
        pending(registry.wake_events_after("p", 6).await.unwrap()),
        [7]
    );
}

#[tokio::test]
async fn processes_are_listed_by_identifier_and_filtered() {
    let registry = SqliteProcessRegistry::memory().await.unwrap();
    register(&registry, &["c", "a", "d", "b"]).await;
    registry.complete_process("d", success("")).await.unwrap();
    registry.set_process_wait("a", waits()).await.unwrap();
    let ids = |records: Vec<lash_core::ProcessRecord>| -> Vec<String> {
        records.into_iter().map(|record| record.id).collect()
    };
    assert_eq!(
        ids(registry.list_processes(&any()).await.unwrap()),
        ["a", "b", "c", "d"]
    );
    assert_eq!(
        ids(registry.list_non_terminal().await.unwrap()),
        ["a", "b", "c"]
    );
    let filter = |status, waiting| ProcessListFilter {
        status,
        waiting,
        ..ProcessListFilter::default()
    };
    let ended = filter(ProcessStatusFilter::Completed, None);
    assert_eq!(ids(registry.list_processes(&ended).await.unwrap()), ["d"]);
    let waiting = filter(ProcessStatusFilter::Running, Some(true));
    assert_eq!(ids(registry.list_processes(&waiting).await.unwrap()), ["a"]);
    let failed = filter(ProcessStatusFilter::Failed, None);
    assert!(registry.list_processes(&failed).await.unwrap().is_empty());
}

/// R15: native host event and effect databases have the same version, so each opens
/// the other's file.
#[tokio::test]
async fn a_file_of_another_kind_is_refused_by_name_and_not_touched() {
    let place = Place::new();
    drop(Store::open(place.path()).await.unwrap());
    let before = std::fs::read(place.path()).unwrap();
    let error = SqliteProcessRegistry::open(place.path()).await.unwrap_err();
    assert!(
        matches!(error, Error::Engine(EngineError::OtherKind { .. })),
        "{error}"
    );
    assert!(
        error.to_string().contains("the expected one, process"),
        "{error}"
    );
    assert_eq!(std::fs::read(place.path()).unwrap(), before);

    let place = Place::new();
    let registry = open(place.path()).await;
    assert_eq!(registry.path(), place.path());
    assert!(format!("{registry:?}").contains("session.db"));
    drop(registry);
    let error = Store::open(place.path()).await.unwrap_err();
    assert!(
        matches!(error, Error::Engine(EngineError::OtherKind { .. })),
        "{error}"
    );
}

/// How many events each of several processes appends.
const APPENDED: u64 = 40;

async fn appends(path: &Path) {
    let registry = open(path).await;
    println!("ready");
    child::wait_to_be_told();
    for n in 0..APPENDED {
        registry.append_event("p", tick(n)).await.unwrap();
    }
}

/// A sequence is read in one transaction and used in another; only compare-and-swap
/// keeps two processes from using it twice.
#[tokio::test]
async fn processes_that_append_at_the_same_time_leave_no_gap_and_no_event_twice() {
    if let Some(path) = child::file() {
        return appends(&path).await;
    }
    let place = Place::new();
    let [one, two] = [open(place.path()).await, open(place.path()).await];
    register(&one, &["p"]).await;
    let mut other = Child::start(
        processes_that_append_at_the_same_time_leave_no_gap_and_no_event_twice,
        place.path(),
    );
    other.wait_for("ready");
    other.tell();
    let append = async |registry: SqliteProcessRegistry| {
        for n in 0..APPENDED {
            registry.append_event("p", tick(n)).await.unwrap();
        }
    };
    tokio::join!(append(one), append(two));
    assert!(other.wait().success());

    let events = open(place.path()).await.events_after("p", 0).await.unwrap();
    let sequences: Vec<u64> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=3 * APPENDED).collect::<Vec<_>>());
    for n in 0..APPENDED {
        let times = events
            .iter()
            .filter(|event| event.payload["n"] == n)
            .count();
        assert_eq!(times, 3);
    }
}

/// P12: native processes, events and acknowledgements are never removed.
#[tokio::test]
async fn only_what_ended_long_ago_and_nobody_refers_to_is_pruned() {
    let place = Place::new();
    let clock = TestClock::at(1_000);
    let registry = open_with(clock.builder(), place.path()).await;
    let scope = SessionScope::new("s");
    let ids = ["done", "granted", "late", "leased", "running", "waking"];
    register(&registry, &ids).await;
    registry
        .grant_handle(&scope, "granted", descriptor("d"))
        .await
        .unwrap();
    registry
        .claim_process_lease("leased", "o", 5_000)
        .await
        .unwrap();
    registry.append_event("waking", wake("w")).await.unwrap();
    registry.append_event("done", tick(1)).await.unwrap();
    for id in ["done", "granted", "leased", "waking"] {
        registry.complete_process(id, success(id)).await.unwrap();
    }
    clock.set(2_000);
    registry
        .complete_process("late", success("late"))
        .await
        .unwrap();

    let left = async || -> Vec<String> {
        let records = registry.list_processes(&any()).await.unwrap();
        records.into_iter().map(|record| record.id).collect()
    };
    // Ended at that time is not ended before it.
    assert_eq!(registry.prune_ended(at(1_000), None).await.unwrap(), 0);
    // That nobody acknowledged its wake does not keep a process.
    assert_eq!(registry.prune_ended(at(2_000), None).await.unwrap(), 2);
    assert_eq!(left().await, ["granted", "late", "leased", "running"]);
    says(
        &registry.events_after("done", 0).await.unwrap_err(),
        "unknown process `done`",
    );

    registry.revoke_handle(&scope, "granted").await.unwrap();
    clock.set(6_000);
    assert_eq!(
        registry.prune_ended(SystemTime::now(), None).await.unwrap(),
        3
    );
    assert_eq!(left().await, ["running"]);
    let raw = place.raw();
    for table in ["processes", "process_states"] {
        assert_eq!(raw.integer(&format!("SELECT count(*) FROM {table}")), 1);
    }
    for table in ["process_events", "process_outcomes", "process_grants"] {
        assert_eq!(raw.integer(&format!("SELECT count(*) FROM {table}")), 0);
    }
    // As if it had never been there, under a number of its own.
    register(&registry, &["done"]).await;
    assert!(!registry.get_process("done").await.unwrap().is_terminal());
    assert!(registry.events_after("done", 0).await.unwrap().is_empty());
    assert_eq!(
        raw.integers("SELECT seq FROM processes ORDER BY seq"),
        [5, 7]
    );
}

#[tokio::test]
async fn more_than_a_batch_is_pruned_and_the_file_gets_smaller() {
    let place = Place::new();
    let clock = TestClock::at(1_000);
    let builder = clock.builder().durability(Durability::Normal);
    let registry = open_with(builder, place.path()).await;
    for n in 0..300 {
        let id = format!("p{n}");
        register(&registry, &[&id]).await;
        registry.complete_process(&id, success("")).await.unwrap();
    }
    let raw = place.raw();
    let before = raw.integer("PRAGMA page_count");
    // A time in the future counts as now.
    assert_eq!(registry.prune_ended(at(9_000), None).await.unwrap(), 0);
    clock.set(2_000);
    assert_eq!(registry.prune_ended(at(1_001), None).await.unwrap(), 300);
    assert!(raw.integer("PRAGMA page_count") < before / 4);
    assert!(registry.list_processes(&any()).await.unwrap().is_empty());
}

/// Lists are read in pages.
#[tokio::test]
async fn a_list_is_whole_whatever_its_length() {
    let registry = SqliteProcessRegistry::memory().await.unwrap();
    for count in 1..=130_usize {
        register(&registry, &[&format!("p{count:03}")]).await;
        if count % 2 == 0 {
            let id = format!("p{count:03}");
            registry.complete_process(&id, success("")).await.unwrap();
        }
        if [1, 63, 64, 65, 128, 129].contains(&count) {
            let all = registry.list_processes(&any()).await.unwrap();
            let running = registry.list_non_terminal().await.unwrap();
            assert_eq!((all.len(), running.len()), (count, count.div_ceil(2)));
        }
    }
    // More events than one query reads.
    for n in 0..600 {
        registry.append_event("p001", tick(n)).await.unwrap();
    }
    for after in [0, 1, 88, 343, 344, 599, 600] {
        let events = registry.events_after("p001", after).await.unwrap();
        assert_eq!(events.len() as u64, 600 - after);
    }
}
