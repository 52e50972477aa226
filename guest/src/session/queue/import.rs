//! Adding batches of another program, with the numbers and claims that they had.

use alloc::vec::Vec;

use crate::Result;
use crate::bindings::import_types::ImportedBatch;
use crate::bindings::sqlite::ErrorCode;
use crate::bindings::types::Error;
use crate::session::digests::SessionTransaction;
use crate::storage::corruption::invalid;
use crate::storage::numbers;
use crate::storage::pack;
use crate::storage::seam::{Environment, clamp};

use super::row::{self, BatchRow};

/// The WIT function `session-import.add-batches`.
pub fn add(env: &impl Environment, batches: Vec<ImportedBatch>) -> Result<()> {
    let mut session = SessionTransaction::write(env)?;
    let mut claimed = Vec::new();
    for ImportedBatch {
        batch,
        claim,
        fencing_token,
    } in batches
    {
        let seq = numbers::take_over(&mut session.digests.next_batch, batch.sequence)
            .ok_or_else(|| invalid(["the batch ", &batch.id, " is out of order"].concat()))?;
        let mut row = BatchRow {
            seq,
            batch_id: batch.id,
            session_id: batch.session_id,
            source_key: batch.source_key,
            delivery: batch.delivery,
            slot: batch.slot,
            merge_key: batch.merge_key,
            available_at_ms: clamp(batch.available_at_ms),
            enqueued_at_ms: clamp(batch.enqueued_at_ms),
            claim_id: None,
            lease_token: None,
            fencing_token: clamp(fencing_token),
            lease_expires_ms: 0,
        };
        row.insert(&session.tx).map_err(repeated)?;
        let payloads = batch.payloads.split();
        let payloads = payloads.ok_or_else(|| invalid("payloads end out of order"))?;
        row::insert_payloads(&session.tx, seq, &pack::pack(&payloads))?;
        if let Some(claim) = claim {
            row.claim_id = Some(claim.id);
            row.lease_token = Some(claim.lease_token);
            row.lease_expires_ms = clamp(claim.expires_at_ms);
        }
        let checksum = row.checksum();
        session.digests.batches.insert(checksum);
        if row.claim_id.is_some() {
            claimed.push((row, checksum));
        }
    }
    row::update_claims(&session.tx, &claimed)?;
    session.commit()
}

fn repeated(error: Error) -> Error {
    match error {
        Error::Sqlite(error) if matches!(error.code, ErrorCode::Constraint) => {
            invalid("a batch of this name, or with this source key, is stored already")
        }
        error => error,
    }
}
