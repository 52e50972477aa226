//! Calling the component.

use std::path::Path;

use wasmtime::Store;
use wasmtime::component::Resource;

use super::Context;
use crate::bindings::{self, types};
use crate::component::{Instance, State, StoreComponent, Unavailable};
use crate::error::{Error, Source};
use crate::kind::DatabaseKind;
use crate::limits::Limit;
use crate::sqlite;
use crate::wit::format;
use crate::wit::types::{Cursor, Page};

/// The second argument of every exported function: the database.
type Db = Resource<sqlite::Database>;

/// What an exported function returns.
type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

/// Where the exports of a world are.
type Exports<E> = for<'i> fn(
    &'i mut Instance,
    &StoreComponent,
) -> Result<(&'i E, &'i mut Store<State>), Unavailable>;

/// Calls a function of the interface `format`, which every world of a kind has.
macro_rules! of_kind {
    ($call:expr, $kind:expr, |$format:ident, $store:ident, $db:pat_param| $body:expr) => {
        match $kind {
            DatabaseKind::Session => of_kind!(session_store, $call, $format, $store, $db, $body),
            DatabaseKind::Processes => of_kind!(process_store, $call, $format, $store, $db, $body),
            DatabaseKind::HostEvents => {
                of_kind!(host_event_store, $call, $format, $store, $db, $body)
            }
            DatabaseKind::Effects => of_kind!(effect_store, $call, $format, $store, $db, $body),
        }
    };
    ($world:ident, $call:expr, $format:ident, $store:ident, $db:pat_param, $body:expr) => {
        $call.run(Instance::$world, ["format", ""], |exports, $store, $db| {
            let $format = exports.lash_store_format();
            $body
        })
    };
}

/// Whether a function of an interface may use what is kept in reserve on the disk.
fn makes_room([interface, function]: [&str; 2]) -> bool {
    matches!(interface, "maintenance" | "repair") || matches!(function, "prune" | "retire")
}

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

    /// Lets all calls of this job that read have one snapshot, that of the first. None of
    /// them can write.
    pub fn keep_snapshot(&mut self) {
        self.instance.store.data_mut().sqlite.keep_snapshot();
    }

    /// Reads all pages of a list from one snapshot.
    ///
    /// # Errors
    ///
    /// As [`pages`](Self::pages).
    pub fn list<P: Page>(
        &mut self,
        mut read: impl FnMut(&mut Self, Option<&Cursor>) -> Result<P, Error>,
    ) -> Result<Vec<P>, Error> {
        self.keep_snapshot();
        let first = read(self, None)?;
        self.pages(first, |call, cursor| read(call, Some(cursor)))
    }

    /// Reads the pages of a list that follow the first. They are of one snapshot if
    /// [`keep_snapshot`](Self::keep_snapshot) was called before the first was read.
    ///
    /// # Errors
    ///
    /// Those of `read`; [`Error::Limit`] as [`collect`](Self::collect); [`Error::Component`]
    /// if a page leads to itself.
    pub fn pages<P: Page>(
        &mut self,
        first: P,
        mut read: impl FnMut(&mut Self, &Cursor) -> Result<P, Error>,
    ) -> Result<Vec<P>, Error> {
        let mut page = first;
        let mut pages = Vec::new();
        let mut collected = 0;
        loop {
            self.collect(&mut collected, page.bytes())?;
            let Some(cursor) = page.take_next() else {
                pages.push(page);
                return Ok(pages);
            };
            pages.push(page);
            page = read(self, &cursor)?;
            // Otherwise the same page would come for ever.
            if page.next() == Some(&cursor) {
                return Err(self.contradiction("it returned a page that leads to itself"));
            }
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
        let state = of_kind!(self, kind, |format, store, _| {
            format.call_classify(store, header, kind.format()).map(Ok)
        })?;
        state.map_err(|mismatch| Error::from_mismatch(mismatch, self.path(), kind))
    }

    /// Reads the identity of the database, see `format.identity`.
    ///
    /// # Errors
    ///
    /// All of [`Error`] that are about a call.
    pub fn identity(&mut self) -> Result<String, Error> {
        of_kind!(self, self.context.kind, |format, store, db| {
            format.call_identity(store, db)
        })
    }

    /// Calls an exported function of a world.
    pub(super) fn run<E: 'static, T>(
        &mut self,
        world: Exports<E>,
        name: [&str; 2],
        call: impl FnOnce(&E, &mut Store<State>, Db) -> Answer<T>,
    ) -> Result<T, Error> {
        if self.instance.broken {
            return Err(self.stopped("the instance was stopped by an earlier call"));
        }
        let answer = match world(self.instance, &self.context.options.component) {
            Ok((exports, store)) => {
                let sqlite = &mut store.data_mut().sqlite;
                sqlite.make_room(makes_room(name));
                let db = sqlite.begin_call();
                call(exports, store, db)
            }
            Err(Unavailable::World(world)) => return Err(self.unsupported(world)),
            Err(Unavailable::Trap(trap)) => Err(trap),
        };
        let context = &mut self.instance.store.data_mut().sqlite;
        let reached = match &answer {
            Ok(Err(types::Error::Sqlite(error))) => context.reached(error.code.into()),
            Ok(Err(types::Error::TooLarge(_))) => context.reached(sqlite::ErrorCode::TooBig),
            Ok(Err(types::Error::Interrupted(_))) => {
                context.reached(sqlite::ErrorCode::Interrupted)
            }
            _ => None,
        };
        let ended = context.end_call();
        let timeout = self.context.options.busy_timeout;
        match (answer, ended) {
            (Ok(Ok(value)), Ok(())) => Ok(value),
            (Ok(Ok(_)), Err(error)) => Err(Error::from_sqlite(error, self.path(), timeout)),
            // What went wrong may be that it has read what does not belong together.
            (Ok(Err(_)), Err(error)) if error.code == sqlite::ErrorCode::Interrupted => {
                Err(Error::from_sqlite(error, self.path(), timeout))
            }
            (Ok(Err(types::Error::Sqlite(error))), _)
                if self.instance.store.data().sqlite.is_displaced()
                    && error.code == bindings::sqlite::ErrorCode::Io =>
            {
                Err(Error::Displaced {
                    path: self.path().to_path_buf(),
                    reason: error.message,
                })
            }
            (Ok(Err(error)), _) => {
                let error = Error::from_guest(error, self.path(), self.operation, timeout);
                Err(match reached {
                    Some(limit) => self.limited(limit, Some(error)),
                    None => error,
                })
            }
            (Err(trap), _) => {
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
            reason: match world {
                "tools" => {
                    "it has no lash:store/tools; give it its tools, see `StoreComponent::tools`"
                        .to_owned()
                }
                _ => format!("it has no lash:store/{world}; open it with one that has"),
            },
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
