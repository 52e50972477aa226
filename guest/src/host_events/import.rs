//! Adding host events that were kept elsewhere.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::format;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::import_types::{ImportedDelivery, ImportedOccurrence, ImportedSubscription};
use crate::host_events::digests::HostEventTransaction;
use crate::storage::corruption::{invalid, refuse_known};
use crate::storage::numbers;
use crate::storage::seam::{Environment, Transaction, Value, clamp};

use super::delivery_row::{self, DeliveryRow};
use super::occurrence_row::{self, OccurrenceRow};
use super::subscription_row::SubscriptionRow;

/// The WIT function `host-event-import.add-subscriptions`.
pub fn add_subscriptions(
    env: &impl Environment,
    subscriptions: &[ImportedSubscription],
) -> Result<()> {
    let mut store = HostEventTransaction::write_durably(env)?;
    for subscription in subscriptions {
        let draft = &subscription.draft;
        let row = SubscriptionRow {
            seq: clamp(subscription.sequence),
            scope_id: &draft.scope_id,
            session_id: draft.session_id.as_deref(),
            name: draft.name.as_deref(),
            source_type: &draft.source_type,
            source_key: &draft.source_key,
            enabled: subscription.enabled,
            created_at_ms: clamp(subscription.created_at_ms),
            updated_at_ms: clamp(subscription.updated_at_ms),
            content: &draft.content,
        };
        skip(&mut store, subscription.sequence)?;
        row.insert(&store.tx)
            .map_err(|error| refuse_known(error, "two subscriptions have the same number"))?;
        store.digests.subscriptions.insert(row.checksum());
    }
    store.commit()
}

/// The WIT function `host-event-import.skip-subscriptions`.
pub fn skip_subscriptions(env: &impl Environment, last_sequence: u64) -> Result<()> {
    let mut store = HostEventTransaction::write_durably(env)?;
    skip(&mut store, last_sequence)?;
    store.commit()
}

fn skip<T: Transaction>(store: &mut HostEventTransaction<T>, last_sequence: u64) -> Result<()> {
    if !(1..=numbers::LAST).contains(&last_sequence) {
        return Err(invalid(format!(
            "no subscription has the number {last_sequence}"
        )));
    }
    let next = &mut store.digests.next_subscription;
    *next = (*next).max(last_sequence.saturating_add(1));
    Ok(())
}

/// The WIT function `host-event-import.add-occurrences`.
pub fn add_occurrences(env: &impl Environment, occurrences: &[ImportedOccurrence]) -> Result<()> {
    let mut store = HostEventTransaction::write_durably(env)?;
    for occurrence in occurrences {
        let occurred_at_ms = clamp(occurrence.occurred_at_ms);
        // Which subscriptions there were is not known: it is not reserved for any other one.
        occurrence_row::insert(&mut store, &occurrence.draft, occurred_at_ms, true)?;
    }
    store.commit()
}

/// The WIT function `host-event-import.add-deliveries`.
pub fn add_deliveries(env: &impl Environment, deliveries: &[ImportedDelivery]) -> Result<()> {
    let mut store = HostEventTransaction::write_durably(env)?;
    let mut occurrences: BTreeMap<&str, OccurrenceRow> = BTreeMap::new();
    let mut rows = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        let subscription = clamp(delivery.subscription);
        let subscribed = store.tx.query(
            "SELECT 1 FROM subscriptions WHERE seq = ?1",
            &[Value::Integer(subscription)],
        )?;
        if subscribed.count == 0 {
            return Err(invalid("the subscription of the delivery is not there"));
        }
        let occurrence = match occurrences.entry(&delivery.occurrence_id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(find(&store.tx, &delivery.occurrence_id)?),
        };
        let number = store.digests.next_delivery;
        store.digests.next_delivery = number.saturating_add(1);
        let row = DeliveryRow {
            number: clamp(number),
            occurrence: occurrence.number,
            subscription,
            created_at_ms: clamp(delivery.created_at_ms),
            settled: false,
        };
        occurrence.deliveries = occurrence.deliveries.saturating_add(1);
        occurrence.unsettled = occurrence.unsettled.saturating_add(1);
        store.digests.unsettled.insert(row.checksum());
        rows.push(row);
    }
    if rows.is_empty() {
        return Ok(());
    }
    delivery_row::insert(&store.tx, &rows)
        .map_err(|error| refuse_known(error, "two deliveries are the same one"))?;
    for occurrence in occurrences.into_values() {
        occurrence.update_counts(&store.tx)?;
    }
    store.commit()
}

fn find(tx: &impl Transaction, occurrence_id: &str) -> Result<OccurrenceRow> {
    occurrence_row::by_id(tx, occurrence_id)?
        .ok_or_else(|| invalid("the occurrence of the delivery is not there"))
}
