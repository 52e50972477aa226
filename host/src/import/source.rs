//! The database that is imported: opened for reading, in one snapshot.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lash_store_engine::DatabaseKind;
use lash_store_engine::sqlite::{self, DatabaseFile, ErrorCode, Role, Settings, SqliteConnection};
use rusqlite::{Connection, InterruptHandle};

use super::error::ImportError;
use super::report::Losses;

/// How every SQLite database begins.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// How many problems SQLite lists.
const MOST_PROBLEMS: usize = 1000;

/// What a database of the native crate looks like.
struct Format {
    kind: DatabaseKind,
    /// The only `user_version` that is known.
    version: i64,
    /// A table that no other kind has.
    table: &'static str,
}

const FORMATS: [Format; 4] = [
    Format {
        kind: DatabaseKind::Session,
        version: 3,
        table: "session_head",
    },
    Format {
        kind: DatabaseKind::Processes,
        version: 6,
        table: "processes",
    },
    Format {
        kind: DatabaseKind::HostEvents,
        version: 1,
        table: "host_event_trigger_subscriptions",
    },
    Format {
        kind: DatabaseKind::Effects,
        version: 1,
        table: "runtime_effect_replay",
    },
];

/// A database of the native crate. Everything that is read of it is of one moment,
/// whatever others write.
pub(super) struct Source {
    path: PathBuf,
    kind: DatabaseKind,
    sqlite: SqliteConnection,
}

impl Source {
    /// Opens a file, which must be of the given kind if one is given.
    pub(super) fn open(path: &Path, kind: Option<DatabaseKind>) -> Result<Self, ImportError> {
        let io = |source| ImportError::Io {
            path: path.to_path_buf(),
            source,
        };
        let file = Arc::new(DatabaseFile::existing(path).map_err(io)?);
        let header = file.header().map_err(io)?;
        if !header.starts_with(MAGIC) {
            return Err(not_native(path, "it is not a SQLite database"));
        }
        let sqlite = SqliteConnection::open(&file, Role::ReadOnly, &Settings::default())
            .and_then(|mut sqlite| sqlite.pin().map(|()| sqlite))
            .map_err(|error| unreadable(path, error))?;
        let kind = sqlite.with(|connection| identify(path, connection, kind))?;
        Ok(Self {
            path: path.to_path_buf(),
            kind,
            sqlite,
        })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds.
    pub(super) fn kind(&self) -> DatabaseKind {
        self.kind
    }

    /// Reads from the snapshot.
    pub(super) fn read<R>(&self, read: impl FnOnce(&Connection) -> R) -> R {
        self.sqlite.with(read)
    }

    /// Fails if the file was written to while it was read without a lock, where it has no log.
    pub(super) fn check_unchanged(&self) -> Result<(), ImportError> {
        self.sqlite
            .check_unchanged()
            .map_err(|error| unreadable(&self.path, error))
    }

    /// Ends the statement that is running, from another thread.
    pub(super) fn interrupt_handle(&self) -> InterruptHandle {
        self.sqlite.with(Connection::get_interrupt_handle)
    }

    /// The pages of the database, in bytes.
    pub(super) fn bytes(&self) -> Result<u64, ImportError> {
        self.read(|connection| {
            let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
            let pages = number("PRAGMA page_count")?;
            Ok(pages.saturating_mul(number("PRAGMA page_size")?))
        })
        .map(|bytes| u64::try_from(bytes).unwrap_or(0))
        .map_err(|error: rusqlite::Error| self.unreadable(error))
    }

    /// Has SQLite check the structure of the file, and that indexes agree with their tables:
    /// some rows are found by an index.
    pub(super) fn check(&self, losses: &mut Losses) -> Result<(), ImportError> {
        let checked = self.read(|connection| {
            let pragma = format!("PRAGMA integrity_check({MOST_PROBLEMS})");
            let mut statement = connection.prepare(&pragma)?;
            let mut lines = statement.query([])?;
            while let Some(line) = lines.next()? {
                let line: String = line.get(0)?;
                if line != "ok" {
                    losses.note("", "", line);
                }
            }
            Ok(())
        });
        match checked {
            Ok(()) => Ok(()),
            Err(error) if is_damage(&error) => {
                losses.note("", "", format!("SQLite cannot check the file: {error}"));
                Ok(())
            }
            Err(error) => Err(self.unreadable(error)),
        }
    }

    /// What it is called that the source cannot be read at all.
    pub(super) fn unreadable(&self, error: rusqlite::Error) -> ImportError {
        unreadable(&self.path, error.into())
    }
}

/// Whether SQLite found the file damaged, so that other parts of it may be whole.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            rusqlite::ErrorCode::DatabaseCorrupt
                | rusqlite::ErrorCode::NotADatabase
                | rusqlite::ErrorCode::SystemIoFailure
        )
    )
}

fn unreadable(path: &Path, error: sqlite::Error) -> ImportError {
    let path = path.to_path_buf();
    match error.code {
        ErrorCode::NotADatabase => not_native(&path, "it is not a SQLite database"),
        ErrorCode::Io => ImportError::Io {
            path,
            source: io::Error::other(error),
        },
        _ => ImportError::Source {
            path,
            source: error.into(),
        },
    }
}

fn not_native(path: &Path, found: impl Into<String>) -> ImportError {
    ImportError::NotNative {
        path: path.to_path_buf(),
        found: found.into(),
    }
}

fn identify(
    path: &Path,
    connection: &Connection,
    expected: Option<DatabaseKind>,
) -> Result<DatabaseKind, ImportError> {
    let sql = |error: rusqlite::Error| unreadable(path, error.into());
    let number = |pragma| {
        connection
            .query_row(pragma, [], |row| row.get::<_, i64>(0))
            .map_err(sql)
    };
    let application_id = number("PRAGMA application_id")?;
    if application_id != 0 {
        return Err(not_native(
            path,
            format!(
                "it is a database of this crate already, or of another program (application_id {application_id:#010x})"
            ),
        ));
    }
    let version = number("PRAGMA user_version")?;
    let mut statement = connection
        .prepare("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1")
        .map_err(sql)?;
    for format in FORMATS {
        let tables: i64 = statement
            .query_row([format.table], |row| row.get(0))
            .map_err(sql)?;
        if tables == 0 {
            continue;
        }
        let kind = format.kind;
        return if expected.is_some_and(|expected| expected != kind) {
            Err(not_native(
                path,
                format!("it is a {kind} database; import it as what it is"),
            ))
        } else if version != format.version {
            Err(not_native(
                path,
                format!(
                    "it is a {kind} database with schema version {version}, but only version {} can be imported, which lash-sqlite-store 0.1.0-alpha.46 writes",
                    format.version
                ),
            ))
        } else {
            Ok(kind)
        };
    }
    Err(not_native(
        path,
        format!("it has none of the tables of lash-sqlite-store (schema version {version})"),
    ))
}
