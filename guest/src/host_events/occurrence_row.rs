//! Rows of `occurrences` and `occurrence_payloads`, and recording what occurred.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::exports::lash::store::host_events::{Occurrence, OccurrenceDraft, Recorded};
use crate::host_events::digests::HostEventTransaction;
use crate::storage::checksum::{self, Checksum};
use crate::storage::corruption::{confirm_absent, confirm_found, missing, refuse_known, verify};
use crate::storage::rows::{RowReader, read_one};
use crate::storage::seam::{Environment, Transaction, Value, clamp, unsigned};

pub(super) const TABLE: &str = "occurrences";
const PAYLOADS: &str = "occurrence_payloads";

/// A row of `occurrences`.
pub(super) struct OccurrenceRow {
    pub(super) number: i64,
    pub(super) id: String,
    pub(super) idempotency_key: String,
    pub(super) request_hash: String,
    pub(super) source_type: String,
    pub(super) source_key: String,
    pub(super) occurred_at_ms: i64,
    /// Subscriptions from this number on came later.
    pub(super) watermark: i64,
    /// How many deliveries of it were ever reserved.
    pub(super) deliveries: i64,
    /// How many of them are not settled.
    pub(super) unsettled: i64,
}

impl OccurrenceRow {
    /// Reads and checks what [`select_occurrences`] selects.
    pub(super) fn read(reader: &mut RowReader<'_>) -> Result<Self> {
        let row = Self {
            number: reader.integer()?,
            id: reader.text()?.to_string(),
            idempotency_key: reader.text()?.to_string(),
            request_hash: reader.text()?.to_string(),
            source_type: reader.text()?.to_string(),
            source_key: reader.text()?.to_string(),
            occurred_at_ms: reader.integer()?,
            watermark: reader.integer()?,
            deliveries: reader.integer()?,
            unsettled: reader.integer()?,
        };
        verify(TABLE, &row.id, reader.integer()?, row.checksum())?;
        Ok(row)
    }

    fn checksum(&self) -> i64 {
        Checksum::of(TABLE)
            .integer(self.number)
            .bytes(self.id.as_bytes())
            .bytes(self.idempotency_key.as_bytes())
            .bytes(self.request_hash.as_bytes())
            .bytes(self.source_type.as_bytes())
            .bytes(self.source_key.as_bytes())
            .integer(self.occurred_at_ms)
            .integer(self.watermark)
            .integer(self.deliveries)
            .integer(self.unsettled)
            .finish()
    }

    fn insert(&self, tx: &impl Transaction) -> Result<()> {
        tx.execute(
            "INSERT INTO occurrences (number, id, idempotency_key, identity, request_hash,
                 source_type, source_key, occurred_at_ms, watermark, deliveries, unsettled,
                 checksum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            &[
                Value::Integer(self.number),
                Value::Text(&self.id),
                Value::Text(&self.idempotency_key),
                Value::Integer(identity(&self.idempotency_key)),
                Value::Text(&self.request_hash),
                Value::Text(&self.source_type),
                Value::Text(&self.source_key),
                Value::Integer(self.occurred_at_ms),
                Value::Integer(self.watermark),
                Value::Integer(self.deliveries),
                Value::Integer(self.unsettled),
                Value::Integer(self.checksum()),
            ],
        )?;
        Ok(())
    }

    /// Writes the counts of its deliveries.
    pub(super) fn update_counts(&self, tx: &impl Transaction) -> Result<()> {
        tx.execute(
            "UPDATE occurrences SET deliveries = ?2, unsettled = ?3, checksum = ?4
             WHERE number = ?1",
            &[
                Value::Integer(self.number),
                Value::Integer(self.deliveries),
                Value::Integer(self.unsettled),
                Value::Integer(self.checksum()),
            ],
        )?;
        Ok(())
    }

    /// Removes the row and its payload.
    pub(super) fn delete(&self, tx: &impl Transaction) -> Result<()> {
        let number = [Value::Integer(self.number)];
        tx.execute("DELETE FROM occurrences WHERE number = ?1", &number)?;
        tx.execute("DELETE FROM occurrence_payloads WHERE number = ?1", &number)?;
        Ok(())
    }

    /// Reads the payload.
    pub(super) fn load(&self, tx: &impl Transaction) -> Result<Occurrence> {
        let rows = tx.query(
            "SELECT checksum, content FROM occurrence_payloads WHERE number = ?1",
            &[Value::Integer(self.number)],
        )?;
        let found = read_one(PAYLOADS, &rows, |reader| {
            Ok((reader.integer()?, reader.blob()?))
        })?;
        let (stored, content) = found.ok_or_else(|| missing(PAYLOADS, self.number))?;
        let computed = payload_checksum(self.number, content);
        verify(PAYLOADS, self.number, stored, computed)?;
        Ok(self.to_occurrence(content.to_vec()))
    }

