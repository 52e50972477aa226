//! Rows of `queued_batches` and `queued_payloads`.

use alloc::string::String;
use alloc::vec::{self, Vec};

use crate::Result;
use crate::bindings::session_types::{Batch, DeliveryPolicy, SlotPolicy};
use crate::bindings::types::ByteStrings;
use crate::storage::corruption::{confirm_found, corrupt, missing};
use crate::storage::pack;
use crate::storage::rows::{read_all, read_one};
use crate::storage::seam::{Transaction, Value, execute_rows, unsigned};
use crate::storage::sql::sql;
use crate::storage::table::{Column, codes, table};

use super::selection::Candidate;

codes! {
    DeliveryPolicy, "a policy is unknown" {
        EarliestSafeBoundary = 0,
        AfterCurrentTurnCommit = 1,
    }
}

codes! {
    SlotPolicy, "a policy is unknown" {
        Join = 0,
        Exclusive = 1,
    }
}

table! {
    /// A batch without its payloads.
    pub(crate) struct BatchRow in "queued_batches", named by batch_id {
        seq: i64,
        batch_id: String,
        session_id: String,
        source_key: Option<String>,
        delivery: DeliveryPolicy,
        slot: SlotPolicy,
        merge_key: String,
        available_at_ms: i64,
        enqueued_at_ms: i64,
        claim_id: Option<String>,
        lease_token: Option<String>,
        fencing_token: i64,
        /// 0 if it is not claimed.
        lease_expires_ms: i64,
    }
}

table! {
    /// The packed payloads of a batch.
    pub(super) struct PayloadRow<'r> in "queued_payloads", named by seq {
        seq: i64,
        payloads: &'r [u8],
    }
}

/// The batches from a number on, in order.
pub(super) const BATCHES_FROM: &str = sql!(
    BatchRow::SELECT,
    "NOT INDEXED WHERE seq >= ?1 ORDER BY seq LIMIT ?2"
);

impl BatchRow {
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
        tx.execute(Self::INSERT, &self.values())?;
        Ok(())
    }

    pub(super) fn into_batch(self, payloads: ByteStrings) -> Batch {
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

/// Writes the columns of the claims of batches.
pub(super) fn update_claims(tx: &impl Transaction, batches: &[(BatchRow, i64)]) -> Result<()> {
    let rows: Vec<[Value<'_>; 6]> = batches
        .iter()
        .map(|(row, _)| {
            [
                Value::Integer(row.seq),
                row.claim_id.value(),
                row.lease_token.value(),
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
        sql!(BatchRow::SELECT, "WHERE batch_id = ?1"),
        &[Value::Text(batch_id)],
    )?;
    read_one(BatchRow::TABLE, &rows, |reader| {
        let (row, checksum) = BatchRow::read_with_checksum(reader)?;
        confirm_found(BatchRow::TABLE, batch_id, row.batch_id == batch_id)?;
        Ok((row, checksum))
    })
}

/// Writes the payloads of a new batch.
pub(super) fn insert_payloads(tx: &impl Transaction, seq: i64, packed: &[u8]) -> Result<()> {
    let row = PayloadRow {
        seq,
        payloads: packed,
    };
    tx.execute(PayloadRow::INSERT, &row.values())?;
    Ok(())
}

/// Reads the payloads of a batch.
pub(super) fn load_payloads(tx: &impl Transaction, seq: i64) -> Result<ByteStrings> {
    let rows = tx.query(
        sql!(PayloadRow::SELECT, "WHERE seq = ?1"),
        &[Value::Integer(seq)],
    )?;
    let row = read_one(PayloadRow::TABLE, &rows, PayloadRow::read)?
        .ok_or_else(|| missing(PayloadRow::TABLE, seq))?;
    unpack(seq, row.payloads)
}

/// Packed payloads of several batches, in queue order.
pub(super) struct PackedPayloads(vec::IntoIter<(i64, Vec<u8>)>);

impl PackedPayloads {
    /// The packed payloads of a batch. Batches are asked for in queue order.
    pub(super) fn take(&mut self, seq: i64) -> Result<Vec<u8>> {
        let found = self.0.find(|(found, _)| *found == seq);
        found
            .map(|(_, packed)| packed)
            .ok_or_else(|| missing(PayloadRow::TABLE, seq))
    }
}

/// Reads the packed payloads of the batches of a claim.
pub(super) fn load_claimed(tx: &impl Transaction, claim_id: &str) -> Result<PackedPayloads> {
    let rows = tx.query(
        sql!(
            "SELECT ",
            PayloadRow::QUALIFIED,
            " FROM queued_batches JOIN queued_payloads ON queued_payloads.seq = queued_batches.seq
             WHERE queued_batches.claim_id = ?1 ORDER BY queued_batches.seq"
        ),
        &[Value::Text(claim_id)],
    )?;
    let payloads = read_all(PayloadRow::TABLE, &rows, |reader| {
        let row = PayloadRow::read(reader)?;
        Ok((row.seq, row.payloads.to_vec()))
    })?;
    Ok(PackedPayloads(payloads.into_iter()))
}

/// The payloads of a batch, of what they were packed to.
pub(super) fn unpack(seq: i64, packed: &[u8]) -> Result<ByteStrings> {
    let payloads = pack::unpack(packed);
    payloads
        .map(ByteStrings::from_iter)
        .ok_or_else(|| corrupt(PayloadRow::TABLE, seq, "the payloads are corrupt"))
}
