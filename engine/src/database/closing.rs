//! Closing: one database, or all of the process, and what waits for it.
//!
//! Closing the last connection of a file copies the log into the database and syncs it,
//! which no thread of a runtime should do. So the threads of the pool do it, after the
//! calls that were made before. Whoever opens the file in this process meanwhile waits,
//! and finds it as it would be after the process had ended.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::Inner;
use crate::blocking;
use crate::error::MEMORY;
use crate::fork;
use crate::pool::Lane;
use crate::sync::lock;

/// The databases of the process that are open, by their address.
static OPEN: Mutex<Option<HashMap<usize, Weak<Inner>>>> = Mutex::new(None);

/// The files that are being closed.
static CLOSING: Mutex<Option<HashMap<PathBuf, Vec<Closed>>>> = Mutex::new(None);

/// Becomes true when a database is closed.
#[derive(Clone)]
pub(super) struct Closed(watch::Receiver<()>);

impl Closed {
    pub(super) async fn wait(mut self) {
        // Nothing is sent: the sender is dropped.
        while self.0.changed().await.is_ok() {}
    }

    fn is_closed(&self) -> bool {
        self.0.has_changed().is_err()
    }
}

/// A file that is being closed, until this is dropped.
struct Closing {
    path: Option<PathBuf>,
    closed: Option<watch::Sender<()>>,
}

impl Drop for Closing {
    fn drop(&mut self) {
        drop(self.closed.take());
        if let Some(closing) = lock(&CLOSING).as_mut()
            && let Some(path) = &self.path
            && let Some(files) = closing.get_mut(path)
        {
            files.retain(|file| !file.is_closed());
            if files.is_empty() {
                closing.remove(path);
            }
        }
    }
}

/// What a file is known by here; none for a database in memory.
fn key(path: &Path) -> Option<PathBuf> {
    if path == Path::new(MEMORY) {
        return None;
    }
    Some(std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()))
}

/// What has to be closed before the file is opened.
pub(super) fn of(path: &Path) -> Vec<Closed> {
    let closing = lock(&CLOSING);
    let files = key(path).and_then(|path| closing.as_ref()?.get(&path));
    files.cloned().unwrap_or_default()
}

/// Notes that a database is open.
pub(super) fn opened(inner: &Arc<Inner>) {
    let weak = Arc::downgrade(inner);
    lock(&OPEN)
        .get_or_insert_default()
        .insert(Arc::as_ptr(inner).addr(), weak);
}

/// Notes that a database is being dropped.
pub(super) fn dropped(inner: &Inner) {
    if let Some(open) = lock(&OPEN).as_mut() {
        open.remove(&std::ptr::from_ref(inner).addr());
    }
}

/// Lets a database take no more calls, and closes it after those that it has; on this
/// thread if it may be `here` and nothing is to be waited for.
pub(super) fn begin(inner: &Inner, here: bool) -> Closed {
    let context = Arc::clone(&inner.context);
    let (sender, receiver) = watch::channel(());
    let closed = Closed(receiver);
    let path = key(context.path());
    let closing = Closing {
        path: path.clone(),
        closed: Some(sender),
    };
    if let Some(path) = path {
        let mut closing = lock(&CLOSING);
        let files = closing.get_or_insert_default().entry(path).or_default();
        files.push(closed.clone());
    }
    let (read, write) = (Arc::clone(&inner.read), Arc::clone(&inner.write));
    read.refuse();
    write.refuse();
    // The writer last: the last connection that is closed copies the log into
    // the database, and only one that may write can.
    let owned = Arc::clone(&context);
    let forget = move |lane: &Arc<Lane>| owned.options.component.pool().forget(lane);
    let finished = {
        let (context, write) = (Arc::clone(&context), Arc::clone(&write));
        move || {
            forget(&write);
            drop((forget, write, context));
            drop(closing);
        }
    };
    let pool = context.options.component.pool();
    if Arc::ptr_eq(&read, &write) {
        write.finish(pool, here, Box::new(finished));
    } else {
        let context = Arc::clone(&context);
        let reader = Arc::clone(&read);
        let then = move || {
            let pool = context.options.component.pool();
            pool.forget(&reader);
            // Either allowed, or on a thread of the pool.
            write.finish(pool, true, Box::new(finished));
        };
        read.finish(pool, here, Box::new(then));
    }
    closed
}

fn all_open() -> Vec<Arc<Inner>> {
    if fork::is_forked() {
        return Vec::new();
    }
    lock(&OPEN)
        .iter()
        .flat_map(HashMap::values)
        .filter_map(Weak::upgrade)
        .collect()
}

/// Closes the databases of this process whose files are in a directory, as
/// [`Database::close`] does, and waits for them.
///
/// [`Database::close`]: crate::Database::close
pub async fn close_within(directory: &Path) {
    let Some(directory) = key(directory) else {
        return;
    };
    let is_within = |inner: &Arc<Inner>| {
        key(inner.context.path()).is_some_and(|file| file.starts_with(&directory))
    };
    let closing: Vec<Closed> = all_open()
        .iter()
        .filter(|inner| is_within(inner))
        .map(|inner| inner.close(false))
        .collect();
    for closed in closing {
        closed.wait().await;
    }
}

/// Closes all databases of this process, of every kind, as [`Database::close`] does, and
/// waits for them, but not longer than `deadline`. Returns the files that were still in
/// use then: none if all are closed. Databases can be opened again at any time.
///
/// A service calls it when it is told to end, after it has stopped to take work: whatever
/// was acknowledged is stored without it, but what was given up behind the application's
/// back (releases of claims, the copy of the log into the file) is done when it returns.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let in_use = lash_store_engine::shutdown(std::time::Duration::from_secs(10)).await;
/// assert!(in_use.is_empty(), "{in_use:?}");
/// # }
/// ```
///
/// [`Database::close`]: crate::Database::close
pub async fn shutdown(deadline: Duration) -> Vec<PathBuf> {
    let until = Instant::now().checked_add(deadline);
    let open = all_open();
    let mut waiting: Vec<(PathBuf, Closed)> = open
        .iter()
        .map(|inner| (inner.context.path().to_path_buf(), inner.close(false)))
        .collect();
    drop(open);
    // Those that were dropped and are not closed yet.
    for (path, files) in lock(&CLOSING).iter().flatten() {
        waiting.extend(files.iter().map(|file| (path.clone(), file.clone())));
    }
    let (done, all_closed) = oneshot::channel();
    let awaited: Vec<Closed> = waiting.iter().map(|(_, closed)| closed.clone()).collect();
    // No timer of a runtime is needed so.
    let waiter = thread::Builder::new().name("lash-wasm-store-shutdown".to_owned());
    let started = waiter.spawn(move || {
        for closed in awaited {
            if !blocking::wait_until(closed.wait(), until) {
                break;
            }
        }
        // The caller may have gone.
        let _ = done.send(());
    });
    if started.is_ok() {
        let _ = all_closed.await;
    }
    waiting.retain(|(_, closed)| !closed.is_closed());
    let mut in_use: Vec<PathBuf> = waiting.into_iter().map(|(path, _)| path).collect();
    in_use.sort();
    in_use.dedup();
    in_use
}
