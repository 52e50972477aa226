//! Removing processes that ended.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use lash_store_engine::epoch_ms;
use lash_store_engine::inspect::Repair;

use super::SqliteProcessRegistry;
use crate::error::Error;
use crate::host_events::SqliteHostEventStore;
use crate::operation;

/// How many processes one transaction removes, so that others are not kept from
/// writing for long.
const BATCH: u32 = 256;

impl SqliteProcessRegistry {
    /// Rebuilds what is derived from other rows, if it is corrupt and these are not, and
    /// says what is left. [`Repair`] says more.
    ///
    /// # Errors
    ///
    /// [`EngineError::Busy`](crate::EngineError::Busy),
    /// [`EngineError::ReadOnly`](crate::EngineError::ReadOnly) and their like. Corrupt rows
    /// are no error.
    pub async fn repair(&self) -> Result<Repair, Error> {
        Ok(self.shared.db.repair().await?)
    }

    /// Gives pages that are no longer needed back to the file system, some at a time, so
    /// that others can write in between. Whatever removes something does that at its end;
    /// this is for what an interrupted one left.
    ///
    /// # Errors
    ///
    /// [`EngineError::Busy`](crate::EngineError::Busy), [`EngineError::ReadOnly`](crate::EngineError::ReadOnly) and their like. What was given back until then
    /// stays so.
    pub async fn give_back_pages(&self) -> Result<(), Error> {
        Ok(self.shared.db.incremental_vacuum().await?)
    }

    /// Removes processes that ended before a time, with their events, and returns
    /// how many. A process stays as long as a handle of it is granted, or somebody
    /// holds a live lease on it. Handles go with their session, or when they are
    /// revoked; lash-core does neither by itself when a process ends.
    ///
    /// Afterwards an identifier is as if it had never been registered: choose a
    /// time that nobody asks for a result any more, and that no start is repeated
    /// after, for example a week ago.
    ///
    /// `host_events` is the store whose triggers start processes here. The
    /// deliveries of what is removed are settled there first; otherwise
    /// [`unstarted_deliveries`](SqliteHostEventStore::unstarted_deliveries) would
    /// take them for deliveries that were never started.
    ///
    /// A time in the future counts as now. It removes a few hundred at a time, and gives
    /// their pages back to the file system at the end. If it fails, or the future is dropped,
    /// what was removed until then stays removed.
    ///
    /// # Errors
    ///
    /// [`EngineError::Busy`](crate::EngineError::Busy) and its like. What is corrupt stays, is
    /// passed over and logged.
    pub async fn prune_ended(
        &self,
        ended_before: SystemTime,
        host_events: Option<&SqliteHostEventStore>,
    ) -> Result<u64, Error> {
        let span = self.shared.db.operation("prune processes");
        operation::within(span, self.prune_all(ended_before, host_events)).await
    }

    async fn prune_all(
        &self,
        ended_before: SystemTime,
        host_events: Option<&SqliteHostEventStore>,
    ) -> Result<u64, Error> {
        let mut triggers = match host_events {
            Some(host_events) => host_events.unsettled_by_process().await?,
            None => HashMap::new(),
        };
        let mut removed = 0_u64;
        let mut kept = Vec::new();
        loop {
            let ids = self.prunable(ended_before, kept).await?;
            if ids.is_empty() {
                break;
            }
            if let Some(host_events) = host_events {
                let started = ids.iter().filter_map(|id| triggers.remove(id)).collect();
                host_events.settle(started).await?;
            }
            let pruned = self.prune(ended_before, ids.clone()).await?;
            removed = removed.saturating_add(pruned.len() as u64);
            // Somebody else may have removed them, or have begun to use them.
            kept = if pruned.is_empty() { ids } else { Vec::new() };
        }
        if removed > 0 {
            self.shared.db.give_back_pages().await;
        }
        Ok(removed)
    }

    /// The identifiers of the processes that [`prune`](Self::prune) would remove
    /// next, which are not all those that it has just `kept`.
    async fn prunable(
        &self,
        ended_before: SystemTime,
        kept: Vec<String>,
    ) -> Result<Vec<String>, Error> {
        let before_ms = epoch_ms(ended_before);
        self.shared
            .db
            .read("find processes to prune", move |call| {
                let page = call.processes().prunable(before_ms, BATCH)?;
                operation::passed_over(call.path(), &page.corrupt);
                let ids = page.ids;
                // Otherwise it would go on for ever.
                if !ids.is_empty() && ids == kept {
                    return Err(call
                        .contradiction(
                            "it answered processes that may go, and did not let one of them go",
                        )
                        .into());
                }
                Ok(ids)
            })
            .await
    }

    /// Removes those of the processes that may go; returns which.
    async fn prune(
        &self,
        ended_before: SystemTime,
        process_ids: Vec<String>,
    ) -> Result<Vec<String>, Error> {
        let before_ms = epoch_ms(ended_before);
        let shared = Arc::clone(&self.shared);
        self.shared
            .db
            .write("prune processes", move |call| {
                let pruned = call.processes().prune(before_ms, &process_ids)?;
                for process_id in &pruned {
                    shared.records.take(process_id);
                    shared.held.forget(process_id);
                    shared.db.notify(process_id);
                }
                Ok(pruned)
            })
            .await
    }
}
