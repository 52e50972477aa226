//! What of one public API is missing in another.

use std::collections::BTreeSet;

/// Traits that are no part of the comparison: unstable, so nobody can name them.
const UNSTABLE: [&str; 2] = ["core::marker::Freeze", "core::marker::UnsafeUnpin"];

/// Whether an item is anything that a program can name.
pub(super) fn is_stable(item: &str) -> bool {
    !UNSTABLE.iter().any(|name| item.contains(name))
}

/// A text that may be another one.
pub(super) struct Difference {
    pub(super) native: &'static str,
    pub(super) ours: &'static str,
    pub(super) reason: &'static str,
}

/// What a comparison found.
pub(super) struct Comparison {
    /// How many items are the same.
    pub(super) same: usize,
    /// How many differ as each allowed difference says.
    pub(super) differ: Vec<usize>,
    /// What must not be.
    pub(super) complaints: Vec<String>,
}

/// Compares two lists of public items of crates with these names. All of `native` must
/// be in `ours`. More may be there, but no variants and fields of the same types: a
/// `match` or a literal would have to name them.
pub(super) fn compare(
    native: &[String],
    ours: &[String],
    native_name: &str,
    our_name: &str,
    differences: &[Difference],
) -> Comparison {
    let ours: BTreeSet<String> = ours.iter().map(|item| canonical(item)).collect();
    let mut differ = vec![0; differences.len()];
    let mut expected = BTreeSet::new();
    for item in native {
        let mut item = item.replace(native_name, our_name);
        for (difference, times) in differences.iter().zip(&mut differ) {
            if item.contains(difference.native) {
                item = item.replace(difference.native, difference.ours);
                *times += 1;
            }
        }
        if is_stable(&item) {
            expected.insert(canonical(&item));
        }
    }

    let types: BTreeSet<&str> = expected.iter().filter_map(|item| type_name(item)).collect();
    let missing = expected
        .difference(&ours)
        .map(|item| format!("missing: {item}"));
    let added = ours
        .difference(&expected)
        .filter(|item| member_of(item).is_some_and(|name| types.contains(name)))
        .map(|item| format!("added to a type that is matched or written out: {item}"));
    let stale = differences
        .iter()
        .zip(&differ)
        .filter(|(_, times)| **times == 0)
        .map(|(difference, _)| format!("nothing has `{}` any more", difference.native));
    Comparison {
        same: expected.intersection(&ours).count() - differ.iter().sum::<usize>(),
        complaints: missing.chain(added).chain(stale).collect(),
        differ,
    }
}

/// Writes out `Self` in the signature of a method.
fn canonical(item: &str) -> String {
    let of = item
        .split_once("fn ")
        .and_then(|(_, rest)| rest.split(['(', '<']).next())
        .and_then(|path| path.rsplit_once("::"));
    let Some((of, _)) = of else {
        return item.to_owned();
    };
    let mut text = String::new();
    for part in item.split_inclusive(|letter: char| !letter.is_alphanumeric() && letter != '_') {
        match part.strip_prefix("Self") {
            Some(end)
                if !end.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_') =>
            {
                text.push_str(of);
                text.push_str(end);
            }
            _ => text.push_str(part),
        }
    }
    text
}

/// The name of the type that an item declares, without generic parameters.
fn type_name(item: &str) -> Option<&str> {
    ["pub enum ", "pub struct "]
        .iter()
        .find_map(|keyword| item.split_once(keyword))
        .and_then(|(_, name)| name.split('<').next())
}

