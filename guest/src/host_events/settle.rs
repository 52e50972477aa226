//! What was reserved and may not have been started.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::host_event_types::{Delivery, FanOut, Settlement};
use crate::host_events::digests::HostEventTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::{confirm_found, corrupt, missing, verify_complete};
use crate::storage::seam::{Environment, Transaction, Value, clamp, unsigned};
use crate::storage::sql::sql;

use super::delivery_row::{self, DeliveryRow};
use super::occurrence_row::{self, OccurrenceRow};
use super::subscription_row::{self, SubscriptionRow};

/// The WIT function `host-events.unsettled`.
pub fn unsettled(env: &impl Environment, after: u64, limit: u32) -> Result<Vec<FanOut>> {
    let store = HostEventTransaction::read(env)?;
    let mut found = pending_after(&store, clamp(after), limit)?;
    found.truncate(limit as usize);
    let mut fan_outs: Vec<FanOut> = Vec::new();
    let mut current = None;
    for row in found {
        if current != Some(row.occurrence) {
            current = Some(row.occurrence);
            fan_outs.push(FanOut {
                occurrence: occurrence_row::by_number(&store.tx, row.occurrence)?
                    .load(&store.tx)?,
                deliveries: Vec::new(),
            });
        }
        let known =
            subscription_row::by_seq(&store.tx, row.subscription, &mut |subscription, _| {
                if let Some(fan_out) = fan_outs.last_mut() {
                    fan_out.deliveries.push(Delivery {
                        number: unsigned(row.number),
                        subscription: subscription.to_subscription(),
                    });
                }
                Ok(())
            })?;
        if !known {
            return Err(missing(SubscriptionRow::TABLE, row.subscription));
        }
    }
    Ok(fan_outs)
}

/// What is not settled after a number. Who begins at the first learns whether
/// any is missing: then all of it is read, without what it refers to.
fn pending_after<T: Transaction>(
    store: &HostEventTransaction<T>,
    after: i64,
    limit: u32,
) -> Result<Vec<DeliveryRow>> {
    let everything = after == 0;
    let limit = if everything { -1 } else { i64::from(limit) };
    let rows = store.tx.query(
        sql!(
            DeliveryRow::SELECT,
            "INDEXED BY deliveries_unsettled WHERE settled = 0 AND number > ?1
             ORDER BY number LIMIT ?2"
        ),
        &[Value::Integer(after), Value::Integer(limit)],
    )?;
    let found = DeliveryRow::read_all(&rows)?;
    let mut last = after;
    let mut digest = SetDigest::default();
    for row in &found {
        confirm_found(
            DeliveryRow::TABLE,
            row.number,
            !row.settled && row.number > last,
        )?;
        last = row.number;
        digest.insert(row.checksum());
    }
    if everything {
        verify_complete(DeliveryRow::TABLE, digest, store.digests.unsettled)?;
    }
    Ok(found)
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
