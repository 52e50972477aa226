//! The work queue.

use crate::bindings::exports::lash::store::queue::Guest;
use crate::bindings::sqlite::TransactionMode::*;
use crate::*;

impl Guest for Minimal {
    fn enqueue(db: &Database, draft: BatchDraft) -> Result<Batch> {
        within(db, WriteDurable, |session| {
            let payloads: ByteStrings = draft.payloads.into_iter().collect();
            let source = (&draft.session_id, &draft.source_key);
            let has_source = |batch: &&Batch| (&batch.session_id, &batch.source_key) == source;
            let completed = session.completed.iter().map(|(batch, _)| batch);
            let mut completed = completed.filter(|batch| batch.payloads == payloads);
            let mut known = session.queue.iter().map(|queued| &queued.batch);
            let known = known.find(has_source);
            let known = known.or_else(|| completed.find(has_source));
            if let (Some(batch), Some(_)) = (known, &draft.source_key) {
                return Ok(batch.clone());
            }
            let batch = Batch {
                id: format!("qwb:{}", random_hex(4)),
                session_id: draft.session_id,
                sequence: session.next_number(),
                source_key: draft.source_key,
                delivery: draft.delivery,
                slot: draft.slot,
                merge_key: draft.merge_key,
                available_at_ms: draft.available_at_ms.min(i64::MAX as u64),
                enqueued_at_ms: now_ms(),
                payloads,
            };
            session.queue.push(Queued {
                batch: batch.clone(),
                claim: None,
                expires_at_ms: 0,
            });
            Ok(batch)
        })
    }

    fn claim(db: &Database, request: ClaimRequest) -> Result<Option<HeldClaim>> {
        // Most calls find nothing, and need not wait for the write lock to learn it.
        let is_idle = |session: &mut Session| session.claimable(&request, now_ms()).is_empty();
        if within(db, Read, |session| Ok(is_idle(session)))? {
            return Ok(None);
        }
        within(db, Write, |session| {
            let (claimed_at_ms, fencing_token) = (now_ms(), session.next_number());
            let expires_at_ms = expiry(claimed_at_ms, request.lease_ttl_ms);
            let mut taken = session.claimable(&request, claimed_at_ms);
            let batches: Vec<Batch> = taken.iter().map(|queued| queued.batch.clone()).collect();
            let same = |ids: &Vec<String>| ids.iter().eq(batches.iter().map(|batch| &batch.id));
            let wanted = request.exactly.as_ref().is_none_or(same);
            let Some(first) = batches.first().filter(|_| wanted) else {
                return Ok(None);
            };
            let id = format!("qwc:{}:{fencing_token}", first.sequence);
            let lease_token = random_hex(2);
            for queued in &mut taken {
                queued.claim = Some((id.clone(), lease_token.clone()));
                queued.expires_at_ms = expires_at_ms;
            }
            Ok(Some(HeldClaim {
                session_id: request.session_id,
                id,
                owner_id: request.owner_id,
                lease_token,
                fencing_token,
                claimed_at_ms,
                expires_at_ms,
                batches,
            }))
        })
    }

    fn renew(db: &Database, held: Completion, lease_ttl_ms: u64) -> Result<Option<u64>> {
        within(db, Write, |session| {
            if !session.holds_exactly(&held) {
                return Ok(None);
            }
            let expires_at_ms = expiry(now_ms(), lease_ttl_ms);
            for queued in session.held_by(&held) {
                queued.expires_at_ms = expires_at_ms;
            }
            Ok(Some(expires_at_ms))
        })
    }

    fn abandon(db: &Database, held: Completion) -> Result<u64> {
        within(db, Write, |session| {
            let batches = session.held_by(&held);
            let batches = batches.filter(|queued| held.batch_ids.contains(&queued.batch.id));
            let released = batches.map(|queued| (queued.claim, queued.expires_at_ms) = (None, 0));
            Ok(released.count() as u64)
        })
    }

