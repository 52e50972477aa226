//! What was reserved and may not have been started.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::host_event_types::{Delivery, FanOut, Settlement, UnsettledPage};
use crate::host_events::digests::HostEventTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::{confirm_found, corrupt, missing, verify_complete};
use crate::storage::rows::{RowReader, capacity};
use crate::storage::seam::{Environment, Transaction, Value, clamp, unsigned};
use crate::storage::skipped::Skipped;
use crate::storage::sql::sql;

use super::delivery_row::{self, DeliveryRow};
use super::occurrence_row::{self, OccurrenceRow};
use super::subscription_row::{self, SubscriptionRow};

/// The WIT function `host-events.unsettled`.
pub fn unsettled(env: &impl Environment, after: u64, limit: u32) -> Result<UnsettledPage> {
    let store = HostEventTransaction::read(env)?;
    let mut skipped = Skipped::default();
    let found = pending_after(&store, clamp(after), limit, &mut skipped)?;
    let mut page = UnsettledPage {
        fan_outs: Vec::new(),
        next: None,
        corrupt: Vec::new(),
    };
    let last = found.get((limit as usize).saturating_sub(1));
    page.next = last.map(|(number, _)| unsigned(*number));
    let mut current = None;
    for (number, row) in found.into_iter().take(limit as usize) {
        let Some(row) = row else { continue };
        let read = delivery(&store.tx, row.subscription, number);
        let Some(delivery) = skipped.note(SubscriptionRow::TABLE, read)? else {
            continue;
        };
        if current != Some(row.occurrence) {
            let read = occurrence_row::by_number(&store.tx, row.occurrence)
                .and_then(|occurrence| occurrence.load(&store.tx));
            let Some(occurrence) = skipped.note(OccurrenceRow::TABLE, read)? else {
                continue;
            };
            current = Some(row.occurrence);
            page.fan_outs.push(FanOut {
                occurrence,
                deliveries: Vec::new(),
            });
        }
        if let Some(fan_out) = page.fan_outs.last_mut() {
            fan_out.deliveries.push(delivery);
        }
    }
    page.corrupt = skipped.into_corrupt();
    Ok(page)
}

/// Reads the subscription of a delivery.
fn delivery(tx: &impl Transaction, subscription: i64, number: i64) -> Result<Delivery> {
    let mut delivery = None;
    subscription_row::by_seq(tx, subscription, &mut |subscription, _| {
        delivery = Some(Delivery {
            number: unsigned(number),
            subscription: subscription.to_subscription(),
        });
        Ok(())
    })?;
    delivery.ok_or_else(|| missing(SubscriptionRow::TABLE, subscription))
}

/// What is not settled after a number, as far as it can be read. Who begins at the first
/// learns whether any is missing: then all of it is read, without what it refers to.
fn pending_after<T: Transaction>(
    store: &HostEventTransaction<T>,
    after: i64,
    limit: u32,
    skipped: &mut Skipped,
) -> Result<Vec<(i64, Option<DeliveryRow>)>> {
    if after == 0 {
        let read = pending(&store.tx, BY_INDEX, 0, -1, &mut Skipped::default());
        if let Some((found, digest)) = Skipped::default().note(DeliveryRow::TABLE, read)?
            && digest == store.digests.unsettled
        {
            return Ok(found);
        }
        // The index may hide some of it.
        let (found, digest) = pending(&store.tx, BY_NUMBER, 0, -1, skipped)?;
        let complete = verify_complete(DeliveryRow::TABLE, digest, store.digests.unsettled);
        skipped.note(DeliveryRow::TABLE, complete)?;
        return Ok(found);
    }
    pending(&store.tx, BY_NUMBER, after, i64::from(limit), skipped).map(|(found, _)| found)
}

const BY_INDEX: &str = sql!(
    DeliveryRow::SELECT,
    "INDEXED BY deliveries_unsettled WHERE settled = 0 AND number > ?1 ORDER BY number LIMIT ?2"
);

const BY_NUMBER: &str = sql!(
    DeliveryRow::SELECT,
    "NOT INDEXED WHERE settled = 0 AND number > ?1 ORDER BY number LIMIT ?2"
);

/// A delivery by its number. `None` if it is corrupt.
type Numbered = (i64, Option<DeliveryRow>);

