//! What belongs to one call of a plugin, and how it calls the store.

use std::sync::Arc;
use std::time::SystemTime;

use super::error::Quota;
use super::grant::{Access, Grant};
use super::granted::Granted;
use super::namespace::Namespace;
use crate::bindings::sqlite::{Error as SqliteError, ErrorCode};
use crate::bindings::types::{self, Corruption};
use crate::component::Growth;
use crate::database::Call;
use crate::error::Error;
use crate::wit::queue::BatchDraft;
use crate::wit::types::BlobProfile;

/// What a function of the store returns to a plugin.
pub(super) type Answer<T> = Result<T, types::Error>;

/// The data of a wasmtime store.
pub(super) struct State {
    granted: Arc<Granted>,
    pub(super) growth: Growth,
    /// The first quota that was used up in this call.
    pub(super) used_up: Option<Quota>,
    /// The last failure of the store in this call.
    pub(super) failure: Option<Error>,
}

/// Bytes that are counted, and given back when this is dropped.
pub(super) struct Reserved {
    granted: Arc<Granted>,
    bytes: u64,
}

impl Reserved {
    /// They were stored.
    fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.granted.meter.give_back(self.bytes);
    }
}

impl State {
    pub(super) fn new(granted: Arc<Granted>, growth: Growth) -> Self {
        Self {
            granted,
            growth,
            used_up: None,
            failure: None,
        }
    }

    pub(super) fn grant(&self) -> &Grant {
        &self.granted.grant
    }

    pub(super) fn namespace(&self) -> &Namespace {
        &self.granted.grant.namespace
    }

    pub(super) fn profile(&self) -> BlobProfile {
        self.granted.db.plugin_blobs()
    }

    /// Whether work may be put into the queue of a session of the application.
    pub(super) fn is_deliverable(&self, draft: &BatchDraft) -> bool {
        self.granted.db.is_deliverable(draft)
    }

    pub(super) fn now(&mut self) -> SystemTime {
        self.granted.db.now()
    }

    /// Whether the plugin has stored the blob with this key.
    pub(super) fn has_stored(&self, key: &str) -> bool {
        self.granted.stored().contains(key)
    }

    pub(super) fn note_stored(&self, key: &str) {
        self.granted.stored().insert(key.to_owned());
    }

    /// Makes a call that reads.
    pub(super) fn read<R: Send + 'static>(
        &mut self,
        operation: &'static str,
        job: impl FnOnce(&mut Call<'_>) -> Result<R, Error> + Send + 'static,
    ) -> Answer<R> {
        let answer = self.granted.db.read_blocking(operation, job);
        answer.map_err(|error| self.failed(error))
    }

    /// Makes a call that writes, and counts what it stores.
    pub(super) fn write<R: Send + 'static>(
        &mut self,
        operation: &'static str,
        bytes: usize,
        job: impl FnOnce(&mut Call<'_>) -> Result<R, Error> + Send + 'static,
    ) -> Answer<R> {
        let reserved = self.reserve(bytes)?;
        self.store(reserved, operation, job)
    }

    /// Makes a call about a claim, which waits for no long call of another database.
    pub(super) fn lease<R: Send + 'static>(
        &mut self,
        operation: &'static str,
        job: impl FnOnce(&mut Call<'_>) -> Result<R, Error> + Send + 'static,
    ) -> Answer<R> {
        let answer = self.granted.db.urgent().write_blocking(operation, job);
        answer.map_err(|error| self.failed(error))
    }

    /// Counts bytes that are about to be stored.
    pub(super) fn reserve(&mut self, bytes: usize) -> Answer<Reserved> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        match self.granted.meter.reserve(bytes) {
            Ok(()) => Ok(Reserved {
                granted: Arc::clone(&self.granted),
                bytes,
            }),
            Err(quota) => Err(self.refused(quota, ErrorCode::Full, "the grant has no bytes left")),
        }
    }

    /// Makes a call that stores what was reserved.
    pub(super) fn store<R: Send + 'static>(
        &mut self,
        reserved: Reserved,
        operation: &'static str,
        job: impl FnOnce(&mut Call<'_>) -> Result<R, Error> + Send + 'static,
    ) -> Answer<R> {
        let answer = self.granted.db.write_blocking(operation, job);
        if answer.as_ref().err().is_none_or(Error::has_committed) {
            reserved.keep();
        }
        answer.map_err(|error| self.failed(error))
    }

    /// Refuses what only a grant for writing lets through.
    pub(super) fn check_writes(&self, access: fn(&Grant) -> Option<Access>) -> Answer<()> {
        if access(self.grant()) == Some(Access::Write) {
            Ok(())
        } else {
            Err(sqlite(ErrorCode::ReadOnly, "the grant is for reading only"))
        }
    }

    pub(super) fn count_call(&mut self) -> Answer<()> {
        let counted = self.granted.meter.call();
        counted
            .map_err(|quota| self.refused(quota, ErrorCode::Denied, "the grant has no calls left"))
    }

    fn refused(&mut self, quota: Quota, code: ErrorCode, message: &str) -> types::Error {
        self.used_up.get_or_insert(quota);
        sqlite(code, message)
    }

    /// Keeps a failure for the application, and returns what the plugin may know of it:
    /// the details may name what others have stored.
    fn failed(&mut self, error: Error) -> types::Error {
        let answer = match &error {
            Error::Busy { .. } => sqlite(ErrorCode::Busy, "the store is locked"),
            Error::ReadOnly { .. } => sqlite(ErrorCode::ReadOnly, "the store cannot be written"),
            Error::DiskFull { .. } => sqlite(ErrorCode::Full, "the disk is full"),
            Error::Io { .. } => sqlite(ErrorCode::Io, "the disk failed"),
            Error::Corrupt { .. } | Error::Malformed { .. } | Error::MissingBlob { .. } => {
                types::Error::Corrupt(Corruption {
                    table: String::new(),
                    key: String::new(),
                    reason: "the store is damaged".to_owned(),
                })
            }
            Error::Retired { .. } => types::Error::Retired,
            Error::Invalid { reason, .. } => types::Error::Invalid(self.namespace().hidden(reason)),
            _ => sqlite(ErrorCode::Other, "the store failed"),
        };
        self.failure = Some(error);
        answer
    }
}

fn sqlite(code: ErrorCode, message: &str) -> types::Error {
    types::Error::Sqlite(SqliteError {
        code,
        extended_code: 0,
        message: message.to_owned(),
    })
}

/// What is out of bounds whatever the quotas.
pub(super) fn denied(message: &str) -> types::Error {
    sqlite(ErrorCode::Denied, message)
}

/// What contradicts the rules for plugins.
pub(super) fn invalid(message: &str) -> types::Error {
    types::Error::Invalid(message.to_owned())
}
