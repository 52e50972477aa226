//! The interface `artifacts`, as a plugin has it: every name is within its namespace.

use wasmtime::component::LinkerInstance;

use super::super::state::State;
use super::{Db, ROW, reading, writing};
use crate::wit::artifacts::Namespace;
use crate::wit::types::{BlobKind, BlobProfile};

pub(super) const FUNCTIONS: &[&str] = &["get", "put"];

pub(super) fn link(artifacts: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    reading(artifacts, "get", get)?;
    writing(artifacts, "put", |grant| grant.artifacts, put)
}

fn get(
    state: &mut State,
    (_, namespace, name): (Db, Namespace, String),
) -> super::Answer<Option<Vec<u8>>> {
    let name = state.namespace().outside(&name);
    state.read("plugin get artifact", move |call| {
        call.artifacts().get(namespace, &name)
    })
}

/// How content is stored is the application's choice. What a plugin says that it is may
/// be wrong, so it is recorded as nothing in particular.
fn put(
    state: &mut State,
    (_, namespace, name, content, _, compressible, _): (
        Db,
        Namespace,
        String,
        Vec<u8>,
        BlobKind,
        bool,
        BlobProfile,
    ),
) -> super::Answer<()> {
    let profile = state.profile();
    let bytes = ROW + name.len() + content.len();
    let name = state.namespace().outside(&name);
    state.write("plugin put artifact", bytes, move |call| {
        let kind = BlobKind::Generic;
        call.artifacts()
            .put(namespace, &name, &content, kind, compressible, profile)
    })
}
