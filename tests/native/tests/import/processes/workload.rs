//! What a registry of the native crate is given.

use lash_core::{
    ProcessAwaitOutput, ProcessEventAppendRequest, ProcessExternalRef, ProcessHandleDescriptor,
    ProcessLease, ProcessLeaseCompletion, ProcessListFilter, ProcessOriginator,
    ProcessRegistration, ProcessRegistry, SessionScope, ToolFailureClass, WaitKind, WaitState,
};
use lash_wasm_store_testing::fixtures::json;
use lash_wasm_store_testing::process_fixtures::{registration, success, tick, wake};
use serde_json::json;

use crate::session::answers::Answers;

/// Processes by what was done to them. `large` has more events than are read at a time.
pub(crate) const IDS: [&str; 9] = [
    "running",
    "waiting",
    "leased",
    "expired",
    "completed",
    "failed",
    "cancelled",
    "large",
    "new 'é\"",
];

/// Four events with such a text, which each has twice, are more than is read at a time.
pub(crate) const LARGE: usize = 80 * 1024;

/// A lease that expires within no test.
const LONG_MS: u64 = 3_600_000;

/// Scopes that have handles, or none.
pub(crate) fn scopes() -> Vec<SessionScope> {
    vec![
        SessionScope::new("a-session"),
        SessionScope::for_agent_frame("a-session", "a-frame"),
        SessionScope::new("another"),
        SessionScope::new("unknown"),
    ]
}

/// A process as the workload registers it.
pub(crate) fn registered(id: &str) -> ProcessRegistration {
    let mut registration = registration(id);
    if id != "running" {
        let scope = SessionScope::for_agent_frame("a-session", "a-frame");
        registration.provenance.originator = ProcessOriginator::session(scope);
    }
    registration
}

/// An event with a replay key.
pub(crate) fn keyed(n: u64) -> ProcessEventAppendRequest {
    tick(n).with_replay_key(format!("key-{n}"))
}

fn failure() -> ProcessAwaitOutput {
    ProcessAwaitOutput::Failure {
        class: ToolFailureClass::Internal,
        code: "code".to_owned(),
        message: "a message".to_owned(),
        raw: None,
        control: None,
    }
}

/// Does everything that a registry can be told. An event of `large` has a text of this
/// length. Answers the leases that are held, one live and one expired.
pub(crate) async fn run(registry: &dyn ProcessRegistry, length: usize) -> [ProcessLease; 2] {
    for id in IDS {
        registry.register_process(registered(id)).await.unwrap();
    }
    // Not in the order of processes.
    for n in 0..4 {
        for id in IDS.iter().rev().skip(1) {
            registry.append_event(id, keyed(n)).await.unwrap();
            let event = wake(&format!("wake {n}")).with_replay_key(format!("wake-{n}"));
            registry.append_event(id, event).await.unwrap();
        }
    }
    let text = "é".repeat(length);
    for n in 0..4 {
        let event = wake(&text).with_replay_key(format!("large-{n}"));
        registry.append_event("large", event).await.unwrap();
    }
    for (id, sequence) in [
        ("running", 2),
        ("running", 6),
        ("completed", 2),
        ("large", 10),
        ("large", 11),
    ] {
        registry.ack_wake(id, sequence).await.unwrap();
    }
    let external = ProcessExternalRef {
        backend: "a backend".to_owned(),
        id: "an id".to_owned(),
        metadata: Some(json!({ "number": 0.1, "text": "a\u{0}b" })),
    };
    registry
        .set_external_ref("running", external)
        .await
        .unwrap();
    let wait = WaitState {
        kind: WaitKind::Signal {
            name: "a name".to_owned(),
            event_type: "tick".to_owned(),
            key: "a key".to_owned(),
            ordinal: 1,
        },
        since_ms: 7,
    };
    registry
        .set_process_wait("waiting", wait.clone())
        .await
        .unwrap();
    registry.set_process_wait("completed", wait).await.unwrap();
    let cancelled = ProcessAwaitOutput::Cancelled {
        message: "stopped".to_owned(),
        raw: None,
        control: None,
    };
    for (id, output) in [
        ("completed", success("a result")),
        ("failed", failure()),
        ("cancelled", cancelled),
    ] {
        registry.complete_process(id, output).await.unwrap();
    }
    // The end need not be the last event.
    registry.append_event("failed", keyed(9)).await.unwrap();
    for (scope, id) in [
        (0, "running"),
        (1, "running"),
        (2, "running"),
        (0, "completed"),
        (1, "new 'é\""),
    ] {
        let descriptor = ProcessHandleDescriptor::new(Some("kind"), Some(format!("{scope} {id}")));
        registry
            .grant_handle(&scopes()[scope], id, descriptor)
            .await
            .unwrap();
    }
    for n in 0..3 {
        let owner = format!("owner {n}");
        let lease = registry
            .claim_process_lease("completed", &owner, LONG_MS)
            .await
            .unwrap();
        let completion = ProcessLeaseCompletion::from_lease(&lease);
        registry.complete_process_lease(&completion).await.unwrap();
    }
    let live = registry.claim_process_lease("leased", "an owner", LONG_MS);
    let live = live.await.unwrap();
    let expired = registry.claim_process_lease("expired", "an owner", 0);
    [live, expired.await.unwrap()]
}

