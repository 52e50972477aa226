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
mod host_events;
mod processes;
#[path = "../report.rs"]
mod report;
mod waiting;

use std::time::{Duration, Instant};

use engines::Setup;
use report::Report;

fn main() {
    // Cargo passes `--bench`; anything else picks cases by name.
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    if runtime.block_on(waiting::child()) {
        return;
    }
    let is_wanted = |case: &str| wanted.is_empty() || wanted.iter().any(|name| name == case);
    let mut report = Report::new("deployment");
    runtime.block_on(async {
        for (case, history) in [("append-10", 10), ("append-10000", 10_000)] {
            if is_wanted(case) {
                processes::append(case, history, &mut report).await;
            }
        }
        if is_wanted("execute") {
            effects::execute(&mut report).await;
        }
        if is_wanted("replay") {
            effects::replay(&mut report).await;
        }
        if is_wanted("list-10000") {
            host_events::list_all(&mut report).await;
        }
        if is_wanted("list-session") {
            host_events::list_session(&mut report).await;
        }
        if is_wanted("delete-session") {
            host_events::delete_session(&mut report).await;
        }
    });
    report.finish();
    if is_wanted("waiting") {
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
