//! Waiting for a change that this process or another one makes.
//!
//! Somebody who waits names a topic, for example a process, and reads how far it
//! is. A change that is made through a handle of this process wakes those who wait
//! for its topic at once. For changes of other processes, one thread asks SQLite
//! every [`PERIOD`] whether there was any in a file that somebody waits for, and
//! only then the component how far the topics are, [`MOST_TOPICS`] at a time. So
//! while a file does not change, waiting for it costs the same whether one waits or
//! thousands do; it takes no lock, and depends on no runtime.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;
use std::{fs, io, thread};

use tokio::sync::Notify;

use super::Database;
use super::call::Call;
use crate::blocking;
use crate::error::Error;
use crate::sync::lock;

/// How often a file is looked at while somebody waits.
const PERIOD: Duration = Duration::from_millis(25);

/// How many topics one look asks for. More of them are asked for by the next ones,
/// so that reads need not wait long for a look.
const MOST_TOPICS: usize = 512;

/// Asks the component how far topics are: one number for each, its mark, which
/// changes whenever the topic does; none for a topic that does not exist.
pub type Probe = fn(&mut Call<'_>, &[String]) -> Result<Vec<Option<u64>>, Error>;

/// Who waits for changes of one file, through whatever handle of this process.
#[derive(Default)]
pub(crate) struct Watch {
    waiting: Mutex<Waiting>,
    /// Whether a look at the file is under way.
    looking: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    topics: HashMap<String, Vec<Arc<Entry>>>,
    /// Topics to ask for: those that a caller began to wait for after the last
    /// look, as the file may have changed between its reading and its waiting, and
    /// what was left over by that look.
    pending: BTreeSet<String>,
    /// The topic that was asked for last.
    last: String,
}

/// One who waits.
struct Entry {
    wake: Notify,
    /// What it has seen; none while it does not wait.
    seen: Mutex<Option<u64>>,
    database: Database,
    probe: Probe,
}

impl Watch {
    /// The watch of a file, or a new one for a database that has none.
    pub(crate) fn of(file: Option<PathBuf>) -> Arc<Self> {
        static FILES: Mutex<Option<HashMap<PathBuf, Weak<Watch>>>> = Mutex::new(None);
        let Some(path) = file else {
            return Arc::default();
        };
        // Several names of one file share its watch.
        let path = fs::canonicalize(&path).unwrap_or(path);
        let mut files = lock(&FILES);
        let files = files.get_or_insert_default();
        if let Some(watch) = files.get(&path).and_then(Weak::upgrade) {
            return watch;
        }
        files.retain(|_, watch| watch.strong_count() > 0);
        let watch = Arc::default();
        files.insert(path, Arc::downgrade(&watch));
        watch
    }

    pub(crate) fn waiter(
        self: Arc<Self>,
        database: Database,
        topic: String,
        probe: Probe,
    ) -> Waiter {
        let entry = Arc::new(Entry {
            wake: Notify::new(),
            seen: Mutex::new(None),
            database,
            probe,
        });
        self.waiting()
            .topics
            .entry(topic.clone())
            .or_default()
            .push(Arc::clone(&entry));
        Waiter {
            watch: self,
            topic,
            entry,
        }
    }

    pub(crate) fn notify(&self, topic: &str) {
        if let Some(entries) = self.waiting().topics.get(topic) {
            for entry in entries {
                entry.wake.notify_one();
            }
        }
    }

    /// The topics to ask for now: some of all if the file changed, otherwise of
    /// those that nobody has asked for yet.
    pub(crate) fn due(&self, changed: bool) -> Vec<String> {
        let mut waiting = self.waiting();
        let Waiting {
            topics,
            pending,
            last,
        } = &mut *waiting;
        if changed {
            pending.extend(topics.keys().cloned());
        }
        // Going round, so that nobody is left out while the file keeps changing.
        let after = pending.range::<str, _>((Bound::Excluded(last.as_str()), Bound::Unbounded));
        let before = pending.range::<str, _>((Bound::Unbounded, Bound::Included(last.as_str())));
        let due: Vec<String> = after.chain(before).take(MOST_TOPICS).cloned().collect();
        for topic in &due {
            pending.remove(topic);
        }
        if let Some(topic) = due.last() {
            last.clone_from(topic);
        }
        due
    }

    /// Wakes those who have seen another mark of their topic.
    pub(crate) fn compare(&self, topics: &[String], marks: &[Option<u64>]) {
        let waiting = self.waiting();
        for (topic, mark) in topics.iter().zip(marks) {
            for entry in waiting.topics.get(topic).into_iter().flatten() {
                if entry.seen().is_some_and(|seen| Some(seen) != *mark) {
                    entry.wake.notify_one();
                }
            }
        }
    }

    /// Wakes everybody, who will find out by himself what is wrong.
    pub(crate) fn wake_all(&self) {
        for entry in self.waiting().topics.values().flatten() {
            entry.wake.notify_one();
        }
    }

    /// Looks at the file, through the handle of somebody who waits; returns
    /// whether anybody does.
    fn look(self: &Arc<Self>) -> bool {
        let (database, probe) = {
            let waiting = self.waiting();
            let mut entries = waiting.topics.values().flatten();
            match entries.find(|entry| entry.seen().is_some()) {
                Some(entry) => (entry.database.clone(), entry.probe),
                None => return false,
            }
        };
        if !self.looking.swap(true, Ordering::AcqRel) {
            database.look(Look(Arc::clone(self)), probe);
        }
        true
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }
}

/// A look at a file, until it is dropped.
pub(crate) struct Look(Arc<Watch>);

impl std::ops::Deref for Look {
    type Target = Watch;

    fn deref(&self) -> &Watch {
        &self.0
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.looking.store(false, Ordering::Release);
    }
}

impl Entry {
    fn seen(&self) -> MutexGuard<'_, Option<u64>> {
        lock(&self.seen)
    }
}

