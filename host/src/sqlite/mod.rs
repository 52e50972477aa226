//! The `lash:store/sqlite` interface over SQLite.
//!
//! Everything that the component can do to storage goes through here, and every
//! rule that `wit/sqlite.wit` puts on an embedder is kept here: [`connection`]
//! opens and configures, [`authorizer`] bounds what statements may do,
//! [`transaction`] runs them, and [`host`] is the seam to the generated traits.
//! Nothing here knows a table, or what a database is for.

mod authorizer;
mod connection;
mod error;
mod file;
mod host;
mod rows;
mod transaction;
pub(crate) mod wait;
mod wal;

pub(crate) use connection::{Role, Settings, Sqlite};
pub(crate) use file::FileGuard;
pub(crate) use host::SqliteContext;
#[expect(unreachable_pub, reason = "the generated bindings re-export them")]
pub use host::{DatabaseHandle, TransactionHandle};

pub(crate) use crate::bindings::sqlite::Error as SqliteError;
