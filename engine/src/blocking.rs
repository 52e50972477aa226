//! Waiting for a future on a thread that has nothing else to do.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

thread_local! {
    static REFUSED: Cell<bool> = const { Cell::new(false) };
}

/// Notes that nothing may block the calling thread behind its back.
pub(crate) fn refuse() {
    REFUSED.set(true);
}

/// Whether dropping something may block the calling thread: it serves no runtime, and is
/// none of ours.
pub(crate) fn is_allowed() -> bool {
    !REFUSED.get() && tokio::runtime::Handle::try_current().is_err()
}

/// Waits for a future without any runtime.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        match poll(future.as_mut()) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// As [`wait`], but not longer than until then; returns whether the future has ended.
pub(crate) fn wait_until(future: impl Future<Output = ()>, until: Option<Instant>) -> bool {
    let mut future = pin!(future);
    loop {
        if poll(future.as_mut()).is_ready() {
            return true;
        }
        let Some(until) = until else {
            thread::park();
            continue;
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        thread::park_timeout(left);
    }
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    future.poll(&mut Context::from_waker(&waker))
}
