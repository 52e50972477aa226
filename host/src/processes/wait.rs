//! Waiting for events and for the end of a process.

use std::sync::Arc;

use lash_core::{PluginError, ProcessAwaitOutput, ProcessEvent};
use lash_store_engine::wit::process_events::{Awaited, Position};
use lash_store_engine::{Call, Probe};

use super::{SqliteProcessRegistry, events, record};
use crate::error::{Error, unknown_process};
use crate::operation;

/// How far processes are: their numbers of events.
const PROBE: Probe = |call, process_ids| call.process_events().last_sequences(process_ids);

/// What a read found of something that is waited for.
enum Seen<T> {
    There(T),
    /// Not yet, as of this number of events.
    NotUntil(u64),
    /// There is no such process.
    Unknown,
}

impl SqliteProcessRegistry {
    pub(super) async fn wait_for_event(
        &self,
        process_id: &str,
        event_type: &str,
        after_sequence: u64,
    ) -> Result<ProcessEvent, PluginError> {
        let kind = event_type.to_owned();
        self.wait("wait for process event", process_id, move |call, id| {
            let found = call
                .process_events()
                .first_of_type(id, &kind, after_sequence)?;
            Ok(match found {
                Awaited::Event(content) => {
                    Seen::There(events::from_event(call.path(), id, &content)?)
                }
                Awaited::NoneUntil(sequence) => Seen::NotUntil(sequence),
                Awaited::Unknown => Seen::Unknown,
            })
        })
        .await
    }

    pub(super) async fn wait_for_end(
        &self,
        process_id: &str,
    ) -> Result<ProcessAwaitOutput, PluginError> {
        self.wait("await process", process_id, |call, id| {
            let position = call.process_events().get_position(id)?;
            Ok(match position {
                Some(Position {
                    outcome: Some(outcome),
                    ..
                }) => Seen::There(record::from_outcome(call.path(), id, &outcome)?),
                Some(position) => Seen::NotUntil(position.last_sequence),
                None => Seen::Unknown,
            })
        })
        .await
    }

    /// Looks again whenever the process has changed, until there is what is waited
    /// for.
    async fn wait<T: Send + 'static>(
        &self,
        operation: &'static str,
        process_id: &str,
        look: impl Fn(&mut Call<'_>, &str) -> Result<Seen<T>, Error> + Send + Sync + 'static,
    ) -> Result<T, PluginError> {
        let span = self.shared.db.operation(operation);
        span.record("process", process_id);
        operation::within(span, self.look_until(operation, process_id, look)).await
    }

    async fn look_until<T: Send + 'static>(
        &self,
        operation: &'static str,
        process_id: &str,
        look: impl Fn(&mut Call<'_>, &str) -> Result<Seen<T>, Error> + Send + Sync + 'static,
    ) -> Result<T, PluginError> {
        let db = &self.shared.db;
        let look = Arc::new(look);
        // Made before reading: what changes after that is not missed.
        let mut waiter = db.waiter(process_id.to_owned(), PROBE);
        loop {
            let id = process_id.to_owned();
            let look = Arc::clone(&look);
            let seen = db
                .read(operation, move |call| {
                    call.of_process(&id);
                    look(call, &id)
                })
                .await?;
            match seen {
                Seen::There(found) => return Ok(found),
                Seen::NotUntil(sequence) => waiter.changed(sequence).await.map_err(Error::from)?,
                Seen::Unknown => return Err(unknown_process(process_id)),
            }
        }
    }
}
