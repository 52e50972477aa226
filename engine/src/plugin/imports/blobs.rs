//! The interface `blobs`, as a plugin has it: it reads what it has stored itself.
//!
//! A key is a digest of what it names: who can ask for any key can find out what others
//! have stored. So the store is asked only for keys that it returned to this plugin.

use wasmtime::component::LinkerInstance;

use super::super::state::State;
use super::{Db, ROW, reading, writing};
use crate::wit::types::{BlobKind, BlobProfile};

pub(super) const FUNCTIONS: &[&str] = &["get", "put"];

pub(super) fn link(blobs: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    reading(blobs, "get", get)?;
    writing(blobs, "put", |grant| grant.blobs, put)
}

fn get(state: &mut State, (_, key): (Db, String)) -> super::Answer<Option<Vec<u8>>> {
    if !state.has_stored(&key) {
        return Ok(None);
    }
    state.read("plugin get blob", move |call| call.blobs().get(&key))
}

fn put(
    state: &mut State,
    (_, content, _, compressible, _): (Db, Vec<u8>, BlobKind, bool, BlobProfile),
) -> super::Answer<String> {
    let profile = state.profile();
    let bytes = ROW + content.len();
    let key = state.write("plugin put blob", bytes, move |call| {
        let kind = BlobKind::Generic;
        call.blobs().put(&content, kind, compressible, profile)
    })?;
    state.note_stored(&key);
    Ok(key)
}
