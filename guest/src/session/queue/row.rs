//! Rows of `queued_batches` and `queued_payloads`.

use alloc::string::{String, ToString};
use alloc::vec::{self, Vec};

use crate::Result;
use crate::bindings::exports::lash::store::queue::{Batch, DeliveryPolicy, SlotPolicy};
use crate::storage::checksum::Checksum;
use crate::storage::corruption::{confirm_found, corrupt, missing, verify};
use crate::storage::pack;
use crate::storage::rows::{RowReader, read_all, read_one};
use crate::storage::seam::{Transaction, Value, execute_rows, optional_text, unsigned};

use super::selection::Candidate;

pub(super) const TABLE: &str = "queued_batches";
pub(super) const PAYLOADS: &str = "queued_payloads";

/// A batch without its payloads.
pub(crate) struct BatchRow {
    pub(super) seq: i64,
    pub(super) batch_id: String,
    pub(super) session_id: String,
    pub(super) source_key: Option<String>,
    pub(super) delivery: DeliveryPolicy,
    pub(super) slot: SlotPolicy,
    pub(super) merge_key: String,
    pub(super) available_at_ms: i64,
    pub(super) enqueued_at_ms: i64,
    pub(super) claim_id: Option<String>,
    pub(super) lease_token: Option<String>,
    pub(super) fencing_token: i64,
    /// 0 if it is not claimed.
    pub(super) lease_expires_ms: i64,
}

pub(super) fn delivery_code(delivery: DeliveryPolicy) -> i64 {
    match delivery {
        DeliveryPolicy::EarliestSafeBoundary => 0,
        DeliveryPolicy::AfterCurrentTurnCommit => 1,
    }
}

pub(super) fn delivery_from_code(code: i64) -> Option<DeliveryPolicy> {
    match code {
        0 => Some(DeliveryPolicy::EarliestSafeBoundary),
        1 => Some(DeliveryPolicy::AfterCurrentTurnCommit),
        _ => None,
    }
}

pub(super) fn slot_code(slot: SlotPolicy) -> i64 {
    match slot {
        SlotPolicy::Join => 0,
        SlotPolicy::Exclusive => 1,
    }
}

pub(super) fn slot_from_code(code: i64) -> Option<SlotPolicy> {
    match code {
        0 => Some(SlotPolicy::Join),
        1 => Some(SlotPolicy::Exclusive),
        _ => None,
    }
}

impl BatchRow {
    /// Reads and checks the columns that [`select_batches!`] names;
    /// returns the checksum too.
    pub(super) fn read(reader: &mut RowReader<'_>) -> Result<(Self, i64)> {
        let seq = reader.integer()?;
        let batch_id = reader.text()?.to_string();
        let session_id = reader.text()?.to_string();
        let source_key = reader.optional_text()?.map(ToString::to_string);
        let delivery = delivery_from_code(reader.integer()?);
        let slot = slot_from_code(reader.integer()?);
        let merge_key = reader.text()?.to_string();
        let available_at_ms = reader.integer()?;
        let enqueued_at_ms = reader.integer()?;
        let claim_id = reader.optional_text()?.map(ToString::to_string);
        let lease_token = reader.optional_text()?.map(ToString::to_string);
        let fencing_token = reader.integer()?;
        let lease_expires_ms = reader.integer()?;
        let stored = reader.integer()?;
        let (Some(delivery), Some(slot)) = (delivery, slot) else {
            return Err(corrupt(TABLE, batch_id, "a policy is unknown"));
        };
        let row = Self {
            seq,
            batch_id,
            session_id,
            source_key,
            delivery,
            slot,
            merge_key,
            available_at_ms,
            enqueued_at_ms,
            claim_id,
            lease_token,
            fencing_token,
            lease_expires_ms,
        };
        verify(TABLE, &row.batch_id, stored, row.checksum())?;
        Ok((row, stored))
    }

