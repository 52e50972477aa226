//! The process registries, and how an operation is done on one.

use std::path::Path;
use std::sync::Arc;

use lash_core::{
    ProcessAwaitOutput, ProcessEventAppendRequest, ProcessExternalRef, ProcessHandleDescriptor,
    ProcessLease, ProcessLeaseCompletion, ProcessListFilter, ProcessRegistration, ProcessRegistry,
    SessionScope, TestLocalProcessRegistry, ToolFailureClass, WaitKind, WaitState,
};
use lash_wasm_store::import::ImportError;
use lash_wasm_store::{Durability, SqliteProcessRegistry, StoreBuilder};
use lash_wasm_store_testing::fixtures::{Place, guarded};
use lash_wasm_store_testing::process_fixtures::registration;
use serde_json::json;

use super::Model;
use super::operation::{End, Event, Operation, Payload, Scope};
use crate::answer::{Answer, of, ok};
use crate::machine::Owner;
use crate::names::Names;

/// A registry and the leases that it gave.
pub(crate) struct Engine {
    pub(crate) owner: Owner,
    names: Names,
    leases: Vec<ProcessLease>,
    place: Option<Place>,
    registry: Option<Arc<dyn ProcessRegistry>>,
    /// A second registry on the file, once it is needed.
    other: Option<Arc<dyn ProcessRegistry>>,
}

impl Engine {
    /// Opens a new registry, in a file if it is to be closed and opened again.
    pub(crate) async fn new(owner: Owner, in_file: bool) -> Self {
        let place = (in_file && owner != Owner::Memory).then(Place::new);
        Self {
            owner,
            names: Names::default(),
            leases: Vec::new(),
            registry: Some(open(owner, place.as_ref().map(Place::path)).await),
            other: None,
            place,
        }
    }

    /// The file, if it has one, imported into a registry of this crate.
    pub(crate) async fn imported(&self) -> Option<Result<Self, ImportError>> {
        let source = self.place.as_ref()?;
        let place = Place::new();
        let imported = SqliteProcessRegistry::import_native(source.path(), place.path()).await;
        Some(match imported {
            Ok(_) => Ok(Self {
                owner: Owner::Ours,
                names: self.names.clone(),
                leases: self.leases.clone(),
                registry: Some(open(Owner::Ours, Some(place.path())).await),
                other: None,
                place: Some(place),
            }),
            Err(error) => Err(error),
        })
    }

    async fn reopen(&mut self) {
        let Some(place) = &self.place else {
            // What lash-core has in memory lives as long as its engine.
            return;
        };
        self.other = None;
        self.registry = None;
        self.registry = Some(open(self.owner, Some(place.path())).await);
    }

    /// Does an operation and answers comparably.
    pub(crate) async fn run(&mut self, model: &Model, operation: &Operation) -> Answer {
        let registry = Arc::clone(self.registry.as_ref().expect("it is open"));
        let (registry, operation) = match operation {
            Operation::Elsewhere(operation) => (self.elsewhere(registry).await, &**operation),
            operation => (registry, operation),
        };
        let answer = match operation {
            Operation::Reopen => {
                drop(registry);
                self.reopen().await;
                ok(())
            }
            Operation::Claim {
                process,
                owner,
                live,
            } => {
                let claimed = registry
                    .claim_process_lease(&id(*process), &owner.to_string(), ttl_ms(*live))
                    .await;
                self.leases.extend(claimed.iter().cloned());
                of(claimed)
            }
            Operation::Renew { lease, live } => match self.lease(*lease) {
                Some(lease) => of(registry.renew_process_lease(lease, ttl_ms(*live)).await),
                None => ok(()),
            },
            Operation::Release(lease) => match self.lease(*lease) {
                Some(lease) => {
                    let completion = ProcessLeaseCompletion::from_lease(lease);
                    of(registry.complete_process_lease(&completion).await)
                }
                None => ok(()),
            },
            operation => run(registry.as_ref(), model, operation).await,
        };
        self.names.comparable(answer)
    }

    /// What lash-core has in memory has no second registry.
    async fn elsewhere(&mut self, registry: Arc<dyn ProcessRegistry>) -> Arc<dyn ProcessRegistry> {
        let Some(place) = &self.place else {
            return registry;
        };
        if self.other.is_none() {
            self.other = Some(open(self.owner, Some(place.path())).await);
        }
        Arc::clone(self.other.as_ref().expect("it is open"))
    }

    fn lease(&self, number: usize) -> Option<&ProcessLease> {
        (!self.leases.is_empty()).then(|| &self.leases[number % self.leases.len()])
    }
}

async fn open(owner: Owner, path: Option<&Path>) -> Arc<dyn ProcessRegistry> {
    match (owner, path) {
        (Owner::Ours, Some(path)) => {
            let builder = StoreBuilder::new().durability(Durability::Normal);
            Arc::new(builder.open_process_registry(path).await.expect("it opens"))
        }
        (Owner::Ours, None) => Arc::new(SqliteProcessRegistry::memory().await.expect("it opens")),
        (Owner::Native, Some(path)) => Arc::new(
            lash_sqlite_store::SqliteProcessRegistry::open(path)
                .await
                .expect("it opens"),
        ),
        (Owner::Native, None) => Arc::new(
            lash_sqlite_store::SqliteProcessRegistry::memory()
                .await
                .expect("it opens"),
        ),
        (Owner::Memory, _) => Arc::new(TestLocalProcessRegistry::durable()),
    }
}

