//! Compares the public API of this crate with that of the crate that it replaces, and those
//! of our own crates with what was recorded.
//!
//! They are read from what rustdoc writes about them as JSON, which only a nightly
//! rustdoc does, or one that takes itself for it. The variable that makes it do so
//! would make build scripts ask for it again and cargo build everything anew, so only
//! rustdoc gets it: this program stands in for rustdoc and adds it.

mod comparison;
mod recorded;

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use public_api::PublicApi;
use xtask::cargo::{self, cargo};
use xtask::workspace_root;

use comparison::{Difference, compare, is_stable};

/// Names the real rustdoc to a process of this program that stands in for it.
const RUSTDOC: &str = "LASH_XTASK_RUSTDOC";

const NATIVE: &str = "lash_sqlite_store";
const OURS: &str = "lash_wasm_store";

/// The packages that others use, whose public API is recorded.
const PUBLISHED: [&str; 2] = ["lash-wasm-store", "lash-store-engine"];

/// What may differ.
const DIFFERENCES: [Difference; 1] = [Difference {
    native: "-> tokio_rusqlite::Result<Self>",
    ours: "-> core::result::Result<Self, lash_wasm_store::Error>",
    reason: "opening answers an error that can be matched, without the type of a dependency",
}];

/// Fails if the native crate offers what this one does not, or if the public API of one of
/// our crates is not what was recorded; with `record`, records them.
pub(crate) fn run(record: bool) -> Result<()> {
    let root = workspace_root()?;
    let native = root.join(cargo::NATIVE);
    document(&root, &native, &["--package", "lash-sqlite-store"])?;
    // Selecting this package alone would build dependencies with other features.
    document(&root, &root, &["--workspace"])?;
    let native = read(&root, NATIVE)?;
    let ours = read(&root, OURS)?;

    let comparison = compare(&native, &ours, NATIVE, OURS, &DIFFERENCES);
    println!("{} items of {NATIVE} are in {OURS}", comparison.same);
    for (difference, times) in DIFFERENCES.iter().zip(comparison.differ) {
        println!("{times} differ as they may: {}", difference.reason);
    }
    if !comparison.complaints.is_empty() {
        bail!("{}", comparison.complaints.join("\n"));
    }

    for package in PUBLISHED {
        let mut items = read(&root, &package.replace('-', "_"))?;
        items.retain(|item| is_stable(item));
        if record {
            recorded::record(&root, package, &items)?;
        } else {
            recorded::check(&root, package, &items)?;
        }
    }
    Ok(())
}

/// Writes `target/doc/*.json` for the libraries of a selection of a workspace. Naming the examples
/// gives dependencies the features that they have for tests and lints.
fn document(root: &Path, workspace: &Path, selection: &[&str]) -> Result<()> {
    let rustdoc = env::var_os("RUSTDOC").unwrap_or_else(|| "rustdoc".into());
    let status = cargo(workspace)
        .args([
            "doc",
            "--no-deps",
            "--lib",
            "--examples",
            "--locked",
            "--quiet",
        ])
        .args(selection)
        .arg("--target-dir")
        .arg(root.join("target"))
        .env("RUSTDOC", env::current_exe()?)
        .env(RUSTDOC, rustdoc)
        .env(
            "RUSTDOCFLAGS",
            "-Zunstable-options --output-format json --cap-lints allow",
        )
        .status()
        .context("can not run cargo")?;
    if !status.success() {
        bail!("rustdoc failed");
    }
    Ok(())
}

/// Is rustdoc, if this process was started to be it.
pub(crate) fn as_rustdoc() -> Option<ExitCode> {
    let status = Command::new(env::var_os(RUSTDOC)?)
        .args(env::args_os().skip(1))
        .env("RUSTC_BOOTSTRAP", "1")
        .status();
    Some(match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// A line for each public item. What every type has is left out.
fn read(root: &Path, library: &str) -> Result<Vec<String>> {
    let path = root.join("target/doc").join(library).with_extension("json");
    let api: PublicApi = public_api::Builder::from_rustdoc_json(&path)
        .omit_blanket_impls(true)
        .build()
        .with_context(|| format!("can not read {}", path.display()))?;
    Ok(api.items().map(ToString::to_string).collect())
}
