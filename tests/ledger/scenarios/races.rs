//! R1 to R18: races, leases, panics.

use crate::scenario::Scenario;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![]
}
