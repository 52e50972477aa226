//! The recorded specification, and what fits it.
//!
//! A host that was written for the recorded world must be able to run a component of
//! the current one: it may import less and export more, and what both have must be
//! the same. This is the other direction than the one in which
//! [`wit_component::semver_check`] is named: there a component stays and its host
//! changes.

use anyhow::{Context, Result, bail};
use semver::{BuildMetadata, Comparator, Op, Version};
use wit_component::{OutputToString, WitPrinter};
use wit_parser::{PackageId, Resolve, WorldId};

/// The package and all that it depends on as one document, without comments.
pub(super) fn print(resolve: &Resolve, package: PackageId) -> Result<String> {
    let others: Vec<PackageId> = resolve
        .packages
        .iter()
        .map(|(id, _)| id)
        .filter(|&id| id != package)
        .collect();
    let mut printer = WitPrinter::new(OutputToString::default());
    printer.emit_docs(false);
    printer.print(resolve, package, &others)?;
    Ok(String::from(printer.output))
}

/// Fails if a host of the recorded package could not run a component of this one,
/// and the version does not say so.
pub(super) fn check(resolve: &Resolve, package: PackageId, recorded: &str) -> Result<()> {
    let mut old = Resolve::default();
    let old_package = old
        .push_str("recorded.wit", recorded)
        .context("cannot parse the recorded package")?;
    let version = |resolve: &Resolve, package: PackageId| {
        let name = &resolve.packages[package].name;
        name.version
            .clone()
            .with_context(|| format!("{name} has no version"))
    };
    let (before, now) = (version(&old, old_package)?, version(resolve, package)?);
    if now < before {
        bail!("the version went back from {before} to {now}");
    }
    if !is_compatible(&before, &now) {
        return Ok(());
    }

    for (name, &world) in &old.packages[old_package].worlds {
        let current = resolve.packages[package].worlds.get(name);
        let current = *current.with_context(|| format!("the world {name} is gone"))?;
        fits(resolve, current, &old, world).with_context(|| {
            format!(
                "a host of the world {name} of version {before} cannot run a component of \
                 version {now}"
            )
        })?;
    }
    Ok(())
}

/// Whether a version promises to be usable in place of another.
fn is_compatible(before: &Version, now: &Version) -> bool {
    let caret = Comparator {
        op: Op::Caret,
        major: before.major,
        minor: Some(before.minor),
        patch: Some(before.patch),
        pre: before.pre.clone(),
    };
    caret.matches(now)
}

fn fits(new: &Resolve, new_world: WorldId, old: &Resolve, old_world: WorldId) -> Result<()> {
    let mut both = new.clone();
    let mut old = old.clone();
    // Under the same names they would be taken for the same packages.
    for (_, package) in old.packages.iter_mut() {
        if let Some(version) = &mut package.name.version {
            version.build = BuildMetadata::new("recorded")?;
        }
    }
    old.package_names = old
        .packages
        .iter()
        .map(|(id, package)| (package.name.clone(), id))
        .collect();
    let moved = both.merge(old)?;
    let old_world = moved
        .worlds
        .get(old_world.index())
        .copied()
        .flatten()
        .context("the recorded world is lost")?;
    wit_component::semver_check(both, new_world, old_world)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIT: &str = "package a:b@VERSION;
        interface host {
            resource r {
                m: func() -> u8;
            }
        }
        interface i {
            use host.{r};
            record x {
                a: u8,
            }
            f: func(r: borrow<r>, x: x);
        }
        interface other {
            g: func();
        }
        world w {
            import host;
            export i;
        }";

    fn parse(text: &str) -> (Resolve, PackageId) {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("a.wit", text).unwrap();
        (resolve, package)
    }

    /// Whether `change` fits what was recorded before.
    fn change(version: &str, from: &str, to: &str) -> Result<()> {
        let (resolve, package) = parse(&WIT.replace("VERSION", "0.1.0"));
        let recorded = print(&resolve, package).unwrap();
        let changed = WIT.replace("VERSION", version);
        assert!(changed.contains(from), "{from}");
        let (resolve, package) = parse(&changed.replace(from, to));
        check(&resolve, package, &recorded)
    }

    #[test]
    fn what_hosts_do_not_notice_fits() {
        change("0.1.0", "export i;", "export i;").unwrap();
        change("0.1.0", "export i;", "export i; export other;").unwrap();
        change("0.1.0", "export i;", "/// Says more.\n export i;").unwrap();
    }

    #[test]
    fn what_breaks_a_host_does_not_fit() {
        for (from, to) in [
            ("export i;", ""),
            ("export i;", "import other; export i;"),
            ("a: u8", "a: u16"),
            ("a: u8", "a: u8, b: u8"),
            ("x: x)", "x: x, more: u8)"),
            ("m: func() -> u8", "m: func() -> u16"),
            ("f: func(", "renamed: func("),
            ("world w", "world renamed"),
        ] {
            assert!(change("0.1.0", from, to).is_err(), "{from} to {to}");
            assert!(change("0.1.1", from, to).is_err(), "{from} to {to}");
            // Before 1.0.0 the second number says that hosts have to change.
            change("0.2.0", from, to).unwrap();
        }
    }

    #[test]
    fn a_version_does_not_go_back() {
        assert!(change("0.0.9", "export i;", "export i;").is_err());
    }
}
