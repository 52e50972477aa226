//! Forgetting what only a late retry would ask for.

use std::time::SystemTime;

use lash_store_engine::epoch_ms;

use super::Store;
use crate::error::Error;
use crate::operation;

/// What [`Store::prune`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionPruneReport {
    /// Stamps of committed turns.
    pub turn_commits: u64,
    /// Source keys of completed work.
    pub source_keys: u64,
    /// Usage entries that are part of a sum now.
    pub usage_entries: u64,
}

impl Store {
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

    /// Removes what was stored before a time and is needed only by someone who asks
    /// for it again: stamps of committed turns (never that of the newest commit), source
    /// keys of completed work, and single usage entries, which are summed up for
    /// each source and model. Without this they grow with every turn.
    ///
    /// Choose a time that no retry and no redelivery reaches back to, for example
    /// a week ago. A turn that is committed again later than that fails with a
    /// conflict of revisions; work that is delivered again is done again. The rule
    /// is specified by the WIT function `retention.prune`.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if something that would have to be removed, or that is
    /// needed to decide, is damaged; then nothing is removed.
    pub async fn prune(&self, stored_before: SystemTime) -> Result<SessionPruneReport, Error> {
        let before_ms = epoch_ms(stored_before);
        let pruned = async {
            let pruned = self
                .db
                .write("prune session", move |call| {
                    Ok(call.retention().prune(before_ms)?)
                })
                .await?;
            self.db.give_back_pages().await;
            Ok(SessionPruneReport {
                turn_commits: pruned.turns,
                source_keys: pruned.source_keys,
                usage_entries: pruned.usage_entries,
            })
        };
        operation::within(self.db.operation("prune session"), pruned).await
    }
}
