//! Commits beside the native crate.
//!
//! The engines take turns commit by commit, so that whatever else the machine
//! does hits all of them alike. Criterion measures one function after the other,
//! which on a shared machine compares its phases; hence this small harness.
//!
//! `cargo bench -p lash-wasm-store-tests --bench commit` prints tables and writes
//! `target/bench/commit.json` and `target/bench/memory.json`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod data;
mod engines;
#[path = "../harness.rs"]
mod harness;
mod memory;
#[path = "../report.rs"]
mod report;

use std::time::{Duration, Instant};

use data::Session;
use engines::Setup;
use harness::Wanted;
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
    Case {
        name: "fresh-60",
        history: 0,
        commits: 60,
        databases: 20,
        blobs_change: true,
    },
    Case {
        name: "history-2000",
        history: 2000,
        commits: 200,
        databases: 2,
        blobs_change: true,
    },
    Case {
        name: "history-10000",
        history: 10_000,
        commits: 200,
        databases: 1,
        blobs_change: true,
    },
    Case {
        name: "history-50000",
        history: 50_000,
        commits: 100,
        databases: 1,
        blobs_change: true,
    },
    Case {
        name: "unchanged",
        history: 0,
        commits: 60,
        databases: 20,
        blobs_change: false,
    },
];

/// Every order of the three engines.
const ORDERS: [[usize; 3]; 6] = [
    [0, 1, 2],
    [2, 1, 0],
    [1, 2, 0],
    [0, 2, 1],
    [2, 0, 1],
    [1, 0, 2],
];

fn main() {
    let wanted = Wanted::from_command_line();
    let runtime = harness::runtime();
    if runtime.block_on(memory::child()) {
        return;
    }
    let mut report = Report::new("commit");
    for case in CASES {
        if wanted.has(case.name) {
            runtime.block_on(measure(&case, &mut report));
        }
    }
    if wanted.has("growth") {
        runtime.block_on(growth(&mut report));
    }
    if wanted.has("load-10000") {
        runtime.block_on(load(&mut report));
    }
    report.finish();
    if wanted.has("open-1000") {
        memory::measure();
    }
}

/// The component alone, on a new session and on one of 50,000 nodes: beside the
/// native crate, which reads the whole graph with every commit, it would be
/// measured with caches that hold nothing of its own.
async fn growth(report: &mut Report) {
    let histories = [0, 50_000];
    let dir = tempfile::tempdir().unwrap();
    let mut engines = Vec::new();
    for history in histories {
        let path = dir.path().join(history.to_string());
        let mut engine = Setup::Component.open(&path).await;
        let mut session = Session::new(true);
        if history > 0 {
            engine.commit(session.history(history)).await;
        }
        engines.push((engine, session));
    }
    let mut samples = vec![Vec::new(), Vec::new()];
    for turn in 0..400 {
        for offset in 0..2 {
            let position = (offset + turn) % 2;
            let (engine, session) = &mut engines[position];
            let commit = session.turn();
            let start = Instant::now();
            engine.commit(commit).await;
            samples[position].push(start.elapsed());
        }
    }
    report.add("growth", &["component, new", "component, 50000"], samples);
}

/// Loading a session of 10,000 nodes.
async fn load(report: &mut Report) {
    const NODES: usize = 10_000;
    let setups = [Setup::NativeCrate, Setup::Component];
    let dir = tempfile::tempdir().unwrap();
    let mut engines = Vec::new();
    for setup in setups {
        let mut engine = setup.open(&dir.path().join(setup.name())).await;
        engine.commit(Session::new(true).history(NODES)).await;
        engines.push(engine);
    }
    let mut samples = vec![Vec::new(), Vec::new()];
    for turn in 0..80 {
        for offset in 0..engines.len() {
            let position = (offset + turn) % engines.len();
            let start = Instant::now();
            let nodes = engines[position].load().await;
            samples[position].push(start.elapsed());
            assert_eq!(nodes, NODES);
        }
    }
    report.add("load-10000", &setups.map(Setup::name), samples);
}

async fn measure(case: &Case, report: &mut Report) {
    let mut samples: Vec<Vec<Duration>> = Setup::ALL.iter().map(|_| Vec::new()).collect();
    for _ in 0..case.databases {
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
            // Nobody is always first, and nobody always follows the same one,
            // which would find the processor's caches as that one left them.
            for position in ORDERS[turn % ORDERS.len()] {
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
