//! What the native crate has in the end, imported.

use super::Model;
use super::engine::Engine;
use super::operation::{After, End, Event, Filter, Operation, PROCESSES, Payload, Scope};

/// Compares answers before and after an import, unless the last operation is meant to take
/// the engines apart: first of what reads, then of what goes on.
pub(super) async fn compare(native: &mut Engine, model: &Model, apart: bool) -> Result<(), String> {
    let Some(imported) = native.imported().await.filter(|_| !apart) else {
        return Ok(());
    };
    let mut imported = imported.map_err(|error| format!("the import: {error}"))?;
    for operation in reads().into_iter().chain(writes()) {
        let before = native.run(model, &operation).await;
        let after = imported.run(model, &operation).await;
        if before != after {
            return Err(format!(
                "{operation:?}\n  before the import: {before}\n  after it: {after}"
            ));
        }
    }
    Ok(())
}

fn scopes() -> Vec<Scope> {
    let scope = |session| [false, true].map(|frame| Scope { session, frame });
    (0..2).flat_map(scope).collect()
}

fn reads() -> Vec<Operation> {
    let mut reads = vec![Operation::ListRunning];
    for status in ["running", "completed", "failed", "cancelled", "any"] {
        reads.extend([None, Some(true)].map(|waiting| {
            let status = Some(status);
            Operation::List(Filter { status, waiting })
        }));
    }
    for scope in scopes() {
        reads.extend([false, true].map(|live| Operation::Handles { scope, live }));
    }
    for process in 0..=PROCESSES {
        reads.extend([
            Operation::Get(process),
            Operation::HandlesOf(process),
            Operation::Await(process),
            Operation::WaitEvent(process, "wake", 1),
        ]);
        for after in [0, 2] {
            let after = After::Sequence(after);
            reads.push(Operation::Events(process, after));
            reads.push(Operation::Wakes(process, after));
        }
        for scope in scopes() {
            reads.push(Operation::HasHandle(scope, process));
        }
    }
    reads
}

fn writes() -> Vec<Operation> {
    let mut writes = Vec::new();
    for process in 0..PROCESSES {
        writes.push(Operation::Claim {
            process,
            owner: 9,
            live: true,
        });
        writes.extend([false, true].map(|other| Operation::Register(process, other)));
        for key in 0..6 {
            let event = Event {
                kind: "tick",
                payload: Payload::Number(key % 3),
                key: Some(key),
                target: None,
            };
            writes.push(Operation::Append(process, event));
        }
        writes.push(Operation::Acknowledge(process, 1));
        writes.push(Operation::Complete(process, End::Success(1)));
        writes.push(Operation::Events(process, After::Sequence(0)));
        writes.push(Operation::Wakes(process, After::Sequence(0)));
    }
    writes.push(Operation::DeleteSession(0));
    writes
}
