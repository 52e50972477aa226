//! Host events: subscriptions, occurrences, deliveries.
//!
//! Subscriptions have a number. The handle and the identifier that lash-core
//! knows them by are made from it here, and nowhere else.

use std::path::Path;

use lash_core::{
    HostEventOccurrenceRecord, HostEventOccurrenceRequest, ProcessOriginator,
    TriggerDeliveryReservation, TriggerSubscriptionDraft, TriggerSubscriptionFilter,
    TriggerSubscriptionRecord, deterministic_delivery_process_id,
};
use lash_store_engine::wit::host_events::{
    FanOut, Occurrence, OccurrenceDraft, Settlement, Subscription, SubscriptionDraft,
    SubscriptionFilter,
};

use super::{from_json, to_json};
use crate::error::Error;

const SUBSCRIPTION: &str = "the subscription";
const OCCURRENCE: &str = "the occurrence";

/// What a handle begins with.
const HANDLE: &str = "trigger:";
/// What the identifier of a subscription begins with.
const SUBSCRIPTION_ID: &str = "subscription:";

/// The number in a handle; none if it is no handle of ours.
pub(crate) fn handle_sequence(handle: &str) -> Option<u64> {
    sequence(handle, HANDLE)
}

/// The number in the identifier of a subscription; none if it is none of ours.
pub(crate) fn subscription_sequence(subscription_id: &str) -> Option<u64> {
    sequence(subscription_id, SUBSCRIPTION_ID)
}

