//! Runs the hostile suite, which is a test, and shows its table.

use std::process::Command;

use anyhow::{Context, Result, bail};
use xtask::workspace_root;

use crate::cargo::{build_tests, cargo};

/// The name of the program, and of the test in it that prints the table.
const SUITE: &str = "hostile";
const TABLE: &str = "every_attack_is_contained";

pub(crate) fn run() -> Result<()> {
    // As `cargo test --workspace` builds it, so that nothing is built twice.
    let mut build = cargo(&workspace_root()?);
    build.args(["test", "--workspace", "--test", SUITE]);
    let program = build_tests(build)?
        .into_iter()
        .find(|program| program.target == SUITE)
        .context("cargo does not say where the suite is")?;
    let status = Command::new(program.path)
        .args([TABLE, "--exact", "--nocapture"])
        .status()
        .context("can not run the suite")?;
    if !status.success() {
        bail!("an attack was not contained");
    }
    Ok(())
}
