//! The interface `session`, as a plugin has it: the store's session, to be read.

use wasmtime::component::LinkerInstance;

use super::super::state::{Answer, State};
use super::{Db, reading};
use crate::wit::session::{BodyPage, Head, ReadScope, Snapshot};
use crate::wit::types::Cursor;

pub(super) const FUNCTIONS: &[&str] = &["load", "load-head", "load-nodes"];

pub(super) fn link(session: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    reading(session, "load", load)?;
    reading(session, "load-head", load_head)?;
    reading(session, "load-nodes", load_nodes)
}

fn load(state: &mut State, (_, scope): (Db, ReadScope)) -> Answer<Option<Snapshot>> {
    state.read("plugin load session", move |call| {
        call.session().load(&scope)
    })
}

fn load_nodes(state: &mut State, (_, cursor): (Db, Cursor)) -> Answer<BodyPage> {
    state.read("plugin load nodes", move |call| {
        call.session().load_nodes(&cursor)
    })
}

fn load_head(state: &mut State, (_,): (Db,)) -> Answer<Option<Head>> {
    state.read("plugin load head", move |call| call.session().load_head())
}
