//! What the component imports from its embedder: one SQLite database.
//!
//! [`Database`](crate::Database) runs the component with these pieces; a program that
//! has a runtime of its own can use them directly,
//! for [`COMPONENT`](crate::COMPONENT) or for a component that imports the same
//! interface. `docs/embedding.md` in the repository explains the interface,
//! `examples/embed.rs` is a whole program.
//!
//! ```
//! use lash_store_engine::sqlite::{self, SqliteCtx, SqliteView};
//! use lash_store_engine::wasi;
//! use std::time::SystemTime;
//! use wasmtime::Engine;
//! use wasmtime::component::Linker;
//!
//! struct MyState {
//!     sqlite: SqliteCtx,
//! }
//!
//! impl SqliteView for MyState {
//!     fn sqlite(&mut self) -> &mut SqliteCtx {
//!         &mut self.sqlite
//!     }
//! }
//!
//! # fn main() -> wasmtime::Result<()> {
//! let engine = Engine::default();
//! let mut linker = Linker::<MyState>::new(&engine);
//! sqlite::add_to_linker(&mut linker)?;
//! // Or wasmtime-wasi, if the linker has it already.
//! wasi::add_to_linker(&mut linker, |_| SystemTime::now())?;
//! # Ok(())
//! # }
//! ```
//!
//! # Bindings
//!
//! An embedder generates its own types from `wit/` of this crate's package, and
//! names the two resources of the interface, so that the handle of
//! [`SqliteCtx::begin_call`] fits the exports:
//!
//! ```
//! wasmtime::component::bindgen!({
//!     path: "wit",
//!     world: "store",
//!     with: {
//!         "lash:store/sqlite.database": lash_store_engine::sqlite::Database,
//!         "lash:store/sqlite.transaction": lash_store_engine::sqlite::Transaction,
//!     },
//! });
//! # fn main() {}
//! ```
//!
//! # Opening a database
//!
//! The order matters, because a file that is not ours must not be touched, and a
//! new one must say what it is before it has a write-ahead log:
//!
//! 1. [`DatabaseFile::create`] and [`DatabaseFile::header`]; call
//!    `format.classify` with these bytes.
//! 2. [`SqliteConnection::open`].
//! 3. If the file was empty: [`SqliteConnection::prepare_empty`], then call
//!    `initialize` of the kind of database. If it was not: compare
//!    [`SqliteConnection::application_id`] with the bytes, and begin again if they
//!    differ, because a transaction that was cut off has been undone.
//! 4. [`SqliteConnection::convert_to_wal`] and [`SqliteConnection::accept`], or, to read
//!    only, [`SqliteConnection::check_schema`].
//!
//! A connection copies the write-ahead log into the file only when it is told to:
//! call [`SqliteConnection::tidy`] after calls that write, or the log grows without
//! a bound. One thread uses a connection at a time; reads beside a writer take a
//! connection of [`Role::Reader`].
//!
//! # What holds for a component that is not trusted
//!
//! - It reaches the connection that was lent to the running call, and no other
//!   file. A handle of another call, or of a transaction that has ended, is a
//!   number that refers to nothing; each instance has its own handles.
//! - Its statements run inside of a transaction that the host has opened, under an
//!   allow-list: tables, indexes, reads and writes of the main database, harmless
//!   functions, two pragmas. It cannot attach a file, load code, change a setting
//!   or end the transaction by a statement.
//! - However it ends, by an answer, an error, a trap or a handle that it leaks, its
//!   transaction is rolled back unless it committed.
//! - With [`Settings::limits`], statements and the database are bounded as
//!   [`Limits`](crate::Limits) says, and a statement that SQLite could not compile in
//!   bounds is refused. Without them, a transaction is interrupted after
//!   five minutes, an answer is bounded by [`Settings::result_bytes`], and a statement
//!   can make the host use memory without a bound. Time and memory of the component
//!   itself are wasmtime's to bound: `Config::epoch_interruption`, `Store::limiter`,
//!   `Store::set_hostcall_fuel` and `Store::set_max_component_handles`.
//!   [`StoreComponent::untrusted`](crate::StoreComponent::untrusted) does all of it.
//! - It does not hold that a component leaves the contents of the database that it
//!   was lent in order: lend it one of its own.
//!
//! Nothing here panics, whatever a component or an embedder does in whatever order.

// Everything that the component can do to storage goes through here, and every
// rule that `wit/sqlite.wit` puts on an embedder is kept here: `connection` opens
// and configures, `screen` and `authorizer` bound what statements may do, `transaction` runs
// them, `ctx` lends, and `host` is the seam to the generated traits. Nothing here
// knows a table, or what a database is for.

mod authorizer;
mod connection;
mod ctx;
mod error;
mod file;
mod host;
mod inspection;
mod limits;
mod read_only;
mod rows;
mod screen;
mod traffic;
mod transaction;
mod version;
pub(crate) mod wait;
mod wal;

pub use connection::{Role, Settings, SqliteConnection};
pub use ctx::SqliteCtx;
pub use error::{Error, ErrorCode};
pub use file::DatabaseFile;
pub(crate) use file::{PRIVATE, Pin, Removal, sync_directory};
pub use host::{Database, SqliteView, Transaction, add_to_linker};
pub(crate) use inspection::Layout;
pub use traffic::Traffic;
pub use version::{has_wal_reset_bug, version};
