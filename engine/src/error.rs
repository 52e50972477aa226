//! What can go wrong with a database, in words that say what to do about it.
//!
//! Every variant names the file, if it is about one. None mentions a type of SQLite's or the
//! engine's bindings, so that neither becomes part of this crate's interface;
//! the cause is behind [`source`](std::error::Error::source). What a caller is
//! expected to handle as an outcome (a lost race, a claim that expired) is not
//! here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bindings::types;
use crate::kind::DatabaseKind;
use crate::limits::Limit;
use crate::observability::{Chain, Failure};
use crate::resource::Resource;
use crate::sqlite;
use crate::wit::format::{Found, Mismatch, UnsupportedVersion};

/// The path of a database that has no file.
pub const MEMORY: &str = ":memory:";

/// The cause of an [`Error`], of whatever type it is.
pub type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Why a database could not be opened, or why a call failed.
///
/// A call that returns an error has written nothing, with four exceptions:
/// [`Component`](Self::Component), [`Limit`](Self::Limit), [`Resource`](Self::Resource) and
/// [`OutcomeUnknown`](Self::OutcomeUnknown), which say so themselves.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is something else than a SQLite database. It was not touched.
    #[error(
        "{} is not a SQLite database, so no store was opened; choose another path or move the file away",
        path.display()
    )]
    NotADatabase {
        /// The file, or `:memory:`.
        path: PathBuf,
    },

    /// The file is a SQLite database of another program. It was not touched.
    #[error("{}", foreign(path, *application_id, *user_version, *expected_user_version, kind))]
    Foreign {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// The `application_id` that was found.
        application_id: u32,
        /// The `user_version` that was found.
        user_version: u32,
        /// The `user_version` of databases of the expected kind.
        expected_user_version: u32,
        /// What was expected, for example `session`.
        kind: &'static str,
    },

    /// The file is a database of this crate, but of another kind. It was not
    /// touched.
    #[error(
        "{} is a lash database of another kind (application_id {application_id:#010x}) than the expected one, {kind}: open it as what it is, or choose another path",
        path.display()
    )]
    OtherKind {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// The `application_id` that was found.
        application_id: u32,
        /// What was expected, for example `session`.
        kind: &'static str,
    },

    /// The file has the right kind and another schema version. It was not
    /// touched.
    #[error(
        "{} is a lash {kind} database with schema version {version}, but this release supports only version {expected_version}; use the release that wrote it, or move the file away",
        path.display()
    )]
    OtherVersion {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// The schema version of the file.
        version: u32,
        /// The schema version that this crate reads and writes.
        expected_version: u32,
        /// What was expected, for example `session`.
        kind: &'static str,
    },

    /// A read-only open found no database. Nothing was created.
    #[error(
        "{} holds no lash {kind} database and was to be opened read-only; check the path, or open it for writing to create it",
        path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// What was expected, for example `session`.
        kind: &'static str,
    },

    /// Something stored is not what was written.
    #[error(
        "{} is damaged: table {table}, row {key}: {reason}; restore the file from a backup",
        path.display()
    )]
    Corrupt {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// The table that holds the damaged row.
        table: String,
        /// Which row, as far as it is known.
        key: String,
        /// What is wrong with it.
        reason: String,
    },

    /// SQLite found the structure of the file damaged.
    #[error(
        "SQLite found {} damaged ({message}, code {code}); restore the file from a backup",
        path.display()
    )]
    Malformed {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// SQLite's extended result code.
        code: i32,
        /// SQLite's message.
        message: String,
    },

    /// A reference names content that is not stored.
    #[error(
        "{} refers to blob {blob}, which it does not hold; store the blob first, or restore the file from a backup",
        path.display()
    )]
    MissingBlob {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// The key of the blob.
        blob: String,
    },

    /// The session was deleted while this handle had it open.
    #[error("the session in {} was deleted; nothing can be read from or written to it", path.display())]
    Retired {
        /// The file, or `:memory:`.
        path: PathBuf,
    },

    /// The file, or its write-ahead log, was moved, removed or replaced while it was open.
    /// Nothing was written, and nothing that was written before is lost, unless the reason says
    /// so.
    #[error("{} cannot be used any more: {reason}", path.display())]
    Displaced {
        /// The file.
        path: PathBuf,
        /// What happened, and what to do.
        reason: String,
    },

    /// The request contradicts itself or what is stored.
    #[error("invalid request to {}: {reason}", path.display())]
    Invalid {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// What is wrong with the request.
        reason: String,
    },

    /// A value, a row or a result is longer than the store allows.
    #[error("too large for {}: {reason}; store or read less at once", path.display())]
    TooLarge {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// What is too large, and what is allowed.
        reason: String,
    },

    /// The call ran for too long.
    #[error("the call on {} was interrupted: {reason}; try again", path.display())]
    Interrupted {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// What was interrupted.
        reason: String,
    },

    /// A list changed while it was read in pages.
    #[error(
        "{} was written to while a list was read from it page by page; read it again from the first page",
        path.display()
    )]
    StaleCursor {
        /// The file, or `:memory:`.
        path: PathBuf,
    },

    /// A commit failed such that nobody can tell whether it is durable.
    #[error(
        "nobody can tell whether a commit to {} is stored: {message} (code {code}); read what is stored before writing again",
        path.display()
    )]
    OutcomeUnknown {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// SQLite's extended result code.
        code: i32,
        /// SQLite's message.
        message: String,
    },

    /// Somebody else held the write lock for longer than the busy timeout.
    #[error(
        "{} is locked by another writer, and was so for {waited:?}; try again, or find out who holds it",
        path.display()
    )]
    Busy {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// How long a call waits for the lock.
        waited: Duration,
    },

    /// The file or its directory cannot be written.
    #[error("{} cannot be written: {message}; check its permissions and those of its directory", path.display())]
    ReadOnly {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// SQLite's message.
        message: String,
    },

    /// There is no space left.
    #[error("no space left to write {}: {message}; free some and try again", path.display())]
    DiskFull {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// SQLite's message.
        message: String,
    },

    /// SQLite failed in another way.
    #[error("SQLite failed on {}: {message} (code {code})", path.display())]
    Sqlite {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// SQLite's extended result code, 0 if a rule of this crate was broken.
        code: i32,
        /// SQLite's message.
        message: String,
    },

    /// The operating system failed.
    #[error("cannot read or write {}; check the file, its directory and the disk", path.display())]
    Io {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// What failed.
        #[source]
        source: std::io::Error,
    },

    /// The component stopped: it trapped, ran into a limit, or could not be
    /// loaded. A transaction that was open then was rolled back, and the next
    /// call runs on a new instance.
    #[error(
        "the store component failed in {operation} on {}; {}, and the store can still be used",
        path.display(),
        if *committed { "what the call wrote is stored" } else { "nothing was written" }
    )]
    Component {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// What was being done.
        operation: &'static str,
        /// Whether the call had committed before the component stopped.
        committed: bool,
        /// Why the component stopped.
        #[source]
        source: Source,
    },

    /// The machine, or a limit of this process on it, refuses what the call needs.
    ///
    /// Nothing remembers it: the call can be repeated when there is more. Other stores, and
    /// what is open already, go on.
    #[error("{}", refused(path, operation, *resource, *committed))]
    Resource {
        /// The file, or `:memory:`; empty if a component was to be loaded.
        path: PathBuf,
        /// What was being done.
        operation: &'static str,
        /// What is missing.
        resource: Resource,
        /// Whether the call had committed before.
        committed: bool,
        /// What the operating system returned.
        #[source]
        source: Source,
    },

    /// A component that is not trusted has reached one of its [`Limits`](crate::Limits).
    /// A transaction that was open then was rolled back.
    #[error(
        "the store component has reached its limit {limit} in {operation} on {}; {}; the store can still be used; raise the limit if the component is to go further",
        path.display(),
        if *committed { "what the call had committed is stored" } else { "nothing was written" }
    )]
    Limit {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// What was being done.
        operation: &'static str,
        /// The limit and its value.
        limit: Limit,
        /// Whether the call had committed before.
        committed: bool,
        /// What the component returned, if it was not stopped.
        #[source]
        source: Option<Box<Error>>,
    },

    /// The component does not have what the call needs.
    #[error(
        "the component that {} was opened with does not support {operation}: {reason}",
        path.display()
    )]
    Unsupported {
        /// The file, or `:memory:`.
        path: PathBuf,
        /// What was being done.
        operation: &'static str,
        /// What it does not have.
        reason: String,
    },

    /// The database was closed, through this handle or another one.
    #[error("{} was closed; open it again to use it", path.display())]
    Closed {
        /// The file, or `:memory:`.
        path: PathBuf,
    },

    /// The process is a fork of the one that opened its databases. Nothing was touched.
    #[error(
        "cannot use {} in a forked process: its locks and threads are those of the parent; start another program (`exec`) and open it there, or fork before the first database is opened",
        path.display()
    )]
    Forked {
        /// The file, or `:memory:`.
        path: PathBuf,
    },

    /// A component that is not trusted could not be loaded.
    #[error(
        "this is no component of a world of lash:store that can be run here; build it for the `wit/` of this release"
    )]
    Load {
        /// Why it could not be.
        #[source]
        source: Source,
    },
}

