//! Runs the benchmarks beside the native crate: a table, `target/bench/*.json`, and
//! charts.

mod charts;
mod machine;
mod results;
mod svg;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use xtask::cargo::{NATIVE, cargo};
use xtask::workspace_root;

use results::Results;

/// The benchmarks. Each writes a file of its name.
const BENCHES: [&str; 2] = ["session", "deployment"];
/// Where results and charts are written.
const RESULTS: &str = "target/bench";
/// The charts that the README shows.
const RECORDED: &str = "docs/charts";

/// Runs these cases, or all, and puts the charts into the repository if `record` says so.
pub(crate) fn run(cases: &[String], quick: bool, record: bool) -> Result<()> {
    let root = workspace_root()?;
    let directory = root.join(RESULTS);
    for bench in BENCHES {
        remove(&directory.join(bench).with_extension("json"))?;
    }
    measure(&root, cases, quick)?;

    let mut results = Results::default();
    for bench in BENCHES {
        results.read(&directory.join(bench).with_extension("json"))?;
    }
    println!("\n{}", results.table());

    let made = if quick {
        "cargo xtask bench --quick"
    } else {
        "cargo xtask bench"
    };
    let note = format!("{}. {made}", machine::describe());
    for (name, chart) in charts::all(&results, &note) {
        write(&directory.join(name), &chart)?;
        if record {
            write(&root.join(RECORDED).join(name), &chart)?;
        }
    }
    println!("{note}\n{RESULTS} has the results and the charts");
    Ok(())
}

fn measure(root: &Path, cases: &[String], quick: bool) -> Result<()> {
    let mut command = cargo(&root.join(NATIVE));
    command.args(["bench", "--locked"]);
    for bench in BENCHES {
        command.args(["--bench", bench]);
    }
    command.arg("--").args(cases);
    if quick {
        command.arg("--quick");
    }
    run_to_end(command)
}

fn run_to_end(mut command: Command) -> Result<()> {
    let status = command.status().context("cannot run cargo")?;
    if !status.success() {
        bail!("a benchmark failed");
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn write(path: &Path, content: &str) -> Result<()> {
    xtask::write(path, content.as_bytes())
}