fn pending(
    tx: &impl Transaction,
    sql: &str,
    after: i64,
    limit: i64,
    skipped: &mut Skipped,
) -> Result<(Vec<Numbered>, SetDigest)> {
    let rows = tx.query(sql, &[Value::Integer(after), Value::Integer(limit)])?;
    let mut last = after;
    let mut digest = SetDigest::default();
    let mut reader = RowReader::new(DeliveryRow::TABLE, &rows);
    let mut found = Vec::with_capacity(capacity(&rows));
    while reader.advance() {
        let mut reader = reader.split_row(DeliveryRow::WIDTH)?;
        let number = reader.clone().integer()?;
        confirm_found(DeliveryRow::TABLE, number, number > last)?;
        last = number;
        let read = DeliveryRow::read(&mut reader).and_then(|row| {
            confirm_found(DeliveryRow::TABLE, number, !row.settled)?;
            Ok(row)
        });
        let row = skipped.note(DeliveryRow::TABLE, read)?;
        if let Some(row) = &row {
            digest.insert(row.checksum());
        }
        found.push((number, row));
    }
    Ok((found, digest))
}

/// The WIT function `host-events.settle`.
pub fn settle(env: &impl Environment, settlements: &[Settlement]) -> Result<()> {
    // Before processes are pruned, durably and from another database, their
    // deliveries are settled. If only the settling were lost, the processes would
    // be started again.
    let mut store = HostEventTransaction::write_durably(env)?;
    let mut pending = BTreeMap::new();
    for settlement in settlements {
        let Some(occurrence) = occurrence_row::by_id(&store.tx, &settlement.occurrence_id)? else {
            continue;
        };
        for sequence in &settlement.subscriptions {
            let subscription = clamp(*sequence);
            let rows = store.tx.query(
                sql!(
                    DeliveryRow::SELECT,
                    "WHERE occurrence = ?1 AND subscription = ?2"
                ),
                &[
                    Value::Integer(occurrence.number),
                    Value::Integer(subscription),
                ],
            )?;
            for row in DeliveryRow::read_all(&rows)? {
                let found = row.occurrence == occurrence.number && row.subscription == subscription;
                confirm_found(DeliveryRow::TABLE, row.number, found)?;
                if !row.settled {
                    pending.insert(row.number, row);
                }
            }
        }
    }
    if pending.is_empty() {
        return Ok(());
    }
    settle_rows(&mut store, pending.into_values().collect())?;
    store.commit()
}

/// Settles what is reserved for a subscription that goes.
pub(super) fn settle_subscription<T: Transaction>(
    store: &mut HostEventTransaction<T>,
    seq: i64,
) -> Result<()> {
    let rows = store.tx.query(
        sql!(
            DeliveryRow::SELECT,
            "INDEXED BY deliveries_pending WHERE settled = 0 AND subscription = ?1"
        ),
        &[Value::Integer(seq)],
    )?;
    let pending = DeliveryRow::read_all(&rows)?;
    let mut last = 0;
    for row in &pending {
        let found = row.subscription == seq && !row.settled && row.number > last;
        confirm_found(DeliveryRow::TABLE, row.number, found)?;
        last = row.number;
    }
    settle_rows(store, pending)
}

/// Settles deliveries that are not settled.
fn settle_rows<T: Transaction>(
    store: &mut HostEventTransaction<T>,
    pending: Vec<DeliveryRow>,
) -> Result<()> {
    let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
    for row in &pending {
        let count = counts.entry(row.occurrence).or_default();
        *count = count.saturating_add(1);
    }
    for (number, count) in counts {
        let mut occurrence = occurrence_row::by_number(&store.tx, number)?;
        if occurrence.unsettled < count {
            let reason = "it has more unsettled deliveries than it counts";
            return Err(corrupt(OccurrenceRow::TABLE, &occurrence.id, reason));
        }
        occurrence.unsettled = occurrence.unsettled.saturating_sub(count);
        occurrence.update_counts(&store.tx)?;
    }
    if !pending.is_empty() {
        delivery_row::mark_settled(&store.tx, &pending)?;
    }
    for row in &pending {
        store.digests.unsettled.remove(row.checksum());
    }
    Ok(())
}
