//! A plugin that tries to read what is not its own.
//!
//! Its input says where to look, a line each: `artifact NAME`, `blob KEY`, or
//! `queue SESSION`. It returns a line for each, with what it found.
#![no_std]

extern crate alloc;

lash_component_runtime::link!();

#[allow(missing_docs, unreachable_pub, unused_qualifications)]
mod bindings;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bindings::exports::lash::store::plugin_entry::Guest;
use bindings::lash::store::artifacts;
use bindings::lash::store::session_types::Namespace;
use bindings::lash::store::sqlite::Database;
use bindings::lash::store::types::Error;
use bindings::lash::store::{blobs, queue};

struct Plugin;

bindings::export!(Plugin with_types_in bindings);

impl Guest for Plugin {
    fn run(db: &Database, input: Vec<u8>) -> Result<Vec<u8>, String> {
        let input = String::from_utf8(input).map_err(|error| error.to_string())?;
        let mut report = String::new();
        for line in input.lines() {
            report.push_str(&format!("{line}: {}\n", look(db, line)));
        }
        Ok(report.into_bytes())
    }
}

/// What is there, in words.
fn look(db: &Database, place: &str) -> String {
    match place.split_once(' ') {
        Some(("artifact", name)) => content(artifacts::get(db, Namespace::Bytes, name)),
        Some(("blob", key)) => content(blobs::get(db, key)),
        Some(("queue", session)) => match queue::list(db, session, false, None) {
            Ok(page) => format!("{} batches", page.batches.len()),
            Err(error) => format!("{error:?}"),
        },
        _ => "no place".to_string(),
    }
}

fn content(found: Result<Option<Vec<u8>>, Error>) -> String {
    match found {
        Ok(Some(content)) => format!("{:?}", String::from_utf8_lossy(&content)),
        Ok(None) => "nothing".to_string(),
        Err(error) => format!("{error:?}"),
    }
}
