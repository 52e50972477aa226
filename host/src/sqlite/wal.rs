//! Keeping the write-ahead log short, but not inside anybody's commit.
//!
//! SQLite by itself copies the log into the database within the commit that
//! made it long, and that commit then takes ten times as long as the others.
//! The connections of this crate never do that; whoever owns one asks
//! [`Sqlite::tidy`] after it has answered its caller.

use std::cell::Cell;
use std::ffi::c_int;

use rusqlite::Connection;

use super::authorizer::Installed;
use super::connection::Sqlite;

/// The length of the log, in pages, that makes a checkpoint worth its cost.
/// SQLite's own figure.
const GROWTH: c_int = 1000;

thread_local! {
    /// How long the log was after the last commit on this thread. The hook can
    /// hold no state of its own in every supported release of rusqlite, and it
    /// runs on the thread that commits.
    static PAGES: Cell<c_int> = const { Cell::new(0) };
}

/// The length of a connection's log.
#[derive(Default)]
pub(super) struct Log {
    pages: c_int,
    checkpointed: c_int,
}

impl Log {
    /// Makes the connection report how long the log gets. Switching SQLite's own
    /// checkpoints off must come first, because it uses the same hook.
    pub(super) fn watch(connection: &mut Connection) -> rusqlite::Result<()> {
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection
            .wal_hook(Some(|_, pages| {
                PAGES.set(pages);
                Ok(())
            }))
            .installed()
    }

    /// Takes over what the commit that has just ended reported.
    pub(super) fn committed(&mut self) {
        let pages = PAGES.replace(0);
        if pages > 0 {
            if pages < self.checkpointed {
                // The log began anew.
                self.checkpointed = 0;
            }
            self.pages = pages;
        }
    }

    fn has_grown(&self) -> bool {
        self.pages.saturating_sub(self.checkpointed) >= GROWTH
    }
}

impl Sqlite {
    /// Copies the log into the database if it has grown long, without waiting
    /// for anybody. Readers that still need a part of it make it do less, and
    /// the next call continues.
    pub(crate) fn tidy(&mut self) {
        if !self.log.has_grown() || self.in_transaction() {
            return;
        }
        if let Err(error) = self.checkpoint() {
            // Nothing is lost: the log is as good as the database.
            tracing::warn!(%error, "could not copy the write-ahead log into the database");
        }
        self.log.checkpointed = self.log.pages;
    }

    fn checkpoint(&self) -> rusqlite::Result<()> {
        let _granted = self.permission.grant();
        self.connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
    }
}