    fn cancel(db: &Database, session_id: String, batch_id: String) -> Result<Option<Batch>> {
        within(db, WriteDurable, |session| {
            let now_ms = now_ms();
            let mut found = session.queue.extract_if(.., |queued| {
                let is_named = queued.batch.id == batch_id && queued.batch.session_id == session_id;
                is_named && queued.expires_at_ms <= now_ms
            });
            Ok(found.next().map(|queued| queued.batch))
        })
    }

    fn list(db: &Database, id: String, pending_only: bool, _: Option<Cursor>) -> Result<BatchPage> {
        let free_at = if pending_only { now_ms() } else { u64::MAX };
        within(db, Read, |session| {
            let free = session
                .queue
                .iter()
                .filter(|queued| queued.expires_at_ms <= free_at);
            let batches = free.map(|queued| queued.batch.clone());
            let batches = batches.filter(|batch| batch.session_id == id).collect();
            let next = None;
            Ok(BatchPage { batches, next })
        })
    }
}

fn expiry(now_ms: u64, ttl_ms: u64) -> u64 {
    now_ms.saturating_add(ttl_ms).min(i64::MAX as u64)
}

impl Queued {
    fn is_held(&self, held: &Completion) -> bool {
        let claim = self.claim.as_ref().map(|(id, token)| (id, token));
        claim == Some((&held.claim_id, &held.lease_token))
            && self.batch.session_id == held.session_id
    }
}

impl Session {
    /// The batches that a claim takes: the first that is ready, and those that join it.
    fn claimable(&mut self, request: &ClaimRequest, now_ms: u64) -> Vec<&mut Queued> {
        let mut taken: Vec<&mut Queued> = Vec::new();
        let group = |batch: &Batch| (batch.slot, batch.delivery, batch.merge_key.clone());
        for queued in &mut self.queue {
            let batch = &queued.batch;
            if batch.session_id != request.session_id
                || batch.available_at_ms.max(queued.expires_at_ms) > now_ms
            {
                continue;
            }
            let joins = taken.first().is_none_or(|first| {
                batch.slot == SlotPolicy::Join && group(batch) == group(&first.batch)
            });
            let waits = request.boundary == Boundary::ActiveTurnCheckpoint
                && batch.delivery == DeliveryPolicy::AfterCurrentTurnCommit;
            if waits || !joins || taken.len() as u64 >= request.max_batches {
                break;
            }
            taken.push(queued);
        }
        taken
    }

    /// The batches that a claim still holds.
    fn held_by(&mut self, held: &Completion) -> impl Iterator<Item = &mut Queued> {
        let batches = self.queue.iter_mut();
        batches.filter(|queued| queued.is_held(held))
    }

    /// Whether a claim holds exactly the batches that it names.
    fn holds_exactly(&mut self, held: &Completion) -> bool {
        let batches = self.held_by(held);
        let mut ids: Vec<&String> = batches.map(|queued| &queued.batch.id).collect();
        let mut named: Vec<&String> = held.batch_ids.iter().collect();
        ids.sort();
        named.sort();
        ids == named
    }

    /// Returns the first claim that a commit cannot complete.
    pub(crate) fn find_lost(&mut self, id: &str, claims: &[Completion]) -> Option<Completion> {
        let mut is_held = |held: &Completion| held.session_id == id && self.holds_exactly(held);
        claims.iter().find(|held| !is_held(held)).cloned()
    }

    /// Removes the batches of a claim, and remembers those with a source key.
    pub(crate) fn complete(&mut self, held: &Completion) -> Result<()> {
        let batches = self.queue.extract_if(.., |queued| queued.is_held(held));
        let batches: Vec<Batch> = batches.map(|queued| queued.batch).collect();
        if batches.is_empty() && !held.batch_ids.is_empty() {
            return Err(invalid("two completions are of one claim"));
        }
        let source = |batch: &Batch| (batch.session_id.clone(), batch.source_key.clone());
        let has_key = |batch: &Batch| batch.source_key.is_some();
        for batch in batches.into_iter().filter(has_key) {
            let completed = &mut self.completed;
            completed.retain(|(other, _)| source(other) != source(&batch));
            completed.push((batch, now_ms()));
        }
        Ok(())
    }
}
