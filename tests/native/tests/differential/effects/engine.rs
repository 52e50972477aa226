//! The effect hosts, and how an operation is done on one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lash_core::{
    EffectHost, EffectScope, ProcessCommand, ProcessExecutionContext, ProcessRegistry,
    RuntimeEffectControllerError, RuntimeEffectEnvelope, RuntimeEffectLocalExecutor,
    ScopedEffectController, TestLocalProcessRegistry,
};
use lash_wasm_store::import::ImportError;
use lash_wasm_store::{Durability, SqliteEffectHost, StoreBuilder};
use lash_wasm_store_testing::effects::{Ended, LONG, effect_with, outcome, process, run, sleep};
use lash_wasm_store_testing::fixtures::Place;
use lash_wasm_store_testing::process_fixtures::registration;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::operation::{Effect, Ends, Operation, Scope};
use crate::answer::{Answer, of, ok};
use crate::machine::Owner;
use crate::names::Names;

/// A process that can be asked to end.
const CANCELLED: &str = "process to cancel";

/// A host, and the controllers that it handed out.
pub(crate) struct Engine {
    pub(crate) owner: Owner,
    names: Names,
    kept: BTreeMap<Scope, ScopedEffectController<'static>>,
    registry: Arc<dyn ProcessRegistry>,
    place: Option<Place>,
    host: Option<Arc<dyn Host>>,
}

/// What both crates' hosts have beside the trait.
trait Host: EffectHost {
    fn start_replay(&self);
}

impl Host for SqliteEffectHost {
    fn start_replay(&self) {
        Self::start_replay(self);
    }
}

impl Host for lash_sqlite_store::SqliteEffectHost {
    fn start_replay(&self) {
        Self::start_replay(self);
    }
}

impl Engine {
    /// Opens a new host, in a file if it is to be closed and opened again.
    pub(crate) async fn new(owner: Owner, in_file: bool) -> Self {
        let place = in_file.then(Place::new);
        let registry = Arc::new(TestLocalProcessRegistry::durable());
        registry
            .register_process(registration(CANCELLED))
            .await
            .expect("a process");
        Self {
            owner,
            names: Names::default(),
            kept: BTreeMap::new(),
            registry,
            host: Some(open(owner, place.as_ref().map(Place::path)).await),
            place,
        }
    }

    /// The file, if it has one, imported into a host of this crate.
    pub(crate) async fn imported(&self) -> Option<Result<Self, ImportError>> {
        let source = self.place.as_ref()?;
        let place = Place::new();
        let imported = SqliteEffectHost::import_native(source.path(), place.path()).await;
        Some(match imported {
            Ok(_) => Ok(Self {
                owner: Owner::Ours,
                names: self.names.clone(),
                kept: BTreeMap::new(),
                registry: Arc::clone(&self.registry),
                host: Some(open(Owner::Ours, Some(place.path())).await),
                place: Some(place),
            }),
            Err(error) => Err(error),
        })
    }

    /// Does an operation and answers comparably.
    pub(crate) async fn run(&mut self, operation: &Operation) -> Answer {
        match operation {
            Operation::Execute {
                scope,
                kept,
                key,
                effect,
                ends,
            } => self.execute(*scope, *kept, *key, *effect, *ends).await,
            Operation::StartReplay => {
                self.host().start_replay();
                ok(())
            }
            Operation::Reopen => {
                if let Some(place) = &self.place {
                    self.kept.clear();
                    self.host = None;
                    self.host = Some(open(self.owner, Some(place.path())).await);
                }
                ok(())
            }
        }
    }

    async fn execute(
        &mut self,
        scope: Scope,
        kept: bool,
        key: Option<u8>,
        effect: Effect,
        ends: Ends,
    ) -> Answer {
        let controller = match self.kept.get(&scope).filter(|_| kept) {
            Some(controller) => controller.clone(),
            None => match self.host().scoped_static(effect_scope(scope)) {
                Ok(controller) => controller.expect("a controller"),
                Err(error) => return json!({ "error": { "variant": error.code.as_str() } }),
            },
        };
        self.kept.entry(scope).or_insert_with(|| controller.clone());
        let executed = Arc::new(AtomicUsize::new(0));
        let executor = match effect {
            Effect::Code(_) | Effect::Sleep => counted(Arc::clone(&executed), ends),
            Effect::Start(_) | Effect::Cancel(_) => {
                RuntimeEffectLocalExecutor::process_control(Arc::clone(&self.registry))
            }
        };
        let mut envelope = envelope(key.unwrap_or(0), effect);
        if key.is_none() {
            envelope.invocation.replay = None;
        }
        let mut answer = of(run(&controller, envelope, executor).await);
        answer["executed"] = executed.load(Ordering::SeqCst).into();
        self.names.comparable(answer)
    }

    fn host(&self) -> &dyn Host {
        self.host.as_deref().expect("it is open")
    }
}

async fn open(owner: Owner, path: Option<&Path>) -> Arc<dyn Host> {
    if owner == Owner::Ours {
        let options = lash_wasm_store::SqliteEffectReplayOptions { lease_ttl: LONG };
        let builder = StoreBuilder::new().durability(Durability::Normal);
        let path = path.unwrap_or(Path::new(":memory:"));
        return Arc::new(
            builder
                .open_effect_host(path, options)
                .await
                .expect("it opens"),
        );
    }
    let options = lash_sqlite_store::SqliteEffectReplayOptions { lease_ttl: LONG };
    Arc::new(match path {
        Some(path) => lash_sqlite_store::SqliteEffectHost::open_with_options(path, options)
            .await
            .expect("it opens"),
        None => lash_sqlite_store::SqliteEffectHost::memory_with_options(options)
            .await
            .expect("it opens"),
    })
}

fn effect_scope(scope: Scope) -> EffectScope {
    match scope {
        Scope::Turn(session, turn) => EffectScope::turn(session.to_string(), turn.to_string()),
        Scope::Process(process) => EffectScope::process(process.to_string()),
        Scope::Drain(session, drain) => {
            EffectScope::queue_drain(session.to_string(), drain.to_string())
        }
        Scope::Blank => EffectScope::process(" "),
    }
}

fn envelope(key: u8, effect: Effect) -> RuntimeEffectEnvelope {
    let key = key.to_string();
    match effect {
        Effect::Code(code) => effect_with(&key, &code.to_string()),
        Effect::Sleep => sleep(&key, 0),
        Effect::Start(number) => process(
            &key,
            ProcessCommand::Start {
                registration: registration(&number.to_string()),
                grant: None,
                execution_context: Box::new(ProcessExecutionContext::default()),
            },
        ),
        Effect::Cancel(reason) => process(
            &key,
            ProcessCommand::Cancel {
                process_id: CANCELLED.to_owned(),
                reason: Some(reason.to_string()),
            },
        ),
    }
}

/// Counts how often it is called.
fn counted(count: Arc<AtomicUsize>, ends: Ends) -> RuntimeEffectLocalExecutor<'static> {
    RuntimeEffectLocalExecutor::testing(move |_| async move {
        count.fetch_add(1, Ordering::SeqCst);
        ended(ends)
    })
}

fn ended(ends: Ends) -> Ended {
    let (code, number) = match ends {
        Ends::Well(number) => return Ok(outcome(number)),
        Ends::Failed(number) => ("of_an_application", number),
        Ends::NotExecuted(number) => ("runtime_effect_local_executor_unavailable", number),
    };
    Err(RuntimeEffectControllerError::new(code, number.to_string()))
}
