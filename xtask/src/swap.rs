//! Runs the tests of published lash crates on this crate, under the name of the
//! crate that it replaces.
//!
//! A workspace is made in `target/swap`: the published sources, unchanged, and
//! `tests/native/swap/lash-sqlite-store`, which `[patch.crates-io]` puts in the place of
//! the published crate, and which gets the tests of that crate. The tests inside of
//! its modules are not run: they are about its own parts. Neither published crate
//! has documentation tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xtask::cargo::{NATIVE, Program, build_tests, cargo};
use xtask::workspace_root;

use crate::libtest::{self, Outcome};

/// The crate that is replaced, which is also the name of what replaces it.
const REPLACED: &str = "lash-sqlite-store";

/// The crate that it is replaced with.
const REPLACEMENT: &str = "lash-wasm-store";

/// What is copied to `target/swap`.
const SWAP: &str = "tests/native/swap";

/// What the replaced crate keeps its files with.
const NATIVE_PARTS: &str = "tokio-rusqlite";

/// Published crates whose tests use [`REPLACED`].
const USERS: [&str; 2] = ["lash-protocol-standard", "lash-runtime"];

/// What is built at once. Each has its features for dependencies: those of the first
/// are the features of `tests/native`, so little is built for it. The second has many
/// dependencies of its own.
const SELECTIONS: [&[&str]; 2] = [&[REPLACED, "lash-runtime"], &["lash-protocol-standard"]];

/// Tests that are left out: the package, the test, and why.
const LEFT_OUT: [(&str, &str, &str); 1] = [(
    REPLACED,
    "sqlite_effect_controller_reclaims_stale_in_progress_lease",
    "waits until an owner that is alive loses its lease, which is renewed here: it never \
     ends, or passes if this machine is too busy to renew a lease of 20 ms",
)];

/// Test programs that are not run.
const NOT_RUN: [(&str, &str, &str); 1] = [(
    "lash-runtime",
    "ui",
    "compares messages of another compiler, and builds all dependencies anew",
)];

/// Runs the first selection, or all.
pub(crate) fn run(all: bool) -> Result<()> {
    let root = workspace_root()?;
    let swap = lay_out(&root)?;
    prove(&root, &swap)?;

    let mut complaints = Vec::new();
    let selections = if all {
        &SELECTIONS[..]
    } else {
        &SELECTIONS[..1]
    };
    for packages in selections {
        let programs = build(&root, &swap, packages)?;
        for package in *packages {
            complaints.extend(test(&swap, package, &programs)?);
        }
    }
    if !complaints.is_empty() {
        bail!("{}", complaints.join("\n"));
    }
    Ok(())
}

/// Writes `Cargo.lock` of the workspace in `target/swap`: what the versions of
/// `tests/native` leave open is chosen by cargo.
pub(crate) fn lock() -> Result<()> {
    let root = workspace_root()?;
    let swap = lay_out(&root)?;
    fs::copy(
        root.join(NATIVE).join("Cargo.lock"),
        swap.join("Cargo.lock"),
    )?;
    metadata(&swap, &[])?;
    fs::copy(swap.join("Cargo.lock"), root.join(SWAP).join("Cargo.lock"))?;
    Ok(())
}

/// Makes the workspace and returns where it is.
fn lay_out(root: &Path) -> Result<PathBuf> {
    let swap = root.join("target/swap");
    if swap.exists() {
        fs::remove_dir_all(&swap).context("cannot remove target/swap")?;
    }
    copy(&root.join(SWAP), &swap)?;
    let published = metadata(&root.join(NATIVE), &["--locked"])?;
    let directory =
        |name| Ok::<_, anyhow::Error>(directory(package(&published, name)?)?.to_owned());
    copy(
        &directory(REPLACED)?.join("tests"),
        &swap.join(REPLACED).join("tests"),
    )?;
    for name in USERS {
        copy(&directory(name)?, &swap.join(name))?;
    }
    Ok(swap)
}

/// Copies a file or directory. Files keep their times, from which cargo sees that they
/// are the same.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let context = || format!("cannot copy {} to {}", from.display(), to.display());
    if from.is_dir() {
        fs::create_dir_all(to).with_context(context)?;
        for entry in fs::read_dir(from).with_context(context)? {
            let name = entry.with_context(context)?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
        return Ok(());
    }
    let modified = fs::metadata(from).and_then(|file| file.modified());
    fs::write(to, fs::read(from).with_context(context)?).with_context(context)?;
    fs::File::options()
        .write(true)
        .open(to)
        .and_then(|file| file.set_modified(modified?))
        .with_context(context)
}

