//! The trait by which the runtime registers, records and reserves.

use lash_core::{
    DurabilityTier, HostEventOccurrenceRecord, HostEventOccurrenceRequest, HostEventStore,
    PluginError, TriggerDeliveryReservation, TriggerSubscriptionDraft, TriggerSubscriptionFilter,
    TriggerSubscriptionRecord, deterministic_occurrence_id, host_event_occurrence_request_hash,
    validate_host_event_occurrence_request,
};
use lash_store_engine::wit::host_events::Recorded;

use super::SqliteHostEventStore;
use crate::convert::{decode_shared, host_events as convert};

#[async_trait::async_trait]
impl HostEventStore for SqliteHostEventStore {
    fn durability_tier(&self) -> DurabilityTier {
        DurabilityTier::Durable
    }

    async fn register_subscription(
        &self,
        draft: TriggerSubscriptionDraft,
    ) -> Result<TriggerSubscriptionRecord, PluginError> {
        Ok(self
            .db
            .write("register subscription", move |call| {
                let draft = convert::to_subscription_draft(call.path(), draft)?;
                let subscription = call.host_events().subscribe(&draft)?;
                convert::from_subscription(call.path(), &subscription)
            })
            .await?)
    }

    async fn list_subscriptions(
        &self,
        filter: TriggerSubscriptionFilter,
    ) -> Result<Vec<TriggerSubscriptionRecord>, PluginError> {
        let Some(wanted) = convert::to_filter(&filter) else {
            return Ok(Vec::new());
        };
        Ok(self
            .db
            .read("list subscriptions", move |call| {
                let found = call.host_events().subscriptions(&wanted)?;
                let path = call.path();
                let mut records = decode_shared(&found, |subscription| {
                    convert::from_subscription(path, subscription)
                })?;
                records.retain(|record| filter.matches(record));
                Ok(records)
            })
            .await?)
    }

    async fn cancel_subscription(
        &self,
        session_id: &str,
        handle: &str,
    ) -> Result<bool, PluginError> {
        let Some(sequence) = convert::handle_sequence(handle) else {
            return Ok(false);
        };
        let session_id = session_id.to_owned();
        Ok(self
            .db
            .write("cancel subscription", move |call| {
                call.of_session(&session_id);
                Ok(call.host_events().unsubscribe(&session_id, sequence)?)
            })
            .await?)
    }

    async fn delete_session_subscriptions(&self, session_id: &str) -> Result<usize, PluginError> {
        let session_id = session_id.to_owned();
        let removed = self
            .db
            .write("delete session subscriptions", move |call| {
                call.of_session(&session_id);
                Ok(call.host_events().remove_session(&session_id)?)
            })
            .await?;
        Ok(usize::try_from(removed).unwrap_or(usize::MAX))
    }

    async fn record_occurrence(
        &self,
        request: HostEventOccurrenceRequest,
    ) -> Result<HostEventOccurrenceRecord, PluginError> {
        validate_host_event_occurrence_request(&request)?;
        let id = deterministic_occurrence_id(&request)?;
        let request_hash = host_event_occurrence_request_hash(&request)?;
        let idempotency_key = request.idempotency_key.clone();
        let recorded = self
            .db
            .write("record occurrence", move |call| {
                let draft = convert::to_occurrence_draft(call.path(), request, id, request_hash)?;
                let recorded = call.host_events().record_occurrence(&draft)?;
                match recorded {
                    Recorded::Occurrence(occurrence) => {
                        convert::from_occurrence(call.path(), occurrence).map(Some)
                    }
                    Recorded::Conflict => {
                        call.ended("conflict");
                        Ok(None)
                    }
                }
            })
            .await?;
        recorded.ok_or_else(|| {
            PluginError::Session(format!(
                "host event occurrence idempotency conflict for `{idempotency_key}`"
            ))
        })
    }

    async fn reserve_matching_deliveries(
        &self,
        occurrence_id: &str,
    ) -> Result<Vec<TriggerDeliveryReservation>, PluginError> {
        let id = occurrence_id.to_owned();
        let reserved = self
            .db
            .write("reserve deliveries", move |call| {
                call.host_events()
                    .reserve(&id)?
                    .map(|fan_out| {
                        call.collect(&mut 0, convert::size(&fan_out))?;
                        convert::from_fan_out(call.path(), fan_out)
                    })
                    .transpose()
            })
            .await?;
        match reserved {
            Some(deliveries) => Ok(deliveries
                .into_iter()
                .map(|(_, reservation)| reservation)
                .collect()),
            None => Err(PluginError::Session(format!(
                "unknown host event occurrence `{occurrence_id}`"
            ))),
        }
    }
}
