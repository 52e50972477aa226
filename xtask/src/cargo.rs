//! Calling cargo.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The workspace of what needs the native crate.
pub const NATIVE: &str = "tests/native";

/// The cargo that runs this program, in a workspace.
#[must_use]
pub fn cargo(workspace: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace);
    command
}

/// A program that cargo has built.
#[derive(Debug)]
pub struct Program {
    /// The `Cargo.toml` of its package.
    pub manifest: PathBuf,
    /// Its name.
    pub target: String,
    /// Whether it is one to be installed, not a test.
    pub is_binary: bool,
    /// Where it is.
    pub path: PathBuf,
}

impl Program {
    fn from_message(message: &Value) -> Option<Self> {
        let target = message.get("target")?;
        let mut kinds = target.get("kind")?.as_array()?.iter();
        Some(Self {
            manifest: message.get("manifest_path")?.as_str()?.into(),
            target: target.get("name")?.as_str()?.to_owned(),
            is_binary: kinds.any(|kind| kind == "bin"),
            path: message.get("executable")?.as_str()?.into(),
        })
    }
}

/// Builds tests, by a call of [`cargo`] with the arguments that select them, and returns
/// all programs that belong to them.
///
/// # Errors
///
/// If they cannot be built.
pub fn build_tests(mut cargo: Command) -> Result<Vec<Program>> {
    let output = cargo
        .args(["--locked", "--no-run", "--quiet"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("building tests failed");
    }
    Ok(String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter_map(|message| Program::from_message(&message))
        .collect())
}
