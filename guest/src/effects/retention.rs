//! Forgetting effects of which no replay can come.
//!
//! Nothing is removed before all effects of its scope were read and counted: what
//! is wrongly forgotten is executed a second time.

use crate::Result;
use crate::seam::{Environment, Transaction, TransactionMode, clamp};

use super::row::{self, EffectRow, Status};
use super::scope::ScopeRow;

/// The WIT function `effects.forget-scope`.
pub fn forget_scope(env: &impl Environment, scope: &str) -> Result<u64> {
    let tx = env.begin(TransactionMode::Write)?;
    let now_ms = env.now_ms();
    let Some(mut scope) = ScopeRow::find(&tx, scope)? else {
        return Ok(0);
    };
    let removed = remove(&tx, &mut scope, |row| {
        row.status != Status::Claimed || row.lease_expires_ms <= now_ms
    })?;
    if removed > 0 {
        tx.commit()?;
    }
    Ok(removed)
}

/// The WIT function `effects.prune`.
pub fn prune(env: &impl Environment, settled_before_ms: u64, limit: u32) -> Result<u64> {
    let before_ms = clamp(settled_before_ms);
    let tx = env.begin(TransactionMode::Write)?;
    let mut removed = 0_u64;
    for mut scope in ScopeRow::settled_before(&tx, before_ms, limit)? {
        removed = removed.saturating_add(remove(&tx, &mut scope, |_| true)?);
    }
    if removed > 0 {
        tx.commit()?;
    }
    Ok(removed)
}

/// Removes the effects of a scope that meet a condition; answers how many.
fn remove(
    tx: &impl Transaction,
    scope: &mut ScopeRow,
    condition: impl Fn(&EffectRow) -> bool,
) -> Result<u64> {
    let mut effects = row::of_scope(tx, scope.id)?;
    scope.verify_complete(&effects)?;
    effects.retain(condition);
    if effects.is_empty() {
        return Ok(0);
    }
    row::delete(tx, &effects)?;
    scope.remove(&effects);
    scope.store(tx)?;
    Ok(effects.len() as u64)
}
