//! How SQLite's failures become the `error` of the `sqlite` interface.

use rusqlite::ErrorCode as Sqlite;

use crate::bindings::sqlite::{Error, ErrorCode};

/// A failure that is not SQLite's: a rule of the interface that does not hold.
pub(super) fn failure(code: ErrorCode, message: impl Into<String>) -> Error {
    Error {
        code,
        extended_code: 0,
        message: message.into(),
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
