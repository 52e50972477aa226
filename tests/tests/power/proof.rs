//! Records a workload in a child process, makes the images that a loss of power may leave
//! at each point of the recording, and holds each to what is promised.

use std::collections::HashSet;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use lash_wasm_store::Durability;
use lash_wasm_store_testing::child;
use lash_wasm_store_testing::random::Random;
use tempfile::TempDir;

use super::disk::{Disk, Image, Piece};
use super::event::Event;
use super::{recorder, vfs};

/// Up to this many pieces all subsets are tried.
const EXHAUSTIVE: usize = 6;

/// Up to this many pieces all subsets are tried that lack one of them.
const SINGLE: usize = 24;

/// How many images of each case are drawn at random; `.ci/nightly` sets more.
fn images() -> usize {
    number("LASH_POWER_IMAGES").unwrap_or(150)
}

/// What the random numbers begin with.
fn seed() -> u64 {
    number("LASH_POWER_SEED").unwrap_or(17)
}

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

/// A directory in memory, if there is one.
pub fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).expect("a directory")
    } else {
        tempfile::tempdir().expect("a directory")
    }
}

/// The directory to work in, if this is the process that is recorded.
pub fn recorded() -> Option<PathBuf> {
    let base = child::file()?;
    vfs::register();
    recorder::start(&base);
    Some(base)
}

/// The images that are made are those from here on. Otherwise from the beginning.
pub fn ready() {
    recorder::mark(Event::Ready);
}

/// A step of a workload: what it returned is acknowledged. `durable` says whether
/// the promise for [`Durability::Full`] is about it.
pub async fn step<T>(durable: bool, work: impl Future<Output = T>) -> T {
    recorder::mark(Event::Begun);
    let result = work.await;
    recorder::mark(Event::Acknowledged { durable });
    result
}

/// A step that may consist of several transactions.
pub async fn steps<T>(durable: bool, work: impl Future<Output = T>) -> T {
    recorder::mark(Event::Begun);
    recorder::mark(Event::Several);
    let result = work.await;
    recorder::mark(Event::Acknowledged { durable });
    result
}

/// What a child process did to a directory.
pub struct Recording {
    _directory: TempDir,
    root: u64,
    events: Vec<Event>,
}

/// What came of all images.
#[derive(Debug, Default)]
pub struct Tally {
    pub events: usize,
    pub states: usize,
    pub images: usize,
    pub exhaustive: usize,
    /// Images that lack something that was promised.
    pub lost: usize,
    /// Images that do not open, do not verify, or hold what never was.
    pub wrong: usize,
    pub failures: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} events, {} states, {} images ({} exhaustive), {} lost, {} wrong",
            self.events, self.states, self.images, self.exhaustive, self.lost, self.wrong
        )
    }
}

/// Runs a test again as the process to be recorded, and holds all images to what is
/// promised. `state` says what is in a directory, or why it cannot be read.
pub async fn prove(
    name: &str,
    durability: Durability,
    test: impl Fn(),
    state: impl AsyncFn(&Path) -> Result<String, String>,
) {
    let begun = Instant::now();
    let recording = Recording::of(test);
    let tally = recording.examine(durability, images(), state).await;
    println!(
        "{name}, {durability:?}, seed {}: {tally}, {} ms",
        seed(),
        begun.elapsed().as_millis()
    );
    assert!(
        tally.failures.is_empty(),
        "{tally}\n\n{}",
        tally.failures.join("\n\n")
    );
}

impl Recording {
    /// Runs a test again, and reads what it recorded.
    pub fn of(test: impl Fn()) -> Self {
        let directory = directory();
        let base = directory.path().join("disk");
        std::fs::create_dir(&base).unwrap();
        let output = child::command(test, &base).output().unwrap();
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let log = std::fs::read_to_string(recorder::log_of(&base)).unwrap();
        let events = log.lines().map(|line| serde_json::from_str(line).unwrap());
        let recording = Self {
            root: std::fs::metadata(&base).unwrap().ino(),
            events: events.collect(),
            _directory: directory,
        };
        let mut disk = Disk::new(recording.root);
        recording.events.iter().for_each(|event| disk.apply(event));
        let (played, found) = (disk.whole(), Image::read(&base));
        assert!(
            played.digest() == found.digest(),
            "the recording misses something: {:?} {:?}",
            played.listing(),
            found.listing()
        );
        recording
    }

