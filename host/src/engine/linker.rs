//! All that the component can reach: its imports, and nothing else.

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use super::state::State;
use crate::bindings::{sqlite, types, wasi};
use crate::sqlite::SqliteContext;

pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    sqlite::add_to_linker::<_, HasSelf<SqliteContext>>(&mut linker, |state: &mut State| {
        &mut state.sqlite
    })?;
    types::add_to_linker::<_, HasSelf<SqliteContext>>(&mut linker, |state: &mut State| {
        &mut state.sqlite
    })?;
    wasi::clocks::wall_clock::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    wasi::random::random::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}
