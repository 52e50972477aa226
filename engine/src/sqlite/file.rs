//! The file of a database, looked at without SQLite.
//!
//! A file that is not ours must not be touched, so its first bytes are read
//! before SQLite opens it. That is harder than it sounds: on Unix, closing any
//! descriptor of a file drops all locks that the process holds on it, also
//! those that SQLite holds through another descriptor, and the database may
//! then be damaged by another process. So a descriptor is closed only while no
//! connection of this crate has the file open, and kept until then otherwise.
//! Connections that the application opens on the same file by other means are
//! not known here; what [`DatabaseFile::header`] does is what any program does that
//! reads such a file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use registry::Id;

/// The length of the header of a SQLite database.
const HEADER_LENGTH: u64 = 100;

/// The mode of a file that only its owner can read and write.
pub(crate) const PRIVATE: u32 = 0o600;

/// A file that this process has open as a database, or is about to.
///
/// On Unix, closing a descriptor of a file gives up the locks that the process has
/// on it, also those of SQLite. So the file is read and opened through this, which
/// knows what is open in the process, and a program should not open it in another
/// way meanwhile.
pub struct DatabaseFile {
    path: PathBuf,
    id: Id,
}

impl DatabaseFile {
    /// Takes hold of the file, and creates it empty if it is not there; the
    /// directory must exist. On Unix only this user can read and write a new file.
    ///
    /// # Errors
    ///
    /// If it can be neither found nor made, or is no regular file.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::create_with_mode(path, PRIVATE)
    }

    /// As [`create`](Self::create), with the mode of a new file on Unix, less what the
    /// umask takes away. SQLite gives what it creates beside the file the same mode.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn create_with_mode(path: &Path, mode: u32) -> io::Result<Self> {
        Self::hold(path, |path| match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Nobody else in the process has it open: the registry is locked.
                new_file(path, mode)?;
                fs::metadata(path)
            }
            result => result,
        })
    }

    /// Takes hold of a file that exists.
    ///
    /// # Errors
    ///
    /// If it is not there, or is no regular file.
    pub fn existing(path: &Path) -> io::Result<Self> {
        Self::hold(path, |path| fs::metadata(path))
    }

    fn hold(path: &Path, find: impl FnOnce(&Path) -> io::Result<fs::Metadata>) -> io::Result<Self> {
        // Absolute, because a connection may be opened long after the
        // application has changed its working directory.
        let path = std::path::absolute(path)?;
        let id = registry::acquire(|| {
            let metadata = find(&path)?;
            if !metadata.is_file() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "it is not a regular file",
                ));
            }
            Ok(Id::of(&metadata))
        })?;
        Ok(Self { path, id })
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
        registry::with_file(
            self.id,
            || {
                let file = File::open(&self.path)?;
                self.check(&file.metadata()?)?;
                Ok(file)
            },
            |file| {
                let mut header = Vec::new();
                file.seek(SeekFrom::Start(0))?;
                file.take(HEADER_LENGTH).read_to_end(&mut header)?;
                Ok(header)
            },
        )
    }

    /// Must be called before SQLite opens the file. Fails if another file has
    /// taken its place.
    pub(crate) fn connecting(&self) -> io::Result<()> {
        self.check(&fs::metadata(&self.path)?)?;
        registry::connecting(self.id);
        Ok(())
    }

    /// Whether the file's write-ahead log holds anything.
    pub(crate) fn has_log(&self) -> bool {
        fs::metadata(self.log()).is_ok_and(|metadata| metadata.len() > 0)
    }

    /// Where the file's write-ahead log is.
    pub(crate) fn log(&self) -> PathBuf {
        // SQLite puts it beside the file itself, not beside a link to it.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let mut path = path.into_os_string();
        path.push("-wal");
        path.into()
    }

    fn check(&self, metadata: &fs::Metadata) -> io::Result<()> {
        if Id::of(metadata) == self.id {
            return Ok(());
        }
        Err(io::Error::other(
            "the file was replaced by another one while it was open",
        ))
    }
}