    /// How many bytes were written.
    fn written(&self) -> usize {
        let length = |event: &Event| match event {
            Event::Write { data, .. } => data.len(),
            _ => 0,
        };
        self.events.iter().map(length).sum()
    }

    /// How often a file or directory was synced.
    pub fn syncs(&self) -> usize {
        let synced = |event: &&Event| matches!(event, Event::Sync { .. });
        self.events.iter().filter(synced).count()
    }

    /// Makes images and holds them to what is promised.
    pub async fn examine(
        &self,
        durability: Durability,
        budget: usize,
        state: impl AsyncFn(&Path) -> Result<String, String>,
    ) -> Tally {
        let mut examiner = Examiner {
            state,
            scratch: directory(),
            history: Vec::new(),
            seen: HashSet::new(),
            tally: Tally {
                events: self.events.len(),
                ..Tally::default()
            },
        };
        let bounds = examiner.history(self, durability).await;
        let ready = |event: &Event| matches!(event, Event::Ready);
        let start = self.events.iter().position(ready).unwrap_or(0);
        let points = self.events.len() - start;
        // What is large takes long.
        let megabytes = 1 + self.written() / (1 << 20);
        let budget = budget / megabytes;
        let mut random = Random::new(seed());
        let mut pass = 0;
        while pass < 2
            || (examiner.tally.images - examiner.tally.exhaustive < budget && pass < budget / 2)
        {
            let mut disk = Disk::new(self.root);
            for (at, event) in self.events.iter().enumerate() {
                disk.apply(event);
                let next = self.events.get(at + 1);
                if at < start {
                    continue;
                }
                let is_last = next.is_none_or(|next| !is_pending(next));
                let bounds = bounds[at];
                if pass == 0 {
                    if is_last && random.below(megabytes as u64) == 0 {
                        examiner.all(&disk, bounds, at, &mut random).await;
                    }
                } else if random.below(points as u64) < budget as u64 {
                    examiner.one(&disk, bounds, at, &mut random).await;
                }
            }
            pass += 1;
        }
        examiner.tally.states = examiner.history.len();
        examiner.tally
    }
}

/// Whether an event adds to what may be lost, and nothing to what is promised.
fn is_pending(event: &Event) -> bool {
    matches!(
        event,
        Event::Write { .. } | Event::Truncate { .. } | Event::Entries(_)
    )
}

/// Which states an image may have: the first and the last by their position in the history.
type Bounds = (usize, usize);

struct Examiner<S> {
    state: S,
    scratch: TempDir,
    /// All that was there one after the other, if power is not lost.
    history: Vec<String>,
    seen: HashSet<(u64, Bounds)>,
    tally: Tally,
}

impl<S: AsyncFn(&Path) -> Result<String, String>> Examiner<S> {
    /// Finds out what is acknowledged when, from the disk without any loss.
    async fn history(&mut self, recording: &Recording, durability: Durability) -> Vec<Bounds> {
        let mut disk = Disk::new(recording.root);
        let first = self.state_of(&disk.whole()).await;
        self.history = vec![first.expect("an empty directory has a state")];
        let mut bounds = vec![(0, 0); recording.events.len()];
        let (mut lower, mut begun, mut several) = (0, 0, false);
        let mut digest = disk.whole().digest();
        for (at, event) in recording.events.iter().enumerate() {
            disk.apply(event);
            let is_acknowledged = matches!(event, Event::Acknowledged { .. });
            match event {
                Event::Begun => begun = at,
                Event::Several => several = true,
                _ => {}
            }
            if is_acknowledged || several {
                let image = disk.whole();
                if std::mem::replace(&mut digest, image.digest()) != image.digest() {
                    let state = self.state_of(&image).await;
                    let state = state.unwrap_or_else(|error| {
                        panic!("without any loss, after {at} events: {error}")
                    });
                    if self.history.last() != Some(&state) {
                        self.history.push(state);
                    }
                }
            }
            let last = self.history.len() - 1;
            if let Event::Acknowledged { durable } = event {
                several = false;
                for bound in &mut bounds[begun..at] {
                    bound.1 = last;
                }
                if *durable && durability == Durability::Full {
                    lower = last;
                }
            }
            bounds[at] = (lower, last);
        }
        bounds
    }

    async fn state_of(&self, image: &Image) -> Result<String, String> {
        let place = self.scratch.path().join("image");
        std::fs::create_dir(&place).unwrap();
        image.write(&place);
        let state = (self.state)(&place).await;
        // Somebody may still be closing a file there.
        while place.exists() {
            let _ = std::fs::remove_dir_all(&place);
        }
        state
    }

