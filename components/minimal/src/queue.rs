//! The work queue.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::Minimal;
use crate::bindings::exports::lash::store::queue::Guest;
use crate::bindings::session_types::{
    Batch, BatchDraft, Boundary, ClaimRequest, Completion, DeliveryPolicy, HeldClaim, SlotPolicy,
};
use crate::bindings::sqlite::{Database, TransactionMode::*};
use crate::bindings::wasi::random::random::get_random_u64;
use crate::sql::{Param, Result, Tx, now_ms, record, within};

record!(Batch: id, session_id, sequence, source_key, delivery, slot, merge_key, available_at_ms,
    enqueued_at_ms, payloads);

fn random_hex(words: usize) -> String {
    (0..words)
        .map(|_| format!("{:016x}", get_random_u64()))
        .collect()
}

impl Guest for Minimal {
    fn enqueue(db: &Database, draft: BatchDraft) -> Result<Batch> {
        within(db, WriteDurable, |tx| {
            let queued = "SELECT * FROM batches WHERE session_id = ?1 AND source_key = ?2";
            if let Some(batch) = tx.one(queued, &[&draft.session_id, &draft.source_key])? {
                return Ok(batch);
            }
            let completed = "SELECT * FROM completed
                             WHERE session_id = ?1 AND source_key = ?2 AND payloads = ?3";
            let source: [&dyn Param; 3] = [&draft.session_id, &draft.source_key, &draft.payloads];
            if let Some(batch) = tx.one(completed, &source)? {
                return Ok(batch);
            }
            let next = "UPDATE state SET last_batch = last_batch + 1 RETURNING last_batch";
            let batch = Batch {
                id: format!("qwb:{}", random_hex(4)),
                session_id: draft.session_id,
                sequence: tx.number(next)?,
                source_key: draft.source_key,
                delivery: draft.delivery,
                slot: draft.slot,
                merge_key: draft.merge_key,
                available_at_ms: draft.available_at_ms.min(i64::MAX as u64),
                enqueued_at_ms: now_ms(),
                payloads: draft.payloads,
            };
            let insert = "INSERT INTO batches
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, NULL, NULL, 0)";
            tx.run(insert, &batch.params())?;
            Ok(batch)
        })
    }

    fn claim(db: &Database, request: ClaimRequest) -> Result<Option<HeldClaim>> {
        // Most calls find nothing, and need not wait for the write lock to learn it.
        if within(db, Read, |tx| claimable(tx, &request, now_ms()))?.is_empty() {
            return Ok(None);
        }
        within(db, Write, |tx| {
            let claimed_at_ms = now_ms();
            let batches = claimable(tx, &request, claimed_at_ms)?;
            let same = |ids: &Vec<String>| ids.iter().eq(batches.iter().map(|batch| &batch.id));
            let wanted = request.exactly.as_ref().is_none_or(same);
            let Some(first) = batches.first().filter(|_| wanted) else {
                return Ok(None);
            };
            let next = "UPDATE state SET last_claim = last_claim + 1 RETURNING last_claim";
            let fencing_token = tx.number(next)?;
            let id = format!("qwc:{}:{fencing_token}", first.sequence);
            let lease_token = random_hex(2);
            let expires_at_ms = expiry(claimed_at_ms, request.lease_ttl_ms);
            for batch in &batches {
                let sql = "UPDATE batches SET claim = ?2, token = ?3, expires_ms = ?4
                           WHERE seq = ?1";
                tx.run(sql, &[&batch.sequence, &id, &lease_token, &expires_at_ms])?;
            }
            Ok(Some(HeldClaim {
                session_id: request.session_id.clone(),
                id,
                owner_id: request.owner_id.clone(),
                lease_token,
                fencing_token,
                claimed_at_ms,
                expires_at_ms,
                batches,
            }))
        })
    }

    fn renew(db: &Database, held: Completion, lease_ttl_ms: u64) -> Result<Option<u64>> {
        within(db, Write, |tx| {
            let expires_at_ms = expiry(now_ms(), lease_ttl_ms);
            let Some(places) = held_exactly(tx, &held)? else {
                return Ok(None);
            };
            for seq in places {
                let sql = "UPDATE batches SET expires_ms = ?2 WHERE seq = ?1";
                tx.run(sql, &[&seq, &expires_at_ms])?;
            }
            Ok(Some(expires_at_ms))
        })
    }

    fn abandon(db: &Database, held: Completion) -> Result<u64> {
        let sql = "UPDATE batches SET claim = NULL, token = NULL, expires_ms = 0
                   WHERE id = ?1 AND session_id = ?2 AND claim = ?3 AND token = ?4";
        within(db, Write, |tx| {
            let mut abandoned = 0;
            for id in &held.batch_ids {
                let params: [&dyn Param; 4] =
                    [id, &held.session_id, &held.claim_id, &held.lease_token];
                abandoned += tx.run(sql, &params)?;
            }
            Ok(abandoned)
        })
    }

    fn cancel(db: &Database, session_id: String, batch_id: String) -> Result<Option<Batch>> {
        let sql = "DELETE FROM batches WHERE id = ?1 AND session_id = ?2 AND expires_ms <= ?3
                   RETURNING *";
        within(db, WriteDurable, |tx| {
            tx.one(sql, &[&batch_id, &session_id, &now_ms()])
        })
    }

    fn list(db: &Database, session_id: String, pending_only: bool) -> Result<Vec<Batch>> {
        let free_at = if pending_only { now_ms() } else { u64::MAX };
        let sql = "SELECT * FROM batches WHERE session_id = ?1 AND expires_ms <= ?2 ORDER BY seq";
        within(db, Read, |tx| tx.all(sql, &[&session_id, &free_at]))
    }
}

