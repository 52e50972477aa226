//! Opening a file for reading only: it works where nothing can be written, and leaves no file
//! behind that was not there.
//!
//! SQLite creates the log and the shared memory of a database in WAL mode even for reading. If
//! another user than the owner does that, the owner cannot write any more. So:
//!
//! - Without a log, nobody has the database open, and the file alone is read, as if it never
//!   changed. That it did not is checked around every call.
//! - With a log and shared memory, it is opened as usual.
//! - With a log alone, or where SQLite cannot use the two, a private copy of the file and the
//!   log is read.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::connection::{Role, Settings, SqliteConnection, Target, of_file};
use super::error::{Error, ErrorCode, failure};
use super::file::{Appearance, DatabaseFile};

/// How often a file is copied that changes meanwhile.
const ATTEMPTS: usize = 3;

/// Where a header says that readers need the log: 2 if they do.
const READ_VERSION: usize = 19;

/// A file that is read as it was when it was opened.
pub(super) struct Frozen {
    appearance: Appearance,
    /// What is read instead of the file.
    copy: Option<TempDir>,
}

impl SqliteConnection {
    pub(super) fn open_read_only(
        file: &Arc<DatabaseFile>,
        settings: &Settings,
    ) -> Result<Self, Error> {
        let usual = || {
            Self::at(
                Target::ReadOnly(file.name()),
                Role::ReadOnly,
                settings,
                file,
            )
        };
        let appearance = file.appearance().map_err(of_file)?;
        let is_wal = file.header().map_err(of_file)?.get(READ_VERSION) == Some(&2);
        if !is_wal || file.has_journal() {
            return usual();
        }
        if file.shared_memory().exists() {
            match usual() {
                Err(error) if is_unusable(&error) => {}
                result => return result,
            }
        } else if file.is_in_use() {
            // Somebody has it for itself, which SQLite says.
            return usual();
        }
        if appearance.has_log() {
            return Self::open_copy(file, settings);
        }
        let target = Target::Immutable(file.name());
        let mut sqlite = Self::at(target, Role::ReadOnly, settings, file)?;
        sqlite.frozen = Some(Frozen {
            appearance,
            copy: None,
        });
        sqlite.check_unchanged()?;
        Ok(sqlite)
    }

    fn open_copy(file: &Arc<DatabaseFile>, settings: &Settings) -> Result<Self, Error> {
        let (appearance, directory) = copy(file).map_err(|error| {
            let reason = format!("it has a log that cannot be read where it is, and could not be copied to {}: {error}", std::env::temp_dir().display());
            failure(ErrorCode::Io, reason)
        })?;
        // Within the copy everything is permitted.
        let path = directory.path().join(DATABASE);
        let mut sqlite = Self::at(Target::Writable(&path), Role::ReadOnly, settings, file)?;
        sqlite.frozen = Some(Frozen {
            appearance,
            copy: Some(directory),
        });
        Ok(sqlite)
    }

    /// Whether the file has changed since it was opened, if this connection does not see that.
    pub(crate) fn is_outdated(&self) -> bool {
        self.frozen.as_ref().is_some_and(|frozen| {
            let now = self.file.as_ref().map(|file| file.appearance());
            !matches!(now, Some(Ok(now)) if now == frozen.appearance)
        })
    }

    /// Fails if what was read may be of several states of the file: [`Role::ReadOnly`] reads a
    /// file without a log without a lock. [`SqliteCtx::end_call`](super::SqliteCtx::end_call)
    /// checks it.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Interrupted`] if the file was written to since it was opened.
    pub fn check_unchanged(&self) -> Result<(), Error> {
        let is_copy = self
            .frozen
            .as_ref()
            .is_some_and(|frozen| frozen.copy.is_some());
        if !is_copy && self.is_outdated() {
            let reason = "another program wrote to the file while it was read without its lock";
            return Err(failure(ErrorCode::Interrupted, reason));
        }
        Ok(())
    }
}

const DATABASE: &str = "database";

/// Copies the file and its log into a directory that only this user can read.
fn copy(file: &DatabaseFile) -> io::Result<(Appearance, TempDir)> {
    for _ in 0..ATTEMPTS {
        let before = file.appearance()?;
        let directory = TempDir::with_prefix("lash-store-")?;
        let path = directory.path().join(DATABASE);
        file.copy_to(&mut private(&path)?)?;
        if before.has_log() {
            let mut log = private(&directory.path().join("database-wal"))?;
            io::copy(&mut File::open(file.log())?, &mut log)?;
        }
        if file.appearance()? == before {
            return Ok((before, directory));
        }
    }
    Err(io::Error::other("it kept changing"))
}

/// Makes a file that only this user can read.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

/// Whether SQLite could not use the log or the shared memory: for want of permission, of room,
/// or of something else that a copy does not need.
fn is_unusable(error: &Error) -> bool {
    matches!(
        error.code,
        ErrorCode::Io | ErrorCode::ReadOnly | ErrorCode::Full
    )
}
