//! What a thousand open stores cost, each after one commit: memory and threads.
//!
//! Each engine is measured in a process of its own.

use std::fs;

use crate::data::Session;
use crate::engines::Setup;
use crate::harness::measured_alone;
use crate::report;

/// Tells a child process which engine to measure.
const ENGINE: &str = "LASH_BENCH_MEMORY";
const STORES: usize = 1000;

/// One engine.
#[derive(serde::Serialize)]
struct Row {
    case: &'static str,
    engine: &'static str,
    kib_per_store: f64,
    threads: f64,
    /// Of the memory, to the first engine.
    ratio: f64,
}

/// Measures and answers true if this process is such a child.
pub(crate) async fn child() -> bool {
    let Ok(engine) = std::env::var(ENGINE) else {
        return false;
    };
    let setup = Setup::ALL
        .into_iter()
        .find(|setup| setup.name() == engine)
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    // What the first store brings once is not what a store costs.
    let mut engines = vec![open(setup, &dir, 0).await];
    let before = resident_kib();
    for number in 1..=STORES {
        engines.push(open(setup, &dir, number).await);
    }
    let kib = (resident_kib() - before) / STORES as f64;
    println!("{kib} {}", status("Threads:"));
    true
}

async fn open(setup: Setup, dir: &tempfile::TempDir, number: usize) -> crate::engines::Engine {
    let mut engine = setup.open(&dir.path().join(number.to_string())).await;
    engine.commit(Session::new(true).turn()).await;
    engine
}

/// Prints the table and writes `target/bench/memory.json`.
pub(crate) fn measure() {
    let mut rows: Vec<Row> = Vec::new();
    println!(
        "\n{:<16} {:<18} {:>10} {:>10} {:>7}",
        "case", "engine", "KiB/store", "threads", "ratio"
    );
    for setup in [Setup::NativeCrate, Setup::Component] {
        let text = measured_alone(ENGINE, setup.name());
        let figures: Vec<f64> = text
            .split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect();
        let base = rows.first().map_or(figures[0], |row| row.kib_per_store);
        let row = Row {
            case: "open-1000",
            engine: setup.name(),
            kib_per_store: figures[0],
            threads: figures[1],
            ratio: figures[0] / base,
        };
        println!(
            "{:<16} {:<18} {:>10.1} {:>10} {:>7.3}",
            row.case, row.engine, row.kib_per_store, row.threads, row.ratio
        );
        rows.push(row);
    }
    report::write("memory", &rows);
}

fn resident_kib() -> f64 {
    status("VmRSS:")
}

fn status(field: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
