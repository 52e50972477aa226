//! The components that the crate embeds.

use std::sync::OnceLock;

use wasmtime::{Engine, Store};

use super::state::State;
use super::worlds::StoreWorlds;
use super::{COMPONENT, Code, TOOLS, Tools, config};

/// How many bytes one call of the embedded component may hand to the host. Many times
/// the largest request; a bound on what a component that runs wild can allocate.
const LARGEST_IMPORT: usize = 2 << 30;

/// How many handles the embedded component may have. It needs two.
const HANDLES: usize = 1000;

/// What is made once: who comes first makes it, and others wait for that. If it fails, it
/// fails for the whole life of the process.
type Once<T> = OnceLock<wasmtime::Result<T>>;

fn once<T>(
    once: &'static Once<T>,
    make: impl FnOnce() -> wasmtime::Result<T>,
) -> wasmtime::Result<&'static T> {
    let made = once.get_or_init(make);
    made.as_ref()
        .map_err(|error| wasmtime::Error::msg(format!("{error:#}")))
}

fn engine() -> wasmtime::Result<&'static Engine> {
    static ENGINE: Once<Engine> = OnceLock::new();
    once(&ENGINE, || Engine::new(&config::embedded()))
}

/// The compiled store.
pub(super) fn store() -> wasmtime::Result<&'static Code<StoreWorlds>> {
    static STORE: Once<Code<StoreWorlds>> = OnceLock::new();
    once(&STORE, || Code::store(engine()?, COMPONENT))
}

/// The compiled tools. Most processes never need them.
pub(super) fn tools() -> wasmtime::Result<&'static Tools> {
    static TOOLS_CODE: Once<Tools> = OnceLock::new();
    once(&TOOLS_CODE, || Code::tools(engine()?, TOOLS))
}

/// A wasmtime store for an instance of both.
pub(super) fn wasm_store(state: State) -> wasmtime::Result<Store<State>> {
    let mut store = Store::new(engine()?, state);
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
        let worlds = &store().unwrap().worlds;
        assert!(worlds.is_complete());
        tools().unwrap();
    }
}
