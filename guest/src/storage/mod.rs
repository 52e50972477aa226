//! What every kind of database is stored with.
//!
//! Rules that hold for every table:
//! - A row carries a checksum of all its columns, unless its content is checked
//!   by a cryptographic key.
//! - A table has the digest of its rows in `table_digests`, so that a list with a
//!   row missing is noticed, and so is a row that an index does not lead to:
//!   before "there is none" is returned, all rows are read without the index and
//!   held against the digest. A module says where this would cost too much, and
//!   what is done instead.
//! - In the databases that all sessions of a deployment share, an identity that
//!   decides between doing something and not doing it again has two indexes, one
//!   over its columns and one over their checksum, and is absent only if both say
//!   so.
//! - Identities that a stale caller could present again (node and queue
//!   sequences) come from counters that never go back.

mod byte_strings;
pub(crate) mod checksum;
pub(crate) mod corruption;
pub(crate) mod counts;
pub(crate) mod digests;
pub(crate) mod findings;
pub mod fuzzing;
pub(crate) mod hex;
pub(crate) mod identity;
pub(crate) mod numbers;
pub(crate) mod pack;
pub(crate) mod paging;
pub(crate) mod rows;
pub mod seam;
pub(crate) mod skipped;
pub(crate) mod sql;
pub(crate) mod table;
pub(crate) mod token;
pub(crate) mod transaction;
