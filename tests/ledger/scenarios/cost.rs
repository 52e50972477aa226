//! P1 to P14: what grows, and what a call costs.

use crate::scenario::Scenario;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![]
}
