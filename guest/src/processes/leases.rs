//! Who works on a process.
//!
//! A lease is proved by its random token. Its fencing token says which of two
//! leases is the later one; it is never given out again in the database.

use alloc::string::ToString;

use crate::Result;
use crate::bindings::process_types::{Claimed, Lease};
use crate::processes::digests::ProcessTransaction;
use crate::storage::numbers;
use crate::storage::seam::{Environment, Transaction, TransactionMode, clamp, unsigned};
use crate::storage::token;

use super::process_row;

/// A fencing token that is higher than all before.
pub(super) fn next_fencing_token<T: Transaction>(
    transaction: &mut ProcessTransaction<T>,
) -> Result<i64> {
    let next = &mut transaction.digests.next_fencing_token;
    numbers::give_out(next, "the fencing tokens")
}

/// The WIT function `process-leases.claim`.
pub fn claim(
    env: &impl Environment,
    process_id: &str,
    owner_id: &str,
    ttl_ms: u64,
) -> Result<Claimed> {
    let mut transaction = ProcessTransaction::write(env)?;
    let now_ms = env.now_ms();
    let Some(mut process) = process_row::find(&transaction.tx, process_id)? else {
        return Ok(Claimed::Unknown);
    };
    let state = &mut process.state;
    if let Some(holder) = state.lease_owner.as_deref()
        && state.is_leased(now_ms)
        && holder != owner_id
    {
        let until_ms = unsigned(state.lease_expires_ms);
        return Ok(Claimed::Held((holder.to_string(), until_ms)));
    }
    let token = token::random(env);
    state.fencing_token = next_fencing_token(&mut transaction)?;
    state.lease_owner = Some(owner_id.to_string());
    state.lease_token = Some(token.clone());
    state.lease_claimed_ms = now_ms;
    state.lease_expires_ms = now_ms.saturating_add(clamp(ttl_ms)).max(1);
    let lease = Lease {
        process_id: process_id.to_string(),
        process_number: unsigned(process.seq),
        owner_id: owner_id.to_string(),
        token,
        fencing_token: unsigned(state.fencing_token),
        claimed_at_ms: unsigned(now_ms),
        expires_at_ms: unsigned(state.lease_expires_ms),
    };
    process.state.update(&transaction.tx, process.seq)?;
    transaction.commit()?;
    Ok(Claimed::Lease(lease))
}

/// The WIT function `process-leases.renew`.
pub fn renew(
    env: &impl Environment,
    process_id: &str,
    token: &str,
    ttl_ms: u64,
) -> Result<Option<u64>> {
    let tx = env.begin(TransactionMode::Write)?;
    let now_ms = env.now_ms();
    let Some(mut process) = process_row::find(&tx, process_id)? else {
        return Ok(None);
    };
    let state = &mut process.state;
    if state.lease_token.as_deref() != Some(token) || !state.is_leased(now_ms) {
        return Ok(None);
    }
    state.lease_expires_ms = now_ms.saturating_add(clamp(ttl_ms)).max(1);
    let expires_at_ms = unsigned(state.lease_expires_ms);
    state.update(&tx, process.seq)?;
    tx.commit()?;
    Ok(Some(expires_at_ms))
}

/// The WIT function `process-leases.release`.
pub fn release(env: &impl Environment, process_id: &str, token: &str) -> Result<()> {
    let tx = env.begin(TransactionMode::Write)?;
    let Some(mut process) = process_row::find(&tx, process_id)? else {
        return Ok(());
    };
    if process.state.release(token) {
        process.state.update(&tx, process.seq)?;
        tx.commit()?;
    }
    Ok(())
}
