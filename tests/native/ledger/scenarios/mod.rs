//! The defects of the contract, each provoked. Compiled against both crates.

mod cost;
mod data_loss;
mod races;

pub(crate) use super::engine;
use crate::scenario::Scenario;

/// All scenarios, in the order of the contract.
pub(crate) fn all() -> Vec<Scenario> {
    [
        data_loss::scenarios(),
        races::scenarios(),
        cost::scenarios(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
