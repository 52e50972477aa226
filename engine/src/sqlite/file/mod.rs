//! The file of a database: its names, its locks, and who may remove it.
//!
//! The file belongs to its users. They copy, rename, link and remove it while it is open, and
//! so do other programs. What holds:
//!
//! - A file that is not ours is not touched: its first bytes are read before SQLite opens it,
//!   through the one descriptor that the process has of it ([`registry`]).
//! - Other programs cannot remove the log while a connection of this crate has it open, not
//!   even after the process lost its POSIX locks ([`locks`]).
//! - Opening and closing, which name the log, never overlap with removing the files of a
//!   database ([`DatabaseFile::remove`]), in whatever processes.
//! - Whether the file and its log are still what their names refer to is asked with each
//!   commit: [`DatabaseFile::is_in_place`] before, that of the log after.

mod locks;
mod registry;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub(super) use registry::Id;

use super::wait::wait_for;

/// The length of the header of a SQLite database.
const HEADER_LENGTH: usize = 100;

/// The mode of a file that only its owner can read and write.
pub(crate) const PRIVATE: u32 = 0o600;

/// How a rollback journal begins, and how many bytes it has until after the number of pages
/// that the file had before: <https://www.sqlite.org/fileformat2.html#the_rollback_journal>.
const JOURNAL_MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
const JOURNAL_START: usize = 20;

/// How much is copied at a time, in bytes.
const COPIED: usize = 1 << 20;

/// What SQLite puts next to a database, in the order in which they are removed: a database
/// without its log is older than what was committed, so it is last.
const SIBLINGS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A file that this process has open as a database, or is about to.
///
/// On Unix, closing a descriptor of a file releases the locks that the process has
/// on it, also those of SQLite. So the file is read and opened through this, which
/// knows what is open in the process, and a program should not open it in another
/// way meanwhile.
pub struct DatabaseFile {
    /// As the application named it, absolute.
    path: PathBuf,
    /// Without links. SQLite derives the name of the log from this.
    name: PathBuf,
    id: Id,
}

