//! Forgetting what is long over.

use std::time::SystemTime;

use lash_store_engine::epoch_ms;

use super::SqliteHostEventStore;
use super::deliveries::PAGE;
use crate::error::Error;
use crate::operation;

impl SqliteHostEventStore {
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

    /// Removes occurrences from before a time, with their deliveries, and answers
    /// how many. Those of which a delivery is not settled stay.
    ///
    /// The idempotency key of what was removed is new again. So choose a time
    /// further back than the longest delay with which anybody reports an
    /// occurrence again. A time in the future counts as now.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if something that is to be removed is damaged. What was
    /// removed before it was found stays removed.
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
                    Ok(call.host_events().prune(before_ms, PAGE)?)
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
