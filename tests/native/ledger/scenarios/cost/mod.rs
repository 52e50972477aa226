//! P1 to P14: what grows, and what a call costs.
//!
//! Nothing here is measured in time. Statements, rows, bytes, pages and threads are
//! counted; what grows with history is counted at two lengths of history.

mod commits;
mod components;
mod reads;
mod retention;
mod sharing;

use std::path::Path;

use anyhow::{Context, Result};
use lash_wasm_store_testing::fixtures::Raw;

pub(crate) use super::engine;
use crate::observation::Observation;
use crate::scenario::Scenario;

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut scenarios = [
        commits::scenarios(),
        sharing::scenarios(),
        components::scenarios(),
        reads::scenarios(),
        retention::scenarios(),
    ]
    .concat();
    // In the order of the contract.
    scenarios.sort_by_key(|scenario| scenario.id[1..].parse::<u8>().ok());
    scenarios
}

/// How much a call may write or allocate: far less than what it is about, far more
/// than it needs.
const LITTLE: u64 = 256 * 1024;

/// The defect, if every part of it shows, and what is right, if none does.
fn judge<const N: usize>(parts: [bool; N], text: String) -> Result<Observation> {
    match parts.iter().filter(|shows| **shows).count() {
        0 => Ok(Observation::right(text)),
        all if all == N => Ok(Observation::defect(text)),
        _ => anyhow::bail!("only a part of the defect shows ({parts:?}): {text}"),
    }
}

/// Moves what is in the write-ahead log to the file, so that what the log holds
/// later is what was written since.
fn empty_log(path: &Path) -> Result<()> {
    let busy = Raw::open(path).integer("PRAGMA wal_checkpoint(TRUNCATE)");
    anyhow::ensure!(
        busy == 0 && log_length(path)? == 0,
        "the log is not emptied"
    );
    Ok(())
}

/// The length of a file's write-ahead log.
fn log_length(path: &Path) -> Result<u64> {
    let log = std::fs::metadata(path.with_extension("db-wal")).context("a log")?;
    Ok(log.len())
}
