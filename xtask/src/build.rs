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
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::cargo;
use crate::{Artifact, FAST_PROFILE, PROFILE, RUSTFLAGS, TARGET, sources, workspace_root};

/// Returns a component, which it builds and writes first if it is not there or its
/// sources have changed. Of processes that want it at the same time, one builds it.
///
/// # Errors
///
/// If it cannot be built, for example because the target is not installed.
pub fn built(artifact: &Artifact) -> Result<Vec<u8>> {
    let root = workspace_root()?;
    let path = root.join(artifact.component);
    if !is_current(&root, artifact)? {
        let _lock = lock(&path.with_extension("lock"))?;
        if !is_current(&root, artifact)? {
            write(&root, artifact, PROFILE)?;
        }
    }
    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn is_current(root: &Path, artifact: &Artifact) -> Result<bool> {
    let Ok(recorded) = fs::read_to_string(root.join(artifact.digest)) else {
        return Ok(false);
    };
    for profile in [PROFILE, FAST_PROFILE] {
        if sources::digest(root, artifact, profile)? == recorded.trim() {
            return Ok(root.join(artifact.component).exists());
        }
    }
    Ok(false)
}

/// Waits until no other process has the lock, and holds it until the file is dropped.
fn lock(path: &Path) -> Result<File> {
    let locked = || {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let file = File::create(path)?;
        file.lock()?;
        Ok::<_, std::io::Error>(file)
    };
    locked().with_context(|| format!("cannot lock {}", path.display()))
}

/// Builds a component, writes it and the digest of its sources, and returns it.
///
/// # Errors
///
/// If it cannot be built or written, or its sources change during the build.
pub fn write(root: &Path, artifact: &Artifact, profile: &str) -> Result<Vec<u8>> {
    let sources = sources::digest(root, artifact, profile)?;
    let built = component(root, artifact, profile)?;
    if sources::digest(root, artifact, profile)? != sources {
        bail!("the sources changed during the build; run the command again");
    }
    crate::write(&root.join(artifact.component), &built)?;
    crate::write(
        &root.join(artifact.digest),
        format!("{sources}\n").as_bytes(),
    )?;
    Ok(built)
}

/// Builds a component in a target directory of its own and returns its bytes.
///
/// # Errors
///
/// If it cannot be built.
pub fn component(root: &Path, artifact: &Artifact, profile: &str) -> Result<Vec<u8>> {
    require_target(root)?;
    let package = artifact.package;
    let directory = root.join("target/component");
    let status = cargo(root)
        // Link-time optimisation needs the package to be nothing but a `cdylib`.
        .args(["rustc", "--lib", "--crate-type", "cdylib", "--locked"])
        .args(["--package", package])
        .args(["--features", &artifact.features.join(",")])
        .args(["--target", TARGET])
        .args(["--profile", profile])
        .arg("--target-dir")
        .arg(&directory)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(root)?)
        .env(
            "CARGO_INCREMENTAL",
            if profile == FAST_PROFILE { "1" } else { "0" },
        )
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("building {package} failed");
    }

    let file = package.replace('-', "_");
    let path = directory
        .join(TARGET)
        .join(profile)
        .join(file)
        .with_extension("wasm");
    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
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
