//! The components that the crate embeds.

use std::borrow::Cow;
use std::sync::Arc;

use wasmtime::{Engine, Store};

use super::mode::{Engines, Mode};
use super::program::{Code, Program};
use super::state::State;
use super::worlds::{StoreWorlds, ToolsWorld};
use super::{COMPONENT, TOOLS, config};

/// How many bytes one call of the embedded component may hand to the host. Many times
/// the largest request; a bound on what a component that runs wild can allocate.
const LARGEST_IMPORT: usize = 2 << 30;

/// How many handles the embedded component may have. It needs two.
const HANDLES: usize = 1000;

/// The engines of both components.
pub(super) static ENGINES: Engines = Engines::new();

static STORE: Program<StoreWorlds> = Program::store(Cow::Borrowed(COMPONENT));

static TOOLS_OF_STORE: Program<ToolsWorld> = Program::tools(Cow::Borrowed(TOOLS));

fn engine(mode: Mode) -> wasmtime::Result<Engine> {
    ENGINES.get(mode, || Engine::new(&config::embedded(mode)))
}

/// The compiled store.
pub(super) fn store(mode: Mode) -> wasmtime::Result<Arc<Code<StoreWorlds>>> {
    STORE.code(mode, &engine(mode)?)
}

/// The compiled tools. Most processes never need them.
pub(super) fn tools(mode: Mode) -> wasmtime::Result<Arc<Code<ToolsWorld>>> {
    TOOLS_OF_STORE.code(mode, &engine(mode)?)
}

/// A wasmtime store for an instance of both.
pub(super) fn wasm_store(mode: Mode, state: State) -> wasmtime::Result<Store<State>> {
    let mut store = Store::new(&engine(mode)?, state);
    store.limiter(|state| &mut state.growth);
    store.set_hostcall_fuel(LARGEST_IMPORT);
    store.set_max_component_handles(HANDLES);
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_components_fit_their_worlds() {
        for mode in [Mode::Roomy, Mode::Compact] {
            assert!(store(mode).unwrap().worlds.is_complete());
            tools(mode).unwrap();
        }
    }
}
