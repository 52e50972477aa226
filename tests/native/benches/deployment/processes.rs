//! Appending events to a process.

use std::sync::Arc;

use lash_core::{
    LashSchema, ProcessEventAppendRequest, ProcessEventSemanticsSpec, ProcessEventType,
    ProcessInput, ProcessProvenance, ProcessRegistration, ProcessRegistry,
};
use serde_json::json;

use crate::engines::Setup;
use crate::report::Report;
use crate::{interleave, names};

/// What the process of the benchmarks reports.
pub(crate) const EVENT: &str = "line";

pub(crate) fn registration(id: &str) -> ProcessRegistration {
    let input = ProcessInput::External {
        metadata: json!({ "command": "build", "arguments": ["x".repeat(500)] }),
    };
    ProcessRegistration::new(id, input, ProcessProvenance::host("bench")).with_extra_event_types([
        ProcessEventType {
            name: EVENT.to_owned(),
            payload_schema: LashSchema::any(),
            semantics: ProcessEventSemanticsSpec::default(),
        },
    ])
}

async fn append_one(registry: &Arc<dyn ProcessRegistry>, id: &str, number: usize) {
    let payload = json!({ "line": "y".repeat(200), "number": number });
    let request =
        ProcessEventAppendRequest::new(EVENT, payload).with_replay_key(format!("line:{number}"));
    registry.append_event(id, request).await.unwrap();
}

/// One event, after so many.
pub(crate) async fn append(case: &str, history: usize, report: &mut Report) {
    const TURNS: usize = 300;
    // A long history hardly changes; a short one would, so each call has its own.
    let processes = if history < TURNS { TURNS } else { 1 };
    let directory = tempfile::tempdir().unwrap();
    let mut engines = Vec::new();
    for setup in Setup::ALL {
        let registry = setup.processes(directory.path()).await;
        for process in 0..processes {
            let id = format!("p{process}");
            registry.register_process(registration(&id)).await.unwrap();
            for number in 0..history {
                append_one(&registry, &id, number).await;
            }
        }
        engines.push(registry);
    }
    let samples = interleave(&mut engines, TURNS, async |registry, turn| {
        let id = format!("p{}", turn % processes);
        append_one(registry, &id, history + turn).await;
    })
    .await;
    report.add(case, &names(), samples);
}
