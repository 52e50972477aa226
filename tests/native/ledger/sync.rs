//! How often this process has waited for the disk.
//!
//! SQLite calls `fsync` or `fdatasync`. A program that defines them itself gets all
//! these calls, whichever crate links SQLite.

use std::ffi::c_int;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// How many files were synced since the process began.
pub(crate) fn count() -> u64 {
    COUNT.load(Ordering::SeqCst)
}

// SAFETY: the functions do what those of the C library of these names do, except that a
// failure leaves `errno` as it was, which SQLite only logs. Nothing else of this program
// has the names.
#[unsafe(no_mangle)]
extern "C" fn fsync(file: c_int) -> c_int {
    counted(file, |file| rustix::fs::fsync(file))
}

// SAFETY: as `fsync`.
#[unsafe(no_mangle)]
extern "C" fn fdatasync(file: c_int) -> c_int {
    counted(file, |file| rustix::fs::fdatasync(file))
}

fn counted(file: c_int, sync: impl FnOnce(BorrowedFd<'_>) -> rustix::io::Result<()>) -> c_int {
    COUNT.fetch_add(1, Ordering::SeqCst);
    // SAFETY: the caller has the file open during the call.
    match sync(unsafe { BorrowedFd::borrow_raw(file) }) {
        Ok(()) => 0,
        Err(_) => -1,
    }
}
