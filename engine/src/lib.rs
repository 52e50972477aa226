//! The engine of a durable store: runs a component of the world `store` in `wit/`, or of
//! the world of one kind of database, and gives it SQLite.
//!
//! A [`Database`] is one SQLite file. Jobs call the component for it through a [`Call`],
//! which has a method for each interface that the component exports. The component,
//! [`COMPONENT`] or another one, decides what is stored and how; this
//! crate owns the SQLite connections, the transactions and the threads, and knows no
//! table.
//!
//! ```
//! use lash_store_engine::wit::metadata::Meta;
//! use lash_store_engine::{Database, DatabaseKind, Error, OpenOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! let database = Database::memory(DatabaseKind::Session, &OpenOptions::new()).await?;
//! let meta = Meta {
//!     session_id: "s1".into(),
//!     session_name: "A session".into(),
//!     created_at: "today".into(),
//!     model: "m".into(),
//!     cwd: None,
//!     relation: vec![],
//! };
//! database
//!     .write("save metadata", move |call| call.metadata().save(&meta))
//!     .await?;
//! let meta = database
//!     .read("load metadata", |call| call.metadata().load())
//!     .await?;
//! assert_eq!(meta.map(|meta| meta.session_id).as_deref(), Some("s1"));
//! # Ok(())
//! # }
//! ```
//!
//! The crate `lash-wasm-store` implements the traits of the lash agent runtime over this
//! one, which depends on nothing of lash.
//!
//! # What else there is
//!
//! - [`StoreComponent::untrusted`]: a component of somebody else's, under [`Limits`].
//! - [`plugin`]: components that persist through a session's database without seeing SQL.
//! - [`inspect`]: counting, checking and exporting a database of any kind.
//! - [`sqlite`] and [`wasi`]: the imports of the component, for a program with a wasmtime
//!   engine of its own. `examples/embed.rs` is one.
//!
//! # Threads
//!
//! A small pool of threads, shared by all databases of the process, runs the calls.
//! Nothing depends on the asynchronous runtime that a database was opened in.
#![deny(unsafe_code)]

#[allow(unreachable_pub, reason = "what is generated is public")]
mod bindings;
mod blocking;
mod component;
mod database;
mod error;
mod fork;
pub mod inspect;
mod kind;
mod limits;
pub mod observability;
pub mod plugin;
mod pool;
mod resource;
pub mod sqlite;
mod sync;
mod time;
pub mod wasi;
pub mod wit;

pub use component::{COMPONENT, StoreComponent, TOOLS};
pub use database::interfaces;
pub use database::{
    Call, Database, Durability, JobError, OpenOptions, Probe, Waiter, close_within, shutdown,
};
pub use error::{Error, MEMORY, Source};
pub use kind::DatabaseKind;
pub use limits::{Limit, Limits};
pub use resource::Resource;
pub use time::epoch_ms;

#[cfg(test)]
mod testing;

/// The example of the README is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
