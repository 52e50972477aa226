//! Where the new database is made, and how it gets its name.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{TempDir, TempPath};

use super::error::ImportError;
use super::thread::Cancel;

/// What SQLite may put beside a database. A new database must not come to lie beside one
/// of another: SQLite would take it for its own.
const SIBLINGS: [&str; 4] = ["", "-wal", "-journal", "-shm"];

/// How the name of the temporary directory begins.
const PREFIX: &str = ".lash-import-";

/// A directory beside the destination, on the same file system. It is removed with
/// what is in it when this is dropped.
pub(super) struct Destination {
    path: PathBuf,
    dir: TempDir,
}

impl Destination {
    /// Makes the directory, if there is nothing at the destination.
    pub(super) fn prepare(path: &Path) -> Result<Self, ImportError> {
        let path = std::path::absolute(path).map_err(|source| io_error(path, source))?;
        refuse_existing(&path)?;
        let parent = parent(&path);
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o700));
        }
        let dir = builder
            .prefix(PREFIX)
            .tempdir_in(parent)
            .map_err(|source| io_error(parent, source))?;
        Ok(Self { path, dir })
    }

    /// Where to make the database.
    pub(super) fn draft(&self) -> PathBuf {
        self.dir.path().join("database")
    }

    /// Gives the database its name, unless the import was cancelled. Nothing may have it
    /// open any more.
    pub(super) fn publish(self, cancel: &Cancel) -> Result<(), ImportError> {
        let draft = self.draft();
        let log = with_suffix(&draft, "-wal");
        if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            return Err(io_error(
                &log,
                io::Error::other("the write-ahead log could not be copied into the database"),
            ));
        }
        File::open(&draft)
            .and_then(|file| file.sync_all())
            .map_err(|source| io_error(&draft, source))?;
        refuse_existing(&self.path)?;
        cancel.check(&self.path)?;
        TempPath::try_from_path(&draft)
            .map_err(|source| io_error(&draft, source))?
            .persist_noclobber(&self.path)
            .map_err(|error| match error.error.kind() {
                io::ErrorKind::AlreadyExists => ImportError::DestinationExists {
                    path: self.path.clone(),
                },
                _ => io_error(&self.path, error.error),
            })?;
        sync_directory(parent(&self.path))
    }
}

fn refuse_existing(path: &Path) -> Result<(), ImportError> {
    for suffix in SIBLINGS {
        let path = with_suffix(path, suffix);
        // Not `exists`, which overlooks a link that leads nowhere.
        match fs::symlink_metadata(&path) {
            Ok(_) => return Err(ImportError::DestinationExists { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(io_error(&path, source)),
        }
    }
    Ok(())
}

/// The directory of an absolute path.
fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Makes the new name survive a loss of power.
fn sync_directory(path: &Path) -> Result<(), ImportError> {
    if cfg!(unix) {
        File::open(path)
            .and_then(|directory| directory.sync_all())
            .map_err(|source| io_error(path, source))?;
    }
    Ok(())
}

fn io_error(path: &Path, source: io::Error) -> ImportError {
    ImportError::Io {
        path: path.to_path_buf(),
        source,
    }
}
