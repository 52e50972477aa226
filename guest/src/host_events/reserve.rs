//! Deciding what an occurrence starts.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::host_event_types::{Delivery, FanOut, UnreservedPage};
use crate::host_events::digests::HostEventTransaction;
use crate::storage::corruption::{confirm_found, corrupt};
use crate::storage::rows::RowReader;
use crate::storage::seam::{Environment, Transaction, Value, clamp, unsigned};
use crate::storage::skipped::Skipped;
use crate::storage::sql::sql;

use super::delivery_row::{self, DeliveryRow};
use super::occurrence_row::{self, OccurrenceRow};
use super::subscription_row::{self, Sorted};

/// The WIT function `host-events.reserve`.
pub fn reserve(env: &impl Environment, occurrence_id: &str) -> Result<Option<FanOut>> {
    let mut store = HostEventTransaction::write_durably(env)?;
    let Some(mut row) = occurrence_row::by_id(&store.tx, occurrence_id)? else {
        return Ok(None);
    };
    let now_ms = env.now_ms();
    let reserved = reserved(&store.tx, &row)?;
    let mut matching = Sorted::default();
    subscription_row::by_source(
        &store.tx,
        &row.source_type,
        &row.source_key,
        true,
        &mut |subscription, _| {
            if subscription.seq < row.watermark && !reserved.contains(&subscription.seq) {
                matching.push(subscription);
            }
            Ok(())
        },
    )?;
    let matching = matching.finish();
    let mut rows = Vec::with_capacity(matching.len());
    let mut deliveries = Vec::with_capacity(matching.len());
    for subscription in matching {
        let number = store.digests.next_delivery;
        store.digests.next_delivery = number.saturating_add(1);
        let delivery = DeliveryRow {
            number: clamp(number),
            occurrence: row.number,
            subscription: clamp(subscription.sequence),
            created_at_ms: now_ms,
            settled: false,
        };
        store.digests.unsettled.insert(delivery.checksum());
        rows.push(delivery);
        deliveries.push(Delivery {
            number,
            subscription,
        });
    }
    let occurrence = row.load(&store.tx)?;
    if !rows.is_empty() {
        delivery_row::insert(&store.tx, &rows)?;
    }
    if !rows.is_empty() || !row.reserved {
        let count = clamp(rows.len() as u64);
        row.deliveries = row.deliveries.saturating_add(count);
        row.unsettled = row.unsettled.saturating_add(count);
        row.reserved = true;
        row.update_counts(&store.tx)?;
        store.commit()?;
    }
    Ok(Some(FanOut {
        occurrence,
        deliveries,
    }))
}

/// The subscriptions for which an occurrence is reserved already. The occurrence
/// counts them: one that is missing here would be delivered twice.
fn reserved(tx: &impl Transaction, row: &OccurrenceRow) -> Result<BTreeSet<i64>> {
    let rows = tx.query(
        sql!(DeliveryRow::SELECT, "WHERE occurrence = ?1"),
        &[Value::Integer(row.number)],
    )?;
    let mut reserved = BTreeSet::new();
    for delivery in DeliveryRow::read_all(&rows)? {
        confirm_found(
            DeliveryRow::TABLE,
            delivery.number,
            delivery.occurrence == row.number,
        )?;
        reserved.insert(delivery.subscription);
    }
    if clamp(reserved.len() as u64) == row.deliveries {
        Ok(reserved)
    } else {
        Err(corrupt(
            DeliveryRow::TABLE,
            &row.id,
            "the occurrence has another number of deliveries",
        ))
    }
}

/// The WIT function `host-events.unreserved`.
pub fn unreserved(env: &impl Environment, after: u64, limit: u32) -> Result<UnreservedPage> {
    let store = HostEventTransaction::read(env)?;
    let rows = store.tx.query(
        sql!(
            OccurrenceRow::SELECT,
            "INDEXED BY occurrences_unreserved WHERE reserved = 0 AND number > ?1
             ORDER BY number LIMIT ?2"
        ),
        &[
            Value::Integer(clamp(after)),
            Value::Integer(i64::from(limit)),
        ],
    )?;
    let mut reader = RowReader::new(OccurrenceRow::TABLE, &rows);
    let mut skipped = Skipped::default();
    let mut found = UnreservedPage {
        occurrence_ids: Vec::new(),
        next: None,
        corrupt: Vec::new(),
    };
    while reader.advance() {
        let mut reader = reader.split_row(OccurrenceRow::WIDTH)?;
        let number = reader.clone().integer()?;
        confirm_found(OccurrenceRow::TABLE, number, unsigned(number) > after)?;
        if rows.count == limit {
            found.next = Some(unsigned(number));
        }
        let read = OccurrenceRow::read(&mut reader);
        if let Some(row) = skipped.note(OccurrenceRow::TABLE, read)? {
            confirm_found(OccurrenceRow::TABLE, &row.id, !row.reserved)?;
            found.occurrence_ids.push(row.id);
        }
    }
    found.corrupt = skipped.into_corrupt();
    Ok(found)
}
