//! What the suites of processes have in common.

use std::path::Path;

use lash_core::{
    LashSchema, PluginError, ProcessAwaitOutput, ProcessEventAppendRequest,
    ProcessEventSemanticsSpec, ProcessEventType, ProcessInput, ProcessProvenance,
    ProcessRegistration, ProcessRegistry, ProcessValueSelector, ProcessWakeDedupeKey,
    ProcessWakeSpec, SessionScope,
};
use lash_wasm_store::{SqliteProcessRegistry, StoreBuilder};
use serde_json::json;

/// Opens the registry in a file.
pub async fn open(path: &Path) -> SqliteProcessRegistry {
    SqliteProcessRegistry::open(path)
        .await
        .expect("the registry opens")
}

/// Opens the registry in a file as the builder says.
pub async fn open_with(builder: StoreBuilder, path: &Path) -> SqliteProcessRegistry {
    builder
        .open_process_registry(path)
        .await
        .expect("the registry opens")
}

/// A process with the events `tick`, which means nothing, and `wake`, which wakes
/// somebody. The payload of `tick` must have a number `n`.
pub fn registration(id: &str) -> ProcessRegistration {
    let wake = ProcessWakeSpec {
        when: None,
        input: ProcessValueSelector::Pointer("/text".to_owned()),
        dedupe_key: ProcessWakeDedupeKey::EventIdentity,
    };
    let schema = json!({
        "type": "object",
        "properties": { "n": { "type": "integer" } },
        "required": ["n"],
    });
    ProcessRegistration::new(
        id,
        ProcessInput::External {
            metadata: json!({ "made by": "a test" }),
        },
        ProcessProvenance::host("a-host"),
    )
    .with_extra_event_types([
        ProcessEventType {
            name: "tick".to_owned(),
            payload_schema: LashSchema::new(schema),
            semantics: ProcessEventSemanticsSpec::default(),
        },
        ProcessEventType {
            name: "wake".to_owned(),
            payload_schema: LashSchema::any(),
            semantics: ProcessEventSemanticsSpec {
                wake: Some(wake),
                ..ProcessEventSemanticsSpec::default()
            },
        },
    ])
    .with_wake_target(Some(SessionScope::new("a-session")))
}

/// Registers processes.
pub async fn register(registry: &SqliteProcessRegistry, ids: &[&str]) {
    for id in ids {
        registry
            .register_process(registration(id))
            .await
            .expect("the process is registered");
    }
}

/// An event `tick`.
pub fn tick(n: u64) -> ProcessEventAppendRequest {
    ProcessEventAppendRequest::new("tick", json!({ "n": n }))
}

/// An event `wake`.
pub fn wake(text: &str) -> ProcessEventAppendRequest {
    ProcessEventAppendRequest::new("wake", json!({ "text": text }))
}

/// A result.
pub fn success(value: &str) -> ProcessAwaitOutput {
    ProcessAwaitOutput::Success {
        value: json!(value),
        control: None,
    }
}

/// An error must say this.
#[track_caller]
pub fn says(error: &PluginError, words: &str) {
    let text = error.to_string();
    assert!(text.contains(words), "{words:?} is not in: {text}");
}
