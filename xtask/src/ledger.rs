//! Runs the ledger of defects, which is a program of `tests/native`.

use std::process::Command;

use anyhow::{Context, Result, bail};
use xtask::cargo::{NATIVE, build_tests, cargo};
use xtask::workspace_root;

/// The name of the program, and of the test that runs all of it.
const LEDGER: &str = "ledger";

/// Runs the scenarios with these identifiers, or all.
pub(crate) fn run(ids: &[String]) -> Result<()> {
    let mut build = cargo(&workspace_root()?.join(NATIVE));
    build.args(["test", "--test", LEDGER]);
    let program = build_tests(build)?
        .into_iter()
        .find(|program| program.is_binary && program.target == LEDGER)
        .context("cargo does not say where the ledger is")?;
    let status = Command::new(program.path)
        .args(ids)
        .status()
        .context("can not run the ledger")?;
    if !status.success() {
        bail!("the ledger is not as it should be");
    }
    Ok(())
}