/// Fails if anything in the workspace gets the published crate.
fn prove(root: &Path, swap: &Path) -> Result<()> {
    let metadata = metadata(swap, &["--locked"])
        .context("if dependencies were changed, run `cargo xtask swap --lock`")?;
    let path = directory(package(&metadata, REPLACED)?)?;
    let replacement = directory(package(&metadata, REPLACEMENT)?)?;
    if path != swap.join(REPLACED) || replacement != root.join("host") {
        bail!(
            "{REPLACED} is {}, over {}",
            path.display(),
            replacement.display()
        );
    }
    if package(&metadata, NATIVE_PARTS).is_ok() {
        bail!("something gets {NATIVE_PARTS}");
    }
    println!("{REPLACED} is target/swap/{REPLACED}, over host/; {NATIVE_PARTS} is not there");
    Ok(())
}

/// What cargo knows about a workspace.
fn metadata(workspace: &Path, arguments: &[&str]) -> Result<Value> {
    let output = cargo(workspace)
        .args(["metadata", "--format-version", "1"])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo metadata failed in {}", workspace.display());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The only package with this name.
fn package<'a>(metadata: &'a Value, name: &str) -> Result<&'a Value> {
    let mut found = metadata
        .get("packages")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|package| text(package, "name") == Some(name));
    match (found.next(), found.next()) {
        (Some(package), None) => Ok(package),
        (None, _) => bail!("{name} is no dependency"),
        _ => bail!("{name} is there more than once"),
    }
}

fn directory(package: &Value) -> Result<&Path> {
    text(package, "manifest_path")
        .and_then(|manifest| Path::new(manifest).parent())
        .context("cargo does not say where a package is")
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

/// Builds the tests of some packages, in the target directory of this workspace: what
/// both need with the same features is built once.
fn build(root: &Path, swap: &Path, packages: &[&str]) -> Result<Vec<Program>> {
    let mut build = cargo(swap);
    build
        .args(["test", "--lib", "--tests"])
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .arg("--target-dir")
        .arg(root.join("target"));
    build_tests(build).with_context(|| packages.join(", "))
}

/// Runs the tests of a package, prints what became of them, and returns what is wrong.
fn test(swap: &Path, package: &str, programs: &[Program]) -> Result<Vec<String>> {
    let directory = swap.join(package);
    let mut outcome = Outcome::default();
    let mut ran = 0;
    for program in programs {
        let reason = NOT_RUN
            .iter()
            .find(|(of, target, _)| *of == package && *target == program.target);
        if program.manifest.parent() != Some(&directory) {
            continue;
        }
        if let Some((_, target, reason)) = reason {
            println!("{package}: {target} is not run: it {reason}");
            continue;
        }
        ran += 1;
        outcome.add(
            execute(program, package, &directory)
                .with_context(|| format!("{package}: {}", program.target))?,
        );
    }
    if ran == 0 || outcome.passed == 0 {
        bail!("{package}: no test was run");
    }

    println!(
        "{package}: {} passed, {} failed, {} ignored, in {ran} programs",
        outcome.passed,
        outcome.failed.len(),
        outcome.ignored,
    );
    for (_, name, reason) in left_out(package) {
        println!("  left out: {name}: it {reason}");
    }
    let mut complaints: Vec<String> = outcome
        .failed
        .iter()
        .map(|name| format!("{package}: {name} failed"))
        .collect();
    if outcome.left_out != left_out(package).count() {
        complaints.push(format!("{package}: a test to leave out is not there"));
    }
    Ok(complaints)
}

fn left_out(
    package: &str,
) -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> {
    LEFT_OUT.iter().filter(move |(of, ..)| *of == package)
}

/// Runs a test program as cargo does. What it prints is shown if a test failed.
fn execute(program: &Program, package: &str, directory: &Path) -> Result<Outcome> {
    let output = Command::new(&program.path)
        .arg("--exact")
        .args(left_out(package).flat_map(|(_, name, _)| ["--skip", name]))
        .current_dir(directory)
        .env("CARGO_MANIFEST_DIR", directory)
        .output()
        .context("cannot be run")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        print!("{printed}");
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
    }
    libtest::parse(&printed)
}
