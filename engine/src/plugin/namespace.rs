//! The names of one plugin, apart from those of all others.

use super::error::Error;

/// How long the name of a namespace may be, in bytes.
const LONGEST: usize = 64;

/// What a plugin's names begin with in the store. The plugin does not see it.
///
/// Two plugins with the same namespace share what they store; so does a plugin with
/// its later versions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace {
    name: String,
    prefix: String,
}

impl Namespace {
    /// The namespace with a name, which is 1 to 64 characters of `a` to `z`, `0` to
    /// `9`, `-`, `_` and `.`.
    ///
    /// # Errors
    ///
    /// [`Error::Namespace`] for any other name.
    pub fn new(name: &str) -> Result<Self, Error> {
        // Without the character that ends the prefix: no prefix begins with another.
        let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > LONGEST || !name.bytes().all(allowed) {
            return Err(Error::Namespace {
                name: name.to_owned(),
            });
        }
        Ok(Self {
            name: name.to_owned(),
            prefix: format!("plugin/{name}/"),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the application finds before each of the plugin's names: `plugin/`, the
    /// name, and `/`.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What the store calls something of the plugin.
    pub(super) fn outside(&self, name: &str) -> String {
        [&self.prefix, name].concat()
    }

    /// What the plugin calls something of the store; none if it is not the plugin's.
    pub(super) fn inside<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_prefix(&self.prefix)
    }

    /// A message in the plugin's words.
    pub(super) fn hidden(&self, message: &str) -> String {
        message.replace(&self.prefix, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_taken_for_another_namespace_is_none() {
        for name in ["", "a/b", "/", "A", "ä", "a b", "a\0", &"a".repeat(65)] {
            let refused = Namespace::new(name);
            assert!(matches!(refused, Err(Error::Namespace { .. })), "{name:?}");
        }
        assert!(Namespace::new(&"a".repeat(64)).is_ok());
    }

    #[test]
    fn no_name_of_one_is_a_name_of_another() {
        let spaces = ["a", "aa", "a.", "..", "a-b"].map(|name| Namespace::new(name).unwrap());
        for one in &spaces {
            for other in &spaces {
                for name in ["", "a", "/a", "../a", "plugin/a/a"] {
                    let outside = one.outside(name);
                    let expected = (one == other).then_some(name);
                    assert_eq!(other.inside(&outside), expected);
                }
            }
        }
    }
}
