//! Runs the ledger of defects, which is a program of the tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xtask::workspace_root;

/// The name of the program, and of the test that runs all of it.
const LEDGER: &str = "ledger";

/// Runs the scenarios with these identifiers, or all.
pub(crate) fn run(ids: &[String]) -> Result<()> {
    let status = Command::new(build(&workspace_root()?)?)
        .args(ids)
        .status()
        .context("can not run the ledger")?;
    if !status.success() {
        bail!("the ledger is not as it should be");
    }
    Ok(())
}

/// Builds the program as `cargo test --workspace` does, so that nothing is built
/// twice: another selection of packages has other features.
fn build(root: &Path) -> Result<PathBuf> {
    let output = crate::build::cargo(root)
        .args(["test", "--workspace", "--locked", "--no-run", "--quiet"])
        .args(["--test", LEDGER])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .context("can not run cargo")?;
    if !output.status.success() {
        bail!("building the ledger failed");
    }
    String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| program(&message))
        .context("cargo does not say where the ledger is")
}

/// Where the program is, if this message of cargo is about it.
fn program(message: &Value) -> Option<PathBuf> {
    let target = message.get("target")?;
    let is_program = target.get("name")? == LEDGER
        && target
            .get("kind")?
            .as_array()?
            .iter()
            .any(|kind| kind == "bin");
    let path = message.get("executable")?.as_str()?;
    is_program.then(|| PathBuf::from(path))
}
