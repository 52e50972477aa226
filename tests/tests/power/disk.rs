//! A disk that a recording is played to, and what it may hold after a loss of power.
//!
//! What was synced is there. Of the rest any subset may be: each sector of a write, the
//! growth of a file by itself, each cut, each change of a name. What overlaps is applied in
//! the order in which it was done, because a cache of pages has only the newest version to
//! write. Bytes outside of what was written do not change, which SQLite assumes
//! (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`). A file that has grown without what was written holds
//! zeros or another byte there.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::path::{Path, PathBuf};

use lash_wasm_store_testing::random::Random;

use super::event::{Entry, Event, Target};

/// What a disk has, and what it was not yet made to keep.
pub struct Disk {
    root: u64,
    files: BTreeMap<u64, Data>,
    entries: BTreeMap<(u64, String), Target>,
    pending_entries: Vec<Vec<Entry>>,
}

#[derive(Default)]
struct Data {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

enum Change {
    Write { offset: usize, data: Vec<u8> },
    Truncate(usize),
}

/// One thing that may be lost by itself.
pub enum Piece {
    /// Changes of names, by their position.
    Names(usize),
    /// A cut, or all that a write wrote in one sector: the inode, the position of the
    /// change, the bytes of it.
    Bytes(u64, usize, Range<usize>),
    /// The size that a write gave to a file.
    Size(u64, usize),
}

/// Files and directories with their paths; a directory has no content.
#[derive(Default)]
pub struct Image(BTreeMap<PathBuf, Option<Vec<u8>>>);

impl Disk {
    /// An empty disk with one directory.
    pub fn new(root: u64) -> Self {
        Self {
            root,
            files: BTreeMap::new(),
            entries: BTreeMap::new(),
            pending_entries: Vec::new(),
        }
    }

    /// Does what was recorded.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Write {
                inode,
                offset,
                data,
            } => self.change(
                *inode,
                Change::Write {
                    offset: usize::try_from(*offset).unwrap(),
                    data: data.clone(),
                },
            ),
            Event::Truncate { inode, size } => {
                self.change(*inode, Change::Truncate(usize::try_from(*size).unwrap()));
            }
            Event::Entries(changes) => self.pending_entries.push(changes.clone()),
            Event::Sync { inode } => self.sync(*inode),
            Event::Ready | Event::Begun | Event::Acknowledged { .. } | Event::Several => {}
        }
    }

    fn change(&mut self, inode: u64, change: Change) {
        self.files.entry(inode).or_default().pending.push(change);
    }

    fn sync(&mut self, inode: u64) {
        if let Some(data) = self.files.get_mut(&inode) {
            for change in std::mem::take(&mut data.pending) {
                match change {
                    Change::Truncate(size) => data.durable.resize(size, 0),
                    Change::Write {
                        offset,
                        data: bytes,
                    } => put(&mut data.durable, offset, &bytes),
                }
            }
        }
        let concerned = |changes: &Vec<Entry>| changes.iter().any(|entry| entry.directory == inode);
        let pending = std::mem::take(&mut self.pending_entries);
        let (durable, pending) = pending.into_iter().partition(concerned);
        self.pending_entries = pending;
        for changes in durable {
            rename(&mut self.entries, &changes);
        }
    }

    /// What may be lost, in pieces of sectors of this size.
    pub fn pieces(&self, sector: usize) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = (0..self.pending_entries.len()).map(Piece::Names).collect();
        for (inode, data) in &self.files {
            let mut size = data.durable.len();
            for (position, change) in data.pending.iter().enumerate() {
                match change {
                    Change::Truncate(to) => {
                        size = *to;
                        pieces.push(Piece::Bytes(*inode, position, 0..0));
                    }
                    Change::Write {
                        offset,
                        data: bytes,
                    } => {
                        if offset + bytes.len() > size {
                            size = offset + bytes.len();
                            pieces.push(Piece::Size(*inode, position));
                        }
                        let mut start = 0;
                        while start < bytes.len() {
                            let end = (offset + start) / sector * sector + sector - offset;
                            let end = end.min(bytes.len());
                            pieces.push(Piece::Bytes(*inode, position, start..end));
                            start = end;
                        }
                    }
                }
            }
        }
        pieces
    }

    /// What the disk has if these pieces reached it.
    pub fn image(&self, pieces: &[Piece], reached: &[bool], random: &mut Random) -> Image {
        let mut entries = self.entries.clone();
        let mut contents: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        for (piece, _) in pieces.iter().zip(reached).filter(|(_, reached)| **reached) {
            let (inode, position) = match piece {
                Piece::Names(position) => {
                    rename(&mut entries, &self.pending_entries[*position]);
                    continue;
                }
                Piece::Bytes(inode, position, _) | Piece::Size(inode, position) => {
                    (*inode, *position)
                }
            };
            let data = &self.files[&inode];
            let content = contents
                .entry(inode)
                .or_insert_with(|| data.durable.clone());
            match (&data.pending[position], piece) {
                (Change::Truncate(size), _) => content.resize(*size, 0),
                (
                    Change::Write {
                        offset,
                        data: bytes,
                    },
                    Piece::Bytes(_, _, range),
                ) => {
                    put(content, offset + range.start, &bytes[range.clone()]);
                }
                (
                    Change::Write {
                        offset,
                        data: bytes,
                    },
                    _,
                ) => {
                    let size = content.len().max(offset + bytes.len());
                    let noise = if random.percent(50) {
                        random.next() as u8
                    } else {
                        0
                    };
                    content.resize(size, noise);
                }
            }
        }
        let mut image = Image::default();
        self.collect(self.root, Path::new(""), &entries, &contents, &mut image);
        image
    }

    /// What the disk has if nothing is lost.
    pub fn whole(&self) -> Image {
        let pieces = self.pieces(usize::MAX / 2);
        let reached = vec![true; pieces.len()];
        self.image(&pieces, &reached, &mut Random::new(0))
    }

    fn collect(
        &self,
        directory: u64,
        path: &Path,
        entries: &BTreeMap<(u64, String), Target>,
        contents: &BTreeMap<u64, Vec<u8>>,
        image: &mut Image,
    ) {
        let range = (directory, String::new())..(directory + 1, String::new());
        for ((_, name), target) in entries.range(range) {
            let path = path.join(name);
            if target.is_directory {
                image.0.insert(path.clone(), None);
                self.collect(target.inode, &path, entries, contents, image);
            } else {
                let durable = self.files.get(&target.inode).map(|data| &data.durable);
                let content = contents.get(&target.inode).or(durable);
                image
                    .0
                    .insert(path, Some(content.cloned().unwrap_or_default()));
            }
        }
    }

    /// What did and did not reach the disk, in words.
    pub fn describe(&self, pieces: &[Piece], reached: &[bool]) -> String {
        let mut lines = Vec::new();
        for (piece, reached) in pieces.iter().zip(reached) {
            let reached = if *reached { "kept" } else { "lost" };
            lines.push(match piece {
                Piece::Names(position) => {
                    format!("{reached} names {:?}", self.pending_entries[*position])
                }
                Piece::Size(inode, position) => format!("{reached} size {inode} {position}"),
                Piece::Bytes(inode, position, range) => match &self.files[inode].pending[*position]
                {
                    Change::Truncate(size) => format!("{reached} cut {inode} to {size}"),
                    Change::Write { offset, .. } => {
                        let range = offset + range.start..offset + range.end;
                        format!("{reached} bytes {inode} {range:?}")
                    }
                },
            });
        }
        if lines.len() > 40 {
            let kept = reached.iter().filter(|reached| **reached).count();
            let summary = format!("... kept {kept} of {} pieces", lines.len());
            lines.truncate(40);
            lines.push(summary);
        }
        lines.join("\n")
    }
}

