//! What can go wrong with a store: an error of the engine, or one of turning lash-core's
//! values into what is stored and back.
//!
//! What a caller is expected to handle as an outcome (a lost race, a claim that expired)
//! is not here.

use std::fmt;
use std::path::{Path, PathBuf};

use lash_core::{PluginError, StoreError};
use lash_store_engine::observability::{Chain, Failure};
use lash_store_engine::{Error as EngineError, Source};

/// How the text of an error of lash-core's types begins that is no answer, but a
/// failure of a database of this crate, where the type has no code that says so.
pub(crate) const INFRASTRUCTURE: &str = "lash store: ";

/// Why a store could not be opened, or why a call failed.
///
/// A call that returns an error has written nothing, with three exceptions:
/// [`EngineError::Component`] and [`EngineError::Limit`], which say so themselves,
/// and [`Decode`](Self::Decode) for the answer of a call that writes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database could not be opened, or the call failed.
    #[error(transparent)]
    Engine(#[from] EngineError),

    /// A value could not be turned into what is stored: it has a number that the format
    /// does not have, for example, and could not be read back.
    #[error("cannot encode {} for {}; nothing was written", Named(what, key), path.display())]
    Encode {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// What was to be stored.
        what: &'static str,
        /// Which one, empty if there is only one or if it has no name yet.
        key: String,
        /// Why it could not be.
        #[source]
        source: Source,
    },

    /// A value is nested too deeply to be read back. Nothing was written.
    #[error(
        "cannot store {} in {}: it is nested deeper than {limit} levels, the most that can be read back; nothing was written; flatten it, or store it as text or as an attachment",
        Named(what, key),
        path.display()
    )]
    TooDeep {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// What was to be stored.
        what: &'static str,
        /// Which one, empty if there is only one or if it has no name yet.
        key: String,
        /// How many levels there may be, with those that lash-core puts around the value of
        /// an application: 1,024; of a module 127.
        limit: usize,
    },

    /// The attachment is about to be removed, see
    /// [`Store::condemn_attachment`](crate::Store::condemn_attachment). Nothing was written.
    #[error(
        "attachment {attachment_id} in {} is condemned: its bytes are being removed, or were; record its intent and write them again once it is forgotten",
        path.display()
    )]
    Condemned {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// The attachment.
        attachment_id: String,
    },

    /// What is stored could not be turned into a value. It was not changed: a
    /// newer release may have written it.
    #[error("cannot decode {} in {}; it may have been written by another release", Named(what, key), path.display())]
    Decode {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// What was read.
        what: &'static str,
        /// Which one.
        key: String,
        /// Why it could not be read.
        #[source]
        source: Source,
    },
}

impl Error {
    /// The file that the error is about, `:memory:` if there is none; empty for
    /// [`EngineError::Load`], which is about none.
    pub fn path(&self) -> &Path {
        match self {
            Self::Engine(error) => error.path(),
            Self::Encode { path, .. }
            | Self::TooDeep { path, .. }
            | Self::Condemned { path, .. }
            | Self::Decode { path, .. } => path,
        }
    }

    /// A word for programs: the name of the variant, here or in [`EngineError`], in lower
    /// case with hyphens. It is the outcome of a call in spans and metrics, and stays as
    /// it is.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Engine(error) => error.code(),
            Self::Encode { .. } => "encode",
            Self::TooDeep { .. } => "too-deep",
            Self::Condemned { .. } => "condemned",
            Self::Decode { .. } => "decode",
        }
    }

    /// The same, about what has this key.
    pub(crate) fn of(mut self, named: impl FnOnce() -> String) -> Self {
        if let Self::Decode { key, .. } = &mut self {
            *key = named();
        }
        self
    }

    /// The operating system failed on the file at `path`.
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Engine(EngineError::Io {
            path: path.to_path_buf(),
            source,
        })
    }

    /// An attachment is about to be removed.
    pub(crate) fn condemned(path: &Path, attachment_id: String) -> Self {
        Self::Condemned {
            path: path.to_path_buf(),
            attachment_id,
        }
    }

    /// `what` could not be turned into bytes.
    pub(crate) fn encode(
        path: &Path,
        what: &'static str,
        key: &str,
        source: impl Into<Source>,
    ) -> Self {
        Self::Encode {
            path: path.to_path_buf(),
            what,
            key: key.to_owned(),
            source: source.into(),
        }
    }

    /// `what` is nested too deeply.
    pub(crate) fn too_deep(path: &Path, what: &'static str, key: &str, limit: usize) -> Self {
        Self::TooDeep {
            path: path.to_path_buf(),
            what,
            key: key.to_owned(),
            limit,
        }
    }

    /// The bytes of `what` with this `key` could not be read.
    pub(crate) fn decode(
        path: &Path,
        what: &'static str,
        key: &str,
        source: impl Into<Source>,
    ) -> Self {
        Self::Decode {
            path: path.to_path_buf(),
            what,
            key: key.to_owned(),
            source: source.into(),
        }
    }
}

/// What something is, and which one it is if that is known.
struct Named<'a>(&'a str, &'a str);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(what, key) = self;
        match *key {
            "" => write!(f, "{what}"),
            key => write!(f, "{what} {key}"),
        }
    }
}

impl Failure for Error {
    fn code(&self) -> &'static str {
        self.code()
    }

    fn log(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(error) => error.log(f),
            // What serde says quotes what it did not expect.
            Self::Encode { .. }
            | Self::TooDeep { .. }
            | Self::Condemned { .. }
            | Self::Decode { .. } => fmt::Display::fmt(self, f),
        }
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        Self::Backend(Chain(&error).to_string())
    }
}

impl From<Error> for PluginError {
    fn from(error: Error) -> Self {
        Self::Session(format!("{INFRASTRUCTURE}{}", Chain(&error)))
    }
}

/// How registries say that they have no process of a name.
pub(crate) const UNKNOWN_PROCESS: &str = "unknown process";

/// What registries answer about a process that they do not have.
pub(crate) fn unknown_process(process_id: &str) -> PluginError {
    PluginError::Session(format!("{UNKNOWN_PROCESS} `{process_id}`"))
}

#[cfg(test)]
mod tests {
    use lash_store_engine::observability::Logged;

    use super::*;

    /// What serde says about a value that it does not expect quotes it.
    #[test]
    fn a_log_does_not_quote_what_could_not_be_decoded() {
        let source = serde_json::from_str::<u8>("\"a secret\"").unwrap_err();
        let error = Error::decode(Path::new("x.db"), "a graph node", "n1", source);
        assert!(Chain(&error).to_string().contains("a secret"));
        let logged = Logged(&error).to_string();
        assert!(
            logged.contains("n1") && !logged.contains("a secret"),
            "{logged}"
        );
    }
}