impl Error {
    /// The file that the error is about, `:memory:` if there is none; empty for
    /// [`Load`](Self::Load), which is about none.
    pub fn path(&self) -> &Path {
        match self {
            Self::NotADatabase { path }
            | Self::Foreign { path, .. }
            | Self::OtherKind { path, .. }
            | Self::OtherVersion { path, .. }
            | Self::Missing { path, .. }
            | Self::Corrupt { path, .. }
            | Self::Malformed { path, .. }
            | Self::MissingBlob { path, .. }
            | Self::Retired { path }
            | Self::Displaced { path, .. }
            | Self::Invalid { path, .. }
            | Self::TooLarge { path, .. }
            | Self::Interrupted { path, .. }
            | Self::StaleCursor { path }
            | Self::OutcomeUnknown { path, .. }
            | Self::Busy { path, .. }
            | Self::ReadOnly { path, .. }
            | Self::DiskFull { path, .. }
            | Self::Sqlite { path, .. }
            | Self::Io { path, .. }
            | Self::Component { path, .. }
            | Self::Limit { path, .. }
            | Self::Resource { path, .. }
            | Self::Unsupported { path, .. }
            | Self::Closed { path }
            | Self::Forked { path } => path,
            Self::Load { .. } => Path::new(""),
        }
    }

