//! Which limit it was that stopped a component.

use wasmtime::{Error, Trap};

use crate::limits::{Limit, Limits};

/// What wasmtime says, without a public type of its own, when a call hands over too much;
/// when there are too many handles; and when there are too many instances. The
/// suite in `tests/tests/hostile` reaches each of these limits, so a wasmtime that says it in
/// other words fails there.
const HOSTCALL: &str = "fuel allocated for hostcalls has been exhausted";
const HANDLES: &str = "store handle limit exceeded";
const INSTANCES: &str = "resource limit exceeded";

/// The limit, if it was one.
pub(crate) fn limit(limits: &Limits, error: &Error) -> Option<Limit> {
    if let Some(limit) = error.downcast_ref::<Limit>() {
        return Some(*limit);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => return Some(Limit::CallTime(limits.call_time)),
        Some(Trap::StackOverflow) => return Some(Limit::Stack(limits.stack_bytes)),
        _ => {}
    }
    let cause = error.root_cause().to_string();
    if cause.contains(HOSTCALL) {
        Some(Limit::Hostcall(limits.hostcall_bytes))
    } else if cause.contains(HANDLES) {
        Some(Limit::Handles(limits.handles))
    } else if cause.contains(INSTANCES) {
        Some(Limit::Instances(limits.instances))
    } else {
        None
    }
}
