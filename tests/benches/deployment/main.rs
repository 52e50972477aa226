//! The databases that all sessions of a deployment share, beside the native crate:
//! processes, host events, effects.
//!
//! As in `commit`, the engines take turns call by call.
//!
//! `cargo bench -p lash-wasm-store-tests --bench deployment` prints tables and
//! writes `target/bench/deployment.json` and `target/bench/waiting.json`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod effects;
mod engines;
#[path = "../harness.rs"]
mod harness;
mod host_events;
mod processes;
#[path = "../report.rs"]
mod report;
mod waiting;

use std::time::{Duration, Instant};

use engines::Setup;
use harness::Wanted;
use report::Report;

fn main() {
    let wanted = Wanted::from_command_line();
    let runtime = harness::runtime();
    if runtime.block_on(waiting::child()) {
        return;
    }
    let mut report = Report::new("deployment");
    runtime.block_on(async {
        for (case, history) in [("append-10", 10), ("append-10000", 10_000)] {
            if wanted.has(case) {
                processes::append(case, history, &mut report).await;
            }
        }
        if wanted.has("execute") {
            effects::execute(&mut report).await;
        }
        if wanted.has("replay") {
            effects::replay(&mut report).await;
        }
        if wanted.has("list-10000") {
            host_events::list_all(&mut report).await;
        }
        if wanted.has("list-session") {
            host_events::list_session(&mut report).await;
        }
        if wanted.has("delete-session") {
            host_events::delete_session(&mut report).await;
        }
    });
    report.finish();
    if wanted.has("waiting") {
        waiting::measure();
    }
}

/// The samples of the engines, each of which is called once in every turn, in an
/// order that changes.
async fn interleave<E>(
    engines: &[E],
    turns: usize,
    call: impl AsyncFn(&E, usize),
) -> Vec<Vec<Duration>> {
    let mut samples = vec![Vec::new(); engines.len()];
    for turn in 0..turns {
        for offset in 0..engines.len() {
            let position = (offset + turn) % engines.len();
            let start = Instant::now();
            call(&engines[position], turn).await;
            samples[position].push(start.elapsed());
        }
    }
    samples
}

/// The names of the engines, in the order in which they are opened.
fn names() -> [&'static str; 2] {
    Setup::ALL.map(Setup::name)
}
