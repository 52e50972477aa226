//! Why something could not be done, for a person in a line and for a program as JSON.

use std::io;
use std::path::Path;

use lash_wasm_store::import::{ImportError, Loss};
use lash_wasm_store::{EngineError, Error};
use serde::Serialize;

use crate::exit::Exit;
use crate::units::plain;

/// What could not be done with a file.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    path: String,
    error: Reason,
    #[serde(skip)]
    pub(crate) exit: Exit,
    /// Whether the whole command ends with it, not only what it does with one database.
    #[serde(skip)]
    pub(crate) ends_all: bool,
}

#[derive(Debug, Serialize)]
struct Reason {
    /// What programs tell failures apart by: as [`Error::code`], or one of this program's.
    code: &'static str,
    message: String,
    /// What an import would lose.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    losses: Vec<Loss>,
}

impl Failure {
    pub(crate) fn new(
        path: &Path,
        exit: Exit,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            path: path.display().to_string(),
            exit,
            ends_all: false,
            error: Reason {
                code,
                message: message.into(),
                losses: Vec::new(),
            },
        }
    }

    /// A file cannot be used.
    pub(crate) fn unusable(path: &Path, code: &'static str, message: impl Into<String>) -> Self {
        Self::new(path, Exit::Unusable, code, message)
    }

    /// The operating system failed on a file.
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        let (code, help) = match error.kind() {
            io::ErrorKind::NotFound => ("missing", "check the path"),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => (
                "read-only",
                "check its permissions and those of its directory",
            ),
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => ("disk-full", "free some space and try again"),
            _ => ("io", "check the file, its directory and the disk"),
        };
        Self::unusable(path, code, format!("{}: {error}; {help}", path.display()))
    }

    /// Where everything is written to cannot be written.
    pub(crate) fn output(path: &Path, error: &io::Error) -> Self {
        let failure = if error.kind() == io::ErrorKind::BrokenPipe {
            let message = format!("nobody reads {} any more", path.display());
            Self::new(path, Exit::BrokenPipe, "broken-pipe", message)
        } else {
            Self::io(path, error)
        };
        Self {
            ends_all: true,
            ..failure
        }
    }

    /// Standard output cannot be written.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        Self::output(Path::new("standard output"), error)
    }

    /// The message on one line, and each loss on one.
    pub(crate) fn lines(&self) -> String {
        let mut lines = plain(&self.error.message);
        for loss in &self.error.losses {
            lines.push_str("\n  ");
            lines.push_str(&plain(&loss.to_string()));
        }
        lines
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match &error {
            Error::Engine(error) => exit_of(error),
            Error::Encode { .. } => Exit::Fault,
            _ => Exit::Unusable,
        };
        let message = match &error {
            Error::Engine(EngineError::Missing { path, .. }) => format!(
                "{} is empty: nothing was ever stored in it; check the path",
                path.display()
            ),
            error => chain(error),
        };
        Self::new(error.path(), exit, error.code(), message)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Error::Engine(error).into()
    }
}

fn exit_of(error: &EngineError) -> Exit {
    match error {
        EngineError::Corrupt { .. }
        | EngineError::Malformed { .. }
        | EngineError::MissingBlob { .. } => Exit::Problems,
        EngineError::Component { .. }
        | EngineError::Limit { .. }
        | EngineError::Load { .. }
        | EngineError::Invalid { .. } => Exit::Fault,
        _ => Exit::Unusable,
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        let (code, message) = (error.code(), chain(&error));
        match error {
            ImportError::Damaged { path, losses, .. } => {
                let mut failure = Self::new(&path, Exit::Problems, code, message);
                failure.error.losses = losses;
                failure
            }
            ImportError::DestinationExists { path }
            | ImportError::NotNative { path, .. }
            | ImportError::Source { path, .. } => Self::unusable(&path, code, message),
            ImportError::Io { path, source } => Self::io(&path, &source),
            ImportError::Destination(error) => error.into(),
            _ => Self::new(Path::new(""), Exit::Fault, code, message),
        }
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