    pub(super) fn checksum(&self) -> i64 {
        Checksum::of(TABLE)
            .integer(self.seq)
            .bytes(self.batch_id.as_bytes())
            .bytes(self.session_id.as_bytes())
            .optional(self.source_key.as_deref().map(str::as_bytes))
            .integer(delivery_code(self.delivery))
            .integer(slot_code(self.slot))
            .bytes(self.merge_key.as_bytes())
            .integer(self.available_at_ms)
            .integer(self.enqueued_at_ms)
            .optional(self.claim_id.as_deref().map(str::as_bytes))
            .optional(self.lease_token.as_deref().map(str::as_bytes))
            .integer(self.fencing_token)
            .integer(self.lease_expires_ms)
            .finish()
    }

    pub(super) fn candidate(&self) -> Candidate<'_> {
        Candidate {
            delivery: self.delivery,
            slot: self.slot,
            merge_key: &self.merge_key,
        }
    }

    pub(super) fn is_held_by(&self, session_id: &str, claim_id: &str, lease_token: &str) -> bool {
        self.session_id == session_id
            && self.claim_id.as_deref() == Some(claim_id)
            && self.lease_token.as_deref() == Some(lease_token)
    }

    /// Writes a new row.
    pub(super) fn insert(&self, tx: &impl Transaction) -> Result<()> {
        tx.execute(
            "INSERT INTO queued_batches (seq, batch_id, session_id, source_key, delivery, slot,
                 merge_key, available_at_ms, enqueued_at_ms, fencing_token, lease_expires_ms,
                 checksum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            &[
                Value::Integer(self.seq),
                Value::Text(&self.batch_id),
                Value::Text(&self.session_id),
                optional_text(self.source_key.as_deref()),
                Value::Integer(delivery_code(self.delivery)),
                Value::Integer(slot_code(self.slot)),
                Value::Text(&self.merge_key),
                Value::Integer(self.available_at_ms),
                Value::Integer(self.enqueued_at_ms),
                Value::Integer(self.fencing_token),
                Value::Integer(self.lease_expires_ms),
                Value::Integer(self.checksum()),
            ],
        )?;
        Ok(())
    }

    pub(super) fn into_batch(self, payloads: Vec<Vec<u8>>) -> Batch {
        Batch {
            id: self.batch_id,
            session_id: self.session_id,
            sequence: unsigned(self.seq),
            source_key: self.source_key,
            delivery: self.delivery,
            slot: self.slot,
            merge_key: self.merge_key,
            available_at_ms: unsigned(self.available_at_ms),
            enqueued_at_ms: unsigned(self.enqueued_at_ms),
            payloads,
        }
    }
}

/// A query for all columns of the batches that a condition selects.
macro_rules! select_batches {
    ($condition:literal) => {
        concat!(
            "SELECT seq, batch_id, session_id, source_key, delivery, slot, merge_key, ",
            "available_at_ms, enqueued_at_ms, claim_id, lease_token, fencing_token, ",
            "lease_expires_ms, checksum FROM queued_batches ",
            $condition
        )
    };
}
pub(super) use select_batches;

