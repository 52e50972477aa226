//! Rows of `occurrences` and `occurrence_payloads`, and recording what occurred.

use alloc::string::String;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::host_event_types::{Occurrence, OccurrenceDraft, Recorded};
use crate::host_events::digests::HostEventTransaction;
use crate::storage::checksum;
use crate::storage::corruption::{confirm_absent, confirm_found, missing, refuse_known};
use crate::storage::rows::read_one;
use crate::storage::seam::{Environment, Transaction, Value, clamp, unsigned};
use crate::storage::sql::sql;
use crate::storage::table::table;

table! {
    /// Something that occurred.
    pub(super) struct OccurrenceRow in "occurrences", named by id, uncovered (identity) {
        number: i64,
        id: String,
        idempotency_key: String,
        request_hash: String,
        source_type: String,
        source_key: String,
        occurred_at_ms: i64,
        /// Subscriptions from this number on came later.
        watermark: i64,
        /// How many deliveries of it were ever reserved.
        deliveries: i64,
        /// How many of them are not settled.
        unsettled: i64,
        /// Whether deliveries of it were reserved, if there was a subscription.
        reserved: bool,
    }
}

table! {
    /// The payload of an occurrence.
    struct PayloadRow<'r> in "occurrence_payloads", named by number {
        number: i64,
        content: &'r [u8],
    }
}

/// The rows from a number on, in order.
pub(super) const FROM: &str = sql!(
    OccurrenceRow::SELECT,
    "NOT INDEXED WHERE number >= ?1 ORDER BY number LIMIT ?2"
);

impl OccurrenceRow {
    fn insert(&self, tx: &impl Transaction) -> Result<()> {
        let identity = Value::Integer(identity(&self.idempotency_key));
        tx.execute(Self::INSERT, &self.values(identity))?;
        Ok(())
    }

    /// Writes what is known of its deliveries.
    pub(super) fn update_counts(&self, tx: &impl Transaction) -> Result<()> {
        tx.execute(
            "UPDATE occurrences SET deliveries = ?2, unsettled = ?3, reserved = ?4, checksum = ?5
             WHERE number = ?1",
            &[
                Value::Integer(self.number),
                Value::Integer(self.deliveries),
                Value::Integer(self.unsettled),
                Value::Integer(i64::from(self.reserved)),
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
            sql!(PayloadRow::SELECT, "WHERE number = ?1"),
            &[Value::Integer(self.number)],
        )?;
        let payload = read_one(PayloadRow::TABLE, &rows, PayloadRow::read)?
            .ok_or_else(|| missing(PayloadRow::TABLE, self.number))?;
        Ok(self.to_occurrence(payload.content.to_vec()))
    }

    fn to_occurrence(&self, content: Vec<u8>) -> Occurrence {
        Occurrence {
            id: self.id.clone(),
            content,
            occurred_at_ms: unsigned(self.occurred_at_ms),
        }
    }
}

/// A checksum of an idempotency key, for its second index.
pub(super) fn identity(idempotency_key: &str) -> i64 {
    checksum::identity("occurrences.identity", &[idempotency_key.as_bytes()])
}

/// Finds an occurrence by its identifier.
pub(super) fn by_id(tx: &impl Transaction, id: &str) -> Result<Option<OccurrenceRow>> {
    let rows = tx.query(
        sql!(OccurrenceRow::SELECT, "WHERE id = ?1"),
        &[Value::Text(id)],
    )?;
    read_one(OccurrenceRow::TABLE, &rows, |reader| {
        let row = OccurrenceRow::read(reader)?;
        confirm_found(OccurrenceRow::TABLE, id, row.id == id)?;
        Ok(row)
    })
}

/// Reads the occurrence that a delivery is of.
pub(super) fn by_number(tx: &impl Transaction, number: i64) -> Result<OccurrenceRow> {
    let rows = tx.query(
        sql!(OccurrenceRow::SELECT, "WHERE number = ?1"),
        &[Value::Integer(number)],
    )?;
    let row = read_one(OccurrenceRow::TABLE, &rows, OccurrenceRow::read)?
        .ok_or_else(|| missing(OccurrenceRow::TABLE, number))?;
    confirm_found(OccurrenceRow::TABLE, number, row.number == number)?;
    Ok(row)
}

/// Finds an occurrence by its idempotency key. It is unknown only if two indexes
/// say so: otherwise it would be recorded, and delivered, again.
pub(super) fn by_key(
    tx: &impl Transaction,
    idempotency_key: &str,
) -> Result<Option<OccurrenceRow>> {
    let rows = tx.query(
        sql!(OccurrenceRow::SELECT, "WHERE idempotency_key = ?1"),
        &[Value::Text(idempotency_key)],
    )?;
    let found = read_one(OccurrenceRow::TABLE, &rows, |reader| {
        let row = OccurrenceRow::read(reader)?;
        let found = row.idempotency_key == idempotency_key;
        confirm_found(OccurrenceRow::TABLE, idempotency_key, found)?;
        Ok(row)
    })?;
    if found.is_none() {
        confirm_absent(
            tx,
            OccurrenceRow::TABLE,
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
    let row = insert(&mut store, &draft, env.now_ms(), false)?;
    store.commit()?;
    Ok(Recorded::Occurrence(row.to_occurrence(draft.content)))
}

/// Writes a new occurrence with its payload.
pub(super) fn insert<T: Transaction>(
    store: &mut HostEventTransaction<T>,
    draft: &OccurrenceDraft,
    occurred_at_ms: i64,
    reserved: bool,
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
        reserved,
    };
    row.insert(&store.tx)
        .map_err(|error| refuse_known(error, "another occurrence has the identifier or the key"))?;
    let payload = PayloadRow {
        number: row.number,
        content: &draft.content,
    };
    store.tx.execute(PayloadRow::INSERT, &payload.values())?;
    store.digests.next_occurrence = number.saturating_add(1);
    Ok(row)
}
