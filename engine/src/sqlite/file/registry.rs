//! Which files the process has open as databases.
//!
//! On Unix, closing any descriptor of a file releases all locks that the process has on it,
//! SQLite's too. So each file has one descriptor here, which is opened when it is needed and
//! closed after the last connection.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use super::{locks, with_suffix};
use crate::observability::TARGET;
use crate::sync::lock;

/// A file, whatever its names are. The number of an inode is used again for another file, so the
/// time of its creation belongs to it, where the file system has one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sqlite) struct Id {
    #[cfg(unix)]
    device: u64,
    #[cfg(unix)]
    inode: u64,
    #[cfg(unix)]
    created: Option<SystemTime>,
    #[cfg(not(unix))]
    name: PathBuf,
}

impl Id {
    #[cfg(unix)]
    pub(in crate::sqlite) fn of(_: &Path, metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            created: metadata.created().ok(),
        }
    }

    #[cfg(not(unix))]
    pub(in crate::sqlite) fn of(path: &Path, _: &Metadata) -> Self {
        Self {
            name: path.to_path_buf(),
        }
    }

    /// The file that has the path now.
    pub(in crate::sqlite) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(path, &fs::metadata(path)?))
    }
}

struct Entry {
    users: usize,
    connections: usize,
    /// Who needs the descriptor to stay open: see [`pin`].
    pins: usize,
    /// The name that connections open the file by: that of its log follows from it.
    name: PathBuf,
    file: Option<Arc<File>>,
    /// The file of the memory that connections share, once there is one.
    shared_memory: Option<File>,
    /// Whether other programs are kept from removing the log.
    log_kept: bool,
    /// Whether the log was found removed while connections had it open.
    log_lost: bool,
    lifecycle: Lifecycle,
}

/// Who of this process keeps the file from being removed, or removes it. Other processes see
/// it as the lock of the descriptor.
enum Lifecycle {
    /// So many open or close it.
    Opening(usize),
    Removing,
}

impl Entry {
    /// The descriptor.
    fn file(&mut self, id: &Id) -> io::Result<Arc<File>> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let file = open(&self.name)?;
        if Id::of(&self.name, &file.metadata()?) != *id {
            return Err(replaced());
        }
        Ok(Arc::clone(self.file.insert(Arc::new(file))))
    }

    fn is_idle(&self) -> bool {
        self.connections == 0 && matches!(self.lifecycle, Lifecycle::Opening(0))
    }

    /// Closes the descriptors, if there is no connection that they could take the locks from.
    fn close(&mut self) {
        if self.is_idle() && self.pins == 0 {
            self.file = None;
            self.shared_memory = None;
        }
    }

    /// Fails if connections have the file open by another name. Without any it begins anew.
    fn take_name(&mut self, id: &Id, name: &Path) -> io::Result<()> {
        if self.is_idle() {
            self.log_lost = false;
            self.name = name.to_path_buf();
        }
        if self.name == name {
            return Ok(());
        }
        if Id::at(&self.name).is_ok_and(|other| other == *id) {
            return Err(linked(&self.name.display().to_string()));
        }
        Err(io::Error::other(format!(
            "it was {} when this process opened it; close the stores that were opened by that name first",
            self.name.display()
        )))
    }

    /// Ends what the descriptor has locked. Closing it is not enough: a forked child has it
    /// open too.
    fn unlock(&mut self) {
        if let Some(file) = &self.file
            && let Err(error) = file.unlock()
        {
            tracing::debug!(target: TARGET, path = %self.name.display(), %error, "could not unlock");
        }
    }
}

static FILES: Mutex<BTreeMap<Id, Entry>> = Mutex::new(BTreeMap::new());

fn files() -> MutexGuard<'static, BTreeMap<Id, Entry>> {
    lock(&FILES)
}

/// Counts a user of the file at `path`, after `prepare` has run.
pub(super) fn acquire(
    path: &Path,
    prepare: impl FnOnce() -> io::Result<()>,
) -> io::Result<(Id, PathBuf)> {
    let mut files = files();
    prepare()?;
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        let kind = io::ErrorKind::InvalidInput;
        return Err(io::Error::new(kind, "it is not a regular file"));
    }
    let name = fs::canonicalize(path)?;
    let id = Id::of(&name, &metadata);
    if let Some(entry) = files.get_mut(&id) {
        entry.take_name(&id, &name)?;
        entry.users += 1;
        return Ok((id, name));
    }
    let mut entry = Entry {
        users: 1,
        connections: 0,
        pins: 0,
        name: name.clone(),
        file: None,
        shared_memory: None,
        log_kept: false,
        log_lost: false,
        lifecycle: Lifecycle::Opening(0),
    };
    if has_links(&metadata)
        && locks::is_in_use(&*entry.file(&id)?)
        && !with_suffix(&name, "-wal").exists()
    {
        return Err(linked("another name"));
    }
    files.insert(id.clone(), entry);
    Ok((id, name))
}

pub(super) fn release(id: &Id) {
    // The descriptors are closed while the registry is locked: nobody can open the file as a
    // database in between.
    let mut files = files();
    if let Some(entry) = files.get_mut(id) {
        entry.users = entry.users.saturating_sub(1);
        if entry.users == 0 {
            files.remove(id);
        }
    }
}

/// The descriptor, to be dropped before the handle of the file is.
pub(super) fn file(id: &Id) -> io::Result<Arc<File>> {
    entry(&mut files(), id)?.file(id)
}

/// Keeps the descriptor open until [`unpin`], and with it the number of the inode from being
/// that of another file.
pub(super) fn pin(id: &Id) -> io::Result<()> {
    let mut files = files();
    let entry = entry(&mut files, id)?;
    entry.file(id)?;
    entry.pins += 1;
    Ok(())
}

