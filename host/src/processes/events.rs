//! What happened to processes.

use std::path::Path;

use lash_core::{PluginError, ProcessEvent};
use lash_store_engine::Call;
use lash_store_engine::wit::process_events::Event;

use super::SqliteProcessRegistry;
use crate::encoding::{from_json, to_json};
use crate::error::{Error, unknown_process};

const EVENT: &str = "an event of a process";

pub(crate) fn to_event(path: &Path, event: &ProcessEvent) -> Result<Vec<u8>, Error> {
    to_json(path, EVENT, event)
}

pub(crate) fn from_event(path: &Path, id: &str, content: &[u8]) -> Result<ProcessEvent, Error> {
    from_json(path, EVENT, id, content)
}

pub(crate) fn from_events(
    path: &Path,
    id: &str,
    contents: &[Vec<u8>],
) -> Result<Vec<ProcessEvent>, Error> {
    contents
        .iter()
        .map(|content| from_event(path, id, content))
        .collect()
}

/// What lash-core compares a repeated event with.
pub(crate) fn from_existing(
    path: &Path,
    id: &str,
    event: Event,
) -> Result<(String, ProcessEvent), Error> {
    Ok((event.payload_hash, from_event(path, id, &event.content)?))
}

impl SqliteProcessRegistry {
    /// Reads events of a process, by a call that answers none if there is no such
    /// process.
    async fn events(
        &self,
        operation: &'static str,
        process_id: &str,
        read: impl FnOnce(&mut Call<'_>, &str) -> Result<Option<Vec<Vec<u8>>>, Error> + Send + 'static,
    ) -> Result<Vec<ProcessEvent>, PluginError> {
        let id = process_id.to_owned();
        let events = self
            .shared
            .db
            .read(operation, move |call| {
                call.of_process(&id);
                read(call, &id)?
                    .map(|contents| from_events(call.path(), &id, &contents))
                    .transpose()
            })
            .await?;
        events.ok_or_else(|| unknown_process(process_id))
    }

    pub(super) async fn events_behind(
        &self,
        process_id: &str,
        after_sequence: u64,
    ) -> Result<Vec<ProcessEvent>, PluginError> {
        self.events("read process events", process_id, move |call, id| {
            Ok(call.process_events().after(id, after_sequence)?)
        })
        .await
    }

    /// An unknown process has no wakes: that is an error, as it is for events.
    pub(super) async fn wakes_behind(
        &self,
        process_id: &str,
        after_sequence: u64,
    ) -> Result<Vec<ProcessEvent>, PluginError> {
        self.events("read process wakes", process_id, move |call, id| {
            Ok(call.process_events().wakes_after(id, after_sequence)?)
        })
        .await
    }

    pub(super) async fn acknowledge_wake(
        &self,
        process_id: &str,
        sequence: u64,
    ) -> Result<(), PluginError> {
        let id = process_id.to_owned();
        let known = self
            .shared
            .db
            .write("acknowledge process wake", move |call| {
                call.of_process(&id);
                Ok(call.process_events().acknowledge_wake(&id, sequence)?)
            })
            .await?;
        if known {
            Ok(())
        } else {
            Err(unknown_process(process_id))
        }
    }
}
