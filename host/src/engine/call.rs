//! Calling the component.

use std::path::Path;

use wasmtime::Store;
use wasmtime::component::Resource;

use super::database::Context;
use super::state::State;
use super::worker::Instance;
use crate::bindings::interfaces::{
    artifacts, attachments, blobs, checkpoints, effect_export, effect_import, effect_inspection,
    effects, format, graph, host_event_export, host_event_import, host_event_inspection,
    host_events, maintenance, metadata, process_events, process_export, process_handles,
    process_import, process_inspection, process_leases, processes, queue, retention, session,
    session_export, session_import, session_inspection, usage,
};
use crate::bindings::types;
use crate::error::Error;
use crate::limits::Limit;
use crate::sqlite;

/// The first argument of every call: where the instance lives.
pub(crate) type Guest<'a> = &'a mut Store<State>;

/// The second argument of every call: the database.
pub(crate) type Db = Resource<sqlite::Database>;

/// What an exported function answers.
pub(crate) type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

/// The right to call the component for one database, within one job.
///
/// Every call is at most one transaction, which is rolled back if the call does
/// not commit it. After a trap no call works any more, and the instance is
/// thrown away with the job.
pub(crate) struct Call<'a> {
    instance: &'a mut Instance,
    context: &'a Context,
    operation: &'static str,
}

macro_rules! interfaces {
    ($($(#[$doc:meta])* $interface:ident: $accessor:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $interface<T>(
            &mut self,
            call: impl FnOnce(&$interface::Guest, Guest<'_>, Db) -> Answer<T>,
        ) -> Result<T, Error> {
            self.run(|instance, db| {
                call(instance.exports.$accessor(), &mut instance.store, db)
            })
        }
    )*};
}

impl<'a> Call<'a> {
    pub(super) fn new(
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
    pub(crate) fn path(&self) -> &Path {
        self.context.path()
    }

    /// Adds to what the host has collected from several answers.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] if it is more than a component that is not trusted may hand over
    /// at once.
    pub(crate) fn collect(&self, collected: &mut usize, bytes: usize) -> Result<(), Error> {
        *collected = collected.saturating_add(bytes);
        match self.context.options.component.limits() {
            Some(limits) if *collected > limits.hostcall_bytes => {
                Err(self.limited(Limit::Hostcall(limits.hostcall_bytes), None))
            }
            _ => Ok(()),
        }
    }

    /// The component has answered what it must not. Only one that is not trusted does.
    pub(crate) fn contradiction(&self, what: impl Into<crate::error::Source>) -> Error {
        self.stopped(what)
    }

    /// Says how the call ended, if that is more than that it succeeded: a word for
    /// the call's span and for metrics.
    pub(crate) fn ended(&mut self, outcome: &'static str) {
        self.instance.store.data_mut().outcome = Some(outcome);
    }

    /// Names the session that the call is about, for who reads its span.
    pub(crate) fn of_session(&self, session_id: &str) {
        if self.context.session() != Some(session_id) {
            tracing::Span::current().record("session", session_id);
        }
    }

    /// Names the session that this database belongs to, also for the calls to come.
    pub(crate) fn belongs_to(&self, session_id: &str) {
        self.of_session(session_id);
        self.context.name_session(session_id);
    }

    /// Names the process that the call is about, for who reads its span.
    pub(crate) fn of_process(&self, process_id: &str) {
        tracing::Span::current().record("process", process_id);
    }

    /// Names the effect scope that the call is about, for who reads its span.
    pub(crate) fn of_scope(&self, scope: &str) {
        tracing::Span::current().record("scope", scope);
    }

    interfaces! {
        /// Calls a function of the interface `session`, for example
        /// `call.session(|s, guest, db| s.call_commit(guest, db, &request))`.
        session: lash_store_session;
        /// Calls a function of the interface `graph`.
        graph: lash_store_graph;
        /// Calls a function of the interface `blobs`.
        blobs: lash_store_blobs;
        /// Calls a function of the interface `checkpoints`.
        checkpoints: lash_store_checkpoints;
        /// Calls a function of the interface `artifacts`.
        artifacts: lash_store_artifacts;
        /// Calls a function of the interface `usage`.
        usage: lash_store_usage;
        /// Calls a function of the interface `attachments`.
        attachments: lash_store_attachments;
        /// Calls a function of the interface `queue`.
        queue: lash_store_queue;
        /// Calls a function of the interface `metadata`.
        metadata: lash_store_metadata;
        /// Calls a function of the interface `maintenance`.
        maintenance: lash_store_maintenance;
        /// Calls a function of the interface `processes`.
        processes: lash_store_processes;
        /// Calls a function of the interface `process-events`.
        process_events: lash_store_process_events;
        /// Calls a function of the interface `process-handles`.
        process_handles: lash_store_process_handles;
        /// Calls a function of the interface `process-leases`.
        process_leases: lash_store_process_leases;
        /// Calls a function of the interface `retention`.
        retention: lash_store_retention;
        /// Calls a function of the interface `session-inspection`.
        session_inspection: lash_store_session_inspection;
        /// Calls a function of the interface `session-export`.
        session_export: lash_store_session_export;
        /// Calls a function of the interface `session-import`.
        session_import: lash_store_session_import;
        /// Calls a function of the interface `process-export`.
        process_export: lash_store_process_export;
        /// Calls a function of the interface `host-event-export`.
        host_event_export: lash_store_host_event_export;
        /// Calls a function of the interface `effect-export`.
        effect_export: lash_store_effect_export;
        /// Calls a function of the interface `process-import`.
        process_import: lash_store_process_import;
        /// Calls a function of the interface `host-event-import`.
        host_event_import: lash_store_host_event_import;
        /// Calls a function of the interface `effect-import`.
        effect_import: lash_store_effect_import;
        /// Calls a function of the interface `process-inspection`.
        process_inspection: lash_store_process_inspection;
        /// Calls a function of the interface `host-event-inspection`.
        host_event_inspection: lash_store_host_event_inspection;
        /// Calls a function of the interface `effect-inspection`.
        effect_inspection: lash_store_effect_inspection;
        /// Calls a function of the interface `effects`.
        effects: lash_store_effects;
        /// Calls a function of the interface `host-events`.
        host_events: lash_store_host_events;
    }

    /// Says what a file is, see `format.classify`.
    pub(super) fn classify(
        &mut self,
        header: &[u8],
        kind: format::Kind,
    ) -> Result<format::State, Error> {
        let state = self.run(|instance, _| {
            let format = instance.exports.lash_store_format();
            format
                .call_classify(&mut instance.store, header, kind)
                .map(Ok)
        })?;
        state.map_err(|mismatch| Error::from_mismatch(mismatch, self.path(), kind))
    }

    fn run<T>(&mut self, call: impl FnOnce(&mut Instance, Db) -> Answer<T>) -> Result<T, Error> {
        if self.instance.broken {
            return Err(self.stopped("the instance was stopped by an earlier call"));
        }
        let db = self.instance.store.data_mut().sqlite.begin_call();
        let answer = call(self.instance, db);
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

    fn stopped(&self, source: impl Into<crate::error::Source>) -> Error {
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
