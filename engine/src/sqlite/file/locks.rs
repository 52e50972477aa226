//! Locks that belong to an open file, not to the process.
//!
//! SQLite's own locks are the process's: whatever closes a descriptor of the file, for example
//! a copy of it that the application makes, releases all of them. Another program then takes
//! itself for the last one and removes the log. The locks here remain. They are read locks on
//! the ranges that SQLite must write-lock before it does that, so each of them has to be
//! released before a connection of this process may do it.

use std::fs::File;
use std::io;

/// Keeps other programs from removing the log of the database.
pub(super) fn keep_log(database: &File) -> io::Result<()> {
    range::SHARED.lock_for_reading(database)
}

/// Ends [`keep_log`].
pub(super) fn release_log(database: &File) -> io::Result<()> {
    range::SHARED.unlock(database)
}

/// Keeps other programs from clearing the memory that connections share.
pub(super) fn keep_shared_memory(memory: &File) -> io::Result<()> {
    range::SHARED_MEMORY_IN_USE.lock_for_reading(memory)
}

/// Ends [`keep_shared_memory`].
pub(super) fn release_shared_memory(memory: &File) -> io::Result<()> {
    range::SHARED_MEMORY_IN_USE.unlock(memory)
}

/// Keeps other processes from beginning to use the database. The file must be open for writing.
pub(super) fn keep_others_out(database: &File) -> io::Result<()> {
    range::PENDING.lock_for_writing(database)
}

/// Ends [`keep_others_out`].
pub(super) fn let_others_in(database: &File) -> io::Result<()> {
    range::PENDING.unlock(database)
}

/// Whether any process has the database open. False where that is not known.
pub(super) fn is_in_use(database: &File) -> bool {
    range::SHARED.is_locked(database).unwrap_or(false)
}

/// Whether the file system has these locks.
pub(super) fn are_supported(database: &File) -> bool {
    range::SHARED.is_locked(database).is_ok()
}

#[cfg(target_os = "linux")]
mod range {
    use std::fs::File;
    use std::io;

    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc::{F_RDLCK, F_UNLCK, F_WRLCK, SEEK_SET, c_int, c_short, flock, off_t};

    /// Bytes of a file, by the first and the number of them.
    #[derive(Clone, Copy)]
    pub(super) struct Range(off_t, off_t);

    // <https://www.sqlite.org/lockingv3.html>; the positions are in `src/os.h` of SQLite.
    pub(super) const PENDING: Range = Range(0x4000_0000, 1);
    pub(super) const SHARED: Range = Range(0x4000_0002, 510);
    /// The "dead man switch" of `src/os_unix.c`.
    pub(super) const SHARED_MEMORY_IN_USE: Range = Range(128, 1);

    impl Range {
        pub(super) fn lock_for_reading(self, file: &File) -> io::Result<()> {
            self.set(file, F_RDLCK)
        }

        pub(super) fn lock_for_writing(self, file: &File) -> io::Result<()> {
            self.set(file, F_WRLCK)
        }

        // Closing the file is not enough: a forked child has it open too.
        pub(super) fn unlock(self, file: &File) -> io::Result<()> {
            self.set(file, F_UNLCK)
        }

        /// Whether anybody has a lock.
        pub(super) fn is_locked(self, file: &File) -> io::Result<bool> {
            let mut found = self.request(F_WRLCK);
            fcntl(file, FcntlArg::F_OFD_GETLK(&mut found))?;
            Ok(c_int::from(found.l_type) != F_UNLCK)
        }

        fn set(self, file: &File, kind: c_int) -> io::Result<()> {
            fcntl(file, FcntlArg::F_OFD_SETLK(&self.request(kind)))?;
            Ok(())
        }

        fn request(self, kind: c_int) -> flock {
            flock {
                l_type: kind as c_short,
                l_whence: SEEK_SET as c_short,
                l_start: self.0,
                l_len: self.1,
                // Required to be 0 for locks of an open file.
                l_pid: 0,
            }
        }
    }
}

/// Elsewhere SQLite's locks are all there are.
#[cfg(not(target_os = "linux"))]
mod range {
    use std::fs::File;
    use std::io;

    #[derive(Clone, Copy)]
    pub(super) struct Range;

    pub(super) const PENDING: Range = Range;
    pub(super) const SHARED: Range = Range;
    pub(super) const SHARED_MEMORY_IN_USE: Range = Range;

    impl Range {
        pub(super) fn lock_for_reading(self, _: &File) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn lock_for_writing(self, _: &File) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn unlock(self, _: &File) -> io::Result<()> {
            Ok(())
        }

        pub(super) fn is_locked(self, _: &File) -> io::Result<bool> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }
}
