//! Calling the component.

use std::path::Path;

use wasmtime::Store;
use wasmtime::component::Resource;

use super::Context;
use crate::bindings::types;
use crate::component::{Instance, State, StoreComponent, Unavailable};
use crate::error::{Error, Source};
use crate::kind::DatabaseKind;
use crate::limits::Limit;
use crate::sqlite;
use crate::wit::format;

/// The second argument of every exported function: the database.
type Db = Resource<sqlite::Database>;

/// What an exported function returns.
type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

/// Where the exports of a world are.
type Exports<E> = for<'i> fn(
    &'i mut Instance,
    &StoreComponent,
) -> Result<(&'i E, &'i mut Store<State>), Unavailable>;

/// The right to call the component for one database, within one job.
///
/// Every call is at most one transaction, which is rolled back if the call does
/// not commit it. After a trap no call works any more, and the instance is
/// thrown away with the job.
pub struct Call<'a> {
    instance: &'a mut Instance,
    context: &'a Context,
    operation: &'static str,
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        instance: &'a mut Instance,
        context: &'a Context,
        operation: &'static str,
    ) -> Self {
        Self {
            instance,
            context,
            operation,
        }
    }

    /// The file of the database, `:memory:` if there is none.
    pub fn path(&self) -> &Path {
        self.context.path()
    }

    /// Adds to what the host has collected from several answers.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] if it is more than a component that is not trusted may hand over
    /// at once.
    pub fn collect(&self, collected: &mut usize, bytes: usize) -> Result<(), Error> {
        *collected = collected.saturating_add(bytes);
        match self.context.options.component.limits() {
            Some(limits) if *collected > limits.hostcall_bytes => {
                Err(self.limited(Limit::Hostcall(limits.hostcall_bytes), None))
            }
            _ => Ok(()),
        }
    }

    /// The component has returned what it must not. Only one that is not trusted does.
    pub fn contradiction(&self, what: impl Into<Source>) -> Error {
        self.stopped(what)
    }

    /// Says how the call ended, if that is more than that it succeeded: a word for
    /// the call's span and for metrics.
    pub fn ended(&mut self, outcome: &'static str) {
        self.instance.store.data_mut().outcome = Some(outcome);
    }

    /// Names the session that the call is about, for who reads its span.
    pub fn of_session(&self, session_id: &str) {
        if self.context.session() != Some(session_id) {
            tracing::Span::current().record("session", session_id);
        }
    }

    /// Names the session that this database belongs to, also for the calls to come.
    pub fn belongs_to(&self, session_id: &str) {
        self.of_session(session_id);
        self.context.name_session(session_id);
    }

    /// Names the process that the call is about, for who reads its span.
    pub fn of_process(&self, process_id: &str) {
        tracing::Span::current().record("process", process_id);
    }

    /// Names the effect scope that the call is about, for who reads its span.
    pub fn of_scope(&self, scope: &str) {
        tracing::Span::current().record("scope", scope);
    }

    /// Says what a file is, see `format.classify`.
    pub(crate) fn classify(
        &mut self,
        header: &[u8],
        kind: DatabaseKind,
    ) -> Result<format::State, Error> {
        macro_rules! classify {
            ($world:ident) => {
                self.run(Instance::$world, |exports, store, _| {
                    let format = exports.lash_store_format();
                    format.call_classify(store, header, kind.format()).map(Ok)
                })
            };
        }
        let state = match kind {
            DatabaseKind::Session => classify!(session_store),
            DatabaseKind::Processes => classify!(process_store),
            DatabaseKind::HostEvents => classify!(host_event_store),
            DatabaseKind::Effects => classify!(effect_store),
        }?;
        state.map_err(|mismatch| Error::from_mismatch(mismatch, self.path(), kind))
    }

    /// Calls an exported function of a world.
    pub(super) fn run<E: 'static, T>(
        &mut self,
        world: Exports<E>,
        call: impl FnOnce(&E, &mut Store<State>, Db) -> Answer<T>,
    ) -> Result<T, Error> {
        if self.instance.broken {
            return Err(self.stopped("the instance was stopped by an earlier call"));
        }
        let answer = match world(self.instance, &self.context.options.component) {
            Ok((exports, store)) => {
                let db = store.data_mut().sqlite.begin_call();
                call(exports, store, db)
            }
            Err(Unavailable::World(world)) => return Err(self.unsupported(world)),
            Err(Unavailable::Trap(trap)) => Err(trap),
        };
        let sqlite = &mut self.instance.store.data_mut().sqlite;
        let reached = match &answer {
            Ok(Err(types::Error::Sqlite(error))) => sqlite.reached(error.code.into()),
            _ => None,
        };
        let ended = sqlite.end_call();
        let timeout = self.context.options.busy_timeout;
        match answer {
            Ok(Ok(value)) => match ended {
                Ok(()) => Ok(value),
                Err(error) => Err(Error::from_sqlite(error, self.path(), timeout)),
            },
            Ok(Err(error)) => {
                let error = Error::from_guest(error, self.path(), timeout);
                Err(match reached {
                    Some(limit) => self.limited(limit, Some(error)),
                    None => error,
                })
            }
            Err(trap) => {
                self.instance.broken = true;
                let committed = self.has_committed();
                Err(self.context.trapped(trap, self.operation, committed))
            }
        }
    }

    fn unsupported(&self, world: &'static str) -> Error {
        Error::Unsupported {
            path: self.path().to_path_buf(),
            operation: self.operation,
            world,
        }
    }

    fn stopped(&self, source: impl Into<Source>) -> Error {
        Error::Component {
            path: self.path().to_path_buf(),
            operation: self.operation,
            committed: self.has_committed(),
            source: source.into(),
        }
    }

    fn limited(&self, limit: Limit, answer: Option<Error>) -> Error {
        Error::Limit {
            path: self.path().to_path_buf(),
            operation: self.operation,
            limit,
            committed: self.has_committed(),
            source: answer.map(Box::new),
        }
    }

    fn has_committed(&self) -> bool {
        self.instance.store.data().sqlite.has_committed()
    }
}
