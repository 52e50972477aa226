//! Commits beside the native crate.
//!
//! The engines take turns commit by commit, so that whatever else the machine
//! does hits all of them alike. Criterion measures one function after the other,
//! which on a shared machine compares its phases; hence this small harness.
//!
//! `cargo bench --bench commit` prints a table and writes
//! `target/bench/commit.json`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod data;
mod engines;
mod report;

use std::time::{Duration, Instant};

use data::Session;
use engines::Setup;
use report::Report;

/// A case of the table.
struct Case {
    name: &'static str,
    /// Nodes that are stored before the first measured commit.
    history: usize,
    /// Commits measured in each database.
    commits: usize,
    /// Databases measured.
    databases: usize,
    /// Whether the blobs differ from commit to commit.
    blobs_change: bool,
}

const CASES: [Case; 5] = [
    Case { name: "fresh-60", history: 0, commits: 60, databases: 20, blobs_change: true },
    Case { name: "history-2000", history: 2000, commits: 200, databases: 2, blobs_change: true },
    Case { name: "history-10000", history: 10_000, commits: 200, databases: 1, blobs_change: true },
    Case { name: "history-50000", history: 50_000, commits: 100, databases: 1, blobs_change: true },
    Case { name: "unchanged", history: 0, commits: 60, databases: 20, blobs_change: false },
];

fn main() {
    // Cargo passes `--bench`; anything else picks cases by name.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let mut report = Report::new("commit");
    for case in CASES {
        if wanted.is_empty() || wanted.iter().any(|name| name == case.name) {
            runtime.block_on(measure(&case, &mut report));
        }
    }
    report.finish();
}

async fn measure(case: &Case, report: &mut Report) {
    let mut samples: Vec<Vec<Duration>> = Setup::ALL.iter().map(|_| Vec::new()).collect();
    for database in 0..case.databases {
        let dir = tempfile::tempdir().unwrap();
        let mut engines = Vec::new();
        for setup in Setup::ALL {
            let mut engine = setup.open(&dir.path().join(setup.name())).await;
            let mut session = Session::new(case.blobs_change);
            if case.history > 0 {
                engine.commit(session.history(case.history)).await;
            }
            engines.push((engine, session));
        }
        for turn in 0..case.commits {
            for offset in 0..engines.len() {
                // Nobody is always first.
                let position = (offset + turn + database) % engines.len();
                let (engine, session) = &mut engines[position];
                let commit = session.turn();
                let start = Instant::now();
                engine.commit(commit).await;
                samples[position].push(start.elapsed());
            }
        }
    }
    report.add(case.name, &Setup::ALL.map(Setup::name), samples);
}
