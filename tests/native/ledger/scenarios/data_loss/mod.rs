//! D1 to D17: work that is lost, or answered wrongly.

mod artifacts;
mod checkpoints;
mod files;
mod heads;
mod host_events;
mod ingress;
mod rows;

use lash_core::RuntimePersistence;

pub(crate) use super::engine;
use crate::scenario::Scenario;
use engine::Store;

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut scenarios = [
        checkpoints::scenarios(),
        rows::scenarios(),
        heads::scenarios(),
        ingress::scenarios(),
        host_events::scenarios(),
        files::scenarios(),
        artifacts::scenarios(),
    ]
    .concat();
    // In the order of the contract.
    scenarios.sort_by_key(|scenario| scenario.id[1..].parse::<u8>().ok());
    scenarios
}

/// Collects garbage as the runtime does. The inherent method of the same name answers
/// no error.
async fn gc(store: &Store) -> Result<lash_core::GcReport, lash_core::StoreError> {
    RuntimePersistence::gc_unreachable(store).await
}
