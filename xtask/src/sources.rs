//! One digest over everything that a component is built from.
//!
//! It tells, without a WebAssembly toolchain, whether a component is older than its
//! sources. It covers the files of its package and the WIT, the toolchain, the
//! compiler flags, the profile, and the locked versions of the package's
//! dependencies. It does not tell whether the component really is what
//! these sources build: for that, `cargo xtask component --check` builds it again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use toml::Table;

use crate::{Artifact, RUSTFLAGS, TARGET};

/// What is beside the sources and not compiled.
const NOT_BUILT: [&str; 3] = ["guest/benches", "guest/examples", "guest/tests"];

/// Returns the digest of the sources of a component that is built with a profile, in
/// lower-case hex.
///
/// # Errors
///
/// If a file cannot be read, or `Cargo.lock` does not fit the package's manifest.
pub fn digest(root: &Path, artifact: &Artifact, profile: &str) -> Result<String> {
    let mut text = Vec::new();
    for (path, content) in files(root, artifact.sources)? {
        text.extend_from_slice(format!("{path} {}\n", content.len()).as_bytes());
        text.extend_from_slice(&content);
    }
    for line in settings(root, profile)?
        .into_iter()
        .chain(
            artifact
                .features
                .iter()
                .map(|feature| format!("feature {feature}")),
        )
        .chain(dependencies(root, artifact)?)
    {
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
    Ok(crate::digest(&text))
}

/// The content of every source file by its path in the workspace, with `/`
/// between the parts. Hidden files are left out.
fn files(root: &Path, sources: &[&str]) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut left: Vec<PathBuf> = sources.iter().map(PathBuf::from).collect();
    while let Some(relative) = left.pop() {
        let parts: Vec<String> = relative
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        let name = parts.join("/");
        if NOT_BUILT.contains(&name.as_str()) || parts.iter().any(|part| part.starts_with('.')) {
            continue;
        }
        let path = root.join(&relative);
        let context = || format!("cannot read {}", path.display());
        if path.is_dir() {
            for entry in fs::read_dir(&path).with_context(context)? {
                left.push(relative.join(entry.with_context(context)?.file_name()));
            }
        } else {
            found.insert(name, fs::read(&path).with_context(context)?);
        }
    }
    Ok(found)
}

/// What the build is told beside the sources.
fn settings(root: &Path, profile: &str) -> Result<[String; 3]> {
    let manifest = read_toml(&root.join("Cargo.toml"))?;
    let settings = manifest
        .get("profile")
        .and_then(|profiles| profiles.get(profile))
        .with_context(|| format!("Cargo.toml has no [profile.{profile}]"))?;
    Ok([
        TARGET.to_owned(),
        RUSTFLAGS.join(" "),
        toml::to_string(settings)?,
    ])
}

/// The locked version and checksum of the package and of each one that it
/// depends on, sorted. Dependencies of its tests are left out.
fn dependencies(root: &Path, artifact: &Artifact) -> Result<BTreeSet<String>> {
    let directory = artifact.sources.first().context("no sources")?;
    let manifest = read_toml(&root.join(directory).join("Cargo.toml"))?;
    let direct = direct_dependencies(&manifest);
    let lock = read_toml(&root.join("Cargo.lock"))?;
    let packages: Vec<Package<'_>> = lock
        .get("package")
        .and_then(toml::Value::as_array)
        .context("Cargo.lock has no packages")?
        .iter()
        .filter_map(Package::read)
        .collect();

    let mut lines = BTreeSet::new();
    let mut left = vec![artifact.package];
    while let Some(entry) = left.pop() {
        let package = find(&packages, entry)?;
        if !lines.insert(package.line()) {
            continue;
        }
        let is_root = package.name == artifact.package;
        left.extend(package.dependencies.iter().filter(|dependency| {
            !is_root || direct.contains(dependency.split(' ').next().unwrap_or_default())
        }));
    }
    Ok(lines)
}

/// The packages that a manifest names as dependencies of the library.
fn direct_dependencies(manifest: &Table) -> BTreeSet<&str> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    targets
        .into_iter()
        .flat_map(Table::values)
        .filter_map(toml::Value::as_table)
        .chain([manifest])
        .flat_map(|scope| [scope.get("dependencies"), scope.get("build-dependencies")])
        .flatten()
        .filter_map(toml::Value::as_table)
        .flatten()
        .map(|(name, details)| {
            let renamed = details.get("package").and_then(toml::Value::as_str);
            renamed.unwrap_or(name)
        })
        .collect()
}

/// One package of `Cargo.lock`.
struct Package<'lock> {
    name: &'lock str,
    version: &'lock str,
    checksum: &'lock str,
    dependencies: Vec<&'lock str>,
}

impl<'lock> Package<'lock> {
    fn read(entry: &'lock toml::Value) -> Option<Self> {
        let text = |key| entry.get(key).and_then(toml::Value::as_str);
        let dependencies = entry.get("dependencies").and_then(toml::Value::as_array);
        Some(Self {
            name: text("name")?,
            version: text("version")?,
            checksum: text("checksum").unwrap_or_default(),
            dependencies: dependencies
                .into_iter()
                .flatten()
                .filter_map(toml::Value::as_str)
                .collect(),
        })
    }

    fn line(&self) -> String {
        format!("{} {} {}", self.name, self.version, self.checksum)
    }
}

/// Finds what a dependency of `Cargo.lock` names: a name, followed by a version
/// if there are several, followed by a source if there still are.
fn find<'a, 'lock>(packages: &'a [Package<'lock>], entry: &str) -> Result<&'a Package<'lock>> {
    let mut parts = entry.split(' ');
    let name = parts.next().unwrap_or_default();
    let version = parts.next();
    let mut matching = packages.iter().filter(|package| {
        package.name == name && version.is_none_or(|version| package.version == version)
    });
    match (matching.next(), matching.next()) {
        (Some(package), None) => Ok(package),
        (None, _) => bail!("Cargo.lock has no package `{entry}`"),
        (Some(_), Some(_)) => bail!("Cargo.lock has several packages `{entry}`"),
    }
}

fn read_toml(path: &Path) -> Result<Table> {
    fs::read_to_string(path)
        .map_err(anyhow::Error::from)
        .and_then(|text| Ok(text.parse()?))
        .with_context(|| format!("cannot read {}", path.display()))
}
