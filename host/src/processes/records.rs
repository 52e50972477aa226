//! What was registered, decoded once.
//!
//! A registration never changes, and has the schemas of all its events: decoding it
//! for every event would cost more than the event. The component says what changed
//! about a process, and leaves out what is known here.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lash_core::ProcessRecord;
use lru::LruCache;

use crate::bindings::interfaces::processes::Process;
use crate::convert;
use crate::engine::Call;
use crate::error::Error;

/// How many records a registry keeps.
const CACHED_RECORDS: NonZeroUsize = NonZeroUsize::new(128).unwrap();

/// The records that were used last, as they were then.
pub(super) struct Records(Mutex<LruCache<String, ProcessRecord>>);

impl Records {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(CACHED_RECORDS)))
    }

    /// Takes a record out, so that it can be used without being copied.
    pub(super) fn take(&self, process_id: &str) -> Option<ProcessRecord> {
        self.cache().pop(process_id)
    }

    /// Puts a record in.
    pub(super) fn put(&self, record: ProcessRecord) {
        self.cache().put(record.id.clone(), record);
    }

    /// Reads a process as it is now, and keeps it.
    pub(super) fn get(
        &self,
        call: &mut Call<'_>,
        process_id: &str,
    ) -> Result<Option<ProcessRecord>, Error> {
        let record = self.read(call, process_id, |call, known_hash| {
            call.processes(|processes, guest, db| {
                processes.call_get(guest, db, process_id, known_hash)
            })
        })?;
        if let Some(record) = &record {
            self.put(record.clone());
        }
        Ok(record)
    }

    /// Reads or changes a process by a call that leaves out what is known, which it
    /// is told the hash of. Answers the process as it is now, and keeps none.
    pub(super) fn read(
        &self,
        call: &mut Call<'_>,
        process_id: &str,
        read: impl FnOnce(&mut Call<'_>, Option<&str>) -> Result<Option<Process>, Error>,
    ) -> Result<Option<ProcessRecord>, Error> {
        let known = self.take(process_id);
        let known_hash = known
            .as_ref()
            .map(|record| record.registration_hash.as_str());
        read(call, known_hash)?
            .map(|process| convert::processes::to_record(call.path(), known, process))
            .transpose()
    }

    fn cache(&self) -> MutexGuard<'_, LruCache<String, ProcessRecord>> {
        // A cache has no invariant that a panic could have broken.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
