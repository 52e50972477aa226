//! Why something could not be done, for a person in a line and for a program as JSON.

use std::io;
use std::path::Path;

use lash_wasm_store::Error;
use lash_wasm_store::import::{ImportError, Loss};
use serde::Serialize;

use crate::exit::Exit;

/// What could not be done with a file.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    path: String,
    error: Reason,
    #[serde(skip)]
    pub(crate) exit: Exit,
}

#[derive(Debug, Serialize)]
struct Reason {
    /// What programs tell failures apart by.
    code: &'static str,
    message: String,
    /// What is lost, one by one.
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
            error: Reason {
                code,
                message: message.into(),
                losses: Vec::new(),
            },
        }
    }

    /// A file can not be used.
    pub(crate) fn unusable(path: &Path, code: &'static str, message: impl Into<String>) -> Self {
        Self::new(path, Exit::Unusable, code, message)
    }

    /// This program failed, which is nobody else's fault.
    pub(crate) fn fault(message: impl Into<String>) -> Self {
        Self::new(Path::new(""), Exit::Fault, "fault", message)
    }

    /// The operating system failed on a file.
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        let (code, help) = match error.kind() {
            io::ErrorKind::NotFound => ("missing", "check the path"),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => (
                "read_only",
                "check its permissions and those of its directory",
            ),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                ("disk_full", "free some space and try again")
            }
            _ => ("io", "check the file, its directory and the disk"),
        };
        Self::unusable(path, code, format!("{}: {error}; {help}", path.display()))
    }

    /// Nobody reads standard output any more. It is not said, because nobody listens.
    pub(crate) fn output(error: &io::Error) -> Self {
        let path = Path::new("standard output");
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(path, Exit::BrokenPipe, "broken_pipe", error.to_string());
        }
        Self::io(path, error)
    }

    /// The message on one line, and one for each loss.
    pub(crate) fn lines(&self) -> String {
        let mut lines = one_line(&self.error.message);
        for loss in &self.error.losses {
            lines.push_str("\n  ");
            lines.push_str(&one_line(&loss.to_string()));
        }
        lines
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (exit, code) = match &error {
            Error::Corrupt { .. } | Error::Malformed { .. } | Error::MissingBlob { .. } => {
                (Exit::Problems, "damaged")
            }
            Error::Missing { .. } => (Exit::Unusable, "missing"),
            Error::NotADatabase { .. } => (Exit::Unusable, "not_a_database"),
            Error::Foreign { .. } => (Exit::Unusable, "foreign"),
            Error::OtherKind { .. } => (Exit::Unusable, "other_kind"),
            Error::OtherVersion { .. } => (Exit::Unusable, "other_version"),
            Error::Retired { .. } => (Exit::Unusable, "deleted"),
            Error::Busy { .. } => (Exit::Unusable, "in_use"),
            Error::ReadOnly { .. } => (Exit::Unusable, "read_only"),
            Error::DiskFull { .. } => (Exit::Unusable, "disk_full"),
            Error::Io { .. } | Error::Sqlite { .. } => (Exit::Unusable, "io"),
            Error::Decode { .. } => (Exit::Unusable, "undecodable"),
            _ => (Exit::Fault, "fault"),
        };
        Self::new(error.path(), exit, code, chain(&error))
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        let message = chain(&error);
        match error {
            ImportError::DestinationExists { path } => {
                Self::unusable(&path, "destination_exists", message)
            }
            ImportError::NotNative { path, .. } => Self::unusable(&path, "not_native", message),
            ImportError::Damaged { path, losses } => {
                let mut failure = Self::new(&path, Exit::Problems, "damaged", message);
                failure.error.losses = losses;
                failure
            }
            ImportError::Destination(error) => error.into(),
            _ => todo!(),
        }
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
