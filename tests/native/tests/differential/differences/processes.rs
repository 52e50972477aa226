//! When processes are answered otherwise, and how.

use serde_json::json;

use super::Difference;
use crate::answer::{is_error, is_ok};
use crate::machine::{Meant, Owner};
use crate::processes::Model;
use crate::processes::operation::{After, Operation};

/// The difference that an operation is going to show.
pub(crate) fn meant(
    model: &Model,
    operation: &Operation,
    other: Owner,
) -> Option<Meant<Operation>> {
    let (operation, elsewhere) = match operation {
        Operation::Elsewhere(operation) => (&**operation, true),
        operation => (operation, false),
    };
    let lost = |process| model.is_running(process) && model.is_lost(process, elsewhere);
    match (operation, other) {
        (Operation::Complete(process, _), _) => lost(*process).then(lost_lease),
        (Operation::Append(process, event), _) => {
            let is_new = event
                .key
                .is_some_and(|key| !model.is_replayed(*process, key));
            let ends = matches!(event.kind, "process.completed" | "process.failed");
            (ends && is_new && lost(*process)).then(lost_lease)
        }
        (Operation::Acknowledge(process, sequence), _) => {
            let is_later = model.is_known(*process) && *sequence > model.last_sequence(*process);
            is_later.then(|| Meant::left_out(Difference::AcknowledgedInAdvance, is_ok))
        }
        (Operation::Events(_, After::Beyond) | Operation::Wakes(_, After::Beyond), _) => Some(
            Meant::answered(Difference::SixtyFourBits, |ours, theirs| {
                ours["ok"] == json!([]) && is_ok(theirs)
            }),
        ),
        (Operation::Claim { process, .. }, Owner::Memory) => {
            (!model.is_known(*process)).then(|| {
                Meant::left_out(Difference::MemoryLeaseOfNothing, |ours| {
                    is_error(ours, "Plugin")
                })
            })
        }
        (Operation::Transfer(from, to, processes), Owner::Memory) => {
            let in_part = model.is_transferred_in_part(*from, *to, processes);
            in_part.then(|| {
                Meant::left_out(Difference::MemoryTransferInPart, |ours| {
                    is_error(ours, "Plugin")
                })
            })
        }
        _ => None,
    }
}

fn lost_lease() -> Meant<Operation> {
    Meant::refused(Difference::LostLease, "Plugin")
}
