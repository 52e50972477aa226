//! Starting one delivery again, by the router that starts all of them.

use lash_core::{
    DurabilityTier, HostEventOccurrenceRecord, HostEventOccurrenceRequest, HostEventStore,
    PluginError, TriggerDeliveryReservation, TriggerSubscriptionDraft, TriggerSubscriptionFilter,
    TriggerSubscriptionRecord, deterministic_occurrence_id,
};

/// A host event store with one delivery in it, for a router to start.
///
/// lash-core starts processes within
/// [`HostEventRouter::emit`](lash_core::HostEventRouter::emit) only. A router on
/// this store, to which the occurrence is reported once more, starts exactly this
/// delivery, under the identifier that it would have had:
///
/// ```
/// # use std::sync::Arc;
/// # use lash_core::{HostEventRouter, PluginError, ProcessRegistry, RuntimeEffectController};
/// # use lash_wasm_store::{SqliteHostEventStore, TriggerRedelivery};
/// # async fn example(
/// #     store: SqliteHostEventStore,
/// #     artifacts: Arc<dyn lash_core::LashlangArtifactStore>,
/// #     registry: Arc<dyn ProcessRegistry>,
/// #     controller: &dyn RuntimeEffectController,
/// # ) -> Result<(), PluginError> {
/// for delivery in store.unstarted_deliveries(&*registry).await? {
///     let redelivery = TriggerRedelivery::new(delivery);
///     let request = redelivery.request();
///     let router = HostEventRouter::new(
///         Arc::new(redelivery),
///         artifacts.clone(),
///         Some(registry.clone()),
///         None,
///         "profile of the host",
///     );
///     if let Err(error) = router.emit(request, controller).await {
///         eprintln!("still not started: {error}");
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// It stores nothing. Whatever is not needed for that is refused.
#[derive(Clone, Debug)]
pub struct TriggerRedelivery {
    delivery: TriggerDeliveryReservation,
}

impl TriggerRedelivery {
    /// A store with this delivery in it.
    pub fn new(delivery: TriggerDeliveryReservation) -> Self {
        Self { delivery }
    }

    /// The report of the occurrence, as it was made first.
    pub fn request(&self) -> HostEventOccurrenceRequest {
        let occurrence = self.delivery.occurrence.clone();
        HostEventOccurrenceRequest {
            source_type: occurrence.source_type,
            source_key: occurrence.source_key,
            payload: occurrence.payload,
            idempotency_key: occurrence.idempotency_key,
            source: occurrence.source,
        }
    }

    fn occurrence_id(&self) -> &str {
        &self.delivery.occurrence.occurrence_id
    }
}

fn refused<T>() -> Result<T, PluginError> {
    Err(PluginError::Session(
        "this store starts one delivery again, and does nothing else".to_owned(),
    ))
}

#[async_trait::async_trait]
impl HostEventStore for TriggerRedelivery {
    fn durability_tier(&self) -> DurabilityTier {
        DurabilityTier::Durable
    }

    async fn register_subscription(
        &self,
        _draft: TriggerSubscriptionDraft,
    ) -> Result<TriggerSubscriptionRecord, PluginError> {
        refused()
    }

    async fn list_subscriptions(
        &self,
        _filter: TriggerSubscriptionFilter,
    ) -> Result<Vec<TriggerSubscriptionRecord>, PluginError> {
        refused()
    }

    async fn cancel_subscription(
        &self,
        _session_id: &str,
        _handle: &str,
    ) -> Result<bool, PluginError> {
        refused()
    }

    async fn delete_session_subscriptions(&self, _session_id: &str) -> Result<usize, PluginError> {
        refused()
    }

    async fn record_occurrence(
        &self,
        request: HostEventOccurrenceRequest,
    ) -> Result<HostEventOccurrenceRecord, PluginError> {
        if deterministic_occurrence_id(&request)? == self.occurrence_id() {
            Ok(self.delivery.occurrence.clone())
        } else {
            refused()
        }
    }

    async fn reserve_matching_deliveries(
        &self,
        occurrence_id: &str,
    ) -> Result<Vec<TriggerDeliveryReservation>, PluginError> {
        if occurrence_id == self.occurrence_id() {
            Ok(vec![self.delivery.clone()])
        } else {
            refused()
        }
    }
}
