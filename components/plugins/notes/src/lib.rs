//! A plugin that keeps notes across its runs.
//!
//! `add TEXT` remembers a line, `list` returns all of them. They are one artifact with
//! the name `notes`, which is the plugin's own: another plugin that says `notes` means
//! another artifact.
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
use bindings::lash::store::session_types::{BlobKind, BlobProfile};
use bindings::lash::store::sqlite::Database;

/// The name of the artifact that holds all notes, a line each.
const NOTES: &str = "notes";

struct Plugin;

bindings::export!(Plugin with_types_in bindings);

impl Guest for Plugin {
    fn run(db: &Database, input: Vec<u8>) -> Result<Vec<u8>, String> {
        let input = String::from_utf8(input).map_err(|error| error.to_string())?;
        let mut notes = read(db)?;
        match input.split_once(' ') {
            Some(("add", note)) if !note.contains('\n') => {
                notes.push_str(note);
                notes.push('\n');
                write(db, &notes)?;
                Ok(format!("{} notes", notes.lines().count()).into_bytes())
            }
            None if input == "list" => Ok(notes.into_bytes()),
            _ => Err("say `add` and a line, or `list`".to_string()),
        }
    }
}

fn read(db: &Database) -> Result<String, String> {
    let notes = artifacts::get(db, Namespace::Bytes, NOTES)
        .map_err(|error| format!("the notes cannot be read: {error:?}"))?;
    String::from_utf8(notes.unwrap_or_default()).map_err(|error| error.to_string())
}

fn write(db: &Database, notes: &str) -> Result<(), String> {
    artifacts::put(
        db,
        Namespace::Bytes,
        NOTES,
        notes.as_bytes(),
        BlobKind::Generic,
        true,
        BlobProfile::Balanced,
    )
    .map_err(|error| format!("the notes cannot be kept: {error:?}"))
}
