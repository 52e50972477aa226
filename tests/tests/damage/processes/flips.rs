//! Damage anywhere in a file of processes.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use lash_core::{
    PluginError, ProcessHandleDescriptor, ProcessLease, ProcessListFilter, ProcessRegistry,
    ProcessStatusFilter, SessionScope,
};
use lash_wasm_store::{Durability, SqliteProcessRegistry, StoreBuilder};
use lash_wasm_store_testing::fixtures::{Place, TestClock, json};
use lash_wasm_store_testing::process_fixtures::{
    open_with, register, registration, success, tick, wake,
};

use crate::harness::{self, Answers, Subject, copied, passes};

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
pub(crate) struct Processes {
    bytes: Vec<u8>,
    earlier: Vec<u8>,
    lease: ProcessLease,
}

fn builder() -> StoreBuilder {
    TestClock::at(NOW_MS)
        .builder()
        .durability(Durability::Normal)
}

async fn fill(registry: &SqliteProcessRegistry, numbers: Range<usize>) {
    for number in numbers {
        let id = id(number);
        register(registry, &[&id]).await;
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
}

impl Subject for Processes {
    async fn new() -> Self {
        let place = Place::new();
        let registry = open_with(builder(), place.path()).await;
        fill(&registry, 0..PROCESSES - 4).await;
        let earlier = copied(&place);
        fill(&registry, PROCESSES - 4..PROCESSES).await;
        let lease = registry
            .claim_process_lease(&id(3), "owner", 1_000)
            .await
            .unwrap();
        let bytes = copied(&place);
        Self {
            bytes,
            earlier,
            lease,
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn earlier(&self) -> &[u8] {
        &self.earlier
    }

    async fn ask(&self, path: &Path) -> Answers {
        ask(path, &self.lease).await
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
}

fn text<T: serde::Serialize>(answer: Result<T, PluginError>) -> Result<String, String> {
    answer
        .map(|answer| json(&answer).to_string())
        .map_err(|error| error.to_string())
}

/// Asks everything, at last by writing.
async fn ask(path: &Path, lease: &ProcessLease) -> Answers {
    let mut answers = Answers::new();
    let registry = match builder().open_process_registry(path).await {
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
            .map(|found| json(&found).to_string())
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

// The text of this schema is on pages further back, where the other passes find it.
passes!(
    Processes:
    a_flipped_bit_anywhere
    a_flipped_bit_in_a_byte_that_is_used
    a_flipped_bit_in_the_head_of_a_page
    a_lost_or_misdirected_page
);

/// But the number of a row that no other one refers to.
#[tokio::test]
async fn a_changed_column_is_found_by_verify() {
    let missed = harness::columns_that_verify_misses::<Processes>().await;
    assert_eq!(missed, ["process_grants.id"]);
}

#[tokio::test]
async fn the_file_has_something_of_everything() {
    let right = harness::right(&Arc::new(Processes::new().await)).await;
    assert!(right.len() > 200);
    let list: Vec<serde_json::Value> =
        serde_json::from_str(right["list"].as_ref().unwrap()).unwrap();
    assert_eq!(list.len(), PROCESSES);
}