    /// A word for programs: the name of the variant, in lower case with hyphens. It is
    /// the outcome of a call in spans and metrics, and stays as it is.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotADatabase { .. } => "not-a-database",
            Self::Foreign { .. } => "foreign",
            Self::OtherKind { .. } => "other-kind",
            Self::OtherVersion { .. } => "other-version",
            Self::Missing { .. } => "missing",
            Self::Corrupt { .. } => "corrupt",
            Self::Malformed { .. } => "malformed",
            Self::MissingBlob { .. } => "missing-blob",
            Self::Retired { .. } => "retired",
            Self::Displaced { .. } => "displaced",
            Self::Invalid { .. } => "invalid",
            Self::TooLarge { .. } => "too-large",
            Self::Interrupted { .. } => "interrupted",
            Self::StaleCursor { .. } => "stale-cursor",
            Self::OutcomeUnknown { .. } => "outcome-unknown",
            Self::Busy { .. } => "busy",
            Self::ReadOnly { .. } => "read-only",
            Self::DiskFull { .. } => "disk-full",
            Self::Sqlite { .. } => "sqlite",
            Self::Io { .. } => "io",
            Self::Component { .. } => "component",
            Self::Limit { .. } => "limit",
            Self::Resource { .. } => "resource",
            Self::Unsupported { .. } => "unsupported",
            Self::Closed { .. } => "closed",
            Self::Forked { .. } => "forked",
            Self::Load { .. } => "load",
        }
    }

    /// Whether something was committed all the same, as far as it is known.
    pub(crate) fn has_committed(&self) -> bool {
        match self {
            Self::Component { committed, .. }
            | Self::Limit { committed, .. }
            | Self::Resource { committed, .. } => *committed,
            _ => false,
        }
    }

    /// What the component said about the file at `path`, whose calls wait
    /// `busy_timeout` for a lock.
    pub(crate) fn from_guest(
        error: types::Error,
        path: &Path,
        operation: &'static str,
        busy_timeout: Duration,
    ) -> Self {
        let path = path.to_path_buf();
        match error {
            types::Error::Sqlite(error) => Self::from_sqlite(error, &path, busy_timeout),
            types::Error::Corrupt(types::Corruption { table, key, reason }) => Self::Corrupt {
                path,
                table,
                key,
                reason,
            },
            types::Error::MissingBlob(blob) => Self::MissingBlob { path, blob },
            types::Error::Retired => Self::Retired { path },
            types::Error::Invalid(reason) => Self::Invalid { path, reason },
            types::Error::TooLarge(reason) => Self::TooLarge { path, reason },
            types::Error::Interrupted(reason) => Self::Interrupted { path, reason },
            types::Error::Unsupported(reason) => Self::Unsupported {
                path,
                operation,
                reason,
            },
            types::Error::StaleCursor => Self::StaleCursor { path },
            types::Error::OutcomeUnknown(error) => Self::OutcomeUnknown {
                path,
                code: error.extended_code,
                message: error.message,
            },
        }
    }

    /// What SQLite, or the rules of the `sqlite` interface, said about the file.
    pub(crate) fn from_sqlite(
        error: impl Into<sqlite::Error>,
        path: &Path,
        busy_timeout: Duration,
    ) -> Self {
        let path = path.to_path_buf();
        let sqlite::Error {
            code,
            extended_code,
            message,
        } = error.into();
        if extended_code & 0xff == rusqlite::ffi::SQLITE_NOMEM
            || extended_code == rusqlite::ffi::SQLITE_IOERR_NOMEM
        {
            return Self::Resource {
                path,
                operation: "SQLite",
                resource: Resource::Memory,
                committed: false,
                source: format!("{message} (SQLite code {extended_code})").into(),
            };
        }
        match code {
            sqlite::ErrorCode::Busy => Self::Busy {
                path,
                waited: busy_timeout,
            },
            sqlite::ErrorCode::ReadOnly => Self::ReadOnly { path, message },
            sqlite::ErrorCode::Full => Self::DiskFull { path, message },
            sqlite::ErrorCode::NotADatabase => Self::NotADatabase { path },
            sqlite::ErrorCode::Corrupt => Self::Malformed {
                path,
                code: extended_code,
                message,
            },
            // The memory that connections share is a file of some KiB, which did not fit.
            sqlite::ErrorCode::Io if extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => {
                Self::DiskFull { path, message }
            }
            sqlite::ErrorCode::Io => Self::Io {
                path,
                source: std::io::Error::other(format!("{message} (SQLite code {extended_code})")),
            },
            sqlite::ErrorCode::TooBig => Self::TooLarge {
                path,
                reason: message,
            },
            sqlite::ErrorCode::Interrupted => Self::Interrupted {
                path,
                reason: message,
            },
            sqlite::ErrorCode::OutcomeUnknown => Self::OutcomeUnknown {
                path,
                code: extended_code,
                message,
            },
            sqlite::ErrorCode::Constraint
            | sqlite::ErrorCode::Denied
            | sqlite::ErrorCode::Misuse
            | sqlite::ErrorCode::Other => Self::Sqlite {
                path,
                code: extended_code,
                message,
            },
        }
    }

    /// Why the file at `path` is not the database that was expected.
    pub(crate) fn from_mismatch(mismatch: Mismatch, path: &Path, kind: DatabaseKind) -> Self {
        let path = path.to_path_buf();
        let kind = kind.name();
        match mismatch {
            Mismatch::NotADatabase => Self::NotADatabase { path },
            Mismatch::Foreign(Found {
                application_id,
                user_version,
                expected_user_version,
            }) => Self::Foreign {
                path,
                application_id,
                user_version,
                expected_user_version,
                kind,
            },
            Mismatch::OtherKind(Found { application_id, .. }) => Self::OtherKind {
                path,
                application_id,
                kind,
            },
            Mismatch::OtherVersion(UnsupportedVersion { version, supported }) => {
                Self::OtherVersion {
                    path,
                    version,
                    expected_version: supported,
                    kind,
                }
            }
        }
    }

    /// The operating system failed on the file at `path`.
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        let path = path.to_path_buf();
        match Resource::of_io(&source) {
            Some(resource) => Self::Resource {
                path,
                operation: "open",
                resource,
                committed: false,
                source: source.into(),
            },
            None => Self::Io { path, source },
        }
    }

    /// The component could not be made to run, or trapped, while it did `operation`.
    pub(crate) fn trapped(
        path: &Path,
        operation: &'static str,
        committed: bool,
        error: wasmtime::Error,
    ) -> Self {
        let path = path.to_path_buf();
        match Resource::of(&error) {
            Some(resource) => Self::Resource {
                path,
                operation,
                resource,
                committed,
                source: error.into_boxed_dyn_error(),
            },
            None => Self::Component {
                path,
                operation,
                committed,
                source: error.into_boxed_dyn_error(),
            },
        }
    }

    /// No thread could be started for `operation`.
    pub(crate) fn no_thread(path: &Path, operation: &'static str, error: std::io::Error) -> Self {
        Self::trapped(path, operation, false, Resource::no_thread(error))
    }

    /// A component cannot be loaded.
    pub(crate) fn unloadable(error: wasmtime::Error) -> Self {
        match Self::trapped(Path::new(""), "loading a component", false, error) {
            Self::Component { source, .. } => Self::Load { source },
            error => error,
        }
    }

    /// The component stopped while it did `operation`.
    pub(crate) fn component(
        path: &Path,
        operation: &'static str,
        source: impl Into<Source>,
    ) -> Self {
        Self::Component {
            path: path.to_path_buf(),
            operation,
            committed: false,
            source: source.into(),
        }
    }
}

