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
use super::file::DatabaseFile;
use crate::observability::{TARGET, metrics};

/// The length of the log that makes a copy worth its cost: 1000 pages of the
/// usual size, which is SQLite's own figure.
const LIMIT: u64 = 1000 * (4096 + 24);

/// The log of a connection that writes.
pub(super) struct Log {
    /// None for a database in memory, which has no log.
    path: Option<PathBuf>,
    /// Whether something was committed since the file was last looked at.
    committed: bool,
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
            committed: false,
            copied: 0,
        })
    }

    pub(super) fn committed(&mut self) {
        self.committed = true;
    }

    fn length(&self) -> Option<u64> {
        let file = fs::metadata(self.path.as_ref()?).ok()?;
        Some(file.len())
    }

    /// Whether the log is to be copied now. If it is, it counts as copied: what
    /// readers still need is copied when it has grown as much again.
    fn is_due(&mut self) -> bool {
        if !std::mem::take(&mut self.committed) {
            return false;
        }
        let Some(length) = self.length() else {
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

    /// Returns how many pages the log has, and how many of them are copied: not all,
    /// if somebody still reads what they are to overwrite.
    fn copy_log(&self) -> rusqlite::Result<(i64, i64)> {
        let _granted = self.permission.grant();
        self.connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                Ok((row.get(1)?, row.get(2)?))
            })
    }
}
