//! Making the database smaller: garbage collection, vacuum, and forgetting what only a
//! late retry would ask for.

use std::time::SystemTime;

use lash_core::{GcReport, VacuumReport};
use lash_store_engine::epoch_ms;
use lash_store_engine::inspect::Repair;
use lash_store_engine::wit::retention::Pruned;

use super::{Store, logged};
use crate::database::Database;
use crate::error::Error;
use crate::operation;

/// How much one call removes at most: others wait for the write lock meanwhile.
const STEP: u32 = 10_000;

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
    /// What is corrupt and was passed over, logged at WARN: what each step found, at most 100.
    pub corrupt: u64,
}

impl SessionPruneReport {
    fn add(&mut self, step: &Pruned) {
        self.turn_commits = self.turn_commits.saturating_add(step.turns);
        self.source_keys = self.source_keys.saturating_add(step.source_keys);
        self.usage_entries = self.usage_entries.saturating_add(step.usage_entries);
        self.corrupt = self.corrupt.max(step.corrupt.len() as u64);
    }
}

impl Store {
    /// Removes blobs that nothing refers to, some at a time, so that others can write in
    /// between. Empty on an error.
    pub async fn gc_unreachable(&self) -> GcReport {
        logged(
            "collect garbage",
            self.try_gc_unreachable().await,
            GcReport::default,
        )
    }

    /// As [`gc_unreachable`](Self::gc_unreachable), and returns the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if it cannot be known what is
    /// referred to: the head or an artifact is corrupt, or a blob that is referred to is
    /// missing. What was removed until then was garbage. Blobs with corrupt content, and
    /// corrupt rows that nothing refers to, are kept and do not stop it.
    pub async fn try_gc_unreachable(&self) -> Result<GcReport, Error> {
        let collected = async {
            let report = collect_garbage(self.db.clone()).await?;
            self.db.give_back_pages().await;
            Ok(report)
        };
        operation::within(self.db.operation("collect garbage"), collected).await
    }

    /// Collects garbage behind a commit, if the policy says so. Nobody waits for
    /// it, except the next write.
    pub(super) fn collect_after_commit(&self, revision: u64) {
        let every = self.options.gc_policy.auto_run_every_commits.unwrap_or(0);
        if every > 0 && revision.is_multiple_of(every) {
            self.db.write_detached("collect garbage", |call| {
                let step = call.maintenance().gc(STEP)?;
                operation::passed_over(call.path(), &step.corrupt);
                Ok(())
            });
        }
    }

    /// Removes tombstoned nodes, some at a time, and releases their pages to the file
    /// system; as the trait's `vacuum`, and returns the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Busy`](crate::EngineError::Busy),
    /// [`EngineError::ReadOnly`](crate::EngineError::ReadOnly) and their like. What was
    /// removed until then stays so.
    pub async fn try_vacuum(&self) -> Result<VacuumReport, Error> {
        let vacuumed = async {
            let mut removed = 0_u64;
            let mut left = u64::MAX;
            // Until nothing is left, or others add as much as is removed.
            while left > 0 {
                let step = self
                    .db
                    .write("vacuum", |call| {
                        let step = call.maintenance().vacuum(STEP)?;
                        operation::passed_over(call.path(), &step.corrupt);
                        Ok(step)
                    })
                    .await?;
                removed = removed.saturating_add(step.removed);
                if step.remaining >= left {
                    break;
                }
                left = step.remaining;
            }
            let removed_node_count = count(removed);
            self.db.give_back_pages().await;
            Ok(VacuumReport { removed_node_count })
        };
        operation::within(self.db.operation("vacuum"), vacuumed).await
    }

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
    /// [`EngineError::Busy`](crate::EngineError::Busy),
    /// [`EngineError::ReadOnly`](crate::EngineError::ReadOnly) and their like. What was
    /// released until then stays so.
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
    /// is specified by the WIT function `retention.prune`. A time in the future counts as now.
    ///
    /// # Errors
    ///
    /// [`EngineError::Busy`](crate::EngineError::Busy) and its like. What is corrupt stays and is
    /// passed over.
    pub async fn prune(&self, stored_before: SystemTime) -> Result<SessionPruneReport, Error> {
        let before_ms = epoch_ms(stored_before);
        let pruned = async {
            let mut report = SessionPruneReport::default();
            loop {
                let step = self
                    .db
                    .write("prune session", move |call| {
                        let step = call.retention().prune(before_ms, STEP)?;
                        operation::passed_over(call.path(), &step.corrupt);
                        Ok(step)
                    })
                    .await?;
                report.add(&step);
                if !step.more {
                    break;
                }
            }
            self.db.give_back_pages().await;
            Ok(report)
        };
        operation::within(self.db.operation("prune session"), pruned).await
    }
}

fn count(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

async fn collect_garbage(db: Database) -> Result<GcReport, Error> {
    let mut deleted = 0_u64;
    let mut left = u64::MAX;
    loop {
        let step = db
            .write("collect garbage", |call| {
                let step = call.maintenance().gc(STEP)?;
                operation::passed_over(call.path(), &step.corrupt);
                Ok(step)
            })
            .await?;
        deleted = deleted.saturating_add(step.deleted);
        // Or others make as much as is removed.
        let is_last = step.remaining == 0 || step.remaining >= left;
        left = step.remaining;
        if is_last {
            return Ok(GcReport {
                root_count: count(step.roots),
                retained_blob_count: count(step.retained),
                deleted_blob_count: count(deleted),
            });
        }
    }
}
