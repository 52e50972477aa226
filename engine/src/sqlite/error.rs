//! How SQLite fails, in the words of the `sqlite` interface.

use std::fmt;

use rusqlite::ErrorCode as Sqlite;

use crate::bindings::sqlite as generated;

/// A failure of SQLite, or of a rule of the interface.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Error {
    /// What kind of failure it is.
    pub code: ErrorCode,
    /// SQLite's extended result code, or 0 if the failure is not SQLite's.
    pub extended_code: i32,
    /// SQLite's message. It holds no value of a parameter.
    pub message: String,
}

/// What kind of failure an [`Error`] is: the cases of `error-code` in
/// `wit/sqlite.wit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// Another connection held the lock for longer than the busy timeout.
    Busy,
    /// The database, its file or its directory cannot be written.
    ReadOnly,
    /// The disk is full.
    Full,
    /// SQLite found the file damaged.
    Corrupt,
    /// The file is no SQLite database.
    NotADatabase,
    /// A constraint of the schema does not hold.
    Constraint,
    /// A row, a value or a result is larger than the limit.
    TooBig,
    /// The transaction ran for too long.
    Interrupted,
    /// The statement is not allowed.
    Denied,
    /// The operating system failed to read or write.
    Io,
    /// A rule of the interface was broken.
    Misuse,
    /// A commit failed such that nobody can tell whether the transaction is committed.
    OutcomeUnknown,
    /// Anything else.
    Other,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.extended_code {
            0 => f.write_str(&self.message),
            code => write!(f, "{} (SQLite code {code})", self.message),
        }
    }
}

impl std::error::Error for Error {}

/// A failure that is not SQLite's: a rule of the interface that does not hold.
pub(super) fn failure(code: ErrorCode, message: impl Into<String>) -> Error {
    Error {
        code,
        extended_code: 0,
        message: message.into(),
    }
}

impl Error {
    /// Why a text cannot be compiled. What SQLite itself does not refuse breaks a rule of
    /// the interface: it is empty, or more than one statement. rusqlite has a variant for
    /// the empty one since 0.43, and before refuses to run it.
    pub(super) fn of_text(error: rusqlite::Error) -> Self {
        match Self::from(error) {
            Self {
                code: ErrorCode::Other,
                extended_code: 0,
                message,
            } => failure(ErrorCode::Misuse, message),
            error => error,
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::SqliteFailure(error, message) => from_sqlite(error, message),
            // Its own text repeats the statement, which only makes logs longer.
            rusqlite::Error::SqlInputError { error, msg, .. } => from_sqlite(error, Some(msg)),
            error @ (rusqlite::Error::MultipleStatement
            | rusqlite::Error::InvalidParameterCount(..)
            | rusqlite::Error::ExecuteReturnedResults
            | rusqlite::Error::NulError(_)) => failure(ErrorCode::Misuse, error.to_string()),
            error => failure(ErrorCode::Other, error.to_string()),
        }
    }
}

fn from_sqlite(error: rusqlite::ffi::Error, message: Option<String>) -> Error {
    Error {
        code: code(error.code),
        extended_code: error.extended_code,
        message: message.unwrap_or_else(|| error.to_string()),
    }
}

fn code(code: Sqlite) -> ErrorCode {
    match code {
        Sqlite::DatabaseBusy | Sqlite::DatabaseLocked => ErrorCode::Busy,
        Sqlite::ReadOnly => ErrorCode::ReadOnly,
        Sqlite::DiskFull => ErrorCode::Full,
        Sqlite::DatabaseCorrupt => ErrorCode::Corrupt,
        Sqlite::NotADatabase => ErrorCode::NotADatabase,
        Sqlite::ConstraintViolation => ErrorCode::Constraint,
        Sqlite::TooBig => ErrorCode::TooBig,
        Sqlite::OperationInterrupted => ErrorCode::Interrupted,
        Sqlite::AuthorizationForStatementDenied => ErrorCode::Denied,
        Sqlite::SystemIoFailure | Sqlite::CannotOpen | Sqlite::PermissionDenied => ErrorCode::Io,
        Sqlite::ApiMisuse | Sqlite::ParameterOutOfRange => ErrorCode::Misuse,
        _ => ErrorCode::Other,
    }
}

/// The two enums have the same cases: the one is ours, so that no generated name
/// is public.
macro_rules! same_cases {
    ($($case:ident)*) => {
        impl From<ErrorCode> for generated::ErrorCode {
            fn from(code: ErrorCode) -> Self {
                match code {
                    $(ErrorCode::$case => Self::$case,)*
                }
            }
        }

        impl From<generated::ErrorCode> for ErrorCode {
            fn from(code: generated::ErrorCode) -> Self {
                match code {
                    $(generated::ErrorCode::$case => Self::$case,)*
                }
            }
        }
    };
}

same_cases! {
    Busy ReadOnly Full Corrupt NotADatabase Constraint TooBig Interrupted Denied Io Misuse
    OutcomeUnknown Other
}

impl From<Error> for generated::Error {
    fn from(error: Error) -> Self {
        Self {
            code: error.code.into(),
            extended_code: error.extended_code,
            message: error.message,
        }
    }
}

impl From<generated::Error> for Error {
    fn from(error: generated::Error) -> Self {
        Self {
            code: error.code.into(),
            extended_code: error.extended_code,
            message: error.message,
        }
    }
}
