//! Adding effects that were kept elsewhere, and giving each to the scope that asks for
//! it.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use crate::Result;
use crate::bindings::effect_types::{EffectKey, Request};
use crate::bindings::import_types::{Adopted, ImportedEffect, ImportedState};
use crate::storage::corruption::invalid;
use crate::storage::seam::{Environment, Transaction, TransactionMode, Value, clamp};

use super::effect_row::{self, EffectRow};
use super::scope_row::ScopeRow;

/// What the scopes of imported effects begin with.
const PREFIX: &str = "imported:";

/// The first text that is behind all that begin with [`PREFIX`].
const AFTER_PREFIX: &str = "imported;";

fn imported_scope(scope_id: &str) -> String {
    format!("{PREFIX}{scope_id}")
}

/// The WIT function `effect-import.add-effects`.
pub fn add_effects(env: &impl Environment, effects: &[ImportedEffect]) -> Result<()> {
    let tx = env.begin(TransactionMode::WriteDurable)?;
    let mut scopes: BTreeMap<&str, ScopeRow> = BTreeMap::new();
    for effect in effects {
        let scope_id = effect.scope_id.as_str();
        if !scopes.contains_key(scope_id) {
            scopes.insert(scope_id, find_or_make(&tx, &imported_scope(scope_id))?);
        }
        if let Some(scope) = scopes.get_mut(scope_id) {
            add_effect(&tx, scope, effect)?;
        }
    }
    for scope in scopes.into_values() {
        scope.store(&tx)?;
    }
    tx.commit()?;
    Ok(())
}

fn find_or_make(tx: &impl Transaction, scope: &str) -> Result<ScopeRow> {
    match ScopeRow::find(tx, scope)? {
        Some(scope) => Ok(scope),
        None => ScopeRow::new(tx, scope),
    }
}

fn add_effect(tx: &impl Transaction, scope: &mut ScopeRow, effect: &ImportedEffect) -> Result<()> {
    let key = EffectKey {
        scope: scope.scope.clone(),
        replay_key: effect.replay_key.clone(),
    };
    if effect_row::find(tx, &key)?.is_some() {
        return Err(invalid(format!(
            "two effects are `{}` of `{}`",
            effect.replay_key, effect.scope_id
        )));
    }
    let claimed_at_ms = clamp(effect.claimed_at_ms);
    let updated_at_ms = clamp(effect.updated_at_ms);
    let mut row = EffectRow::new(
        key,
        scope.id,
        effect.envelope_hash.clone(),
        effect.due_at_ms.map(clamp),
        claimed_at_ms,
    );
    let content = match &effect.state {
        ImportedState::Claimed(claim) => {
            let expires_at_ms = clamp(claim.expires_at_ms);
            row.claim(claim.owner_id.clone(), claim.token.clone(), expires_at_ms);
            scope.claim(updated_at_ms);
            &[]
        }
        ImportedState::Finished(recorded) => {
            scope.claim(claimed_at_ms);
            row.finish(recorded, updated_at_ms)
        }
    };
    let is_first = scope.effects == 0;
    scope.add();
    if is_first {
        // The next new scope gets the number after it.
        scope.store(tx)?;
    }
    row.insert(tx, content)
}

/// The WIT function `effect-import.has-imported`.
pub fn has_imported(env: &impl Environment) -> Result<bool> {
    let tx = env.begin(TransactionMode::Read)?;
    let params = [Value::Text(PREFIX), Value::Text(AFTER_PREFIX)];
    // That there are none means that effects are executed, so it takes the table and its
    // index.
    let found = tx.query(
        "SELECT 1 FROM effect_scopes WHERE scope >= ?1 AND scope < ?2 LIMIT 1",
        &params,
    )?;
    if found.count > 0 {
        return Ok(true);
    }
    let found = tx.query(
        "SELECT 1 FROM effect_scopes NOT INDEXED WHERE scope >= ?1 AND scope < ?2 LIMIT 1",
        &params,
    )?;
    Ok(found.count > 0)
}

/// The WIT function `effect-import.adopt`.
pub fn adopt(env: &impl Environment, scope_id: &str, request: &Request) -> Result<Adopted> {
    let tx = env.begin(TransactionMode::Write)?;
    let key = EffectKey {
        scope: imported_scope(scope_id),
        replay_key: request.key.replay_key.clone(),
    };
    let Some(mut effect) = effect_row::find(&tx, &key)? else {
        effect_row::confirm_unknown(&tx, &key)?;
        return Ok(Adopted::Nothing);
    };
    if effect_row::find(&tx, &request.key)?.is_some() {
        return Ok(Adopted::Nothing);
    }
    if effect.envelope_hash != request.envelope_hash {
        return Ok(Adopted::Conflict);
    }
    let mut from = find_or_make(&tx, &key.scope)?;
    let mut to = find_or_make(&tx, &request.key.scope)?;
    to.claim(from.last_claim_ms);
    to.add();
    effect.move_to(&tx, &to)?;
    from.remove(&[effect]);
    from.store(&tx)?;
    to.store(&tx)?;
    tx.commit()?;
    Ok(Adopted::Effect)
}
