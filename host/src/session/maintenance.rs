//! Making the database smaller: garbage collection, vacuum, and forgetting what only a
//! late retry would ask for.

use std::time::SystemTime;

use lash_core::{GcReport, VacuumReport};
use lash_store_engine::epoch_ms;

use super::{Store, logged};
use crate::database::Database;
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
    /// Removes blobs that nothing refers to. On an error nothing is removed, and
    /// the report is empty.
    pub async fn gc_unreachable(&self) -> GcReport {
        logged(
            "collect garbage",
            self.try_gc_unreachable().await,
            GcReport::default,
        )
    }

    /// As [`gc_unreachable`](Self::gc_unreachable), and answers the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if anything that is referred to is missing or damaged:
    /// then nothing is removed.
    pub async fn try_gc_unreachable(&self) -> Result<GcReport, Error> {
        let collected = async {
            let report = collect_garbage(self.db.clone()).await?;
            self.db.give_back_pages().await;
            Ok(report)
        };
        operation::within(self.db.operation("collect garbage"), collected).await
    }

    /// Collects garbage behind a commit, if the policy says so. Nobody waits for
    /// it: the next write does, and no answer depends on it.
    pub(super) fn collect_after_commit(&self, revision: u64) {
        let every = self.options.gc_policy.auto_run_every_commits.unwrap_or(0);
        if every > 0 && revision.is_multiple_of(every) {
            self.db.write_detached("collect garbage", |call| {
                call.maintenance().gc()?;
                Ok(())
            });
        }
    }

    /// Removes tombstoned nodes, and gives their pages back to the file system; as the
    /// trait's `vacuum`, and answers the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Busy`](crate::EngineError::Busy), [`EngineError::ReadOnly`](crate::EngineError::ReadOnly) and their like; then nothing is removed.
    pub async fn try_vacuum(&self) -> Result<VacuumReport, Error> {
        let removed = self
            .db
            .write("vacuum", |call| Ok(call.maintenance().vacuum()?));
        let vacuumed = async {
            let removed_node_count = count(removed.await?);
            self.db.give_back_pages().await;
            Ok(VacuumReport { removed_node_count })
        };
        operation::within(self.db.operation("vacuum"), vacuumed).await
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

fn count(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

async fn collect_garbage(db: Database) -> Result<GcReport, Error> {
    let report = db
        .write("collect garbage", |call| Ok(call.maintenance().gc()?))
        .await?;
    Ok(GcReport {
        root_count: count(report.roots),
        retained_blob_count: count(report.retained),
        deleted_blob_count: count(report.deleted),
    })
}
