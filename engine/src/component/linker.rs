//! All that the component can reach: its imports, and nothing else.

use wasmtime::Engine;
use wasmtime::component::Linker;

use super::state::State;
use crate::{sqlite, wasi};

pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    sqlite::add_to_linker(&mut linker)?;
    wasi::add_to_linker(&mut linker, State::now)?;
    Ok(linker)
}
