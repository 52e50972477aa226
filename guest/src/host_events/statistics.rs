//! Counting what a database of host events holds.

use crate::Result;
use crate::bindings::inspection_types::HostEventStatistics;
use crate::host_events::digests::HostEventTransaction;
use crate::storage::counts::counts;
use crate::storage::seam::Environment;

use super::delivery_row::DeliveryRow;
use super::occurrence_row::OccurrenceRow;
use super::subscription_row::SubscriptionRow;

/// The WIT function `host-event-inspection.statistics`.
pub fn statistics(env: &impl Environment) -> Result<HostEventStatistics> {
    let store = HostEventTransaction::read(env)?;
    let tx = &store.tx;
    let [enabled, disabled] = counts(
        tx,
        SubscriptionRow::TABLE,
        "SELECT count(CASE WHEN enabled = 1 THEN 1 END), count(CASE WHEN enabled = 0 THEN 1 END)
         FROM subscriptions NOT INDEXED",
        &[],
    )?;
    let [occurrences, payload_bytes] = counts(
        tx,
        OccurrenceRow::TABLE,
        "SELECT count(*), sum(length(content)) FROM occurrence_payloads",
        &[],
    )?;
    let [settled, unsettled] = counts(
        tx,
        DeliveryRow::TABLE,
        "SELECT count(CASE WHEN settled = 1 THEN 1 END), count(CASE WHEN settled = 0 THEN 1 END)
         FROM deliveries NOT INDEXED",
        &[],
    )?;
    Ok(HostEventStatistics {
        enabled_subscriptions: enabled,
        disabled_subscriptions: disabled,
        occurrences,
        payload_bytes,
        settled_deliveries: settled,
        unsettled_deliveries: unsettled,
    })
}
