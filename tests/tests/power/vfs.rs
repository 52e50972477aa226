//! A VFS over the default one, and the default one from then on, so that whoever uses
//! SQLite in this process is recorded without knowing.
//!
//! Every file of SQLite gets [`RecordedFile`] in front of the default VFS's own. Methods
//! pass through, but for writes and cuts, which are noted. Shared memory passes through,
//! and memory maps (version 3 of the methods) are not offered, so that everything that is
//! written comes by here.

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use rusqlite::ffi::{
    SQLITE_OK, SQLITE_OPEN_MAIN_DB, SQLITE_OPEN_MAIN_JOURNAL, SQLITE_OPEN_WAL, sqlite3_file,
    sqlite3_io_methods, sqlite3_vfs, sqlite3_vfs_find, sqlite3_vfs_register,
};

use super::event::Event;
use super::recorder;

static DEFAULT: AtomicPtr<sqlite3_vfs> = AtomicPtr::new(ptr::null_mut());

/// What SQLite allocates for a file: this, and behind it the default VFS's file.
#[repr(C)]
struct RecordedFile {
    base: sqlite3_file,
    /// 0 if it is a temporary file.
    inode: u64,
}

/// Makes the recording VFS the default. Must be called once, before SQLite is used.
pub fn register() {
    // Safety: the default VFS exists as long as the process, and so does what is
    // registered, because it is leaked. It is a copy of the default VFS with another
    // `xOpen`; the other methods of the Unix VFS use their first argument for nothing but
    // `mxPathname` and `pAppData`, which are the same.
    unsafe {
        let default = sqlite3_vfs_find(ptr::null());
        assert!(!default.is_null(), "SQLite has a default VFS");
        DEFAULT.store(default, Ordering::SeqCst);
        let mut vfs = *default;
        vfs.zName = c"recording".as_ptr();
        vfs.szOsFile += size_of::<RecordedFile>() as c_int;
        vfs.pNext = ptr::null_mut();
        vfs.xOpen = Some(open);
        let vfs = Box::leak(Box::new(vfs));
        assert_eq!(sqlite3_vfs_register(vfs, 1), SQLITE_OK);
    }
}

/// The default VFS's file, which is behind ours.
///
/// # Safety
///
/// The file must be one that SQLite allocated for this VFS, with `szOsFile` bytes.
unsafe fn behind(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // Safety: within the allocation, and aligned, as `RecordedFile` has the alignment of
    // a pointer and SQLite allocates with that of 8 bytes.
    unsafe { file.cast::<RecordedFile>().add(1).cast() }
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let default = DEFAULT.load(Ordering::SeqCst);
    // Safety: SQLite gives a file of `szOsFile` bytes, whose methods it leaves for this to
    // set; a name that is null or ends with a zero; and calls no method if opening failed
    // and there are none.
    unsafe {
        let recorded = file.cast::<RecordedFile>();
        (*recorded).base.pMethods = ptr::null();
        (*recorded).inode = 0;
        let open = (*default).xOpen.expect("the default VFS opens");
        let code = open(default, name, behind(file), flags, out_flags);
        if code != SQLITE_OK {
            return code;
        }
        let kept = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL;
        if !name.is_null() && flags & kept != 0 {
            let path = Path::new(OsStr::from_bytes(CStr::from_ptr(name).to_bytes()));
            (*recorded).inode = std::fs::metadata(path).map_or(0, |metadata| metadata.ino());
            recorder::look();
        }
        (*recorded).base.pMethods = &raw const METHODS;
    }
    SQLITE_OK
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    data: *const c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    // Safety: SQLite calls the methods of a file that `open` opened; `data` has `length`
    // bytes.
    unsafe {
        let inode = (*file.cast::<RecordedFile>()).inode;
        let behind = behind(file);
        let write = (*(*behind).pMethods).xWrite.expect("a method");
        recorder::record(
            inode,
            || write(behind, data, length, offset),
            || Event::Write {
                inode,
                offset: offset.cast_unsigned(),
                data: std::slice::from_raw_parts(data.cast::<u8>(), length as usize).to_vec(),
            },
        )
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: i64) -> c_int {
    // Safety: as for `write`.
    unsafe {
        let inode = (*file.cast::<RecordedFile>()).inode;
        let behind = behind(file);
        let truncate = (*(*behind).pMethods).xTruncate.expect("a method");
        recorder::record(
            inode,
            || truncate(behind, size),
            || Event::Truncate {
                inode,
                size: size.cast_unsigned(),
            },
        )
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // Safety: as for `write`.
    let code = unsafe {
        let behind = behind(file);
        let close = (*(*behind).pMethods).xClose.expect("a method");
        close(behind)
    };
    // SQLite removes files before it closes the last one.
    recorder::look();
    code
}

/// Methods that do the same to the file behind.
macro_rules! pass {
    ($($name:ident = $method:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {$(
        unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $argument: $type)*) $(-> $result)? {
            // Safety: SQLite calls the methods of a file that `open` opened, so there is
            // one behind it with methods; the arguments are handed on as they are.
            unsafe {
                let behind = behind(file);
                let method = (*(*behind).pMethods).$method.expect("a method");
                method(behind $(, $argument)*)
            }
        }
    )*};
}

pass! {
    read = xRead(data: *mut c_void, length: c_int, offset: i64) -> c_int;
    sync = xSync(flags: c_int) -> c_int;
    size = xFileSize(size: *mut i64) -> c_int;
    lock = xLock(level: c_int) -> c_int;
    unlock = xUnlock(level: c_int) -> c_int;
    is_reserved = xCheckReservedLock(result: *mut c_int) -> c_int;
    control = xFileControl(operation: c_int, argument: *mut c_void) -> c_int;
    sector_size = xSectorSize() -> c_int;
    characteristics = xDeviceCharacteristics() -> c_int;
    map = xShmMap(page: c_int, size: c_int, extend: c_int, result: *mut *mut c_void) -> c_int;
    lock_memory = xShmLock(offset: c_int, count: c_int, flags: c_int) -> c_int;
    barrier = xShmBarrier();
    unmap = xShmUnmap(delete: c_int) -> c_int;
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(is_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(map),
    xShmLock: Some(lock_memory),
    xShmBarrier: Some(barrier),
    xShmUnmap: Some(unmap),
    xFetch: None,
    xUnfetch: None,
};