    fn to_occurrence(&self, content: Vec<u8>) -> Occurrence {
        Occurrence {
            id: self.id.clone(),
            content,
            occurred_at_ms: unsigned(self.occurred_at_ms),
        }
    }
}

/// A query for all columns of the occurrences that a condition selects.
macro_rules! select_occurrences {
    ($condition:literal) => {
        concat!(
            "SELECT number, id, idempotency_key, request_hash, source_type, source_key, ",
            "occurred_at_ms, watermark, deliveries, unsettled, checksum FROM occurrences ",
            $condition
        )
    };
}
pub(super) use select_occurrences;

/// A checksum of an idempotency key, for its second index.
fn identity(idempotency_key: &str) -> i64 {
    checksum::identity("occurrences.identity", &[idempotency_key.as_bytes()])
}

fn payload_checksum(number: i64, content: &[u8]) -> i64 {
    Checksum::of(PAYLOADS)
        .integer(number)
        .bytes(content)
        .finish()
}

/// Finds an occurrence by its identifier.
pub(super) fn by_id(tx: &impl Transaction, id: &str) -> Result<Option<OccurrenceRow>> {
    let rows = tx.query(select_occurrences!("WHERE id = ?1"), &[Value::Text(id)])?;
    read_one(TABLE, &rows, |reader| {
        let row = OccurrenceRow::read(reader)?;
        confirm_found(TABLE, id, row.id == id)?;
        Ok(row)
    })
}

/// Reads the occurrence that a delivery is of.
pub(super) fn by_number(tx: &impl Transaction, number: i64) -> Result<OccurrenceRow> {
    let rows = tx.query(
        select_occurrences!("WHERE number = ?1"),
        &[Value::Integer(number)],
    )?;
    let row = read_one(TABLE, &rows, OccurrenceRow::read)?.ok_or_else(|| missing(TABLE, number))?;
    confirm_found(TABLE, number, row.number == number)?;
    Ok(row)
}

/// Finds an occurrence by its idempotency key. It is unknown only if two indexes
/// say so: otherwise it would be recorded, and delivered, again.
pub(super) fn by_key(
    tx: &impl Transaction,
    idempotency_key: &str,
) -> Result<Option<OccurrenceRow>> {
    let rows = tx.query(
        select_occurrences!("WHERE idempotency_key = ?1"),
        &[Value::Text(idempotency_key)],
    )?;
    let found = read_one(TABLE, &rows, |reader| {
        let row = OccurrenceRow::read(reader)?;
        let found = row.idempotency_key == idempotency_key;
        confirm_found(TABLE, idempotency_key, found)?;
        Ok(row)
    })?;
    if found.is_none() {
        confirm_absent(
            tx,
            TABLE,
            idempotency_key,
            "SELECT 1 FROM occurrences INDEXED BY occurrences_identity
             WHERE identity = ?1 LIMIT 1",
            &[Value::Integer(identity(idempotency_key))],
        )?;
    }
    Ok(found)
}

/// The WIT function `host-events.record-occurrence`.
pub fn record_occurrence(env: &impl Environment, draft: OccurrenceDraft) -> Result<Recorded> {
    let mut store = HostEventTransaction::write_durably(env)?;
    if let Some(row) = by_key(&store.tx, &draft.idempotency_key)? {
        return if row.request_hash == draft.request_hash {
            row.load(&store.tx).map(Recorded::Occurrence)
        } else {
            Ok(Recorded::Conflict)
        };
    }
    let row = insert(&mut store, &draft, env.now_ms())?;
    store.commit()?;
    Ok(Recorded::Occurrence(row.to_occurrence(draft.content)))
}

/// Writes a new occurrence with its payload.
pub(super) fn insert<T: Transaction>(
    store: &mut HostEventTransaction<T>,
    draft: &OccurrenceDraft,
    occurred_at_ms: i64,
) -> Result<OccurrenceRow> {
    let number = store.digests.next_occurrence;
    let row = OccurrenceRow {
        number: clamp(number),
        id: draft.id.clone(),
        idempotency_key: draft.idempotency_key.clone(),
        request_hash: draft.request_hash.clone(),
        source_type: draft.source_type.clone(),
        source_key: draft.source_key.clone(),
        occurred_at_ms,
        watermark: clamp(store.digests.next_subscription),
        deliveries: 0,
        unsettled: 0,
    };
    row.insert(&store.tx)
        .map_err(|error| refuse_known(error, "another occurrence has the identifier or the key"))?;
    store.tx.execute(
        "INSERT INTO occurrence_payloads (number, checksum, content) VALUES (?1, ?2, ?3)",
        &[
            Value::Integer(row.number),
            Value::Integer(payload_checksum(row.number, &draft.content)),
            Value::Blob(&draft.content),
        ],
    )?;
    store.digests.next_occurrence = number.saturating_add(1);
    Ok(row)
}
