//! The durable store of the lash agent runtime, run as a WebAssembly component.
//!
//! [`Store`] keeps one session in one SQLite database and implements lash-core's
//! persistence traits; [`SqliteSessionStoreFactory`] makes one for each session.
//! What the sessions of a deployment share has a database each:
//! [`SqliteProcessRegistry`], [`SqliteHostEventStore`], [`SqliteEffectHost`] with
//! its [`SqliteRuntimeEffectController`]s. All have the API of `lash-sqlite-store`
//! 0.1.0-alpha.46. [`StoreBuilder`] sets what that crate does not have: durability,
//! clock, busy timeout.
//!
//! No persistence decision is made in this crate. It encodes what only the
//! application understands into bytes, and calls the component, whose interface is
//! `wit/` in the repository. The component runs in wasmtime, sees the one database
//! that the call is for, and nothing else. The crate `lash-store-engine` owns the SQLite
//! connections, the transactions and the threads.
//!
//! # Threads
//!
//! A small pool of threads, shared by all stores of the process, runs the calls.
//! Nothing depends on the asynchronous runtime that a store was opened in. The
//! synchronous methods of `AttachmentManifest` block their thread until a thread
//! of the pool returns.
//!
//! # Observability
//!
//! Every call of a database is a span of `tracing` with the target `lash_wasm_store`, at
//! the level DEBUG: what was done, for which session, process or effect scope, how it
//! ended ([`Error::code`] if it failed), and how many rows and bytes were read and
//! written. Nothing that was stored is ever recorded. With the feature `metrics` there
//! are counters, gauges and histograms for the crate of that name. They are all listed in
//! `docs/observability.md` in the repository.
//!
//! # Other runtimes
//!
//! [`COMPONENT`], [`sqlite`] and [`wasi`] are what this crate itself runs the component
//! with: a program with its own wasmtime engine can do the same, without lash-core.
//!
//! # Errors
//!
//! The traits of lash-core answer `StoreError`: its typed variants for lost races,
//! and `Backend` with the whole message for everything else. The registry and the
//! host events answer `PluginError`, the effects `RuntimeEffectControllerError`, with
//! the texts and codes of the native crate. The methods with the prefix `try_`, and
//! those that the traits do not have, answer [`Error`], which can be matched.
#![forbid(unsafe_code)]

mod builder;
mod database;
mod effects;
mod encoding;
mod error;
mod host_events;
pub mod import;
mod operation;
mod processes;
mod session;
mod sync;

pub use builder::StoreBuilder;
pub use effects::{SqliteEffectHost, SqliteEffectReplayOptions, SqliteRuntimeEffectController};
pub use error::Error;
pub use host_events::{SqliteHostEventStore, TriggerRedelivery};
pub use lash_store_engine::{
    COMPONENT, DatabaseKind, Durability, Error as EngineError, Limit, Limits, Resource, Source,
    StoreComponent, TOOLS, inspect, plugin, sqlite, wasi,
};
pub use processes::SqliteProcessRegistry;
pub use session::{
    ArtifactName, BlobArtifactDescriptor, BlobStorageHint, BuiltinBlobProfile,
    PersistedArtifactKind, SessionPruneReport, SqliteSessionStoreFactory, Store, StoreGcPolicy,
    StoreOptions, StoredArtifact, StoredSessionCheckpoint,
};
