//! Source keys of batches that were completed.
//!
//! Deleting the batch would forget its source key, and a late redelivery of the
//! same work would run again. Only a delivery of the same payloads is recognised:
//! other work under an old key is new work, and is never dropped.

use alloc::string::ToString;

use crate::Result;
use crate::bindings::session_types::{BatchDraft, DeliveryPolicy, SlotPolicy};
use crate::storage::corruption::confirm_found;
use crate::storage::findings::{Findings, Pages};
use crate::storage::rows::read_one;
use crate::storage::seam::{Transaction, Value, clamp};
use crate::storage::sql::{excluded, sql};
use crate::storage::table::table;

use super::CompletedBatches;
use super::row::{BatchRow, PackedPayloads, load_claimed};

table! {
    /// A batch that was completed, by its source key.
    pub(super) struct CompletedRow<'r> in "completed_sources", named by source_key {
        session_id: &'r str,
        source_key: &'r str,
        payload_digest: &'r [u8],
        seq: i64,
        batch_id: &'r str,
        delivery: DeliveryPolicy,
        slot: SlotPolicy,
        merge_key: &'r str,
        available_at_ms: i64,
        enqueued_at_ms: i64,
        completed_at_ms: i64,
    }
}

/// The rows from a session and a source key on, in order.
pub(super) const FROM: &str = sql!(
    CompletedRow::SELECT,
    "WHERE (session_id, source_key) >= (?1, ?2) ORDER BY session_id, source_key LIMIT ?3"
);

impl CompletedRow<'_> {
    /// Writes the row in place of the one with its key.
    fn store(&self, tx: &impl Transaction) -> Result<()> {
        tx.execute(
            sql!(
                CompletedRow::INSERT,
                " ON CONFLICT (session_id, source_key) DO UPDATE SET ",
                excluded!(
                    payload_digest,
                    seq,
                    batch_id,
                    delivery,
                    slot,
                    merge_key,
                    available_at_ms,
                    enqueued_at_ms,
                    completed_at_ms,
                    checksum
                )
            ),
            &self.values(),
        )?;
        Ok(())
    }

    /// The batch as it was when it was not claimed yet.
    pub(super) fn to_batch_row(&self) -> BatchRow {
        BatchRow {
            seq: self.seq,
            batch_id: self.batch_id.to_string(),
            session_id: self.session_id.to_string(),
            source_key: Some(self.source_key.to_string()),
            delivery: self.delivery,
            slot: self.slot,
            merge_key: self.merge_key.to_string(),
            available_at_ms: self.available_at_ms,
            enqueued_at_ms: self.enqueued_at_ms,
            claim_id: None,
            lease_token: None,
            fencing_token: 0,
            lease_expires_ms: 0,
        }
    }
}

/// Remembers the source keys of batches that are about to be deleted.
pub(super) fn remember(
    tx: &impl Transaction,
    completed: &CompletedBatches,
    now_ms: i64,
) -> Result<()> {
    let mut of_claim: Option<(&str, PackedPayloads)> = None;
    for (row, _) in completed.values() {
        let (Some(source_key), Some(claim_id)) = (&row.source_key, row.claim_id.as_deref()) else {
            continue;
        };
        // Most batches belong to the claim of the one before.
        let payloads = match &mut of_claim {
            Some((id, payloads)) if *id == claim_id => payloads,
            _ => &mut of_claim.insert((claim_id, load_claimed(tx, claim_id)?)).1,
        };
        let digest = blake3::hash(&payloads.take(row.seq)?);
        let completed = CompletedRow {
            session_id: &row.session_id,
            source_key,
            payload_digest: digest.as_bytes(),
            seq: row.seq,
            batch_id: &row.batch_id,
            delivery: row.delivery,
            slot: row.slot,
            merge_key: &row.merge_key,
            available_at_ms: row.available_at_ms,
            enqueued_at_ms: row.enqueued_at_ms,
            completed_at_ms: now_ms,
        };
        completed.store(tx)?;
    }
    Ok(())
}

/// The batch that a draft repeats, if one with its source key and payloads was
/// completed.
pub(super) fn find(
    tx: &impl Transaction,
    draft: &BatchDraft,
    source_key: &str,
    packed: &[u8],
) -> Result<Option<BatchRow>> {
    let rows = tx.query(
        sql!(
            CompletedRow::SELECT,
            "WHERE session_id = ?1 AND source_key = ?2"
        ),
        &[Value::Text(&draft.session_id), Value::Text(source_key)],
    )?;
    let row = read_one(CompletedRow::TABLE, &rows, |reader| {
        let row = CompletedRow::read(reader)?;
        let found = row.session_id == draft.session_id && row.source_key == source_key;
        confirm_found(CompletedRow::TABLE, source_key, found)?;
        Ok(row)
    })?;
    let repeated = row.filter(|row| row.payload_digest == blake3::hash(packed).as_bytes());
    Ok(repeated.map(|row| row.to_batch_row()))
}

const PAGES: Pages = Pages {
    table: CompletedRow::TABLE,
    sql: FROM,
    columns: CompletedRow::WIDTH,
    size: 1024,
};

/// Checks every completed source key.
pub(super) fn verify_all(tx: &impl Transaction, findings: &mut Findings) -> Result<()> {
    findings.walk_names(tx, &PAGES, &mut |_, reader| {
        CompletedRow::read(reader).map(|_| ())
    })
}

/// Forgets the source keys of batches that were completed before a time, `limit` at most;
/// returns how many.
pub(crate) fn forget(tx: &impl Transaction, before_ms: i64, limit: u64) -> Result<u64> {
    Ok(tx.execute(
        "DELETE FROM completed_sources WHERE (session_id, source_key) IN (
             SELECT session_id, source_key FROM completed_sources
             WHERE completed_at_ms < ?1 LIMIT ?2)",
        &[Value::Integer(before_ms), Value::Integer(clamp(limit))],
    )?)
}
