//! A plugin that is bound to a store.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::oneshot;
use tracing::Span;
use tracing::field::Empty;
use wasmtime::Store as WasmStore;
use wasmtime::component::{ComponentExportIndex, Instance, InstancePre, Resource as Handle};

use super::component::{Plugin, entry};
use super::error::Error;
use super::grant::Grant;
use super::imports;
use super::state::State;
use super::usage::{Meter, Usage};
use crate::blocking::wait;
use crate::component::{ByMode, Mode};
use crate::database::Database;
use crate::observability::TARGET;
use crate::resource::Resource;
use crate::sqlite;
use crate::sync::lock;

/// A plugin that is bound to a store under a grant. Clones share both, and the quotas.
#[derive(Clone)]
pub struct GrantedPlugin {
    granted: Arc<Granted>,
    linked: Arc<Linked>,
}

/// What a plugin is bound to.
pub(super) struct Granted {
    pub(super) db: Database,
    pub(super) grant: Arc<Grant>,
    pub(super) meter: Meter,
    /// The keys of the blobs that the plugin has stored. Not more than the calls that
    /// are granted.
    stored: Mutex<HashSet<String>>,
}

impl Granted {
    pub(super) fn stored(&self) -> MutexGuard<'_, HashSet<String>> {
        lock(&self.stored)
    }
}

/// The component, with what it imports in the modes that were needed.
struct Linked {
    plugin: Plugin,
    code: ByMode<Code>,
}

#[derive(Clone)]
struct Code {
    instance: InstancePre<State>,
    entry: ComponentExportIndex,
}

impl GrantedPlugin {
    pub(super) fn new(plugin: &Plugin, db: &Database, grant: Grant) -> Result<Self, Error> {
        let granted = Self {
            granted: Arc::new(Granted {
                db: db.clone(),
                meter: Meter::new(grant.most, grant.used),
                grant: Arc::new(grant),
                stored: Mutex::default(),
            }),
            linked: Arc::new(Linked {
                plugin: plugin.clone(),
                code: ByMode::new(),
            }),
        };
        let engines = plugin.sandbox.engines();
        engines
            .adapt(|mode| granted.code(mode))
            .map_err(Error::unusable)?;
        Ok(granted)
    }

    /// The component in a mode, with what it imports.
    fn code(&self, mode: Mode) -> wasmtime::Result<Code> {
        let plugin = &self.linked.plugin;
        self.linked.code.get(mode, || {
            let component = plugin.component(mode)?;
            let linker = imports::linker(component.engine(), &self.granted.grant)?;
            Ok(Code {
                instance: linker.instantiate_pre(&component)?,
                entry: entry(&component)?,
            })
        })
    }

    /// What is used of the grant, with what it began with.
    pub fn usage(&self) -> Usage {
        self.granted.meter.used()
    }

    /// Calls the plugin, in a new instance, on a thread that does nothing else meanwhile. At
    /// most eight calls of one [`Plugin`] run at a time, to whatever stores it and its clones
    /// are bound; others wait for them. Each may use [`Limits::memory_bytes`](crate::Limits).
    ///
    /// If the future is dropped, a call that has begun goes on to its end.
    ///
    /// # Errors
    ///
    /// All of [`Error`] that are about a call.
    pub async fn run(&self, input: impl Into<Vec<u8>>) -> Result<Vec<u8>, Error> {
        let input = input.into();
        // The semaphore is never closed.
        let permit = Arc::clone(&self.linked.plugin.permits)
            .acquire_owned()
            .await
            .ok();
        let (reply, answer) = oneshot::channel();
        self.spawn(input, move |answer| {
            drop(permit);
            // If nobody waits any more, what was done is done.
            drop(reply.send(answer));
        })?;
        answer.await.unwrap_or_else(|_| Err(self.lost()))
    }

    /// As [`run`](Self::run), and blocks this thread, which must not be one of an
    /// asynchronous runtime.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_blocking(&self, input: impl Into<Vec<u8>>) -> Result<Vec<u8>, Error> {
        wait(self.run(input))
    }

    /// Calls the plugin on a thread that has the stack for it.
    fn spawn(
        &self,
        input: Vec<u8>,
        reply: impl FnOnce(Result<Vec<u8>, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        let plugin = self.clone();
        let span = tracing::debug_span!(
            target: TARGET,
            "plugin",
            namespace = self.granted.grant.namespace.name(),
            path = %self.granted.db.path().display(),
            outcome = Empty,
        );
        let call = move || {
            let answer = plugin.observed(&span, &input);
            // So that the caller who drops the plugin then finds the store closed.
            drop(plugin);
            reply(answer);
        };
        self.linked
            .plugin
            .threads
            .run(call)
            .map_err(|source| Error::Thread {
                namespace: self.namespace(),
                source,
            })
    }

    fn observed(&self, span: &Span, input: &[u8]) -> Result<Vec<u8>, Error> {
        let answer = span.in_scope(|| self.call(input));
        span.record(
            "outcome",
            answer.as_ref().map_or_else(Error::code, |_| "ok"),
        );
        answer
    }

    fn call(&self, input: &[u8]) -> Result<Vec<u8>, Error> {
        let sandbox = &self.linked.plugin.sandbox;
        let engines = sandbox.engines();
        let entered = engines.adapt(|mode| {
            let Code { instance, entry } = self.code(mode)?;
            let state = State::new(Arc::clone(&self.granted), sandbox.growth());
            let engine = sandbox.engine(mode)?;
            let mut store = sandbox.store(&engine, state, |state| &mut state.growth);
            let instance = instance.instantiate(&mut store)?;
            Ok((store, instance, entry))
        });
        let (mut store, instance, entry) = entered.map_err(|trap| self.trapped(trap))?;
        let answer = run(&mut store, &instance, &entry, input);
        let State {
            used_up, failure, ..
        } = store.into_data();
        let answer = answer.map_err(|trap| self.trapped(trap))?;
        if let Some(quota) = used_up {
            return Err(Error::Quota {
                namespace: self.namespace(),
                quota,
                most: self.granted.meter.most(quota),
                answer,
            });
        }
        answer.map_err(|message| Error::Failed {
            namespace: self.namespace(),
            message,
            source: failure.map(Box::new),
        })
    }

    /// Why the plugin did not come to its end.
    fn trapped(&self, trap: wasmtime::Error) -> Error {
        match self.linked.plugin.sandbox.reached(&trap) {
            Some(limit) => Error::Limit {
                namespace: self.namespace(),
                limit,
            },
            None => match Resource::of(&trap) {
                Some(resource) => Error::Resource {
                    namespace: Some(self.namespace()),
                    resource,
                    source: trap.into_boxed_dyn_error(),
                },
                None => self.stopped(trap.into_boxed_dyn_error()),
            },
        }
    }

    fn lost(&self) -> Error {
        self.stopped("the thread that ran the plugin has stopped")
    }

    fn stopped(&self, source: impl Into<crate::error::Source>) -> Error {
        Error::Stopped {
            namespace: self.namespace(),
            source: source.into(),
        }
    }

    fn namespace(&self) -> String {
        self.granted.grant.namespace.name().to_owned()
    }
}

fn run(
    store: &mut WasmStore<State>,
    instance: &Instance,
    entry: &ComponentExportIndex,
    input: &[u8],
) -> wasmtime::Result<Result<Vec<u8>, String>> {
    let run = instance
        .get_typed_func::<(Handle<sqlite::Database>, &[u8]), (Result<Vec<u8>, String>,)>(
            &mut *store,
            entry,
        )?;
    // There is one database, so the handle need not say which.
    let database = Handle::new_borrow(0);
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