/// Asks everything, of a registry that may be damaged.
pub(crate) async fn answers(registry: &dyn ProcessRegistry) -> Answers {
    let mut answers = Answers::new();
    for status in ["running", "completed", "failed", "cancelled", "any"] {
        for waiting in [None, Some(true), Some(false)] {
            let mut filter = json!({ "status": status });
            if let Some(waiting) = waiting {
                filter["waiting"] = json!(waiting);
            }
            let question = format!("list {filter}");
            let filter = ProcessListFilter::decode(&filter).unwrap();
            answers.insert(question, shown(registry.list_processes(&filter).await));
        }
    }
    let running = registry.list_non_terminal().await;
    answers.insert("running".to_owned(), shown(running));
    for scope in scopes() {
        let all = registry.list_handle_grants(&scope).await;
        answers.insert(format!("handles of {scope:?}"), shown(all));
        let live = registry.list_live_handle_grants(&scope).await;
        answers.insert(format!("live handles of {scope:?}"), shown(live));
    }
    for id in IDS.into_iter().chain(["unknown"]) {
        let record = registry.get_process(id).await;
        let ended = record.as_ref().is_some_and(|record| record.is_terminal());
        answers.insert(format!("get {id}"), json(&record));
        let grants = registry.handle_grants_for_process(id).await;
        answers.insert(format!("handles to {id}"), shown(grants));
        for scope in scopes() {
            let granted = registry.has_handle_grant(&scope, id).await;
            answers.insert(format!("{scope:?} has {id}"), shown(granted));
        }
        for after in [0, 1, 7, 100] {
            let events = registry.events_after(id, after).await;
            answers.insert(format!("events of {id} after {after}"), shown(events));
            let wakes = registry.wake_events_after(id, after).await;
            answers.insert(format!("wakes of {id} after {after}"), shown(wakes));
        }
        // Who asked for something that is not there would wait.
        let later = registry.events_after(id, 3).await.unwrap_or_default();
        if later.iter().any(|event| event.event_type == "wake") {
            let event = registry.wait_event_after(id, "wake", 3).await;
            answers.insert(format!("first wake of {id}"), shown(event));
        }
        if ended {
            let output = registry.await_process(id).await;
            answers.insert(format!("result of {id}"), shown(output));
        }
    }
    answers
}

/// An answer, or the text of an error.
pub(crate) fn shown<T: serde::Serialize>(
    answer: Result<T, lash_core::PluginError>,
) -> serde_json::Value {
    match answer {
        Ok(answer) => json!({ "ok": json(&answer) }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}
