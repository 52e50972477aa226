//! Runs the suites of attacks, which are tests, and shows what stopped each.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use xtask::build::built;
use xtask::cargo::{build_tests, cargo};
use xtask::{HOSTILE, HOSTILE_TOOLS, PROBE, workspace_root};

use crate::libtest;

/// The programs: components that are not trusted, and plugins.
const SUITES: [&str; 2] = ["hostile", "plugins"];

pub(crate) fn run() -> Result<()> {
    // Without them the suites would be skipped.
    for artifact in [&HOSTILE, &HOSTILE_TOOLS, &PROBE] {
        built(artifact)?;
    }
    // As `cargo test --workspace` builds it, so that nothing is built twice.
    let mut build = cargo(&workspace_root()?);
    build.args(["test", "--workspace"]);
    for suite in SUITES {
        build.args(["--test", suite]);
    }
    let programs = build_tests(build)?;
    let mut attacks = 0;
    let mut failed = 0;
    println!("| attack | stopped by | answer |\n|---|---|---|");
    for suite in SUITES {
        let program = programs
            .iter()
            .find(|program| program.target == suite)
            .with_context(|| format!("cargo does not say where the suite {suite} is"))?;
        let output = Command::new(&program.path)
            .arg("--nocapture")
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot run the suite {suite}"))?;
        let output = String::from_utf8(output.stdout)?;
        for row in output.lines().filter(|line| line.starts_with("| ")) {
            println!("{row}");
            attacks += 1;
        }
        failed += libtest::parse(&output)?.failed.len();
    }
    if failed > 0 {
        bail!("{failed} tests of attacks failed");
    }
    println!("\n{attacks} attacks, all contained");
    Ok(())
}
