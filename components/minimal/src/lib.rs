//! A small store of sessions: a component of the world `session-store`, made from `wit/`.
//!
//! It keeps the promises of the WIT with plain tables. It does not compress blobs, and
//! finds no damage but that of blobs. Each module exports the interfaces of a subject.
#![no_std]

extern crate alloc;

lash_component_runtime::link!();

#[allow(missing_docs, unreachable_pub, unused_qualifications)]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "session-store", generate_all });
    pub use self::lash::store::{format_types, session_types, sqlite, types};
}

mod blobs;
mod checkpoints;
mod format;
mod graph;
mod queue;
mod records;
mod session;
mod sql;

struct Minimal;

bindings::export!(Minimal with_types_in bindings);