/// Ends what [`pin`] began.
pub(super) fn unpin(id: &Id) {
    if let Ok(entry) = entry(&mut files(), id) {
        entry.pins = entry.pins.saturating_sub(1);
        entry.close();
    }
}

/// Whether the log was found removed while connections had it open.
pub(super) fn log_is_lost(id: &Id) -> bool {
    files().get(id).is_some_and(|entry| entry.log_lost)
}

/// See [`log_is_lost`].
pub(super) fn lose_log(id: &Id) {
    if let Ok(entry) = entry(&mut files(), id) {
        entry.log_lost = true;
    }
}

/// Counts a connection.
pub(super) fn connected(id: &Id) {
    if let Ok(entry) = entry(&mut files(), id) {
        entry.connections += 1;
    }
}

/// Keeps other programs from removing the log while there are connections.
pub(super) fn keep_log(id: &Id) {
    let mut files = files();
    let Ok(entry) = entry(&mut files, id) else {
        return;
    };
    if entry.shared_memory.is_none() {
        entry.shared_memory = open(&with_suffix(&entry.name, "-shm")).ok();
    }
    if entry.log_kept {
        return;
    }
    let kept = entry
        .file(id)
        .and_then(|file| locks::keep_log(&file))
        .and_then(|()| match &entry.shared_memory {
            Some(memory) => locks::keep_shared_memory(memory),
            None => Ok(()),
        });
    match kept {
        Ok(()) => entry.log_kept = true,
        Err(error) => warn_of_missing_locks(&entry.name, &error),
    }
}

/// A connection is about to be closed. The last one of all processes removes the log, which
/// SQLite cannot do while it is kept.
pub(super) fn disconnecting(id: &Id) {
    let mut files = files();
    let Ok(entry) = entry(&mut files, id) else {
        return;
    };
    entry.connections = entry.connections.saturating_sub(1);
    if entry.connections > 0 || !entry.log_kept {
        return;
    }
    entry.log_kept = false;
    let released = entry
        .file(id)
        .and_then(|file| locks::release_log(&file))
        .and_then(|()| match &entry.shared_memory {
            Some(memory) => locks::release_shared_memory(memory),
            None => Ok(()),
        });
    if let Err(error) = released {
        tracing::debug!(target: TARGET, path = %entry.name.display(), %error, "could not unlock");
    }
}

/// Keeps the file from being removed by [`try_remove`]; false if it is being removed now.
pub(super) fn try_open(id: &Id, name: &Path) -> io::Result<bool> {
    let mut files = files();
    let entry = entry(&mut files, id)?;
    entry.take_name(id, name)?;
    let Lifecycle::Opening(count) = entry.lifecycle else {
        return Ok(false);
    };
    if count == 0 && !acquired(entry.file(id)?.try_lock_shared())? {
        return Ok(false);
    }
    entry.lifecycle = Lifecycle::Opening(count + 1);
    Ok(true)
}

/// Ends what [`try_open`] began.
pub(super) fn opened(id: &Id) {
    if let Ok(entry) = entry(&mut files(), id)
        && let Lifecycle::Opening(count) = &mut entry.lifecycle
    {
        *count = count.saturating_sub(1);
        if *count == 0 {
            entry.unlock();
            entry.close();
        }
    }
}

/// Keeps everybody from opening and closing the file; false if somebody does now.
pub(super) fn try_remove(id: &Id) -> io::Result<bool> {
    let mut files = files();
    let entry = entry(&mut files, id)?;
    if !matches!(entry.lifecycle, Lifecycle::Opening(0)) || !acquired(entry.file(id)?.try_lock())? {
        return Ok(false);
    }
    entry.lifecycle = Lifecycle::Removing;
    Ok(true)
}

/// Ends what [`try_remove`] began.
pub(super) fn removed(id: &Id) {
    if let Ok(entry) = entry(&mut files(), id) {
        entry.lifecycle = Lifecycle::Opening(0);
        entry.unlock();
        entry.close();
    }
}

/// Runs `act` while no other process can begin to use the file.
pub(super) fn alone<T>(id: &Id, act: impl FnOnce() -> T) -> io::Result<T> {
    let file = file(id)?;
    locks::keep_others_out(&file)?;
    let result = act();
    locks::let_others_in(&file)?;
    Ok(result)
}

fn entry<'a>(files: &'a mut BTreeMap<Id, Entry>, id: &Id) -> io::Result<&'a mut Entry> {
    // Every handle is counted as a user, so there is one.
    files
        .get_mut(id)
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Whether a lock was acquired. A file system that has no locks keeps nobody out.
fn acquired(locked: Result<(), TryLockError>) -> io::Result<bool> {
    match locked {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Opens a file, for writing if that is permitted: some locks require it.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options.open(path).or_else(|_| File::open(path))
}

#[cfg(unix)]
fn has_links(metadata: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(metadata) > 1
}

#[cfg(not(unix))]
fn has_links(_: &Metadata) -> bool {
    false
}

fn linked(name: &str) -> io::Error {
    io::Error::other(format!(
        "it is a hard link to a database that is open by another name ({name}), with a log of its own; open it by that name"
    ))
}

pub(super) fn replaced() -> io::Error {
    io::Error::other("the file was moved, removed or replaced while it was open")
}

fn warn_of_missing_locks(path: &Path, error: &io::Error) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        tracing::warn!(
            target: TARGET, path = %path.display(), %error,
            "this file system has no locks that outlast a copy of the database made by this process; do not copy it while it is open, see docs/operations.md"
        );
    });
}
