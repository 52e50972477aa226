//! What a thousand callers cost that wait for a process to end while nothing
//! happens: processor time.
//!
//! Each engine is measured in a process of its own.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engines::Setup;
use crate::harness::measured_alone;
use crate::processes::registration;
use crate::report;

/// Tells a child process which engine to measure.
const ENGINE: &str = "LASH_BENCH_WAITING";
const WAITERS: usize = 1000;
const IDLE: Duration = Duration::from_secs(5);

/// One engine.
#[derive(serde::Serialize)]
struct Row {
    case: &'static str,
    engine: &'static str,
    /// Of one core.
    cpu_ms_per_second: f64,
    /// To the first engine.
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
    let directory = tempfile::tempdir().unwrap();
    let registry = setup.processes(directory.path()).await;
    registry.register_process(registration("p")).await.unwrap();
    for _ in 0..WAITERS {
        let registry = Arc::clone(&registry);
        tokio::spawn(async move { registry.await_process("p").await });
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (start, before) = (Instant::now(), cpu_ms());
    tokio::time::sleep(IDLE).await;
    let used = (cpu_ms() - before) / start.elapsed().as_secs_f64();
    println!("{used}");
    true
}

/// Prints the table and writes `target/bench/waiting.json`.
pub(crate) fn measure() {
    let mut rows: Vec<Row> = Vec::new();
    println!(
        "\n{:<16} {:<18} {:>10} {:>7}",
        "case", "engine", "cpu ms/s", "ratio"
    );
    for setup in Setup::ALL {
        let output = measured_alone(ENGINE, setup.name());
        let cpu_ms_per_second: f64 = output.trim().parse().unwrap();
        let base = rows
            .first()
            .map_or(cpu_ms_per_second, |row| row.cpu_ms_per_second);
        let row = Row {
            case: "waiting-1000",
            engine: setup.name(),
            cpu_ms_per_second,
            ratio: cpu_ms_per_second / base,
        };
        println!(
            "{:<16} {:<18} {:>10.1} {:>7.3}",
            row.case, row.engine, row.cpu_ms_per_second, row.ratio
        );
        rows.push(row);
    }
    report::write("waiting", &rows);
}

/// The processor time of this process so far, user and system.
fn cpu_ms() -> f64 {
    // The command's name is in parentheses and may hold anything.
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    // Linux shows 100 ticks a second on every machine.
    ticks * 10.0
}