/// Somebody who waits for a topic, from when this is made until it is dropped.
pub struct Waiter {
    watch: Arc<Watch>,
    topic: String,
    entry: Arc<Entry>,
}

impl Waiter {
    /// Waits for a change of the topic since the waiter was made or this last
    /// returned. `mark` is that of what the caller has read in the meantime. It
    /// may return without a change.
    ///
    /// # Errors
    ///
    /// [`Error::Resource`] if the thread that looks at files cannot be started;
    /// [`Error::Forked`].
    pub async fn changed(&mut self, mark: u64) -> Result<(), Error> {
        self.entry.database.check_process()?;
        *self.entry.seen() = Some(mark);
        // What is read next says so. It may have been closed before this was seen.
        if self.entry.database.is_closed() {
            *self.entry.seen() = None;
            return Ok(());
        }
        if self.entry.database.is_shared() {
            self.watch.waiting().pending.insert(self.topic.clone());
            Watcher::global().watch(&self.watch).map_err(|error| {
                Error::no_thread(self.entry.database.path(), "wait for a change", error)
            })?;
        }
        self.entry.wake.notified().await;
        *self.entry.seen() = None;
        Ok(())
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut waiting = self.watch.waiting();
        if let Some(entries) = waiting.topics.get_mut(&self.topic) {
            entries.retain(|entry| !Arc::ptr_eq(entry, &self.entry));
            if entries.is_empty() {
                waiting.topics.remove(&self.topic);
            }
        }
    }
}

/// The thread that looks at files while somebody waits for them.
#[derive(Default)]
struct Watcher {
    files: Mutex<Files>,
    more: Condvar,
}

#[derive(Default)]
struct Files {
    watched: Vec<Arc<Watch>>,
    running: bool,
}

impl Watcher {
    fn global() -> &'static Self {
        static WATCHER: OnceLock<Watcher> = OnceLock::new();
        WATCHER.get_or_init(Self::default)
    }

    fn watch(&'static self, watch: &Arc<Watch>) -> io::Result<()> {
        let mut files = self.files();
        if !files.running {
            thread::Builder::new()
                .name("lash-wasm-store-watch".to_owned())
                .spawn(move || self.run())?;
            files.running = true;
        }
        if !files
            .watched
            .iter()
            .any(|watched| Arc::ptr_eq(watched, watch))
        {
            files.watched.push(Arc::clone(watch));
            self.more.notify_one();
        }
        Ok(())
    }

    fn run(&self) {
        blocking::refuse();
        loop {
            let watched = {
                let mut files = self.files();
                while files.watched.is_empty() {
                    files = self
                        .more
                        .wait(files)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                files.watched.clone()
            };
            for watch in watched {
                if !watch.look() {
                    self.unwatch(&watch);
                }
            }
            thread::sleep(PERIOD);
        }
    }

    /// Forgets a file, unless somebody has begun to wait for it just now.
    fn unwatch(&self, watch: &Arc<Watch>) {
        let mut files = self.files();
        let waited_for = watch
            .waiting()
            .topics
            .values()
            .flatten()
            .any(|entry| entry.seen().is_some());
        if !waited_for {
            files.watched.retain(|watched| !Arc::ptr_eq(watched, watch));
        }
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        lock(&self.files)
    }
}
