//! A damaged file of processes is answered rightly or not at all.
//!
//! How many cases there are is said in `src/flips.rs`.

use std::path::{Path, PathBuf};

use lash_core::{
    PluginError, ProcessHandleDescriptor, ProcessLease, ProcessListFilter, ProcessRegistry,
    ProcessStatusFilter, SessionScope,
};
use lash_wasm_store::Durability;
use lash_wasm_store_tests::damage::Random;
use lash_wasm_store_tests::fixtures::{Place, TestClock, json};
use lash_wasm_store_tests::flips::{self, Answers};
use lash_wasm_store_tests::process_fixtures::{
    open_with, register, registration, success, tick, wake,
};
use serde_json::Value;

/// When the file is written and read, in ms since 1970.
const NOW_MS: i64 = 1_700_000_000_000;

const PROCESSES: usize = 24;
const EVENTS: u64 = 40;

fn id(number: usize) -> String {
    format!("process {number:02}")
}

fn scope(number: usize) -> SessionScope {
    SessionScope::for_agent_frame(format!("session {}", number % 3), format!("{}", number % 5))
}

/// A file with something of everything, and the lease that is held in it.
async fn good() -> (Vec<u8>, ProcessLease) {
    let place = Place::new();
    let builder = TestClock::at(NOW_MS)
        .builder()
        .durability(Durability::Normal);
    let registry = open_with(builder, place.path()).await;
    for number in 0..PROCESSES {
        let id = id(number);
        register(&registry, &[&id]).await;
        let descriptor = ProcessHandleDescriptor::new(Some("kind"), Some(&id));
        registry
            .grant_handle(&scope(number), &id, descriptor)
            .await
            .unwrap();
        let events = if number == 3 { EVENTS } else { 3 };
        for n in 0..events {
            let event = if n % 4 == 1 { wake("hello") } else { tick(n) };
            let keyed = event.with_replay_key(format!("key {n}"));
            registry.append_event(&id, keyed).await.unwrap();
        }
        if number % 3 == 0 {
            registry.ack_wake(&id, 2).await.unwrap();
        }
        if number % 4 == 1 {
            registry.complete_process(&id, success(&id)).await.unwrap();
        }
    }
    let lease = registry
        .claim_process_lease(&id(3), "owner", 1_000)
        .await
        .unwrap();
    let path = place.path().to_path_buf();
    drop(registry);
    // Closed by a connection that copies the log into the file.
    let raw = place.raw();
    raw.connection()
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(raw);
    (std::fs::read(path).unwrap(), lease)
}

fn text<T: serde::Serialize>(answer: Result<T, PluginError>) -> Result<Value, String> {
    answer
        .map(|answer| json(&answer))
        .map_err(|error| error.to_string())
}

/// Asks everything, at last by writing.
async fn ask(path: &Path, lease: &ProcessLease) -> Answers {
    let mut answers = Answers::new();
    let builder = TestClock::at(NOW_MS)
        .builder()
        .durability(Durability::Normal);
    let registry = match builder.open_process_registry(path).await {
        Ok(registry) => registry,
        Err(error) => {
            answers.insert("open".to_owned(), Err(error.to_string()));
            return answers;
        }
    };
    let mut note = |question: &str, answer| answers.insert(question.to_owned(), answer);
    for number in 0..=PROCESSES {
        let id = id(number);
        let get = registry.try_get_process(&id).await;
        let get = get
            .map(|found| json(&found))
            .map_err(|error| error.to_string());
        note(&format!("get {id}"), get);
        note(
            &format!("events {id}"),
            text(registry.events_after(&id, 0).await),
        );
        note(
            &format!("wakes {id}"),
            text(registry.wake_events_after(&id, 1).await),
        );
        note(
            &format!("grants {id}"),
            text(registry.handle_grants_for_process(&id).await),
        );
        for scope in [number, number + 1].map(scope) {
            let granted = registry.has_handle_grant(&scope, &id).await;
            note(&format!("granted {id} {}", scope.id()), text(granted));
        }
        if number % 4 == 1 {
            note(
                &format!("await {id}"),
                text(registry.await_process(&id).await),
            );
        }
        if number < PROCESSES {
            let first = registry.wait_event_after(&id, "tick", 1).await;
            note(&format!("first tick {id}"), text(first));
        }
    }
    for number in 0..15 {
        let scope = scope(number);
        let handles = registry.list_handle_grants(&scope).await;
        note(&format!("handles {}", scope.id()), text(handles));
        let handles = registry.list_live_handle_grants(&scope).await;
        note(&format!("live handles {}", scope.id()), text(handles));
    }
    let any = ProcessListFilter {
        status: ProcessStatusFilter::Any,
        ..ProcessListFilter::default()
    };
    note("list", text(registry.list_processes(&any).await));
    note("list running", text(registry.list_non_terminal().await));

    let foreign = registry.claim_process_lease(&id(3), "foreign", 1_000).await;
    note("write: claim", text(foreign));
    note(
        "write: renew",
        text(registry.renew_process_lease(lease, 1_000).await),
    );
    for number in 0..PROCESSES {
        let id = id(number);
        let again = registry.register_process(registration(&id)).await;
        note(&format!("write: register {id}"), text(again));
        let replayed = registry
            .append_event(&id, tick(0).with_replay_key("key 0"))
            .await;
        note(&format!("write: replay {id}"), text(replayed));
        let next = registry
            .append_event(&id, tick(99).with_replay_key("key 99"))
            .await;
        note(&format!("write: append {id}"), text(next));
    }
    let report = registry.delete_session_process_state("session 1").await;
    note(
        "write: delete session",
        text(report.map(|report| format!("{report:?}"))),
    );
    answers
}

/// The outcomes of the registry are answers too.
fn is_answer(error: &str) -> bool {
    let words = [
        "unknown process",
        "already leased",
        "missing or expired",
        "conflict",
    ];
    words.iter().any(|word| error.contains(word))
}

async fn pass(damage: fn(&mut [u8], &mut Random) -> String) {
    let (bytes, lease) = good().await;
    let ask = |path: PathBuf| {
        let lease = lease.clone();
        async move { ask(&path, &lease).await }
    };
    let right = flips::pass(&bytes, ask, is_answer, damage).await;
    assert!(right.len() > 200);
    let list = right["list"].as_ref().unwrap();
    assert_eq!(list.as_array().unwrap().len(), PROCESSES);
}

#[tokio::test]
async fn a_flipped_bit_is_never_an_answer() {
    pass(flips::flip).await;
}

#[tokio::test]
async fn a_page_of_zeros_is_never_an_answer() {
    pass(flips::zero).await;
}

#[tokio::test]
async fn a_page_that_was_written_elsewhere_is_never_an_answer() {
    pass(flips::misplace).await;
}
