//! Source keys of batches that were completed.
//!
//! Deleting the batch would forget its source key, and a late redelivery of the
//! same work would run again. Only a delivery of the same payloads is recognised:
//! other work under an old key is new work, and is never dropped.

use alloc::string::ToString;

use crate::Result;
use crate::bindings::exports::lash::store::queue::Draft;
use crate::storage::checksum::Checksum;
use crate::storage::corruption::{corrupt, verify};
use crate::storage::findings::{Findings, Pages};
use crate::storage::rows::RowReader;
use crate::storage::seam::{Transaction, Value};

use super::CompletedBatches;
use super::row::{
    BatchRow, PackedPayloads, delivery_code, delivery_from_code, load_claimed, slot_code,
    slot_from_code,
};

pub(super) const TABLE: &str = "completed_sources";

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
        insert(tx, row, source_key, digest.as_bytes(), now_ms)?;
    }
    Ok(())
}

fn insert(
    tx: &impl Transaction,
    row: &BatchRow,
    source_key: &str,
    digest: &[u8],
    now_ms: i64,
) -> Result<()> {
    tx.execute(
        "INSERT INTO completed_sources (session_id, source_key, payload_digest, seq, batch_id,
             delivery, slot, merge_key, available_at_ms, enqueued_at_ms, completed_at_ms, checksum)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (session_id, source_key) DO UPDATE SET
             payload_digest = excluded.payload_digest,
             seq = excluded.seq,
             batch_id = excluded.batch_id,
             delivery = excluded.delivery,
             slot = excluded.slot,
             merge_key = excluded.merge_key,
             available_at_ms = excluded.available_at_ms,
             enqueued_at_ms = excluded.enqueued_at_ms,
             completed_at_ms = excluded.completed_at_ms,
             checksum = excluded.checksum",
        &[
            Value::Text(&row.session_id),
            Value::Text(source_key),
            Value::Blob(digest),
            Value::Integer(row.seq),
            Value::Text(&row.batch_id),
            Value::Integer(delivery_code(row.delivery)),
            Value::Integer(slot_code(row.slot)),
            Value::Text(&row.merge_key),
            Value::Integer(row.available_at_ms),
            Value::Integer(row.enqueued_at_ms),
            Value::Integer(now_ms),
            Value::Integer(checksum(row, source_key, digest, now_ms)),
        ],
    )?;
    Ok(())
}

/// The batch that a draft repeats, if one with its source key and payloads was
/// completed.
pub(super) fn find(
    tx: &impl Transaction,
    draft: &Draft,
    source_key: &str,
    packed: &[u8],
) -> Result<Option<BatchRow>> {
    let rows = tx.query(
        "SELECT payload_digest, seq, batch_id, delivery, slot, merge_key, available_at_ms,
                enqueued_at_ms, completed_at_ms, checksum
         FROM completed_sources WHERE session_id = ?1 AND source_key = ?2",
        &[Value::Text(&draft.session_id), Value::Text(source_key)],
    )?;
    let mut reader = RowReader::new(TABLE, &rows);
    if !reader.advance() {
        return Ok(None);
    }
    let (row, digest, _) = read(&mut reader, &draft.session_id, source_key)?;
    Ok((digest == blake3::hash(packed).as_bytes()).then_some(row))
}

/// Reads and checks what comes after the session and the source key; returns the
/// digest of the payloads and when they were completed too.
pub(super) fn read<'r>(
    reader: &mut RowReader<'r>,
    session_id: &str,
    source_key: &str,
) -> Result<(BatchRow, &'r [u8], i64)> {
    let digest = reader.blob()?;
    let seq = reader.integer()?;
    let batch_id = reader.text()?.to_string();
    let delivery = delivery_from_code(reader.integer()?);
    let slot = slot_from_code(reader.integer()?);
    let merge_key = reader.text()?.to_string();
    let available_at_ms = reader.integer()?;
    let enqueued_at_ms = reader.integer()?;
    let completed_at_ms = reader.integer()?;
    let stored = reader.integer()?;
    let (Some(delivery), Some(slot)) = (delivery, slot) else {
        return Err(corrupt(TABLE, source_key, "a policy is unknown"));
    };
    let row = BatchRow {
        seq,
        batch_id,
        session_id: session_id.to_string(),
        source_key: Some(source_key.to_string()),
        delivery,
        slot,
        merge_key,
        available_at_ms,
        enqueued_at_ms,
        claim_id: None,
        lease_token: None,
        fencing_token: 0,
        lease_expires_ms: 0,
    };
    verify(
        TABLE,
        source_key,
        stored,
        checksum(&row, source_key, digest, completed_at_ms),
    )?;
    Ok((row, digest, completed_at_ms))
}

const PAGES: Pages = Pages {
    table: TABLE,
    sql: "SELECT session_id, source_key, payload_digest, seq, batch_id, delivery, slot, merge_key,
                 available_at_ms, enqueued_at_ms, completed_at_ms, checksum
          FROM completed_sources WHERE (session_id, source_key) >= (?1, ?2)
          ORDER BY session_id, source_key LIMIT ?3",
    columns: 12,
    size: 1024,
};

/// Checks every completed source key.
pub(super) fn verify_all(tx: &impl Transaction, findings: &mut Findings) -> Result<()> {
    findings.walk_names(tx, &PAGES, &mut |_, reader| {
        let session_id = reader.text()?;
        let source_key = reader.text()?;
        read(reader, session_id, source_key).map(|_| ())
    })
}

/// Forgets the source keys of batches that were completed before a time; returns
/// how many.
pub(crate) fn forget(tx: &impl Transaction, before_ms: i64) -> Result<u64> {
    Ok(tx.execute(
        "DELETE FROM completed_sources WHERE completed_at_ms < ?1",
        &[Value::Integer(before_ms)],
    )?)
}

fn checksum(row: &BatchRow, source_key: &str, digest: &[u8], completed_at_ms: i64) -> i64 {
    Checksum::of(TABLE)
        .bytes(row.session_id.as_bytes())
        .bytes(source_key.as_bytes())
        .bytes(digest)
        .integer(row.seq)
        .bytes(row.batch_id.as_bytes())
        .integer(delivery_code(row.delivery))
        .integer(slot_code(row.slot))
        .bytes(row.merge_key.as_bytes())
        .integer(row.available_at_ms)
        .integer(row.enqueued_at_ms)
        .integer(completed_at_ms)
        .finish()
}
