//! The file of a database.

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::Inspector;
use crate::error::Error;
use crate::sqlite::{self, has_wal_reset_bug};

/// What a file has beside its contents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FileStatistics {
    /// Its length, in bytes.
    pub bytes: u64,
    /// The length of the write-ahead log beside it, in bytes. What is in it may have
    /// been copied into the file already.
    pub log_bytes: u64,
    /// The length of a page, in bytes.
    pub page_bytes: u64,
    /// Pages of the database, those in the log included.
    pub pages: u64,
    /// Pages that nothing is stored in.
    pub free_pages: u64,
    /// The version of the schema, the last byte of `application_id`.
    pub schema_version: u64,
    /// SQLite's journal mode: `wal` for every database of this crate.
    pub journal_mode: String,
    /// Whether the file system has locks of open files. Without them other programs may remove
    /// the log after a process has copied the database that it has open.
    pub open_file_locks: bool,
    /// The version of SQLite that this program is linked with, not that of the program that
    /// wrote the file.
    pub sqlite_version: &'static str,
    /// Whether that version has the bug of [`has_wal_reset_bug`].
    pub wal_reset_bug: bool,
}

impl Inspector {
    /// Looks at the file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be read.
    pub async fn file_statistics(&self) -> Result<FileStatistics, Error> {
        let layout = self.db.layout().await?;
        let path = self.path();
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        Ok(FileStatistics {
            bytes: fs::metadata(path)
                .map_err(|error| Error::io(path, error))?
                .len(),
            // Whoever closes the database last removes the log.
            log_bytes: fs::metadata(Path::new(&log)).map_or(0, |metadata| metadata.len()),
            page_bytes: layout.page_size,
            pages: layout.pages,
            free_pages: layout.free_pages,
            schema_version: layout.schema_version,
            journal_mode: layout.journal_mode,
            open_file_locks: layout.open_file_locks,
            sqlite_version: sqlite::version(),
            wal_reset_bug: has_wal_reset_bug(),
        })
    }
}