/// A number for bytes, which is cheap without optimisation, unlike the hasher.
fn fold(content: &[u8]) -> u64 {
    let (words, rest) = content.as_chunks::<8>();
    let mut sum = 0_u64;
    for word in words {
        sum = sum.rotate_left(5) ^ u64::from_le_bytes(*word);
        sum = sum.wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    rest.iter().fold(sum, |sum, byte| {
        (sum.rotate_left(5) ^ u64::from(*byte)).wrapping_mul(0x517c_c1b7_2722_0a95)
    })
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

fn rename(entries: &mut BTreeMap<(u64, String), Target>, changes: &[Entry]) {
    for change in changes {
        let key = (change.directory, change.name.clone());
        match change.target {
            Some(target) => entries.insert(key, target),
            None => entries.remove(&key),
        };
    }
}

impl Image {
    /// Reads a directory and what is below it, but for shared memory.
    pub fn read(base: &Path) -> Self {
        fn visit(base: &Path, path: &Path, image: &mut Image) {
            for entry in fs::read_dir(path).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(base).unwrap().to_owned();
                if path.is_dir() {
                    image.0.insert(name, None);
                    visit(base, &path, image);
                } else if !path.to_str().unwrap().ends_with("-shm") {
                    image.0.insert(name, Some(fs::read(&path).unwrap()));
                }
            }
        }
        let mut image = Self::default();
        visit(base, base, &mut image);
        image
    }

    /// Writes it to an empty directory.
    pub fn write(&self, base: &Path) {
        for (name, content) in &self.0 {
            match content {
                None => fs::create_dir(base.join(name)).unwrap(),
                Some(content) => fs::write(base.join(name), content).unwrap(),
            }
        }
    }

    /// A number for what is in it.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (path, content) in &self.0 {
            path.hash(&mut hasher);
            if let Some(content) = content {
                content.len().hash(&mut hasher);
                fold(content).hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// Names and sizes.
    pub fn listing(&self) -> BTreeMap<&Path, Option<usize>> {
        self.0
            .iter()
            .map(|(path, content)| (path.as_path(), content.as_ref().map(Vec::len)))
            .collect()
    }
}