impl DatabaseFile {
    /// Takes hold of the file, and creates it empty if it is not there; the
    /// directory must exist. On Unix only this user can read and write a new file.
    ///
    /// # Errors
    ///
    /// If it can be neither found nor made, is no regular file, or is open in this process by
    /// another name.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::create_with_mode(path, PRIVATE)
    }

    /// As [`create`](Self::create), with the mode of a new file on Unix, less what the
    /// umask takes away. SQLite gives what it creates next to the file the same mode.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn create_with_mode(path: &Path, mode: u32) -> io::Result<Self> {
        Self::hold(path, |path| match fs::metadata(path) {
            // Nobody else in the process has it open: the registry is locked.
            Err(error) if error.kind() == io::ErrorKind::NotFound => new_file(path, mode),
            _ => Ok(()),
        })
    }

    /// Takes hold of a file that exists.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create), and if it is not there.
    pub fn existing(path: &Path) -> io::Result<Self> {
        Self::hold(path, |_| Ok(()))
    }

    fn hold(path: &Path, prepare: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<Self> {
        // Absolute, because a connection may be opened long after the
        // application has changed its working directory.
        let path = std::path::absolute(path)?;
        let (id, name) = registry::acquire(&path, || prepare(&path))?;
        Ok(Self { path, name, id })
    }

    /// The file's absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The first 100 bytes of the file, fewer if it is shorter: what
    /// `format.classify` asks for.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or another file has taken its place.
    pub fn header(&self) -> io::Result<Vec<u8>> {
        self.check()?;
        let mut header = vec![0; HEADER_LENGTH];
        let length = read_at(&*registry::file(&self.id)?, &mut header, 0)?;
        header.truncate(length);
        Ok(header)
    }

    /// Keeps the file from being taken for another one that is created in its place, until the
    /// result is dropped: the time of a creation is not exact enough for that.
    pub(crate) fn pin(self: &Arc<Self>) -> io::Result<Pin> {
        registry::pin(&self.id)?;
        Ok(Pin(Arc::clone(self)))
    }

    /// Copies the file without its log.
    pub(super) fn copy_to(&self, to: &mut File) -> io::Result<()> {
        let file = registry::file(&self.id)?;
        let mut bytes = vec![0; COPIED];
        let mut position = 0;
        loop {
            let length = read_at(&file, &mut bytes, position)?;
            let Some(read) = bytes.get(..length).filter(|read| !read.is_empty()) else {
                return Ok(());
            };
            to.write_all(read)?;
            position += length as u64;
        }
    }

    /// How much room this user has on the disk of the file, in bytes.
    #[cfg(unix)]
    pub(super) fn free_space(&self) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(&self.name)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// It is not known here.
    #[cfg(not(unix))]
    pub(super) fn free_space(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    /// Whether the path still refers to the file.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        Id::at(&self.name).is_ok_and(|id| id == self.id)
    }

    /// Fails if the path no longer refers to the file.
    pub(super) fn check(&self) -> io::Result<()> {
        if self.is_in_place() {
            return Ok(());
        }
        Err(registry::replaced())
    }

    /// The path without links, by which connections open the file.
    pub(super) fn name(&self) -> &Path {
        &self.name
    }

    /// Where the file's write-ahead log is.
    pub(super) fn log(&self) -> PathBuf {
        with_suffix(&self.name, "-wal")
    }

    /// Where the file of the memory is that connections share.
    pub(super) fn shared_memory(&self) -> PathBuf {
        with_suffix(&self.name, "-shm")
    }

    /// Whether any process has a connection to the file, where that can be known.
    pub(super) fn is_in_use(&self) -> bool {
        registry::file(&self.id).is_ok_and(|file| locks::is_in_use(&file))
    }

    /// Whether other programs are kept from removing the log after this process has lost its
    /// POSIX locks.
    pub(crate) fn has_open_file_locks(&self) -> bool {
        registry::file(&self.id).is_ok_and(|file| locks::are_supported(&file))
    }

    /// Whether a transaction with a rollback journal was cut off, or is running.
    pub(super) fn has_journal(&self) -> bool {
        fs::metadata(with_suffix(&self.name, "-journal")).is_ok_and(|journal| journal.len() > 0)
    }

    /// Whether the first transaction was cut off: the file was empty before, so whatever it
    /// holds, SQLite will undo it.
    pub(crate) fn is_cut_off(&self) -> bool {
        let mut start = [0; JOURNAL_START];
        let read = File::open(with_suffix(&self.name, "-journal"))
            .and_then(|mut journal| journal.read_exact(&mut start));
        read.is_ok() && start.starts_with(&JOURNAL_MAGIC) && start.ends_with(&[0; 4])
    }

    /// What the file and its log look like from outside.
    pub(super) fn appearance(&self) -> io::Result<Appearance> {
        let database = fs::metadata(&self.name)?;
        let log = match fs::metadata(self.log()) {
            Ok(log) => Some((log.len(), log.modified()?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Appearance {
            id: Id::of(&self.name, &database),
            database: (database.len(), database.modified()?),
            log,
        })
    }

    /// Whether the log was removed while connections of this process had it open: nothing may
    /// be read from or written to them any more.
    pub(crate) fn log_is_lost(&self) -> bool {
        registry::log_is_lost(&self.id)
    }

    /// See [`log_is_lost`](Self::log_is_lost).
    pub(super) fn lose_log(&self) {
        registry::lose_log(&self.id);
    }

    /// Counts a connection until the result is dropped, just before the connection is closed.
    pub(super) fn connected(self: &Arc<Self>) -> Connected {
        registry::connected(&self.id);
        Connected(Arc::clone(self))
    }

    /// Keeps other programs from removing the log while there are connections.
    pub(super) fn keep_log(&self) {
        registry::keep_log(&self.id);
    }

    /// Keeps the file from being removed until the result is dropped. `None` if it is being
    /// removed now, for longer than `timeout`.
    pub(super) fn opening(self: &Arc<Self>, timeout: Duration) -> io::Result<Option<Opening>> {
        let opening = wait_for(timeout, || registry::try_open(&self.id, &self.name))?;
        Ok(opening.then(|| Opening(Arc::clone(self))))
    }

    /// Runs `act` while no other process can begin to use the file.
    pub(super) fn alone<T>(&self, act: impl FnOnce() -> T) -> io::Result<T> {
        registry::alone(&self.id, act)
    }

    /// Removes the file and what SQLite has put next to it, if `agree` returns true once nobody
    /// opens or closes it.
    ///
    /// Connections that have it open keep it, and cannot commit to it any more.
    ///
    /// # Errors
    ///
    /// If one of the files cannot be removed, or the directory cannot be synced.
    pub(crate) fn remove(
        &self,
        timeout: Duration,
        agree: impl FnOnce(&Self) -> io::Result<bool>,
    ) -> io::Result<Removal> {
        match wait_for(timeout, || registry::try_remove(&self.id)) {
            Ok(true) => {}
            Ok(false) => return Ok(Removal::Busy),
            Err(_) if !self.is_in_place() => return Ok(Removal::Done),
            Err(error) => return Err(error),
        }
        let _removing = Removing(&self.id);
        if !self.is_in_place() {
            return Ok(Removal::Done);
        }
        if !agree(self)? {
            return Ok(Removal::Refused);
        }
        for suffix in SIBLINGS {
            match fs::remove_file(with_suffix(&self.name, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::remove_file(&self.name)?;
        sync_directory(&self.name)?;
        Ok(Removal::Done)
    }
}

impl Drop for DatabaseFile {
    fn drop(&mut self) {
        registry::release(&self.id);
    }
}

/// Length and time of change of a file and its log. Unlike SQLite's change counter, which a
/// commit to a log need not touch, the time changes with every write.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Appearance {
    id: Id,
    database: (u64, SystemTime),
    log: Option<(u64, SystemTime)>,
}

impl Appearance {
    /// Whether there is a log with something in it.
    pub(super) fn has_log(&self) -> bool {
        self.log.is_some_and(|(length, _)| length > 0)
    }
}

/// How [`DatabaseFile::remove`] ended.
pub(crate) enum Removal {
    /// The path does not refer to the file any more.
    Done,
    /// It was not agreed to.
    Refused,
    /// Others opened or closed it for longer than the timeout.
    Busy,
}

/// See [`DatabaseFile::pin`].
pub(crate) struct Pin(Arc<DatabaseFile>);

impl Drop for Pin {
    fn drop(&mut self) {
        registry::unpin(&self.0.id);
    }
}

/// A connection of the file.
pub(super) struct Connected(Arc<DatabaseFile>);

impl Drop for Connected {
    fn drop(&mut self) {
        registry::disconnecting(&self.0.id);
    }
}

/// Somebody who opens or closes the file.
pub(super) struct Opening(Arc<DatabaseFile>);

impl Drop for Opening {
    fn drop(&mut self) {
        registry::opened(&self.0.id);
    }
}

/// Somebody who removes the file.
struct Removing<'a>(&'a Id);

impl Drop for Removing<'_> {
    fn drop(&mut self) {
        registry::removed(self.0);
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, position)
}

#[cfg(windows)]
fn read_at(file: &File, bytes: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, position)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Makes the name of a file or directory, or that it is gone, survive a loss of power.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    if cfg!(unix) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

#[cfg_attr(not(unix), expect(unused_variables))]
fn new_file(path: &Path, mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    // Not `create_new`, which refuses a link to a file that is yet to come.
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(mode);
    }
    options.open(path).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Directory;

    #[test]
    fn a_missing_file_is_created_only_when_asked() {
        let directory = Directory::new();
        let path = directory.path("new.db");
        let error = DatabaseFile::existing(&path).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(!path.exists());
        let guard = DatabaseFile::create(&path).unwrap();
        assert_eq!(guard.header().unwrap(), b"");
    }

    #[test]
    fn a_missing_directory_and_a_directory_are_errors() {
        let directory = Directory::new();
        assert!(DatabaseFile::create(&directory.path("no/new.db")).is_err());
        assert!(DatabaseFile::create(&directory.path("")).is_err());
    }

    #[test]
    fn the_header_is_at_most_100_bytes() {
        let directory = Directory::new();
        let path = directory.path("long.db");
        fs::write(&path, vec![7; 5000]).unwrap();
        let guard = DatabaseFile::existing(&path).unwrap();
        assert_eq!(guard.header().unwrap(), vec![7; 100]);
        assert_eq!(guard.header().unwrap(), vec![7; 100]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_missing_file_creates_that_file() {
        let directory = Directory::new();
        let link = directory.path("link.db");
        std::os::unix::fs::symlink(directory.path("file.db"), &link).unwrap();
        let guard = DatabaseFile::create(&link).unwrap();
        assert!(directory.path("file.db").exists());
        fs::write(directory.path("file.db-wal"), b"x").unwrap();
        assert!(guard.appearance().unwrap().has_log());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_took_the_place_of_ours_is_not_opened() {
        let directory = Directory::new();
        let path = directory.path("a.db");
        let guard = DatabaseFile::create(&path).unwrap();
        fs::write(directory.path("b.db"), b"x").unwrap();
        fs::rename(directory.path("b.db"), &path).unwrap();
        assert!(guard.check().is_err());
        assert!(guard.header().is_err());
    }

    /// The bug this guards against: thread A has the store open; thread B opens
    /// the same file, reads its header with `File`, and closes it. With that,
    /// the process has lost its locks, and another process may take the
    /// database out of WAL mode under A's connection.
    #[cfg(unix)]
    #[test]
    fn reading_the_header_keeps_the_locks_of_open_connections() {
        const PATH: &str = "LASH_WASM_STORE_TEST_LOCKED_FILE";
        const TEST: &str =
            "sqlite::file::tests::reading_the_header_keeps_the_locks_of_open_connections";
        if let Some(path) = std::env::var_os(PATH) {
            // The other process.
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.busy_timeout(Duration::ZERO).unwrap();
            let error = connection
                .pragma_update(None, "journal_mode", "DELETE")
                .unwrap_err();
            assert!(error.to_string().contains("locked"), "{error}");
            return;
        }
        let directory = Directory::new();
        let path = directory.path("locked.db");
        let _first = DatabaseFile::create(&path).unwrap();
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a)")
            .unwrap();
        let second = DatabaseFile::create(&path).unwrap();
        assert_eq!(second.header().unwrap().len(), 100);
        drop(second);
        let other = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", TEST, "--nocapture"])
            .env(PATH, &path)
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&other.stdout);
        assert!(other.status.success(), "{output}");
        assert!(output.contains("1 passed"), "{output}");
        drop(connection);
    }
}
