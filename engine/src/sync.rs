//! Locks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex. One that a panic poisoned is used on: nothing that is kept behind a
/// mutex here is left half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
