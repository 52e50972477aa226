//! Runs the hostile suite, which is a test, and shows its table.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use xtask::workspace_root;

use crate::cargo::{build_tests, cargo};
use crate::libtest;

/// The name of the program, and of the test in it that prints the table.
const SUITE: &str = "hostile";
const TABLE: &str = "contained::every_attack_is_contained";

pub(crate) fn run() -> Result<()> {
    // As `cargo test --workspace` builds it, so that nothing is built twice.
    let mut build = cargo(&workspace_root()?);
    build.args(["test", "--workspace", "--test", SUITE]);
    let program = build_tests(build)?
        .into_iter()
        .find(|program| program.target == SUITE)
        .context("cargo does not say where the suite is")?;
    let output = Command::new(program.path)
        .args([TABLE, "--exact", "--nocapture"])
        .stderr(Stdio::inherit())
        .output()
        .context("can not run the suite")?;
    let output = String::from_utf8(output.stdout)?;
    for row in output.lines().filter(|line| line.starts_with('|')) {
        println!("{row}");
    }
    let outcome = libtest::parse(&output)?;
    if outcome.passed != 1 {
        bail!("an attack was not contained");
    }
    Ok(())
}
