//! The tables, one module for each kind of database.
//!
//! Rules that hold for every table:
//! - A row carries a checksum of all its columns, unless its content is checked
//!   by a cryptographic key.
//! - A table has the digest of its rows in `table_digests`, so that a list with a
//!   row missing is noticed, and so is a row that an index does not lead to:
//!   before "there is none" is answered, all rows are read without the index and
//!   held against the digest. A module says where this would cost too much, and
//!   what is done instead.
//! - In the databases that all sessions of a deployment share, an identity that
//!   decides between doing something and not doing it again has two indexes, one
//!   over its columns and one over their checksum, and is absent only if both say
//!   so.
//! - Identities that a stale caller could present again (node and queue
//!   sequences) come from counters that never go back.

mod effects;
mod host_events;
mod processes;
mod session;

pub(crate) use effects::SCHEMA as EFFECTS;
pub(crate) use host_events::SCHEMA as HOST_EVENTS;
pub(crate) use processes::SCHEMA as PROCESSES;
pub(crate) use session::SCHEMA as SESSION;

use crate::bindings::exports::lash::store::format::Kind;

/// One kind of database.
pub(crate) struct Schema {
    pub(crate) kind: Kind,
    pub(crate) application_id: u32,
    /// The only `user_version` that is supported.
    pub(crate) version: u32,
    /// What makes an empty database one of this kind, in order.
    pub(crate) statements: &'static [&'static str],
}

/// Where the digests are.
const DIGESTS: &str = "CREATE TABLE table_digests (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    digests BLOB NOT NULL
)";
