//! What open stores cost, each after one commit: memory and threads.
//!
//! Each engine is measured in a process of its own.

use std::fs;

use crate::data::{Blobs, Session};
use crate::engines::{Engine, Setup};
use crate::harness::{Wanted, measured_alone};
use crate::names;
use crate::report::{Better, Report};

/// Tells a child process which engine to measure.
const ENGINE: &str = "LASH_BENCH_MEMORY";
/// How many are open when memory is measured.
const STORES: [usize; 4] = [100, 250, 500, 1000];

/// Measures and answers true if this process is such a child.
pub(crate) async fn child() -> bool {
    let Ok(engine) = std::env::var(ENGINE) else {
        return false;
    };
    let setup = Setup::named(&engine);
    let dir = tempfile::tempdir().unwrap();
    // What the first store brings once is not what a store costs.
    let mut engines = vec![open(setup, &dir, 0).await];
    let before = status("VmRSS:");
    for stores in STORES {
        while engines.len() <= stores {
            let number = engines.len();
            engines.push(open(setup, &dir, number).await);
        }
        println!("{} {}", status("VmRSS:") - before, status("Threads:"));
    }
    true
}

async fn open(setup: Setup, dir: &tempfile::TempDir, number: usize) -> Engine {
    let engine = setup.open(&dir.path().join(number.to_string())).await;
    engine.commit(Session::new(Blobs::All).turn()).await;
    engine
}

/// Adds the cases to the report.
pub(crate) fn run(wanted: &Wanted, report: &mut Report) {
    if !wanted.has("memory-1000") && !wanted.has("threads-1000") {
        return;
    }
    let measured = Setup::BOTH.map(|setup| {
        let text = measured_alone(ENGINE, setup.name());
        let figures = text.split_whitespace().map(|word| word.parse().unwrap());
        figures.collect::<Vec<f64>>()
    });
    // Of each number of stores, memory and threads.
    let figure = |index: usize| {
        let engines = measured.iter().map(|figures| vec![figures[index]]);
        engines.collect::<Vec<_>>()
    };
    for (step, stores) in STORES.into_iter().enumerate() {
        let case = format!("memory-{stores}");
        report.rows(&case, &names(), "KiB", Better::Less, figure(2 * step));
    }
    let threads = figure(2 * STORES.len() - 1);
    report.rows("threads-1000", &names(), "threads", Better::Less, threads);
}

fn status(field: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
