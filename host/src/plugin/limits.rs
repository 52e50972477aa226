//! What a plugin may take of the machine.

use std::time::Duration;

/// What one call of a plugin may take of the machine. What it may take of the store is
/// in its [`Grant`](super::Grant).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    pub(super) call_time: Duration,
    pub(super) memory_bytes: usize,
    pub(super) table_elements: usize,
    pub(super) import_bytes: usize,
    pub(super) handles: usize,
}

impl Default for Limits {
    /// 10 s, 64 MiB of memory, 100,000 elements of tables, 16 MiB of arguments, 1,000
    /// handles.
    fn default() -> Self {
        Self {
            call_time: Duration::from_secs(10),
            memory_bytes: 64 << 20,
            table_elements: 100_000,
            import_bytes: 16 << 20,
            handles: 1000,
        }
    }
}

impl Limits {
    /// How long one call takes at most, by the clock on the wall; 10 s by default. It
    /// is noticed within some hundredths of a second; while the plugin waits for the
    /// store, when the store has answered.
    pub fn call_time(mut self, time: Duration) -> Self {
        self.call_time = time;
        self
    }

    /// How much memory an instance has at most, in bytes; 64 MiB by default.
    pub fn memory_bytes(mut self, bytes: usize) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// How many elements a table of an instance has at most; 100,000 by default.
    pub fn table_elements(mut self, elements: usize) -> Self {
        self.table_elements = elements;
        self
    }

    /// How many bytes the plugin may pass to one function of the store, or answer;
    /// 16 MiB by default. What it calls the store with is compressed and hashed by the
    /// threads that serve everybody.
    pub fn import_bytes(mut self, bytes: usize) -> Self {
        self.import_bytes = bytes;
        self
    }

    /// How many handles of resources an instance has at most; 1,000 by default. A
    /// plugin needs one.
    pub fn handles(mut self, handles: usize) -> Self {
        self.handles = handles;
        self
    }
}
