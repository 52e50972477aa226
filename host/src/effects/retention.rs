//! Forgetting effects of which no replay can come.
//!
//! Whole scopes are forgotten, never single effects: a replay that finds the first
//! effects of its scope missing would execute them again.

use std::time::SystemTime;

use lash_core::EffectScope;
use lash_store_engine::epoch_ms;
use lash_store_engine::inspect::Repair;

use super::SqliteEffectHost;
use super::key::to_scope;
use crate::error::Error;
use crate::operation;

/// How many scopes one transaction looks at, so that others need not wait long for
/// the write lock.
const BATCH: u32 = 256;

impl SqliteEffectHost {
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

    /// Removes what is recorded of a scope that is over; returns how many effects.
    ///
    /// A scope is needed until its turn is committed, its process has ended, or
    /// its operation is done, and until no retry of that can come any more. One
    /// that comes later executes the effects again. An effect that somebody
    /// executes right now stays. So does one that was imported and not asked for since:
    /// it is not known whether it is of this scope.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if an effect of the scope is damaged or missing; then
    /// nothing is removed.
    pub async fn forget_scope(&self, scope: &EffectScope) -> Result<u64, Error> {
        let scope = to_scope(self.path(), scope)?;
        let db = &self.shared.db;
        let span = db.operation("forget effects");
        span.record("scope", &scope);
        let forgotten = async {
            let removed = db
                .write("forget effects", move |call| {
                    call.of_scope(&scope);
                    Ok(call.effects().forget_scope(&scope)?)
                })
                .await?;
            db.give_back_pages().await;
            Ok(removed)
        };
        operation::within(span, forgotten).await
    }

    /// Removes what is recorded of every scope that was over before a time: all of
    /// its effects were finished or given back, or their leases expired; returns how
    /// many effects.
    ///
    /// Choose a time that no retry reaches back to, for example a week ago: what is
    /// replayed later is executed again. A time in the future counts as now.
    ///
    /// # Errors
    ///
    /// [`EngineError::Busy`](crate::EngineError::Busy) and its like. A scope that is corrupt
    /// stays, is passed over and logged.
    pub async fn prune(&self, ended_before: SystemTime) -> Result<u64, Error> {
        let span = self.shared.db.operation("prune effects");
        operation::within(span, self.prune_all(ended_before)).await
    }

    async fn prune_all(&self, ended_before: SystemTime) -> Result<u64, Error> {
        let before_ms = epoch_ms(ended_before);
        let mut removed = 0_u64;
        let mut after = 0;
        loop {
            let pruned = self
                .shared
                .db
                .write("prune effects", move |call| {
                    let pruned = call.effects().prune(before_ms, after, BATCH)?;
                    operation::passed_over(call.path(), &pruned.corrupt);
                    match pruned.last {
                        // Otherwise it would look at the same scopes for ever.
                        Some(last) if last <= after => Err(call
                            .contradiction(format!("it looked at scope {last} after scope {after}"))
                            .into()),
                        _ => Ok(pruned),
                    }
                })
                .await?;
            removed = removed.saturating_add(pruned.effects);
            match pruned.last {
                Some(last) => after = last,
                None => break,
            }
        }
        if removed > 0 {
            self.shared.db.give_back_pages().await;
        }
        Ok(removed)
    }
}
