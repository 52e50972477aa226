//! Notes what this process does to a directory. The VFS reports writes and cuts; the
//! program's `fsync` and `fdatasync` report what is synced, by SQLite and by everybody
//! else; changes of names are seen by reading the directory before each event.

use std::collections::{BTreeMap, HashSet};
use std::ffi::c_int;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::event::{Entry, Event, Target};

static RECORDER: Mutex<Option<Recorder>> = Mutex::new(None);

pub struct Recorder {
    base: PathBuf,
    log: File,
    entries: BTreeMap<(u64, String), Target>,
    known: HashSet<u64>,
    /// Keeps inodes from being used again.
    kept: Vec<File>,
}

/// Where the recording of a directory is.
pub fn log_of(base: &Path) -> PathBuf {
    base.with_extension("log")
}

/// Begins to record what happens in an empty directory.
pub fn start(base: &Path) {
    let recorder = Recorder {
        base: base.to_owned(),
        log: File::create(log_of(base)).expect("the log"),
        entries: BTreeMap::new(),
        known: HashSet::from([fs::metadata(base).expect("the directory").ino()]),
        kept: Vec::new(),
    };
    *lock() = Some(recorder);
}

fn lock() -> MutexGuard<'static, Option<Recorder>> {
    RECORDER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes a mark of the workload.
pub fn mark(event: Event) {
    lock().as_mut().expect("a recorder").push(event);
}

/// Does something to a file, and notes it if it worked, while nobody else can.
pub fn record(inode: u64, act: impl FnOnce() -> c_int, event: impl FnOnce() -> Event) -> c_int {
    let mut recorder = lock();
    let code = act();
    if let Some(recorder) = recorder.as_mut()
        && code == 0
    {
        recorder.look();
        if recorder.known.contains(&inode) {
            recorder.push(event());
        }
    }
    code
}

/// Something was opened or closed, perhaps made or removed.
pub fn look() {
    if let Some(recorder) = lock().as_mut() {
        recorder.look();
    }
}

/// A descriptor was synced.
fn synced(descriptor: c_int) -> c_int {
    if let Some(recorder) = lock().as_mut() {
        let metadata = fs::metadata(format!("/proc/self/fd/{descriptor}"));
        let inode = metadata.expect("an open descriptor").ino();
        recorder.look();
        if recorder.known.contains(&inode) {
            recorder.push(Event::Sync { inode });
        }
    }
    0
}

/// Takes the place of the C library's function in this program, for SQLite and for
/// Rust's library. Nothing that this program writes must survive a loss of power, so it
/// only notes what would.
//
// Safety: it has the signature of the C library's function, and what it promises is not
// about this process's memory.
#[unsafe(no_mangle)]
extern "C" fn fsync(descriptor: c_int) -> c_int {
    synced(descriptor)
}

/// As [`fsync`].
// Safety: as above.
#[unsafe(no_mangle)]
extern "C" fn fdatasync(descriptor: c_int) -> c_int {
    synced(descriptor)
}

impl Recorder {
    fn push(&mut self, event: Event) {
        self.look();
        self.append(&event);
    }

    fn append(&mut self, event: &Event) {
        let mut line = serde_json::to_vec(event).expect("JSON");
        line.push(b'\n');
        self.log.write_all(&line).expect("the log is written");
    }

    /// Notes names that have changed.
    fn look(&mut self) {
        let mut found = BTreeMap::new();
        let mut paths = BTreeMap::new();
        walk(&self.base, &mut found, &mut paths);
        if found == self.entries {
            return;
        }
        let before = std::mem::replace(&mut self.entries, found.clone());
        let mut gone: Vec<Entry> = Vec::new();
        let mut new: Vec<Entry> = Vec::new();
        for (key, target) in &before {
            if found.get(key) != Some(target) {
                gone.push(entry(key, None));
            }
        }
        for (key, target) in &found {
            if before.get(key) != Some(target) {
                new.push(entry(key, Some(*target)));
            }
        }
        for made in new {
            let target = made.target.expect("a target");
            self.discover(target, &paths[&target.inode]);
            // Within a directory, a rename is one change.
            let renamed = gone.iter().position(|gone| {
                let key = (gone.directory, gone.name.clone());
                gone.directory == made.directory && before[&key] == target
            });
            let mut changes = vec![made];
            changes.extend(renamed.map(|position| gone.remove(position)));
            self.append(&Event::Entries(changes));
        }
        for gone in gone {
            // Not if the name means something else by now.
            if !found.contains_key(&(gone.directory, gone.name.clone())) {
                self.append(&Event::Entries(vec![gone]));
            }
        }
    }

    /// Notes the content of a file that somebody else has written.
    fn discover(&mut self, target: Target, path: &Path) {
        if !self.known.insert(target.inode) {
            return;
        }
        // Never closed: that would drop SQLite's locks.
        let Ok(file) = File::open(path) else { return };
        if !target.is_directory && file.metadata().expect("a file").len() > 0 {
            let mut data = Vec::new();
            std::io::Read::read_to_end(&mut &file, &mut data).expect("its content");
            self.append(&Event::Write {
                inode: target.inode,
                offset: 0,
                data,
            });
        }
        self.kept.push(file);
    }
}

fn entry((directory, name): &(u64, String), target: Option<Target>) -> Entry {
    Entry {
        directory: *directory,
        name: name.clone(),
        target,
    }
}

/// Reads a directory and what is below it. Shared memory is left out: nobody reads what
/// a former process left there.
fn walk(
    path: &Path,
    found: &mut BTreeMap<(u64, String), Target>,
    paths: &mut BTreeMap<u64, PathBuf>,
) {
    let directory = match fs::metadata(path) {
        Ok(metadata) => metadata.ino(),
        Err(_) => return,
    };
    let Ok(entries) = fs::read_dir(path) else {
        return;
    };
    for entry in entries {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name in UTF-8");
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if name.ends_with("-shm") {
            continue;
        }
        let target = Target {
            inode: metadata.ino(),
            is_directory: metadata.is_dir(),
        };
        found.insert((directory, name), target);
        paths.insert(target.inode, entry.path());
        if target.is_directory {
            walk(&entry.path(), found, paths);
        }
    }
}