/// What does not need to know leases.
async fn run(registry: &dyn ProcessRegistry, model: &Model, operation: &Operation) -> Answer {
    match operation {
        Operation::Register(process, other) => of(registry
            .register_process(registered(*process, *other))
            .await),
        Operation::SetExternalRef(process, value) => {
            let external = ProcessExternalRef {
                backend: "a backend".to_owned(),
                id: value.to_string(),
                metadata: None,
            };
            of(registry.set_external_ref(&id(*process), external).await)
        }
        Operation::Grant(scope, process, label) => {
            let descriptor = ProcessHandleDescriptor::new(Some("kind"), Some(label.to_string()));
            of(registry
                .grant_handle(&session_scope(*scope), &id(*process), descriptor)
                .await)
        }
        Operation::Revoke(scope, process) => of(registry
            .revoke_handle(&session_scope(*scope), &id(*process))
            .await),
        Operation::Transfer(from, to, processes) => {
            let ids: Vec<String> = processes.iter().map(|process| id(*process)).collect();
            of(registry
                .transfer_handle_grants(&session_scope(*from), &session_scope(*to), &ids)
                .await)
        }
        Operation::Handles { scope, live: false } => {
            of(registry.list_handle_grants(&session_scope(*scope)).await)
        }
        Operation::Handles { scope, live: true } => of(registry
            .list_live_handle_grants(&session_scope(*scope))
            .await),
        Operation::HasHandle(scope, process) => of(registry
            .has_handle_grant(&session_scope(*scope), &id(*process))
            .await),
        Operation::HandlesOf(process) => {
            let handles = registry.handle_grants_for_process(&id(*process)).await;
            of(handles.map(|mut handles| {
                // lash-core's registry leaves the order within a session open.
                handles.sort_by_key(|handle| {
                    (handle.session_id.clone(), handle.descriptor.label.clone())
                });
                handles
            }))
        }
        Operation::DeleteSession(session) => of(registry
            .delete_session_process_state(&session.to_string())
            .await),
        Operation::Append(process, event) => {
            of(registry.append_event(&id(*process), request(event)).await)
        }
        Operation::Complete(process, end) => {
            of(registry.complete_process(&id(*process), output(*end)).await)
        }
        Operation::Events(process, after) => {
            of(registry.events_after(&id(*process), after.sequence()).await)
        }
        Operation::Wakes(process, after) => of(registry
            .wake_events_after(&id(*process), after.sequence())
            .await),
        Operation::WaitEvent(process, kind, after) => {
            if model.would_wait_for_event(*process, kind, *after) {
                return ok(());
            }
            let id = id(*process);
            let event = registry.wait_event_after(&id, kind, *after);
            of(guarded(event).await)
        }
        Operation::Await(process) => {
            if model.is_running(*process) {
                return ok(());
            }
            of(guarded(registry.await_process(&id(*process))).await)
        }
        Operation::Acknowledge(process, sequence) => {
            of(registry.ack_wake(&id(*process), *sequence).await)
        }
        Operation::SetWait(process, name) => {
            let wait = WaitState {
                kind: WaitKind::Signal {
                    name: name.to_string(),
                    event_type: "tick".to_owned(),
                    key: "key".to_owned(),
                    ordinal: 1,
                },
                since_ms: 1,
            };
            of(registry.set_process_wait(&id(*process), wait).await)
        }
        Operation::ClearWait(process) => of(registry.clear_process_wait(&id(*process)).await),
        Operation::Get(process) => ok(registry.get_process(&id(*process)).await),
        Operation::List(filter) => {
            let mut arguments = serde_json::Map::new();
            if let Some(status) = filter.status {
                arguments.insert("status".to_owned(), json!(status));
            }
            if let Some(waiting) = filter.waiting {
                arguments.insert("waiting".to_owned(), json!(waiting));
            }
            let filter = ProcessListFilter::decode(&arguments.into()).expect("a filter");
            of(registry.list_processes(&filter).await)
        }
        Operation::ListRunning => of(registry.list_non_terminal().await),
        Operation::Claim { .. }
        | Operation::Renew { .. }
        | Operation::Release(_)
        | Operation::Elsewhere(_)
        | Operation::Reopen => unreachable!("the engine does it"),
    }
}

fn id(process: usize) -> String {
    format!("process {process}")
}

fn ttl_ms(live: bool) -> u64 {
    if live { 3_600_000 } else { 0 }
}

fn registered(process: usize, other: bool) -> ProcessRegistration {
    let registration = registration(&id(process));
    match other {
        true => registration.with_wake_target(None),
        false => registration,
    }
}

pub(crate) fn session_scope(scope: Scope) -> SessionScope {
    match scope.frame {
        true => SessionScope::for_agent_frame(scope.session.to_string(), "frame"),
        false => SessionScope::new(scope.session.to_string()),
    }
}

fn request(event: &Event) -> ProcessEventAppendRequest {
    let payload = match event.payload {
        Payload::Number(number) => json!({ "n": number }),
        Payload::Text(text) => json!({ "text": text.to_string() }),
        Payload::Output(value) => json!({ "await_output": output(End::Success(value)) }),
    };
    let request = ProcessEventAppendRequest::new(event.kind, payload)
        .with_optional_wake_target_scope(event.target.map(session_scope));
    match event.key {
        Some(key) => request.with_replay_key(key.to_string()),
        None => request,
    }
}

fn output(end: End) -> ProcessAwaitOutput {
    match end {
        End::Success(value) => ProcessAwaitOutput::Success {
            value: json!(value),
            control: None,
        },
        End::Failure => ProcessAwaitOutput::Failure {
            class: ToolFailureClass::Internal,
            code: "code".to_owned(),
            message: "message".to_owned(),
            raw: None,
            control: None,
        },
        End::Cancelled => ProcessAwaitOutput::Cancelled {
            message: "message".to_owned(),
            raw: None,
            control: None,
        },
    }
}