impl Drop for DatabaseFile {
    fn drop(&mut self) {
        registry::release(self.id);
    }
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

/// Which files the process has open as databases.
#[cfg(unix)]
mod registry {
    use std::collections::BTreeMap;
    use std::fs::{File, Metadata};
    use std::io;
    use std::os::unix::fs::MetadataExt;
    use std::sync::{Mutex, MutexGuard};

    use crate::sync::lock;

    /// A file, whatever its names are.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub(super) struct Id {
        device: u64,
        inode: u64,
    }

    impl Id {
        pub(super) fn of(metadata: &Metadata) -> Self {
            Self {
                device: metadata.dev(),
                inode: metadata.ino(),
            }
        }
    }

    #[derive(Default)]
    struct Entry {
        users: usize,
        /// Whether SQLite has, or may have, the file open.
        connected: bool,
        /// A descriptor that must not be closed before SQLite's.
        kept: Option<File>,
    }

    static FILES: Mutex<BTreeMap<Id, Entry>> = Mutex::new(BTreeMap::new());

    fn files() -> MutexGuard<'static, BTreeMap<Id, Entry>> {
        lock(&FILES)
    }

    /// Counts a user of the file that `find` finds, while nobody else can.
    pub(super) fn acquire(find: impl FnOnce() -> io::Result<Id>) -> io::Result<Id> {
        let mut files = files();
        let id = find()?;
        files.entry(id).or_default().users += 1;
        Ok(id)
    }

    pub(super) fn connecting(id: Id) {
        files().entry(id).or_default().connected = true;
    }

    pub(super) fn release(id: Id) {
        // The last descriptor is closed while the registry is locked: nobody
        // can open the file as a database in between.
        let mut files = files();
        if let Some(entry) = files.get_mut(&id) {
            entry.users = entry.users.saturating_sub(1);
            if entry.users == 0 {
                files.remove(&id);
            }
        }
    }

    /// Reads from the file, through a descriptor that is closed only if that
    /// does no harm.
    pub(super) fn with_file<T>(
        id: Id,
        open: impl FnOnce() -> io::Result<File>,
        read: impl FnOnce(&mut File) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut files = files();
        let entry = files.entry(id).or_default();
        let mut file = match entry.kept.take() {
            Some(file) => file,
            None => open()?,
        };
        let result = read(&mut file);
        if entry.connected {
            entry.kept = Some(file);
        }
        result
    }
}

/// Elsewhere locks belong to the descriptor, and there is nothing to remember.
#[cfg(not(unix))]
mod registry {
    use std::fs::{File, Metadata};
    use std::io;

    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(super) struct Id;

    impl Id {
        pub(super) fn of(_: &Metadata) -> Self {
            Self
        }
    }

    pub(super) fn acquire(find: impl FnOnce() -> io::Result<Id>) -> io::Result<Id> {
        find()
    }

    pub(super) fn connecting(_: Id) {}
    pub(super) fn release(_: Id) {}

    pub(super) fn with_file<T>(
        _: Id,
        open: impl FnOnce() -> io::Result<File>,
        read: impl FnOnce(&mut File) -> io::Result<T>,
    ) -> io::Result<T> {
        read(&mut open()?)
    }
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
        guard.connecting().unwrap();
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
        assert!(guard.has_log());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_took_the_place_of_ours_is_not_opened() {
        let directory = Directory::new();
        let path = directory.path("a.db");
        let guard = DatabaseFile::create(&path).unwrap();
        fs::write(directory.path("b.db"), b"x").unwrap();
        fs::rename(directory.path("b.db"), &path).unwrap();
        assert!(guard.connecting().is_err());
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
            connection.busy_timeout(std::time::Duration::ZERO).unwrap();
            let error = connection
                .pragma_update(None, "journal_mode", "DELETE")
                .unwrap_err();
            assert!(error.to_string().contains("locked"), "{error}");
            return;
        }
        let directory = Directory::new();
        let path = directory.path("locked.db");
        let first = DatabaseFile::create(&path).unwrap();
        first.connecting().unwrap();
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
