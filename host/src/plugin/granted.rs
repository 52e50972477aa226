//! A plugin that is bound to a store.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::{Semaphore, oneshot};
use tracing::field::Empty;
use wasmtime::component::{ComponentExportIndex, InstancePre, Resource};
use wasmtime::{Store as WasmStore, Trap};

use super::component::Plugin;
use super::error::{Error, Limit};
use super::grant::Grant;
use super::imports;
use super::limits::Limits;
use super::runtime::Runtime;
use super::state::State;
use super::usage::{Meter, Usage};
use crate::bindings::types::BlobProfile;
use crate::engine::Database;
use crate::sqlite;
use crate::store::Store;

/// How many calls of one plugin run at a time. Further ones wait.
const RUNNING: usize = 8;

/// A plugin that is bound to a store under a grant. Clones share both, and the quotas.
#[derive(Clone)]
pub struct GrantedPlugin {
    granted: Arc<Granted>,
    linked: Arc<Linked>,
}

/// What a plugin is bound to.
pub(super) struct Granted {
    pub(super) db: Database,
    pub(super) profile: BlobProfile,
    pub(super) grant: Arc<Grant>,
    pub(super) meter: Meter,
    /// The keys of the blobs that the plugin has stored. Not more than the calls that
    /// are granted.
    stored: Mutex<HashSet<String>>,
}

impl Granted {
    pub(super) fn stored(&self) -> MutexGuard<'_, HashSet<String>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The component, with what it imports.
struct Linked {
    runtime: Arc<Runtime>,
    instance: InstancePre<State>,
    entry: ComponentExportIndex,
    limits: Limits,
    permits: Semaphore,
}

impl GrantedPlugin {
    pub(super) fn new(plugin: &Plugin, store: &Store, grant: Grant) -> Result<Self, Error> {
        let grant = Arc::new(grant);
        let instance = imports::linker(&plugin.runtime.engine, &grant)
            .and_then(|linker| linker.instantiate_pre(&plugin.component))
            .map_err(|error| Error::not_a_plugin(error.into_boxed_dyn_error()))?;
        let (db, profile) = store.lend();
        Ok(Self {
            granted: Arc::new(Granted {
                db,
                profile,
                meter: Meter::new(grant.most, grant.used),
                grant,
                stored: Mutex::default(),
            }),
            linked: Arc::new(Linked {
                runtime: Arc::clone(&plugin.runtime),
                instance,
                entry: plugin.entry()?,
                limits: plugin.limits.clone(),
                permits: Semaphore::new(RUNNING),
            }),
        })
    }

    /// What is used of the grant, with what it began with.
    pub fn usage(&self) -> Usage {
        self.granted.meter.used()
    }

    /// Calls the plugin, in a new instance, on a thread of its own. At most eight calls
    /// of one plugin run at a time; others wait for them.
    ///
    /// If the future is dropped, a call that has begun goes on to its end.
    ///
    /// # Errors
    ///
    /// All of [`Error`] that are about a call.
    pub async fn run(&self, input: impl Into<Vec<u8>>) -> Result<Vec<u8>, Error> {
        let input = input.into();
        let plugin = self.clone();
        // The semaphore is never closed.
        let _permit = self.linked.permits.acquire().await.ok();
        let (reply, answer) = oneshot::channel();
        let span = tracing::Span::current();
        thread::Builder::new()
            .name("lash-plugin".to_owned())
            .spawn(move || {
                let answer = span.in_scope(|| plugin.run_blocking(&input));
                // If nobody waits any more, what was done is done.
                drop(reply.send(answer));
            })
            .map_err(|source| Error::Thread {
                name_space: self.name_space(),
                source,
            })?;
        answer
            .await
            .unwrap_or_else(|_| Err(self.stopped("the thread that ran the plugin has stopped")))
    }

    /// As [`run`](Self::run), and blocks this thread, on which the plugin runs. It needs
    /// no runtime, and must not be called on a thread of one.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_blocking(&self, input: &[u8]) -> Result<Vec<u8>, Error> {
        let span = tracing::debug_span!(
            target: "lash_wasm_store",
            "plugin",
            name_space = self.granted.grant.name_space.name(),
            path = %self.granted.db.path().display(),
            outcome = Empty,
        );
        let answer = span.in_scope(|| self.call(input));
        span.record(
            "outcome",
            answer.as_ref().map_or_else(Error::code, |_| "ok"),
        );
        answer
    }

    fn call(&self, input: &[u8]) -> Result<Vec<u8>, Error> {
        let linked = &*self.linked;
        let state = State::new(Arc::clone(&self.granted), &linked.limits);
        let mut store = WasmStore::new(&linked.runtime.engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(linked.limits.import_bytes);
        store.set_max_component_handles(linked.limits.handles);
        store.set_epoch_deadline(Runtime::epochs(linked.limits.call_time));
        let running = linked.runtime.running();
        let answer = enter(linked, &mut store, input);
        drop(running);
        let State {
            used_up,
            failure,
            limiter,
            ..
        } = store.into_data();
        let answer = answer.map_err(|error| self.interrupted(error, limiter.refused))?;
        if let Some(quota) = used_up {
            return Err(Error::Quota {
                name_space: self.name_space(),
                quota,
                most: self.granted.meter.most(quota),
                answer,
            });
        }
        answer.map_err(|message| Error::Failed {
            name_space: self.name_space(),
            message,
            source: failure,
        })
    }

    /// Why a plugin did not come to its end.
    fn interrupted(&self, error: wasmtime::Error, refused: Option<Limit>) -> Error {
        let limit = match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => Some(Limit::CallTime),
            Some(Trap::StackOverflow) => Some(Limit::Stack),
            // Most programs trap when they get no memory.
            _ => refused,
        };
        let source = error.into_boxed_dyn_error();
        match limit {
            Some(limit) => Error::Limit {
                name_space: self.name_space(),
                limit,
                source,
            },
            None => self.stopped(source),
        }
    }

    fn stopped(&self, source: impl Into<crate::error::Source>) -> Error {
        Error::Stopped {
            name_space: self.name_space(),
            source: source.into(),
        }
    }

    fn name_space(&self) -> String {
        self.granted.grant.name_space.name().to_owned()
    }
}

fn enter(
    linked: &Linked,
    store: &mut WasmStore<State>,
    input: &[u8],
) -> wasmtime::Result<Result<Vec<u8>, String>> {
    let instance = linked.instance.instantiate(&mut *store)?;
    let run = instance
        .get_typed_func::<(Resource<sqlite::Database>, &[u8]), (Result<Vec<u8>, String>,)>(
            &mut *store,
            &linked.entry,
        )?;
    // There is one database, so the handle need not say which.
    let database = Resource::new_own(0);
    let (answer,) = run.call(store, (database, input))?;
    Ok(answer)
}

impl std::fmt::Debug for GrantedPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrantedPlugin")
            .field("path", &self.granted.db.path())
            .field("grant", &self.granted.grant)
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}
