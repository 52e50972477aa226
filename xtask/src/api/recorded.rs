//! The public API of our own crates as it was recorded: a later change of it is seen.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Where a crate's public items are recorded, a line each.
fn file(root: &Path, package: &str) -> PathBuf {
    root.join("xtask/api").join(package).with_extension("txt")
}

/// Records the public items of a crate.
pub(super) fn record(root: &Path, package: &str, items: &[String]) -> Result<()> {
    let path = file(root, package);
    xtask::write(&path, (items.join("\n") + "\n").as_bytes())?;
    println!("{}: {} public items", path.display(), items.len());
    Ok(())
}

/// Fails if the public items of a crate are not those that are recorded.
pub(super) fn check(root: &Path, package: &str, items: &[String]) -> Result<()> {
    let path = file(root, package);
    let recorded = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let changes = changes(&recorded, items);
    if !changes.is_empty() {
        bail!(
            "the public API of {package} is not the recorded one (- recorded, + now):\n{changes}\
             If that is intended, say it in CHANGELOG.md, and run `cargo xtask api --record`."
        );
    }
    println!("{} public items of {package} are as recorded", items.len());
    Ok(())
}

/// What is gone and what is new, a line each.
fn changes(recorded: &str, items: &[String]) -> String {
    let recorded: BTreeSet<&str> = recorded.lines().collect();
    let items: BTreeSet<&str> = items.iter().map(String::as_str).collect();
    let mut changes = String::new();
    for item in recorded.symmetric_difference(&items) {
        let sign = if items.contains(item) { '+' } else { '-' };
        // Writing to a string does not fail.
        let _ = writeln!(changes, "{sign} {item}");
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::changes;

    #[test]
    fn what_is_gone_and_what_is_new_is_named() {
        let items = ["pub fn a::new()", "pub fn a::same()"].map(String::from);
        let recorded = "pub fn a::old()\npub fn a::same()\n";
        assert_eq!(
            changes(recorded, &items),
            "+ pub fn a::new()\n- pub fn a::old()\n"
        );
        assert_eq!(changes(&items.join("\n"), &items), "");
    }
}