/// Writes the columns of the claims of batches.
pub(super) fn update_claims(tx: &impl Transaction, batches: &[(BatchRow, i64)]) -> Result<()> {
    let rows: Vec<[Value<'_>; 6]> = batches
        .iter()
        .map(|(row, _)| {
            [
                Value::Integer(row.seq),
                optional_text(row.claim_id.as_deref()),
                optional_text(row.lease_token.as_deref()),
                Value::Integer(row.fencing_token),
                Value::Integer(row.lease_expires_ms),
                Value::Integer(row.checksum()),
            ]
        })
        .collect();
    execute_rows(
        tx,
        "UPDATE queued_batches
         SET claim_id = ?2, lease_token = ?3, fencing_token = ?4, lease_expires_ms = ?5,
             checksum = ?6
         WHERE seq = ?1",
        &rows,
    )?;
    Ok(())
}

/// Removes batches and their payloads.
pub(super) fn delete<'a>(
    tx: &impl Transaction,
    seqs: impl IntoIterator<Item = &'a i64>,
) -> Result<()> {
    let rows: Vec<[Value<'_>; 1]> = seqs.into_iter().map(|seq| [Value::Integer(*seq)]).collect();
    execute_rows(tx, "DELETE FROM queued_batches WHERE seq = ?1", &rows)?;
    execute_rows(tx, "DELETE FROM queued_payloads WHERE seq = ?1", &rows)?;
    Ok(())
}

/// Finds a batch by its identifier.
pub(super) fn find(tx: &impl Transaction, batch_id: &str) -> Result<Option<(BatchRow, i64)>> {
    let rows = tx.query(
        select_batches!("WHERE batch_id = ?1"),
        &[Value::Text(batch_id)],
    )?;
    read_one(TABLE, &rows, |reader| {
        let (row, checksum) = BatchRow::read(reader)?;
        confirm_found(TABLE, batch_id, row.batch_id == batch_id)?;
        Ok((row, checksum))
    })
}

/// Writes the payloads of a new batch.
pub(super) fn insert_payloads(tx: &impl Transaction, seq: i64, packed: &[u8]) -> Result<()> {
    tx.execute(
        "INSERT INTO queued_payloads (seq, checksum, payloads) VALUES (?1, ?2, ?3)",
        &[
            Value::Integer(seq),
            Value::Integer(payload_checksum(seq, packed)),
            Value::Blob(packed),
        ],
    )?;
    Ok(())
}

/// Reads `seq, checksum, payloads` and checks them; returns the packed payloads.
pub(super) fn read_packed(reader: &mut RowReader<'_>) -> Result<(i64, Vec<u8>)> {
    let seq = reader.integer()?;
    let stored = reader.integer()?;
    let packed = reader.blob()?;
    verify(PAYLOADS, seq, stored, payload_checksum(seq, packed))?;
    Ok((seq, packed.to_vec()))
}

/// Reads the payloads of a batch.
pub(super) fn load_payloads(tx: &impl Transaction, seq: i64) -> Result<Vec<Vec<u8>>> {
    let rows = tx.query(
        "SELECT seq, checksum, payloads FROM queued_payloads WHERE seq = ?1",
        &[Value::Integer(seq)],
    )?;
    let found = read_one(PAYLOADS, &rows, read_packed)?;
    let (_, packed) = found.ok_or_else(|| missing(PAYLOADS, seq))?;
    unpack(seq, &packed)
}

/// Packed payloads of several batches, in queue order.
pub(super) struct PackedPayloads(vec::IntoIter<(i64, Vec<u8>)>);

impl PackedPayloads {
    /// The packed payloads of a batch. Batches are asked for in queue order.
    pub(super) fn take(&mut self, seq: i64) -> Result<Vec<u8>> {
        let found = self.0.find(|(found, _)| *found == seq);
        found
            .map(|(_, packed)| packed)
            .ok_or_else(|| missing(PAYLOADS, seq))
    }
}

/// Reads the packed payloads of the batches of a claim.
pub(super) fn load_claimed(tx: &impl Transaction, claim_id: &str) -> Result<PackedPayloads> {
    let rows = tx.query(
        "SELECT p.seq, p.checksum, p.payloads
         FROM queued_batches b JOIN queued_payloads p ON p.seq = b.seq
         WHERE b.claim_id = ?1 ORDER BY b.seq",
        &[Value::Text(claim_id)],
    )?;
    Ok(PackedPayloads(
        read_all(PAYLOADS, &rows, read_packed)?.into_iter(),
    ))
}

/// The payloads of a batch, of what they were packed to.
pub(super) fn unpack(seq: i64, packed: &[u8]) -> Result<Vec<Vec<u8>>> {
    pack::unpack(packed).ok_or_else(|| corrupt(PAYLOADS, seq, "the payloads are damaged"))
}

fn payload_checksum(seq: i64, packed: &[u8]) -> i64 {
    Checksum::of(PAYLOADS).integer(seq).bytes(packed).finish()
}
