//! The host event stores, and how an operation is done on one.

use std::path::Path;
use std::sync::Arc;

use lash_core::{
    HostEventOccurrenceRequest, HostEventStore, InMemoryHostEventStore, TriggerSubscriptionDraft,
    TriggerSubscriptionFilter,
};
use lash_wasm_store::import::ImportError;
use lash_wasm_store::{Durability, SqliteHostEventStore, StoreBuilder};
use lash_wasm_store_testing::fixtures::Place;
use lash_wasm_store_testing::host_events::{SOURCE_TYPE, draft, host_draft, request};
use serde_json::json;

use super::operation::{Filter, Occurrence, Operation, SESSIONS, SOURCES, Subscription};
use crate::answer::{Answer, of, ok};
use crate::machine::Owner;
use crate::names::Names;

/// A store.
pub(crate) struct Engine {
    pub(crate) owner: Owner,
    names: Names,
    place: Option<Place>,
    store: Option<Arc<dyn HostEventStore>>,
    /// A second store on the file, once it is needed.
    other: Option<Arc<dyn HostEventStore>>,
}

impl Engine {
    /// Opens a new store, in a file if it is to be closed and opened again.
    pub(crate) async fn new(owner: Owner, in_file: bool) -> Self {
        let place = (in_file && owner != Owner::Memory).then(Place::new);
        Self {
            owner,
            names: Names::default(),
            store: Some(open(owner, place.as_ref().map(Place::path)).await),
            other: None,
            place,
        }
    }

    /// The file, if it has one, imported into a store of this crate.
    pub(crate) async fn imported(&self) -> Option<Result<Self, ImportError>> {
        let source = self.place.as_ref()?;
        let place = Place::new();
        let imported = SqliteHostEventStore::import_native(source.path(), place.path()).await;
        Some(match imported {
            Ok(_) => Ok(Self {
                owner: Owner::Ours,
                names: self.names.clone(),
                store: Some(open(Owner::Ours, Some(place.path())).await),
                other: None,
                place: Some(place),
            }),
            Err(error) => Err(error),
        })
    }

    /// Does an operation and answers comparably.
    pub(crate) async fn run(&mut self, operation: &Operation) -> Answer {
        let store = Arc::clone(self.store.as_ref().expect("it is open"));
        let (store, operation) = match operation {
            Operation::Elsewhere(operation) => (self.elsewhere(store).await, &**operation),
            operation => (store, operation),
        };
        let answer = match operation {
            Operation::Subscribe(subscription) => {
                of(store.register_subscription(to_draft(subscription)).await)
            }
            Operation::Cancel(session, number) => of(store
                .cancel_subscription(SESSIONS[*session], &handle(*number))
                .await),
            Operation::DeleteSession(session) => {
                of(store.delete_session_subscriptions(SESSIONS[*session]).await)
            }
            Operation::List(filter) => of(store.list_subscriptions(to_filter(filter)).await),
            Operation::Record(occurrence) => {
                of(store.record_occurrence(to_request(occurrence)).await)
            }
            Operation::Reserve(occurrence) => {
                let id = lash_core::deterministic_occurrence_id(&to_request(occurrence));
                let id = id.expect("an identifier");
                let reserved = store.reserve_matching_deliveries(&id).await;
                of(reserved.map(|mut reserved| {
                    // lash-core's store has an order of its own.
                    reserved.sort_by_key(|delivery| {
                        let subscription = &delivery.subscription;
                        (
                            subscription.registrant_scope_id(),
                            subscription.handle.clone(),
                        )
                    });
                    reserved
                }))
            }
            Operation::Reopen => {
                drop(store);
                if let Some(place) = &self.place {
                    self.other = None;
                    self.store = None;
                    self.store = Some(open(self.owner, Some(place.path())).await);
                }
                ok(())
            }
            Operation::Elsewhere(_) => unreachable!("once is enough"),
        };
        self.names.comparable(answer)
    }

    /// What lash-core has in memory has no second store.
    async fn elsewhere(&mut self, store: Arc<dyn HostEventStore>) -> Arc<dyn HostEventStore> {
        let Some(place) = &self.place else {
            return store;
        };
        if self.other.is_none() {
            self.other = Some(open(self.owner, Some(place.path())).await);
        }
        Arc::clone(self.other.as_ref().expect("it is open"))
    }
}

async fn open(owner: Owner, path: Option<&Path>) -> Arc<dyn HostEventStore> {
    match (owner, path) {
        (Owner::Ours, Some(path)) => {
            let builder = StoreBuilder::new().durability(Durability::Normal);
            Arc::new(builder.open_host_event_store(path).await.expect("it opens"))
        }
        (Owner::Ours, None) => Arc::new(SqliteHostEventStore::memory().await.expect("it opens")),
        (Owner::Native, Some(path)) => Arc::new(
            lash_sqlite_store::SqliteHostEventStore::open(path)
                .await
                .expect("it opens"),
        ),
        (Owner::Native, None) => Arc::new(
            lash_sqlite_store::SqliteHostEventStore::memory()
                .await
                .expect("it opens"),
        ),
        (Owner::Memory, _) => Arc::new(InMemoryHostEventStore::default()),
    }
}

/// A handle, or what looks like one.
fn handle(number: u64) -> String {
    match number {
        0 => "trigger:01".to_owned(),
        number => format!("trigger:{number}"),
    }
}

fn to_draft(subscription: &Subscription) -> TriggerSubscriptionDraft {
    let source = SOURCES[subscription.source];
    TriggerSubscriptionDraft {
        name: subscription.name.map(|name| name.to_string()),
        process_name: format!("process {}", subscription.process),
        ..match subscription.session {
            Some(session) => draft(SESSIONS[session], source),
            None => host_draft(source),
        }
    }
}

fn to_filter(filter: &Filter) -> TriggerSubscriptionFilter {
    TriggerSubscriptionFilter {
        session_id: filter.session.map(|session| SESSIONS[session].to_owned()),
        handle: filter.handle.map(handle),
        name: filter.name.map(|name| name.to_string()),
        source_type: filter.source_type.map(|known| match known {
            true => SOURCE_TYPE.to_owned(),
            false => "unknown".to_owned(),
        }),
        source_key: filter.source.map(|source| SOURCES[source].to_owned()),
        target: None,
        enabled: filter.enabled,
    }
}

fn to_request(occurrence: &Occurrence) -> HostEventOccurrenceRequest {
    let source = match occurrence.is_blank {
        true => " ",
        false => SOURCES[occurrence.source],
    };
    HostEventOccurrenceRequest {
        payload: json!({ "button": occurrence.payload }),
        ..request(source, &occurrence.key.to_string())
    }
}
