//! What a thousand callers cost that wait for a process to end while nothing
//! happens: processor time.
//!
//! Each engine is measured in a process of its own.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engines::Setup;
use crate::harness::measured_alone;
use crate::names;
use crate::processes::registration;
use crate::report::{Better, Report};

/// Tells a child process which engine to measure.
const ENGINE: &str = "LASH_BENCH_WAITING";
const WAITERS: usize = 1000;
const IDLE: Duration = Duration::from_secs(5);

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

/// Adds the case to the report.
pub(crate) fn measure(report: &mut Report) {
    let samples = Setup::ALL.map(|setup| {
        let output = measured_alone(ENGINE, setup.name());
        vec![output.trim().parse().unwrap()]
    });
    report.rows(
        "waiting-1000",
        &names(),
        "ms cpu/s",
        Better::Less,
        samples.to_vec(),
    );
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
