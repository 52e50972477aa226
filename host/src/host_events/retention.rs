//! Forgetting what is long over.

use std::time::SystemTime;

use lash_store_engine::epoch_ms;
use lash_store_engine::inspect::Repair;

use super::SqliteHostEventStore;
use super::deliveries::PAGE;
use crate::error::Error;
use crate::operation;

impl SqliteHostEventStore {
    /// Rebuilds what is derived from other rows, if it is corrupt and these are not, and
    /// says what is left. [`Repair`] says more.
    ///
    /// # Errors
    ///
    /// [`EngineError::Busy`](crate::EngineError::Busy),
    /// [`EngineError::ReadOnly`](crate::EngineError::ReadOnly) and their like. Corrupt rows
    /// are no error.
    pub async fn repair(&self) -> Result<Repair, Error> {
        Ok(self.db.repair().await?)
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
        Ok(self.db.incremental_vacuum().await?)
    }

    /// Removes occurrences from before a time, with their deliveries, and returns
    /// how many. Those of which a delivery is not settled stay, and those that were recorded
    /// and never reserved: [`unstarted_deliveries`](Self::unstarted_deliveries) reserves them.
    ///
    /// The idempotency key of what was removed is new again. So choose a time
    /// further back than the longest delay with which anybody reports an
    /// occurrence again. A time in the future counts as now.
    ///
    /// # Errors
    ///
    /// [`EngineError::Busy`](crate::EngineError::Busy) and its like. What is corrupt stays, is
    /// passed over and logged.
    pub async fn prune_occurrences(&self, occurred_before: SystemTime) -> Result<u64, Error> {
        let span = self.db.operation("prune occurrences");
        operation::within(span, self.prune(occurred_before)).await
    }

    async fn prune(&self, occurred_before: SystemTime) -> Result<u64, Error> {
        let before_ms = epoch_ms(occurred_before);
        let mut pruned: u64 = 0;
        loop {
            let batch = self
                .db
                .write("prune occurrences", move |call| {
                    let pruned = call.host_events().prune(before_ms, PAGE)?;
                    operation::passed_over(call.path(), &pruned.corrupt);
                    Ok(pruned.occurrences)
                })
                .await?;
            pruned = pruned.saturating_add(batch);
            if batch < u64::from(PAGE) {
                break;
            }
        }
        self.db.give_back_pages().await;
        Ok(pruned)
    }
}
