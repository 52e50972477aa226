//! When host events are answered otherwise, and how.

use serde_json::Value;

use super::Difference;
use crate::host_events::Model;
use crate::host_events::operation::Operation;
use crate::machine::Meant;

/// The difference that an operation is going to show.
pub(crate) fn meant(model: &Model, operation: &Operation) -> Option<Meant<Operation>> {
    let occurrence = match operation {
        Operation::Elsewhere(operation) => return meant(model, operation),
        Operation::Reserve(occurrence) => occurrence,
        _ => return None,
    };
    let last = model.last_before(occurrence)?;
    let came_before = move |delivery: &Value| {
        let handle = delivery["subscription"]["handle"].as_str();
        let number = handle.and_then(|handle| handle.strip_prefix("trigger:"));
        number.is_some_and(|number| number.parse().is_ok_and(|number: u64| number <= last))
    };
    Some(Meant::answered(
        Difference::LateSubscription,
        move |ours, theirs| {
            let (Some(ours), Some(theirs)) = (ours["ok"].as_array(), theirs["ok"].as_array())
            else {
                return false;
            };
            let theirs = theirs.iter().filter(|delivery| came_before(delivery));
            ours.iter().eq(theirs)
        },
    ))
}
