//! Keeping the write-ahead log short, but not inside anybody's commit.
//!
//! SQLite by itself copies the log into the database within the commit that
//! made it long, and that commit then takes ten times as long as the others.
//! The connections of this crate never do that; whoever owns one asks
//! [`SqliteConnection::tidy`] after it has answered its caller.
//!
//! How long the log is, is seen from its file. SQLite writes a log that was
//! copied anew from the start, and cuts its file down to `journal_size_limit`
//! then. With that limit at the length that makes a copy worth its cost, the
//! file is longer exactly when the log is, or when a reader still needs it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;

use super::connection::SqliteConnection;
use super::error::{Error, ErrorCode, failure};
use super::file::{DatabaseFile, Id};
use crate::observability::{TARGET, metrics};

/// The length of the log that makes a copy worth its cost: 1000 pages of the
/// usual size, which is SQLite's own figure.
const LIMIT: u64 = 1000 * (4096 + 24);

/// The log of a connection that writes.
pub(super) struct Log {
    /// None for a database in memory, which has no log.
    path: Option<PathBuf>,
    /// Which file the connection has open as its log.
    id: Option<Id>,
    /// How long the file is, if something was committed since this was last asked.
    committed: Option<u64>,
    /// How long the file was when the log was last copied.
    copied: u64,
}

impl Log {
    /// Takes the care for the log from SQLite.
    pub(super) fn take_over(
        connection: &Connection,
        file: Option<&DatabaseFile>,
    ) -> rusqlite::Result<Self> {
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        // Returns the new limit, so that it is no update to rusqlite.
        let limit = format!("PRAGMA journal_size_limit = {LIMIT}");
        connection.query_row(&limit, [], |_| Ok(()))?;
        Ok(Self {
            path: file.map(DatabaseFile::log),
            id: None,
            committed: None,
            copied: 0,
        })
    }

    /// The connection has opened its log.
    pub(super) fn opened(&mut self) {
        self.id = self.path.as_deref().and_then(|path| Id::at(path).ok());
    }

    /// Whether the connection has a log.
    pub(super) fn is_open(&self) -> bool {
        self.id.is_some()
    }

    /// Whether the log's name still refers to the log that the connection has open.
    pub(super) fn is_in_place(&self) -> bool {
        match (&self.path, &self.id) {
            (Some(path), Some(id)) => Id::at(path).is_ok_and(|found| found == *id),
            _ => true,
        }
    }

    /// Something was committed. Returns whether the log's name still refers to the log that it
    /// was written to.
    pub(super) fn committed(&mut self) -> bool {
        let Some(path) = &self.path else {
            return true;
        };
        match fs::metadata(path) {
            Ok(metadata) => {
                self.committed = Some(metadata.len());
                self.id
                    .as_ref()
                    .is_none_or(|id| Id::of(path, &metadata) == *id)
            }
            Err(_) => self.id.is_none(),
        }
    }

    fn length(&self) -> Option<u64> {
        let file = fs::metadata(self.path.as_ref()?).ok()?;
        Some(file.len())
    }

    /// Whether the log is to be copied now. If it is, it counts as copied: what
    /// readers still need is copied when it has grown as much again.
    fn is_due(&mut self) -> bool {
        let Some(length) = self.committed.take() else {
            return false;
        };
        if length < self.copied {
            self.copied = 0;
        }
        let due = length > self.copied.saturating_add(LIMIT);
        if due {
            self.copied = length;
        }
        due
    }
}

impl SqliteConnection {
    /// Copies the log into the database if it has grown long, without waiting
    /// for anybody. It does nothing while a transaction is open, and a failure is
    /// logged only: the log is as good as the database.
    pub fn tidy(&mut self) {
        if self.in_transaction() || self.pinned.is_some() || !self.log.is_due() {
            return;
        }
        match self.copy_log() {
            Ok((pages, copied)) => {
                tracing::debug!(
                    target: TARGET, pages,
                    copied,
                    "copied the write-ahead log into the database"
                );
                metrics::checkpoint(if copied < pages {
                    "partial"
                } else {
                    "complete"
                });
            }
            // Nothing is lost: the log is as good as the database.
            Err(error) => {
                tracing::warn!(target: TARGET, %error, "could not copy the write-ahead log into the database");
                metrics::checkpoint("failed");
            }
        }
    }

    /// Fails if the log is longer than it may be and cannot be cut, because somebody
    /// reads what it was copied over or writes to it now.
    pub(super) fn bound_log(&self, longest: u64) -> Result<(), Error> {
        let is_too_long = || self.log.length().is_some_and(|length| length > longest);
        if !is_too_long() {
            return Ok(());
        }
        // Without waiting: this is not the owner of the file, who may take its time.
        self.connection.busy_timeout(Duration::ZERO)?;
        let cut = {
            let _granted = self.permission.grant();
            self.connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        };
        self.connection.busy_timeout(self.settings.busy_timeout)?;
        cut?;
        if is_too_long() {
            return Err(failure(
                ErrorCode::Full,
                "the write-ahead log is as long as the database may be, and is still in use",
            ));
        }
        Ok(())
    }

    /// The log was removed while this connection had it open: copies what is in it into the
    /// database. From then on no connection of the process uses the database.
    ///
    /// # Errors
    ///
    /// If another log has taken its place, which may hold newer commits, or if the log could
    /// not be copied as a whole.
    pub(crate) fn save_log(&mut self) -> Result<(), Error> {
        let Some(file) = self.file.clone() else {
            return Ok(());
        };
        self.displaced = true;
        file.lose_log();
        let saved = file.alone(|| {
            if !file.is_in_place() || file.log().exists() {
                return Err(failure(
                    ErrorCode::Io,
                    format!(
                        "{} was removed and another one has taken its place: what was committed last may be in neither it nor {}",
                        file.log().display(),
                        file.path().display(),
                    ),
                ));
            }
            self.copy_whole_log()
        });
        let path = file.path().display();
        match saved
            .map_err(|error| failure(ErrorCode::Io, error.to_string()))
            .flatten()
        {
            Ok(()) => {
                tracing::warn!(target: TARGET, %path, "the log was removed while it was in use; nothing is lost, but all stores of the file must be closed and opened again");
                Ok(())
            }
            Err(error) => {
                tracing::error!(target: TARGET, %path, %error, "the log was removed while it was in use");
                Err(error)
            }
        }
    }

    /// Copies all of the log into the database, and waits for those who read what it overwrites.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Busy`] if somebody reads it for longer than the busy timeout; otherwise what
    /// SQLite says.
    pub(crate) fn copy_whole_log(&self) -> Result<(), Error> {
        let (pages, copied) = self.checkpoint("PRAGMA wal_checkpoint(FULL)")?;
        if copied < pages {
            let reason = "somebody reads what the log is to overwrite";
            return Err(failure(ErrorCode::Busy, reason));
        }
        Ok(())
    }

    /// Returns how many pages the log has, and how many of them are copied: not all,
    /// if somebody still reads what they are to overwrite.
    fn copy_log(&self) -> rusqlite::Result<(i64, i64)> {
        self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)")
    }

    fn checkpoint(&self, pragma: &str) -> rusqlite::Result<(i64, i64)> {
        let _granted = self.permission.grant();
        self.connection
            .query_row(pragma, [], |row| Ok((row.get(1)?, row.get(2)?)))
    }
}