/// The type that a variant or field belongs to.
fn member_of(item: &str) -> Option<&str> {
    // After a keyword, such as of a method, the word has no path.
    let item = item.strip_prefix("pub ")?;
    let end = item.find([' ', '(']).unwrap_or(item.len());
    let path = item.get(..end)?.trim_end_matches(':');
    path.rsplit_once("::").map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::{Comparison, Difference, compare};

    const NATIVE: &[&str] = &[
        "pub enum native::Kind",
        "pub native::Kind::Small",
        "pub struct native::Store",
        "pub native::Store::path: std::path::PathBuf",
        "impl core::clone::Clone for native::Store",
        "impl core::marker::Send for native::Store",
        "impl core::marker::Freeze for native::Store",
        "pub fn native::Store::copy(&self, &native::Store) -> bool",
        "pub fn native::Store::open() -> other::Result<Self>",
    ];

    const DIFFERENCE: Difference = Difference {
        native: "other::Result<Self>",
        ours: "core::result::Result<Self, ours::Error>",
        reason: "",
    };

    /// Compares the list with one that differs from it in this.
    fn with(change: impl Fn(&str) -> Option<String>) -> Comparison {
        let native: Vec<String> = NATIVE.iter().map(ToString::to_string).collect();
        let ours: Vec<String> = native
            .iter()
            .map(|item| {
                item.replace("native", "ours")
                    .replace(DIFFERENCE.native, DIFFERENCE.ours)
            })
            .filter_map(|item| change(&item))
            .collect();
        compare(&native, &ours, "native", "ours", &[DIFFERENCE])
    }

    fn replacing(from: &str, to: &str) -> Vec<String> {
        with(|item| Some(item.replace(from, to))).complaints
    }

    fn without(missing: &str) -> Vec<String> {
        with(|item| (item != missing).then(|| item.to_owned())).complaints
    }

    fn adding(item: &str) -> Vec<String> {
        with(|line| {
            Some(line.to_owned())
                .filter(|line| line != "impl core::marker::Freeze for ours::Store")
                .or_else(|| Some(item.to_owned()))
        })
        .complaints
    }

    #[test]
    fn what_is_the_same_but_for_the_allowed_difference_is_accepted() {
        let comparison = with(|item| Some(item.to_owned()));
        assert_eq!(comparison.complaints, [""; 0]);
        assert_eq!((comparison.same, comparison.differ), (7, vec![1]));
        assert_eq!(replacing("&ours::Store", "&Self"), [""; 0]);
    }

    #[test]
    fn a_missing_item_is_reported() {
        for item in [
            "pub fn ours::Store::copy(&self, &ours::Store) -> bool",
            "impl core::clone::Clone for ours::Store",
            "impl core::marker::Send for ours::Store",
            "pub ours::Kind::Small",
        ] {
            assert_eq!(without(item), [format!("missing: {item}")]);
        }
        assert_eq!(
            without("impl core::marker::Freeze for ours::Store"),
            [""; 0]
        );
    }

    #[test]
    fn another_signature_is_reported() {
        let missing = "missing: pub fn ours::Store::copy(&self, &ours::Store) -> bool";
        assert_eq!(replacing("-> bool", "-> u8"), [missing]);
        assert_eq!(replacing("(&self, &ours", "(&self, ours"), [missing]);
        assert_eq!(
            replacing("(&self, &ours::Store", "(&self, &SelfMade"),
            [missing]
        );
        assert_eq!(replacing("pub enum", "#[non_exhaustive] pub enum").len(), 1);
    }

    #[test]
    fn more_variants_and_fields_are_reported_but_not_more_methods() {
        assert_eq!(adding("pub ours::Kind::Large").len(), 1);
        assert_eq!(adding("pub ours::Store::size: u64").len(), 1);
        assert_eq!(adding("pub fn ours::Store::size(&self) -> u64"), [""; 0]);
        assert_eq!(adding("pub ours::Error::Io"), [""; 0]);
    }

    #[test]
    fn a_difference_that_is_gone_is_reported() {
        let item = "pub struct native::Store".to_owned();
        let ours = "pub struct ours::Store".to_owned();
        let comparison = compare(&[item], &[ours], "native", "ours", &[DIFFERENCE]);
        assert_eq!(
            comparison.complaints,
            ["nothing has `other::Result<Self>` any more"]
        );
    }
}
