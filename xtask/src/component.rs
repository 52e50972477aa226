//! Builds components, and checks that the committed one is what its sources build.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::builder::PossibleValuesParser;
use xtask::{
    ARTIFACTS, Artifact, COMMITTED, FAST_PROFILE, PROFILE, build, digest, sources, surface,
    workspace_root,
};

/// What can be named.
pub(crate) fn names() -> PossibleValuesParser {
    ARTIFACTS.map(|artifact| artifact.name).into()
}

/// Builds these components, or all, and writes them where they are kept.
pub(crate) fn write(names: &[String], fast: bool) -> Result<()> {
    let root = workspace_root()?;
    let profile = if fast { FAST_PROFILE } else { PROFILE };
    for artifact in ARTIFACTS {
        if names.is_empty() || names.iter().any(|name| name == artifact.name) {
            let component = build::write(&root, artifact, profile)?;
            show(artifact, "written", &component)?;
        }
    }
    Ok(())
}

/// Fails if the committed components are not what their sources build.
pub(crate) fn check() -> Result<()> {
    let root = workspace_root()?;
    COMMITTED
        .iter()
        .try_for_each(|artifact| check_one(&root, artifact))
}

fn check_one(root: &Path, artifact: &Artifact) -> Result<()> {
    let Artifact {
        name,
        component,
        digest,
        ..
    } = artifact;
    let recorded =
        fs::read_to_string(root.join(digest)).with_context(|| format!("cannot read {digest}"))?;
    let current = sources::digest(root, artifact, PROFILE)?;
    if recorded.trim() != current {
        bail!(
            "{component} was built from other sources, or with --fast; \
             run `cargo xtask component {name}`\n  {digest}: {}\n  the sources: {current}",
            recorded.trim(),
        );
    }
    let kept =
        fs::read(root.join(component)).with_context(|| format!("cannot read {component}"))?;
    let built = build::component(root, artifact, PROFILE)?;
    if kept != built {
        bail!(
            "{component} is not what its sources build\n  kept:  {}\n  built: {}\n\
             If the sources are what they should be, run `cargo xtask component {name}`.",
            describe(&kept),
            describe(&built),
        );
    }
    show(artifact, "is current", &built)
}

fn show(artifact: &Artifact, verdict: &str, component: &[u8]) -> Result<()> {
    let surface = surface::read(component)?;
    println!("{} {verdict}: {}", artifact.component, describe(component));
    for import in surface.imports {
        println!("  import {import}");
    }
    for export in surface.exports {
        println!("  export {export}");
    }
    Ok(())
}

fn describe(component: &[u8]) -> String {
    format!("{} bytes, SHA-256 {}", component.len(), digest(component))
}
