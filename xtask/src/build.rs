//! Builds a component so that every machine gets the same bytes.
//!
//! Absolute paths reach a program through the places that panics name, so those
//! of the workspace, the registry and the toolchain are replaced. The compiler,
//! the dependencies and the flags are pinned by the workspace. Cargo mixes the
//! compiler's host platform into symbol names: the bytes may differ between
//! hosts of different platforms.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo::cargo;
use anyhow::{Context, Result, bail};
use xtask::{Artifact, PROFILE, RUSTFLAGS, TARGET};

/// Builds the component in a target directory of its own and answers its bytes.
pub(crate) fn component(root: &Path, artifact: &Artifact) -> Result<Vec<u8>> {
    require_target(root)?;
    let package = artifact.package;
    let directory = root.join("target/component");
    let status = cargo(root)
        // Link-time optimisation needs the package to be nothing but a `cdylib`.
        .args(["rustc", "--lib", "--crate-type", "cdylib", "--locked"])
        .args(["--package", package])
        .args(["--features", &artifact.features.join(",")])
        .args(["--target", TARGET])
        .args(["--profile", PROFILE])
        .arg("--target-dir")
        .arg(&directory)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(root)?)
        .env("CARGO_INCREMENTAL", "0")
        .status()
        .context("can not run cargo")?;
    if !status.success() {
        bail!("building {package} failed");
    }

    let file = package.replace('-', "_");
    let path = directory
        .join(TARGET)
        .join(PROFILE)
        .join(file)
        .with_extension("wasm");
    std::fs::read(&path).with_context(|| format!("can not read {}", path.display()))
}

/// Says what to do if the standard library of the target is not installed, which
/// the compiler says in a less helpful way.
fn require_target(root: &Path) -> Result<()> {
    let libraries = rustc(root, &["--print", "target-libdir", "--target", TARGET])?;
    if !Path::new(libraries.trim()).is_dir() {
        bail!("the target {TARGET} is not installed; run `rustup target add {TARGET}`");
    }
    Ok(())
}

/// The compiler flags, in the form of `CARGO_ENCODED_RUSTFLAGS`. They replace
/// those of every other place, so nothing of a machine's configuration is used.
fn flags(root: &Path) -> Result<OsString> {
    let mut flags: Vec<OsString> = RUSTFLAGS.iter().map(OsString::from).collect();
    let mut remap = |from: &Path, to: &str| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push("=");
        flag.push(to);
        flags.push(flag);
    };
    remap(root, "/lash-wasm-store");
    for directory in registries(root)? {
        remap(&directory, "/registry");
    }
    // The standard library already names its sources like this, unless these are
    // installed too.
    let sysroot = rustc(root, &["--print", "sysroot"])?;
    let version = rustc(root, &["--version", "--verbose"])?;
    let commit = version
        .lines()
        .find_map(|line| line.strip_prefix("commit-hash: "))
        .context("rustc does not say its commit")?;
    let sysroot = Path::new(sysroot.trim());
    remap(sysroot, "/rust");
    remap(
        &sysroot.join("lib/rustlib/src/rust"),
        &format!("/rustc/{commit}"),
    );
    Ok(flags.join(&OsString::from("\x1f")))
}

/// The directories that hold the unpacked dependencies. There is one for each
/// registry, and its name depends on how this machine reaches the registry.
fn registries(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let output = cargo(root)
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--filter-platform", TARGET])
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("can not run cargo")?;
    if !output.status.success() {
        bail!("cargo metadata failed");
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata
        .get("packages")
        .and_then(serde_json::Value::as_array)
        .context("cargo metadata names no packages")?;
    Ok(packages
        .iter()
        .filter(|package| {
            package
                .get("source")
                .is_some_and(|source| !source.is_null())
        })
        .filter_map(|package| package.get("manifest_path")?.as_str())
        .filter_map(|manifest| Path::new(manifest).parent()?.parent())
        .map(Path::to_path_buf)
        .collect())
}

/// What the compiler that cargo uses answers.
fn rustc(root: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(arguments)
        .current_dir(root)
        .output()
        .context("can not run rustc")?;
    if !output.status.success() {
        bail!("rustc: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}
