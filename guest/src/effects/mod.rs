//! Effects that were executed, so that they are replayed and not executed again.
//!
//! An effect is executed under a lease, which is proved by a random token. A lease
//! that expired is void only once somebody else has claimed: until then its owner
//! may still renew it or finish.
//!
//! That an effect is not known means that it is executed, so two indexes must
//! agree on it. Claims, and giving them back, may be lost with the machine's
//! power; results may not.

mod effect_row;
mod export;
mod import;
mod retention;
mod schema;
mod scope_row;
mod statistics;
mod verify;

use alloc::string::String;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::effect_types::{
    Acquired, Busy, Claim, EffectKey, FinishedEffect, Known, Recorded, Request,
};
use crate::bindings::format_types::Initialized;
use crate::format;
use crate::storage::seam::{Environment, Transaction, TransactionMode, clamp, unsigned};
use crate::storage::token;

use effect_row::{EffectRow, Status};
pub use export::read_page;
pub use import::{add_effects, adopt, has_imported};
pub use retention::{forget_scope, prune};
use scope_row::ScopeRow;
pub use statistics::statistics;
pub use verify::{repair, verify};

/// The WIT function `effects.initialize`.
pub fn initialize(env: &impl Environment) -> Result<Initialized> {
    format::initialize(env, &format::EFFECTS, schema::STATEMENTS, |_| Ok(()))
}

/// The WIT function `effects.find`.
pub fn find(env: &impl Environment, request: &Request) -> Result<Known> {
    let tx = env.begin(TransactionMode::Read)?;
    let now_ms = env.now_ms();
    let found = effect_row::find_recorded(&tx, &request.key)?;
    Ok(match found {
        Some((row, recorded)) => known(&row, recorded, &request.envelope_hash, now_ms),
        None => {
            effect_row::confirm_unknown(&tx, &request.key)?;
            Known::Nothing
        }
    })
}

/// The WIT function `effects.finished-after`.
pub fn finished_after(
    env: &impl Environment,
    key: &EffectKey,
    limit: u32,
    max_bytes: u64,
) -> Result<Vec<FinishedEffect>> {
    let tx = env.begin(TransactionMode::Read)?;
    effect_row::finished_after(&tx, key, limit, max_bytes)
}

/// What a row says to somebody who wants the result for a digest.
fn known(row: &EffectRow, recorded: Option<Recorded>, envelope_hash: &str, now_ms: i64) -> Known {
    if row.envelope_hash != envelope_hash {
        return Known::Conflict;
    }
    match recorded {
        Some(recorded) => Known::Finished((recorded, row.due_at_ms.map(unsigned))),
        None if row.status == Status::Claimed && row.lease_expires_ms > now_ms => {
            Known::Busy(Busy {
                expires_at_ms: unsigned(row.lease_expires_ms),
                generation: unsigned(row.generation),
            })
        }
        None => Known::Nothing,
    }
}

/// The WIT function `effects.acquire`.
pub fn acquire(
    env: &impl Environment,
    request: Request,
    owner_id: String,
    ttl_ms: u64,
    delay_ms: Option<u64>,
) -> Result<Acquired> {
    let tx = env.begin(TransactionMode::Write)?;
    let now_ms = env.now_ms();
    let Request { key, envelope_hash } = request;
    let mut stored = None;
    if let Some((row, recorded)) = effect_row::find_recorded(&tx, &key)? {
        match known(&row, recorded, &envelope_hash, now_ms) {
            Known::Nothing => stored = Some(row),
            known => return Ok(Acquired::Known(known)),
        }
    }
    let due_at_ms = delay_ms.map(|delay_ms| now_ms.saturating_add(clamp(delay_ms)));
    let token = token::random(env);
    let expires_at_ms = now_ms.saturating_add(clamp(ttl_ms));
    let mut scope = match ScopeRow::find(&tx, &key.scope)? {
        Some(scope) => scope,
        None => ScopeRow::new(&tx, &key.scope)?,
    };
    scope.claim(now_ms);
    let due_at_ms = match stored {
        Some(mut row) => {
            // The first claim began the delay.
            row.due_at_ms = row.due_at_ms.or(due_at_ms);
            row.claim(owner_id, token.clone(), expires_at_ms);
            row.update(&tx)?;
            row.due_at_ms
        }
        None => {
            scope.add();
            let mut row = EffectRow::new(key.clone(), scope.id, envelope_hash, due_at_ms, now_ms);
            row.claim(owner_id, token.clone(), expires_at_ms);
            row.insert(&tx, &[])?;
            due_at_ms
        }
    };
    scope.store(&tx)?;
    tx.commit()?;
    Ok(Acquired::Claimed(Claim {
        key,
        token,
        expires_at_ms: unsigned(expires_at_ms),
        due_at_ms: due_at_ms.map(unsigned),
    }))
}

/// The effect, if the token proves a claim of it. A claim that is there and not found
/// would look as if somebody else had it.
fn find_held(tx: &impl Transaction, key: &EffectKey, token: &str) -> Result<Option<EffectRow>> {
    let found = effect_row::find(tx, key)?;
    if found.is_none() {
        effect_row::confirm_unknown(tx, key)?;
    }
    Ok(found.filter(|row| row.is_held_with(token)))
}

/// The WIT function `effects.renew`.
pub fn renew(
    env: &impl Environment,
    key: &EffectKey,
    token: &str,
    ttl_ms: u64,
) -> Result<Option<u64>> {
    let tx = env.begin(TransactionMode::Write)?;
    let expires_at_ms = env.now_ms().saturating_add(clamp(ttl_ms));
    let Some(mut row) = find_held(&tx, key, token)? else {
        return Ok(None);
    };
    row.lease_expires_ms = expires_at_ms;
    row.update(&tx)?;
    tx.commit()?;
    Ok(Some(unsigned(expires_at_ms)))
}

/// The WIT function `effects.finish`.
pub fn finish(
    env: &impl Environment,
    key: &EffectKey,
    token: &str,
    recorded: &Recorded,
) -> Result<bool> {
    let tx = env.begin(TransactionMode::WriteDurable)?;
    let now_ms = env.now_ms();
    let Some(mut row) = find_held(&tx, key, token)? else {
        return Ok(false);
    };
    row.record(&tx, recorded, now_ms)?;
    tx.commit()?;
    Ok(true)
}

/// The WIT function `effects.release`.
pub fn release(env: &impl Environment, key: &EffectKey, token: &str) -> Result<()> {
    let tx = env.begin(TransactionMode::Write)?;
    let now_ms = env.now_ms();
    let Some(mut row) = find_held(&tx, key, token)? else {
        return Ok(());
    };
    row.settle(Status::Released, now_ms);
    row.update(&tx)?;
    tx.commit()?;
    Ok(())
}

/// The WIT function `effects.generations`.
pub fn generations(env: &impl Environment, keys: &[EffectKey]) -> Result<Vec<Option<u64>>> {
    let tx = env.begin(TransactionMode::Read)?;
    let mut generations = Vec::with_capacity(keys.len());
    for key in keys {
        let row = effect_row::find(&tx, key)?;
        generations.push(row.map(|row| unsigned(row.generation)));
    }
    Ok(generations)
}
