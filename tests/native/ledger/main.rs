//! What the native crate does where its contract has a defect, and what this one
//! does there.
//!
//! A scenario provokes one defect. Its source is compiled twice, against either
//! crate, and runs in a process of its own, because some defects hang, panic, or
//! leave threads behind. `cargo xtask ledger` runs this program.
// The scenarios are compiled twice on purpose.
#![allow(clippy::duplicate_mod)]

mod allocation;
mod engines;
mod observation;
mod scenario;
mod sync;
mod table;
mod trace;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use engines::Engine;
use observation::Observation;
use scenario::Scenario;
use table::Row;

#[global_allocator]
static ALLOCATOR: allocation::Counting = allocation::Counting;

/// How long a scenario may take, with a slow machine in mind. What does not answer
/// by then hangs.
const DEADLINE: Duration = Duration::from_secs(120);

/// How the program calls itself for one scenario on one engine.
const RUN: &str = "--run";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [RUN, id, engine] => run_here(id, engine).map(|()| true),
        _ => ledger(&arguments),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the scenarios with these identifiers, or all; answers whether the ledger is
/// as it should be.
fn ledger(ids: &[String]) -> Result<bool> {
    let scenarios = Engine::Ours.scenarios();
    if let Some(unknown) = ids
        .iter()
        .find(|id| !scenarios.iter().any(|scenario| scenario.id == id.as_str()))
    {
        bail!("there is no scenario {unknown}");
    }
    table::head();
    let mut rows = Vec::new();
    for scenario in scenarios
        .iter()
        .filter(|scenario| ids.is_empty() || ids.iter().any(|id| id == scenario.id))
    {
        let row = Row {
            native: run_in_a_process(scenario, Engine::Native)?,
            ours: run_in_a_process(scenario, Engine::Ours)?,
            scenario: *scenario,
        };
        row.print();
        rows.push(row);
    }
    table::summarize(&rows);
    Ok(rows.iter().all(|row| row.problem().is_none()))
}

fn run_in_a_process(scenario: &Scenario, engine: Engine) -> Result<Observation> {
    let mut process = Command::new(std::env::current_exe()?)
        .args([RUN, scenario.id, engine.name()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let begun = Instant::now();
    while process.try_wait()?.is_none() {
        if begun.elapsed() > DEADLINE {
            process.kill()?;
            process.wait()?;
            bail!("{} did not end on {}", scenario.id, engine.name());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = process.wait_with_output()?;
    let failed = || {
        format!(
            "{} failed on {}: {}",
            scenario.id,
            engine.name(),
            String::from_utf8_lossy(&output.stderr).trim()
        )
    };
    if !output.status.success() {
        bail!(failed());
    }
    let answer = String::from_utf8_lossy(&output.stdout);
    let answer = answer.lines().last().with_context(failed)?;
    serde_json::from_str(answer).with_context(failed)
}

fn run_here(id: &str, engine: &str) -> Result<()> {
    let engine = Engine::named(engine)?;
    let scenario = engine
        .scenarios()
        .into_iter()
        .find(|scenario| scenario.id == id)
        .with_context(|| format!("there is no scenario {id}"))?;
    let directory = tempfile::tempdir()?;
    let observation = in_runtime(scenario, directory.path())?;
    println!("{}", serde_json::to_string(&observation)?);
    // Threads that a defect left behind must not keep the process alive, nor its
    // files.
    directory.close()?;
    std::process::exit(0)
}

fn in_runtime(scenario: Scenario, directory: &Path) -> Result<Observation> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()?;
    let observation = runtime.block_on((scenario.run)(directory.to_path_buf()));
    runtime.shutdown_background();
    observation
}
