//! What the suites about host events have in common: subscriptions and reports of
//! occurrences.

use std::collections::BTreeMap;
use std::path::Path;

use lash_core::{
    HostEventOccurrenceRequest, HostEventStore, ProcessExecutionEnvRef, ProcessOriginator,
    SessionScope, TriggerDeliveryReservation, TriggerSubscriptionDraft, TriggerSubscriptionFilter,
    TriggerSubscriptionRecord,
};
use lash_wasm_store::{SqliteHostEventStore, StoreBuilder};
use lashlang::ModuleArtifact;

/// The type of the sources that the fixtures are about.
pub const SOURCE_TYPE: &str = "ui.button.pressed";

/// A module with the process that subscriptions start.
pub fn module() -> ModuleArtifact {
    let program =
        lashlang::parse("process on_button(event: any) { finish event }").expect("a program");
    ModuleArtifact::from_program(program).expect("a module")
}

/// A subscription of a session to a source.
pub fn draft(session: &str, source_key: &str) -> TriggerSubscriptionDraft {
    let scope = SessionScope::new(session);
    let inputs = BTreeMap::from([("event".to_owned(), lashlang::TriggerInputBinding::Event)]);
    let hash = |name: &str| lashlang::ContentHash::new(name);
    TriggerSubscriptionDraft {
        registrant: ProcessOriginator::session(scope.clone()),
        env_ref: ProcessExecutionEnvRef::new(format!("process-env:{session}")),
        wake_target: Some(scope),
        name: None,
        source_type: SOURCE_TYPE.to_owned(),
        source_key: source_key.to_owned(),
        source: serde_json::json!({ "key": source_key }),
        event_ty: lashlang::TypeExpr::Any,
        module_ref: module().module_ref,
        required_surface_ref: lashlang::RequiredSurfaceRef::new(&hash("surface")),
        process_ref: lashlang::ProcessRef::new(hash("process"), 1),
        process_name: "on_button".to_owned(),
        input_template: lashlang::TriggerInputTemplate::new(inputs),
    }
}

/// A subscription of the host to a source.
pub fn host_draft(source_key: &str) -> TriggerSubscriptionDraft {
    TriggerSubscriptionDraft {
        registrant: ProcessOriginator::host(),
        wake_target: None,
        ..draft("host", source_key)
    }
}

/// The report of an occurrence.
pub fn request(source_key: &str, idempotency_key: &str) -> HostEventOccurrenceRequest {
    HostEventOccurrenceRequest::new(
        SOURCE_TYPE,
        source_key,
        serde_json::json!({ "button": idempotency_key }),
        idempotency_key,
    )
}

/// Opens a store.
pub async fn open(path: &Path) -> SqliteHostEventStore {
    open_with(StoreBuilder::new(), path).await
}

/// Opens the store in a file as the builder says.
pub async fn open_with(builder: StoreBuilder, path: &Path) -> SqliteHostEventStore {
    builder
        .open_host_event_store(path)
        .await
        .expect("the store opens")
}

/// Registers a subscription; answers its handle.
pub async fn subscribe(store: &dyn HostEventStore, session: &str, source_key: &str) -> String {
    store
        .register_subscription(draft(session, source_key))
        .await
        .expect("a subscription")
        .handle
}

/// Records an occurrence; answers its identifier.
pub async fn record(store: &dyn HostEventStore, source_key: &str, key: &str) -> String {
    store
        .record_occurrence(request(source_key, key))
        .await
        .expect("an occurrence")
        .occurrence_id
}

/// Reserves the deliveries of an occurrence.
pub async fn reserve(
    store: &dyn HostEventStore,
    occurrence_id: &str,
) -> Vec<TriggerDeliveryReservation> {
    store
        .reserve_matching_deliveries(occurrence_id)
        .await
        .expect("reservations")
}

/// The handles of the subscriptions that a filter selects.
pub async fn listed(store: &dyn HostEventStore, filter: TriggerSubscriptionFilter) -> Vec<String> {
    let records = store.list_subscriptions(filter).await.expect("a list");
    records.into_iter().map(|record| record.handle).collect()
}

/// The handles that deliveries are for.
pub fn handles(deliveries: &[TriggerDeliveryReservation]) -> Vec<&str> {
    deliveries
        .iter()
        .map(|delivery| delivery.subscription.handle.as_str())
        .collect()
}

/// A record without the times, which differ from one store to another.
pub fn timeless(record: TriggerSubscriptionRecord) -> TriggerSubscriptionRecord {
    TriggerSubscriptionRecord {
        created_at_ms: 0,
        updated_at_ms: 0,
        ..record
    }
}
