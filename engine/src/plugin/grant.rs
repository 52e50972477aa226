//! What a plugin may do.

use std::collections::BTreeSet;

use super::namespace::Namespace;
use super::usage::Usage;

/// How an interface is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Only reading. What would change something is answered with `read-only`.
    Read,
    /// Reading and writing.
    Write,
}

/// Which interfaces of a store a plugin has, under which names, and how much it may use
/// of them. At first it has none.
#[derive(Clone, Debug)]
pub struct Grant {
    pub(super) namespace: Namespace,
    pub(super) artifacts: Option<Access>,
    pub(super) blobs: Option<Access>,
    pub(super) queue: Option<Access>,
    pub(super) deliver_to: BTreeSet<String>,
    pub(super) session: bool,
    pub(super) most: Usage,
    pub(super) used: Usage,
}

impl Grant {
    /// How many calls of the store a plugin may make, if nothing else is said.
    pub const DEFAULT_CALLS: u64 = 10_000;

    /// How many bytes a plugin may have stored, if nothing else is said: 64 MiB.
    pub const DEFAULT_BYTES: u64 = 64 << 20;

    /// Grants nothing yet but the time and random numbers.
    pub fn new(namespace: Namespace) -> Self {
        Self {
            namespace,
            artifacts: None,
            blobs: None,
            queue: None,
            deliver_to: BTreeSet::new(),
            session: false,
            most: Usage {
                calls: Self::DEFAULT_CALLS,
                bytes: Self::DEFAULT_BYTES,
            },
            used: Usage::default(),
        }
    }

    /// Grants the interface `artifacts`: what the plugin keeps under names.
    pub fn artifacts(mut self, access: Access) -> Self {
        self.artifacts = Some(access);
        self
    }

    /// Grants the interface `blobs`: content under its digest, as long as the grant.
    pub fn blobs(mut self, access: Access) -> Self {
        self.blobs = Some(access);
        self
    }

    /// Grants the interface `queue`: work that the plugin has put there itself.
    pub fn queue(mut self, access: Access) -> Self {
        self.queue = Some(access);
        self
    }

    /// Lets the plugin enqueue input for a session of the application, if it may write
    /// to the queue at all. It is input for a turn and nothing else (no command, no
    /// wake), and its source key begins with [`Namespace::prefix`].
    ///
    /// For the plugin, this session's identifier is then the application's, and not one
    /// of its own.
    pub fn deliver_to(mut self, session_id: impl Into<String>) -> Self {
        self.deliver_to.insert(session_id.into());
        self
    }

    /// Grants reading the whole session of the store: head, graph and checkpoint.
    pub fn session(mut self) -> Self {
        self.session = true;
        self
    }

    /// Sets how many calls of the store the plugin may make altogether;
    /// [`DEFAULT_CALLS`](Self::DEFAULT_CALLS) by default.
    pub fn most_calls(mut self, calls: u64) -> Self {
        self.most.calls = calls;
        self
    }

    /// Sets how many bytes the plugin may have stored altogether, counted as
    /// [`Usage::bytes`]; [`DEFAULT_BYTES`](Self::DEFAULT_BYTES) by default. What is
    /// removed later is not given back.
    pub fn most_bytes(mut self, bytes: u64) -> Self {
        self.most.bytes = bytes;
        self
    }

    /// Begins with what was used before, so that quotas hold across the runs of a
    /// program that keeps the numbers; nothing by default.
    pub fn used(mut self, usage: Usage) -> Self {
        self.used = usage;
        self
    }
}