    /// Tries all subsets, if there are few; or all that lack one piece, if these are not many.
    async fn all(&mut self, disk: &Disk, bounds: Bounds, at: usize, random: &mut Random) {
        for sector in [4096, 512] {
            let pieces = disk.pieces(sector);
            let lost: Vec<u64> = match pieces.len() {
                count @ 0..=EXHAUSTIVE => (0..1 << count).collect(),
                count @ 0..=SINGLE => (0..count).map(|piece| 1 << piece).collect(),
                _ => continue,
            };
            for lost in lost {
                let is_kept = |piece: usize| lost >> piece & 1 == 0;
                let reached: Vec<bool> = (0..pieces.len()).map(is_kept).collect();
                let before = self.tally.images;
                self.hold(disk, &pieces, &reached, bounds, at, random).await;
                self.tally.exhaustive += self.tally.images - before;
            }
        }
    }

    /// Tries a subset.
    async fn one(&mut self, disk: &Disk, bounds: Bounds, at: usize, random: &mut Random) {
        let sector = if random.percent(50) { 4096 } else { 512 };
        let pieces = disk.pieces(sector);
        let reached = draw(&pieces, random);
        self.hold(disk, &pieces, &reached, bounds, at, random).await;
    }

    async fn hold(
        &mut self,
        disk: &Disk,
        pieces: &[Piece],
        reached: &[bool],
        bounds: Bounds,
        at: usize,
        random: &mut Random,
    ) {
        let image = disk.image(pieces, reached, random);
        if !self.seen.insert((image.digest(), bounds)) {
            return;
        }
        self.tally.images += 1;
        let found = self.state_of(&image).await;
        let (lower, upper) = bounds;
        let failure = match found {
            Ok(state) if self.history[lower..=upper].contains(&state) => return,
            Ok(state) if self.history[..lower].contains(&state) => {
                self.tally.lost += 1;
                let position = self.history.iter().rposition(|known| *known == state);
                format!("state {position:?} of {lower}..={upper} is lost")
            }
            Ok(state) => {
                self.tally.wrong += 1;
                format!("it never was so: {state}")
            }
            Err(error) => {
                self.tally.wrong += 1;
                error
            }
        };
        let mut failure = format!("after {at} events: {failure}\n{:?}", image.listing());
        if self.tally.failures.len() < 2 {
            failure += "\n";
            failure += &disk.describe(pieces, reached);
        }
        if self.tally.failures.len() < 20 {
            self.tally.failures.push(failure);
        }
    }
}

/// Draws what reached the disk: each piece by itself, whole files and names, or what came
/// first; sometimes all but one, or one alone.
fn draw(pieces: &[Piece], random: &mut Random) -> Vec<bool> {
    let count = pieces.len() as u64;
    if count == 0 {
        return Vec::new();
    }
    let one = random.below(count) as usize;
    match random.below(6) {
        0 => vec![false; pieces.len()],
        1 => (0..pieces.len()).map(|piece| piece != one).collect(),
        2 => (0..pieces.len()).map(|piece| piece == one).collect(),
        3 => {
            let salt = random.next();
            let coin = |piece: &Piece| match piece {
                Piece::Names(position) => Random::new(salt ^ *position as u64).percent(50),
                Piece::Bytes(inode, ..) | Piece::Size(inode, _) => {
                    Random::new(salt ^ inode << 20).percent(50)
                }
            };
            pieces.iter().map(coin).collect()
        }
        4 => {
            // Of each file what came first, to a point of its own.
            let salt = random.next();
            let mut counts = std::collections::BTreeMap::<u64, u64>::new();
            let key = |piece: &Piece| match piece {
                Piece::Names(_) => 0,
                Piece::Bytes(inode, ..) | Piece::Size(inode, _) => *inode,
            };
            for piece in pieces {
                *counts.entry(key(piece)).or_default() += 1;
            }
            let mut passed = std::collections::BTreeMap::<u64, u64>::new();
            let keep = |piece: &Piece| {
                let passed = passed.entry(key(piece)).or_default();
                *passed += 1;
                let until = Random::new(salt ^ key(piece)).below(counts[&key(piece)] + 1);
                *passed <= until
            };
            pieces.iter().map(keep).collect()
        }
        _ => {
            let percent = [10, 50, 90][random.below(3) as usize];
            (0..pieces.len()).map(|_| random.percent(percent)).collect()
        }
    }
}
