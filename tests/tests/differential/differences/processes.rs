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
    match (operation, other) {
        (Operation::Acknowledge(process, sequence), _) => {
            let is_later = model.is_known(*process) && *sequence > model.last_sequence(*process);
            is_later.then(|| Meant::left_out(Difference::AcknowledgedInAdvance, is_ok))
        }
        (Operation::Events(_, After::Beyond) | Operation::Wakes(_, After::Beyond), _) => {
            Some(Meant::answered(
                Difference::SixtyFourBits,
                |ours, theirs| ours["ok"] == json!([]) && is_ok(theirs),
            ))
        }
        (Operation::TakeOver(process, Some(_)), _) => model.is_running(*process).then(|| {
            Meant::instead(
                Difference::LostLease,
                |ours| is_error(ours, "Plugin"),
                vec![Operation::TakeOver(*process, None)],
            )
        }),
        (Operation::Claim { process, .. } | Operation::TakeOver(process, _), Owner::Memory) => (!model.is_known(*process)).then(|| {
            Meant::left_out(Difference::MemoryLeaseOfNothing, |ours| {
                is_error(ours, "Plugin")
            })
        }),
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
