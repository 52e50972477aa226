//! Which connections are kept: a connection that is not used costs memory first, then
//! file descriptors, of which a process may have few.
//!
//! Those that were used last are warm. The others have forgotten what they had read, and
//! of these the ones that have not been used for longest are closed when there are more
//! than the process can afford. They are opened again when they are needed.

use std::num::NonZeroUsize;
use std::sync::{Arc, Weak};

use lru::LruCache;

use super::lane::Lane;

/// How many connections keep their caches: those that were used last. What the
/// others had read they read again.
const WARM_LANES: usize = 64;

/// Descriptors that a connection takes, rounded up: those of the database, the log, its
/// shared memory and the locks, some of which the connections of a file share.
const DESCRIPTORS: usize = 4;

/// What a process may have open where the system does not say.
const USUAL_LIMIT: usize = 256;

/// The lanes that may have a connection, by their address.
pub(super) struct Idle {
    /// How many there may be.
    most: usize,
    warm: LruCache<usize, Weak<Lane>>,
    /// Only those whose connection can be opened again.
    cool: LruCache<usize, Weak<Lane>>,
}

impl Idle {
    pub(super) fn new() -> Self {
        // The other half is the application's.
        let most = descriptor_limit() / 2 / DESCRIPTORS;
        let warm = NonZeroUsize::new(most.min(WARM_LANES)).unwrap_or(NonZeroUsize::MIN);
        Self {
            most,
            warm: LruCache::new(warm),
            cool: LruCache::unbounded(),
        }
    }

    /// Notes that a lane was used; returns the one that is not warm any more.
    pub(super) fn used(&mut self, lane: &Arc<Lane>) -> Option<Arc<Lane>> {
        let address = address(lane);
        self.cool.pop(&address);
        let (evicted, cold) = self.warm.push(address, Arc::downgrade(lane))?;
        let cold = cold.upgrade().filter(|_| evicted != address)?;
        self.keep(&cold);
        Some(cold)
    }

    /// Notes that the connection of a lane is still there.
    pub(super) fn keep(&mut self, lane: &Arc<Lane>) {
        if lane.reopens() {
            self.cool.push(address(lane), Arc::downgrade(lane));
        }
    }

    /// How many lanes there are too many.
    pub(super) fn surplus(&self) -> usize {
        let lanes = self.warm.len().saturating_add(self.cool.len());
        lanes.saturating_sub(self.most).min(self.cool.len())
    }

    /// Takes out the lane that was not used for longest.
    pub(super) fn coldest(&mut self) -> Option<Arc<Lane>> {
        loop {
            let (_, lane) = self.cool.pop_lru()?;
            if let Some(lane) = lane.upgrade() {
                return Some(lane);
            }
        }
    }

    /// Takes out all lanes whose connections can be opened again.
    pub(super) fn drain(&mut self) -> Vec<Arc<Lane>> {
        let mut lanes = Vec::new();
        for cache in [&mut self.cool, &mut self.warm] {
            while let Some((_, lane)) = cache.pop_lru() {
                lanes.extend(lane.upgrade().filter(|lane| lane.reopens()));
            }
        }
        lanes
    }

    pub(super) fn forget(&mut self, lane: &Arc<Lane>) {
        self.warm.pop(&address(lane));
        self.cool.pop(&address(lane));
    }
}

fn address(lane: &Arc<Lane>) -> usize {
    Arc::as_ptr(lane).addr()
}

/// How many descriptors the process may have, if it stays so.
fn descriptor_limit() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    match line.and_then(|line| line.split_whitespace().next()) {
        Some("unlimited") => usize::MAX,
        Some(soft) => soft.parse().unwrap_or(USUAL_LIMIT),
        None => USUAL_LIMIT,
    }
}
