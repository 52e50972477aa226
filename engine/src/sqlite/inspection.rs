//! What only SQLite knows of a file.

use super::connection::SqliteConnection;
use super::error::{Error, ErrorCode};

/// How many problems SQLite lists.
const MOST_PROBLEMS: usize = 1000;

/// The layout of a database.
pub(crate) struct Layout {
    pub(crate) page_size: u64,
    pub(crate) pages: u64,
    pub(crate) free_pages: u64,
    pub(crate) schema_version: u64,
    pub(crate) journal_mode: String,
    pub(crate) open_file_locks: bool,
}

impl SqliteConnection {
    /// Uses the connection without bounds, for a database that is not lent to the
    /// component. Not documented, because it binds its caller to one release of rusqlite:
    /// for `lash-wasm-store`, which imports databases of another program.
    #[doc(hidden)]
    pub fn with<R>(&self, read: impl FnOnce(&rusqlite::Connection) -> R) -> R {
        let _granted = self.permission.grant();
        read(&self.connection)
    }

    /// Has SQLite check every page, and every index against its table; returns what is
    /// wrong, in its words.
    pub(crate) fn integrity_problems(&mut self) -> Result<Vec<String>, Error> {
        let _granted = self.permission.grant();
        let pragma = format!("PRAGMA integrity_check({MOST_PROBLEMS})");
        let mut statement = self.connection.prepare(&pragma)?;
        let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
        let mut problems = Vec::new();
        for line in lines {
            match line.map_err(Error::from) {
                Ok(line) if line == "ok" => {}
                Ok(line) => problems.push(line),
                // It gives up where the root of a table is corrupt.
                Err(error) if error.code == ErrorCode::Corrupt => {
                    problems.push(error.message);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(problems)
    }

    /// Reads the header, and what the file has beside its contents.
    pub(crate) fn layout(&mut self) -> Result<Layout, Error> {
        let _granted = self.permission.grant();
        let number = |name: &str| -> Result<u64, Error> {
            let pragma = format!("PRAGMA {name}");
            let value: i64 = self.connection.query_row(&pragma, [], |row| row.get(0))?;
            Ok(u64::try_from(value).unwrap_or(0))
        };
        Ok(Layout {
            page_size: number("page_size")?,
            pages: number("page_count")?,
            free_pages: number("freelist_count")?,
            // The last byte, see `format-types.kind` in `wit/`.
            schema_version: number("application_id")? & 0xff,
            open_file_locks: self
                .file
                .as_ref()
                .is_some_and(|file| file.has_open_file_locks()),
            // SQLite does not say "wal" of a file that never changes.
            journal_mode: match self.frozen {
                Some(_) => "wal".to_owned(),
                None => self
                    .connection
                    .query_row("PRAGMA journal_mode", [], |row| row.get(0))?,
            },
        })
    }
}