fn expiry(now_ms: u64, ttl_ms: u64) -> u64 {
    now_ms.saturating_add(ttl_ms).min(i64::MAX as u64)
}

/// The batches that a claim takes: the first that is ready, and those that join it.
fn claimable(tx: &Tx, request: &ClaimRequest, now_ms: u64) -> Result<Vec<Batch>> {
    let sql = "SELECT * FROM batches
               WHERE session_id = ?1 AND available_ms <= ?2 AND expires_ms <= ?2
               ORDER BY seq LIMIT ?3";
    let ready: Vec<Batch> = tx.all(sql, &[&request.session_id, &now_ms, &request.max_batches])?;
    let mut taken: Vec<Batch> = Vec::new();
    for batch in ready {
        let joins = taken.first().is_none_or(|first| {
            first.slot == SlotPolicy::Join
                && (first.slot, first.delivery, &first.merge_key)
                    == (batch.slot, batch.delivery, &batch.merge_key)
        });
        let waits = request.boundary == Boundary::ActiveTurnCheckpoint
            && batch.delivery == DeliveryPolicy::AfterCurrentTurnCommit;
        if waits || !joins {
            break;
        }
        taken.push(batch);
    }
    Ok(taken)
}

/// The places of the batches of a claim, if it is held on exactly those that it names.
fn held_exactly(tx: &Tx, held: &Completion) -> Result<Option<Vec<u64>>> {
    let sql = "SELECT * FROM batches WHERE claim = ?1 AND session_id = ?2 AND token = ?3
               ORDER BY id";
    let batches: Vec<Batch> =
        tx.all(sql, &[&held.claim_id, &held.session_id, &held.lease_token])?;
    let mut named: Vec<&String> = held.batch_ids.iter().collect();
    named.sort();
    let exactly = named.into_iter().eq(batches.iter().map(|batch| &batch.id));
    let places = batches.iter().map(|batch| batch.sequence).collect();
    Ok(exactly.then_some(places))
}

/// What a commit completes; the first claim that is not held is the error.
pub(crate) fn find_completed(
    tx: &Tx,
    session_id: &str,
    completions: Vec<Completion>,
) -> Result<core::result::Result<Vec<u64>, Completion>> {
    let mut completed = Vec::new();
    for completion in completions {
        match held_exactly(tx, &completion)? {
            Some(places) if completion.session_id == session_id => completed.extend(places),
            _ => return Ok(Err(completion)),
        }
    }
    Ok(Ok(completed))
}

/// Removes batches, and remembers those with a source key.
pub(crate) fn complete(tx: &Tx, places: &[u64]) -> Result<()> {
    for seq in places {
        let remember = "INSERT OR REPLACE INTO completed
            SELECT id, session_id, seq, source_key, delivery, slot, merge_key, available_ms,
                enqueued_ms, payloads, ?2 FROM batches WHERE seq = ?1 AND source_key IS NOT NULL";
        tx.run(remember, &[seq, &now_ms()])?;
        tx.run("DELETE FROM batches WHERE seq = ?1", &[seq])?;
    }
    Ok(())
}
