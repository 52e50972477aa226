//! Waiting for the lock of another connection, in our own loop.
//!
//! SQLite's busy handler sleeps where nobody can see it, and does not work at
//! all for a change of the journal mode. Here the thread says that it waits, so
//! that the pool it belongs to can let another thread work meanwhile.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::observability::{TARGET, metrics};

const FIRST_PAUSE: Duration = Duration::from_micros(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// From this pause on a wait is worth another thread.
const WORTH_TELLING: Duration = Duration::from_millis(1);

/// Is told when a thread of its begins and ends to wait.
pub(crate) trait Observer: Send + Sync {
    /// The calling thread begins to wait.
    fn blocked(&self);
    /// The calling thread goes on.
    fn unblocked(&self);
}

thread_local! {
    static OBSERVER: RefCell<Option<Arc<dyn Observer>>> = const { RefCell::new(None) };
}

/// From now on `observer` is told when the calling thread waits.
pub(crate) fn observe(observer: Arc<dyn Observer>) {
    OBSERVER.replace(Some(observer));
}

/// Waited for a lock.
struct Waited(Instant);

impl Drop for Waited {
    fn drop(&mut self) {
        let waited = self.0.elapsed();
        tracing::debug!(target: TARGET, ?waited, "waited for the lock of another connection");
        metrics::lock_wait(waited);
    }
}

struct Waiting(Arc<dyn Observer>);

impl Waiting {
    fn begin() -> Option<Self> {
        let observer = OBSERVER.with_borrow(Option::clone)?;
        observer.blocked();
        Some(Self(observer))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.unblocked();
    }
}

/// Tries until the result is another than "busy", but not longer than `timeout`.
pub(super) fn retry_while_busy<T>(
    timeout: Duration,
    attempt: impl FnMut() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    retry(
        timeout,
        attempt,
        |result| matches!(result, Err(error) if is_busy(error)),
    )
}

/// Tries until the result is true, but not longer than `timeout`.
pub(super) fn wait_for(
    timeout: Duration,
    attempt: impl FnMut() -> io::Result<bool>,
) -> io::Result<bool> {
    retry(timeout, attempt, |result| matches!(result, Ok(false)))
}

fn retry<R>(timeout: Duration, mut attempt: impl FnMut() -> R, is_busy: impl Fn(&R) -> bool) -> R {
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut waiting = None;
    let mut waited = None;
    loop {
        let result = attempt();
        if !is_busy(&result) {
            return result;
        }
        waited.get_or_insert(Waited(started));
        let left = timeout.saturating_sub(started.elapsed());
        if left.is_zero() {
            return result;
        }
        if pause >= WORTH_TELLING && waiting.is_none() {
            waiting = Waiting::begin();
        }
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Counter {
        blocked: AtomicUsize,
        unblocked: AtomicUsize,
    }

    impl Observer for Counter {
        fn blocked(&self) {
            self.blocked.fetch_add(1, Ordering::SeqCst);
        }
        fn unblocked(&self) {
            self.unblocked.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn busy() -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(5), None)
    }

    #[test]
    fn a_long_wait_is_told_once_and_a_short_one_not_at_all() {
        let counter = Arc::new(Counter {
            blocked: AtomicUsize::new(0),
            unblocked: AtomicUsize::new(0),
        });
        observe(counter.clone());
        let mut attempts = 0;
        let result = retry_while_busy(Duration::from_secs(5), || {
            attempts += 1;
            if attempts < 3 {
                Err(busy())
            } else {
                Ok(attempts)
            }
        });
        assert_eq!(result.unwrap(), 3);
        assert_eq!(counter.blocked.load(Ordering::SeqCst), 0);

        let result = retry_while_busy::<()>(Duration::from_millis(30), || Err(busy()));
        assert!(result.is_err());
        assert_eq!(counter.blocked.load(Ordering::SeqCst), 1);
        assert_eq!(counter.unblocked.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn another_error_ends_the_wait_at_once() {
        let mut attempts = 0;
        let result = retry_while_busy::<()>(Duration::from_secs(60), || {
            attempts += 1;
            Err(rusqlite::Error::InvalidQuery)
        });
        assert!(result.is_err());
        assert_eq!(attempts, 1);
    }
}