/// The number behind a prefix, if it is written as we write it.
fn sequence(text: &str, prefix: &str) -> Option<u64> {
    let digits = text.strip_prefix(prefix)?;
    let number: u64 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

pub(crate) fn to_subscription_draft(
    path: &Path,
    draft: TriggerSubscriptionDraft,
) -> Result<SubscriptionDraft, Error> {
    let content = to_json(path, SUBSCRIPTION, &draft)?;
    Ok(SubscriptionDraft {
        scope_id: draft.registrant.scope_id(),
        session_id: match draft.registrant {
            ProcessOriginator::Host => None,
            ProcessOriginator::Session { scope } => Some(scope.session_id),
        },
        name: draft.name,
        source_type: draft.source_type,
        source_key: draft.source_key,
        content,
    })
}

pub(crate) fn from_subscription(
    path: &Path,
    subscription: &Subscription,
) -> Result<TriggerSubscriptionRecord, Error> {
    let handle = format!("{HANDLE}{}", subscription.sequence);
    let draft: TriggerSubscriptionDraft =
        from_json(path, SUBSCRIPTION, &handle, &subscription.content)?;
    Ok(TriggerSubscriptionRecord {
        subscription_id: format!("{SUBSCRIPTION_ID}{}", subscription.sequence),
        registrant: draft.registrant,
        env_ref: draft.env_ref,
        wake_target: draft.wake_target,
        handle,
        name: draft.name,
        source_type: draft.source_type,
        source_key: draft.source_key,
        source: draft.source,
        event_ty: draft.event_ty,
        module_ref: draft.module_ref,
        required_surface_ref: draft.required_surface_ref,
        process_ref: draft.process_ref,
        process_name: draft.process_name,
        input_template: draft.input_template,
        enabled: subscription.enabled,
        created_at_ms: subscription.created_at_ms,
        updated_at_ms: subscription.updated_at_ms,
    })
}

/// What the component can look for; none if nothing can agree. The target is not
/// among it: see [`TriggerSubscriptionFilter::matches`].
pub(crate) fn to_filter(filter: &TriggerSubscriptionFilter) -> Option<SubscriptionFilter> {
    let sequence = match filter.handle.as_deref() {
        Some(handle) => Some(handle_sequence(handle)?),
        None => None,
    };
    Some(SubscriptionFilter {
        session_id: filter.session_id.clone(),
        sequence,
        name: filter.name.clone(),
        source_type: filter.source_type.clone(),
        source_key: filter.source_key.clone(),
        enabled: filter.enabled,
    })
}

/// A request under what lash-core derives from it: an identifier and a digest.
pub(crate) fn to_occurrence_draft(
    path: &Path,
    request: HostEventOccurrenceRequest,
    id: String,
    request_hash: String,
) -> Result<OccurrenceDraft, Error> {
    let content = to_json(path, OCCURRENCE, &request)?;
    Ok(OccurrenceDraft {
        id,
        request_hash,
        idempotency_key: request.idempotency_key,
        source_type: request.source_type,
        source_key: request.source_key,
        content,
    })
}

pub(crate) fn from_occurrence(
    path: &Path,
    occurrence: Occurrence,
) -> Result<HostEventOccurrenceRecord, Error> {
    let request: HostEventOccurrenceRequest =
        from_json(path, OCCURRENCE, &occurrence.id, &occurrence.content)?;
    Ok(HostEventOccurrenceRecord {
        occurrence_id: occurrence.id,
        source_type: request.source_type,
        source_key: request.source_key,
        payload: request.payload,
        idempotency_key: request.idempotency_key,
        source: request.source,
        occurred_at_ms: occurrence.occurred_at_ms,
    })
}

/// What the deliveries of an occurrence are in bytes: each repeats the occurrence.
pub(crate) fn size(fan_out: &FanOut) -> usize {
    let occurrence = fan_out.occurrence.content.len() + fan_out.occurrence.id.len();
    let deliveries = fan_out.deliveries.iter();
    deliveries
        .map(|delivery| {
            size_of::<TriggerDeliveryReservation>() + delivery.subscription.content.len()
        })
        .fold(0, |sum, delivery| {
            sum.saturating_add(occurrence).saturating_add(delivery)
        })
}

/// The deliveries of an occurrence, each with its number.
pub(crate) fn from_fan_out(
    path: &Path,
    fan_out: FanOut,
) -> Result<Vec<(u64, TriggerDeliveryReservation)>, Error> {
    let occurrence = from_occurrence(path, fan_out.occurrence)?;
    fan_out
        .deliveries
        .into_iter()
        .map(|delivery| {
            let subscription = from_subscription(path, &delivery.subscription)?;
            let process_id = deterministic_delivery_process_id(
                &occurrence.occurrence_id,
                &subscription.subscription_id,
            )
            .map_err(|source| Error::encode(path, "the identifier of a process", source))?;
            let reservation = TriggerDeliveryReservation {
                occurrence: occurrence.clone(),
                subscription,
                process_id,
            };
            Ok((delivery.number, reservation))
        })
        .collect()
}

/// What settles these deliveries, one entry for each occurrence in a row. Those
/// whose subscription is none of ours are left out.
pub(crate) fn to_settlements<'r>(
    deliveries: impl IntoIterator<Item = &'r TriggerDeliveryReservation>,
) -> Vec<Settlement> {
    let mut settlements: Vec<Settlement> = Vec::new();
    for delivery in deliveries {
        let subscription_id = &delivery.subscription.subscription_id;
        let Some(sequence) = subscription_sequence(subscription_id) else {
            continue;
        };
        let occurrence_id = &delivery.occurrence.occurrence_id;
        match settlements.last_mut() {
            Some(last) if last.occurrence_id == *occurrence_id => last.subscriptions.push(sequence),
            _ => settlements.push(Settlement {
                occurrence_id: occurrence_id.clone(),
                subscriptions: vec![sequence],
            }),
        }
    }
    settlements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_a_number_written_in_one_way() {
        assert_eq!(handle_sequence("trigger:1"), Some(1));
        assert_eq!(
            handle_sequence("trigger:18446744073709551615"),
            Some(u64::MAX)
        );
        for other in [
            "",
            "1",
            "trigger:",
            "trigger:01",
            "trigger:+1",
            "trigger: 1",
            "trigger:-1",
            "Trigger:1",
            "subscription:1",
            "trigger:1 ",
            "trigger:18446744073709551616",
        ] {
            assert_eq!(handle_sequence(other), None, "{other}");
        }
    }
}
