//! Forgetting effects of which no replay can come.
//!
//! Nothing is removed before all effects of its scope were read and counted: what
//! is wrongly forgotten is executed a second time. A scope that is corrupt stays, and keeps no
//! other one.

use alloc::vec::Vec;

use crate::Result;
use crate::bindings::effect_types::Pruned;
use crate::storage::seam::{Environment, Transaction, TransactionMode, clamp, unsigned};
use crate::storage::skipped::Skipped;

use super::effect_row::{self, EffectRow};
use super::scope_row::ScopeRow;

/// The WIT function `effects.forget-scope`.
pub fn forget_scope(env: &impl Environment, scope: &str) -> Result<u64> {
    let tx = env.begin(TransactionMode::Write)?;
    let now_ms = env.now_ms();
    let Some(scope) = ScopeRow::find(&tx, scope)? else {
        return Ok(0);
    };
    let mut effects = all_of(&tx, &scope)?;
    effects.retain(|effect| effect.is_free_at(now_ms));
    let removed = remove(&tx, scope, &effects)?;
    if removed > 0 {
        tx.commit()?;
    }
    Ok(removed)
}

/// The WIT function `effects.prune`.
pub fn prune(env: &impl Environment, before_ms: u64, after: u64, limit: u32) -> Result<Pruned> {
    let tx = env.begin(TransactionMode::Write)?;
    // A live claim ends after now, so it stays whatever the caller says.
    let before_ms = clamp(before_ms).min(env.now_ms());
    let mut pruned = Pruned {
        effects: 0,
        last: None,
        corrupt: Vec::new(),
    };
    let mut skipped = Skipped::default();
    for (id, scope) in ScopeRow::after(&tx, clamp(after), limit)? {
        pruned.last = Some(unsigned(id));
        let Some(scope) = skipped.note(ScopeRow::TABLE, scope)? else {
            continue;
        };
        if !scope.was_claimed_before(before_ms) {
            continue;
        }
        let Some(effects) = skipped.note(effect_row::TABLE, all_of(&tx, &scope))? else {
            continue;
        };
        if effects.iter().all(|effect| effect.ended_before(before_ms)) {
            let removed = remove(&tx, scope, &effects)?;
            pruned.effects = pruned.effects.saturating_add(removed);
        }
    }
    if pruned.effects > 0 {
        tx.commit()?;
    }
    pruned.corrupt = skipped.into_corrupt();
    Ok(pruned)
}

/// The effects of a scope; none may be missing.
fn all_of(tx: &impl Transaction, scope: &ScopeRow) -> Result<Vec<EffectRow>> {
    let effects = effect_row::of_scope(tx, scope.id)?;
    scope.verify_complete(&effects)?;
    Ok(effects)
}

/// Removes effects of a scope, and the scope with the last one; returns how many.
fn remove(tx: &impl Transaction, mut scope: ScopeRow, effects: &[EffectRow]) -> Result<u64> {
    if effects.is_empty() {
        return Ok(0);
    }
    effect_row::delete(tx, effects)?;
    scope.remove(effects);
    scope.store(tx)?;
    Ok(effects.len() as u64)
}