impl Failure for Error {
    fn code(&self) -> &'static str {
        self.code()
    }

    fn log(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Chain(self), f)
    }
}

fn refused(path: &Path, operation: &str, resource: Resource, committed: bool) -> String {
    let on = match path.to_str() {
        Some("") => String::new(),
        _ => format!(" on {}", path.display()),
    };
    let written = if committed {
        "what the call wrote before is stored"
    } else {
        "nothing was written"
    };
    let advice = resource.advice();
    format!("cannot do {operation}{on}: {resource}; {written}; {advice}, and try again")
}

fn foreign(
    path: &Path,
    application_id: u32,
    user_version: u32,
    expected_user_version: u32,
    kind: &str,
) -> String {
    let found = format!(
        "{} is not a lash {kind} database of this crate: found application_id {application_id:#010x} and user_version {user_version}, expected an application_id of this crate and user_version {expected_user_version}",
        path.display()
    );
    if application_id == 0 {
        format!(
            "{found}; if it is a file of lash-sqlite-store, import it or move it away, it cannot be opened in place"
        )
    } else {
        format!("{found}; it belongs to another program: choose another path or move the file away")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(application_id: u32, user_version: u32) -> Found {
        Found {
            application_id,
            user_version,
            expected_user_version: 3,
        }
    }

    #[test]
    fn a_file_without_a_mark_reports_its_version_and_what_to_do() {
        let error = Error::from_mismatch(
            Mismatch::Foreign(found(0, 99)),
            Path::new("/tmp/old.db"),
            DatabaseKind::Session,
        );
        let message = error.to_string();
        for part in [
            "/tmp/old.db",
            "user_version 99",
            "user_version 3",
            "lash-sqlite-store",
            "import",
        ] {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
    }

    #[test]
    fn a_file_of_another_program_is_not_called_ours() {
        let error = Error::from_mismatch(
            Mismatch::Foreign(found(0x1234, 1)),
            Path::new("x.db"),
            DatabaseKind::Effects,
        );
        assert!(!error.to_string().contains("lash-sqlite-store"));
        assert!(error.to_string().contains("0x00001234"));
    }

    #[test]
    fn every_code_of_sqlite_has_a_variant() {
        let error = |code| {
            Error::from_sqlite(
                sqlite::Error {
                    code,
                    extended_code: 1,
                    message: "m".to_owned(),
                },
                Path::new(MEMORY),
                Duration::from_secs(15),
            )
        };
        assert!(matches!(error(sqlite::ErrorCode::Busy), Error::Busy { .. }));
        assert!(matches!(
            error(sqlite::ErrorCode::Full),
            Error::DiskFull { .. }
        ));
        assert!(matches!(error(sqlite::ErrorCode::Io), Error::Io { .. }));
        assert!(matches!(
            error(sqlite::ErrorCode::Corrupt),
            Error::Malformed { .. }
        ));
        assert!(matches!(
            error(sqlite::ErrorCode::Constraint),
            Error::Sqlite { code: 1, .. }
        ));
        assert_eq!(error(sqlite::ErrorCode::Misuse).path(), Path::new(MEMORY));
    }

    /// Opening a database on a full disk was reported as a failing disk.
    #[test]
    fn shared_memory_that_does_not_fit_is_a_full_disk() {
        let error = sqlite::Error {
            code: sqlite::ErrorCode::Io,
            extended_code: rusqlite::ffi::SQLITE_IOERR_SHMSIZE,
            message: "disk I/O error".to_owned(),
        };
        let error = Error::from_sqlite(error, Path::new("a.db"), Duration::ZERO);
        assert!(matches!(error, Error::DiskFull { .. }), "{error:?}");
    }
}
