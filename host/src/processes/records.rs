//! What was registered, decoded once.
//!
//! A registration never changes, and has the schemas of all its events: decoding it
//! for every event would cost more than the event. The component says what changed
//! about a process, and leaves out what is known here.
//!
//! How far a process was is kept too: a guess that an append begins with, and that
//! the component refuses if it is not right.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use lash_core::ProcessRecord;
use lash_store_engine::Call;
use lash_store_engine::wit::processes::Process;
use lru::LruCache;

use super::record;
use crate::error::Error;
use crate::sync::lock;

/// How many records a registry keeps.
const CACHED_RECORDS: NonZeroUsize = NonZeroUsize::new(128).unwrap();

/// A process as it was.
pub(super) struct Known {
    pub(super) record: ProcessRecord,
    /// The number of the process.
    pub(super) number: u64,
    /// How many events it had.
    pub(super) last_sequence: u64,
}

impl Known {
    /// Decodes what the component answered; `record` is what was known before.
    pub(super) fn new(
        path: &Path,
        record: Option<ProcessRecord>,
        process: Process,
    ) -> Result<Self, Error> {
        Ok(Self {
            number: process.number,
            last_sequence: process.last_sequence,
            record: record::to_record(path, record, process)?,
        })
    }
}

/// The processes that were used last, as they were then.
pub(super) struct Records(Mutex<LruCache<String, Known>>);

impl Records {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(CACHED_RECORDS)))
    }

    /// Takes a process out, so that it can be used without being copied.
    pub(super) fn take(&self, process_id: &str) -> Option<Known> {
        self.cache().pop(process_id)
    }

    /// Puts a process in.
    pub(super) fn put(&self, known: Known) {
        self.cache().put(known.record.id.clone(), known);
    }

    /// Puts a process in, and answers its record.
    pub(super) fn keep(&self, known: Known) -> ProcessRecord {
        let record = known.record.clone();
        self.put(known);
        record
    }

    /// Reads a process as it is now, and keeps it.
    pub(super) fn get(
        &self,
        call: &mut Call<'_>,
        process_id: &str,
    ) -> Result<Option<ProcessRecord>, Error> {
        let known = self.read(call, process_id, |call, known_hash| {
            Ok(call.processes().get(process_id, known_hash)?)
        })?;
        Ok(known.map(|known| self.keep(known)))
    }

    /// Reads or changes a process by a call that leaves out what is known, which it
    /// is told the hash of. Answers the process as it is now, and keeps none.
    pub(super) fn read(
        &self,
        call: &mut Call<'_>,
        process_id: &str,
        read: impl FnOnce(&mut Call<'_>, Option<&str>) -> Result<Option<Process>, Error>,
    ) -> Result<Option<Known>, Error> {
        let record = self.take(process_id).map(|known| known.record);
        let known_hash = record
            .as_ref()
            .map(|record| record.registration_hash.as_str());
        read(call, known_hash)?
            .map(|process| Known::new(call.path(), record, process))
            .transpose()
    }

    fn cache(&self) -> MutexGuard<'_, LruCache<String, Known>> {
        // A cache has no invariant that a panic could have broken.
        lock(&self.0)
    }
}
