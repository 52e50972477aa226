//! `cargo xtask wit`: the specification is whole, and hosts that were written for the
//! recorded one can go on with it.
#![allow(
    clippy::indexing_slicing,
    reason = "what an arena is asked for are its own identifiers"
)]

mod items;
mod recorded;

use std::path::Path;

use anyhow::{Context, Result, bail};
use wit_parser::{PackageId, Resolve};
use xtask::workspace_root;

/// Where the specification is.
const WIT: &str = "wit";

/// The last specification that was recorded, as one document without comments. Not
/// in `wit/`: there it would be compiled.
const RECORDED: &str = "xtask/wit/recorded.wit";

/// Checks the specification; with `record`, also records it.
pub(crate) fn run(record: bool) -> Result<()> {
    let root = workspace_root()?;
    let (resolve, package) = read(&root.join(WIT))?;
    let faults = items::faults(&resolve, package);
    if !faults.is_empty() {
        bail!("{WIT} is not whole:\n  {}", faults.join("\n  "));
    }

    let path = root.join(RECORDED);
    if path.exists() {
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {RECORDED}"))?;
        recorded::check(&resolve, package, &text).with_context(|| {
            format!(
                "{WIT} does not fit {RECORDED}; an incompatible change takes a new version of \
                 the package, or, if that version was never published, the removal of {RECORDED}"
            )
        })?;
    } else if !record {
        bail!("{RECORDED} is missing; run `cargo xtask wit --record`");
    }
    if record {
        let text = recorded::print(&resolve, package)?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {RECORDED}"))?;
        println!("{RECORDED} written");
    }
    println!("{WIT} is whole and fits {RECORDED}");
    Ok(())
}

/// Parses a package and what it depends on; this alone finds what is not well-formed.
fn read(directory: &Path) -> Result<(Resolve, PackageId)> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_dir(directory)
        .with_context(|| format!("cannot parse {}", directory.display()))?;
    Ok((resolve, package))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_well_formed_is_refused() {
        let mut resolve = Resolve::default();
        let text = "package a:b@0.1.0; interface i { f: func() -> missing; }";
        assert!(resolve.push_str("a.wit", text).is_err());
    }

    #[test]
    fn the_specification_is_whole() {
        run(false).unwrap();
    }
}
