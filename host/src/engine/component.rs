//! The embedded component, compiled once per process.

use std::sync::OnceLock;

use wasmtime::Engine;
use wasmtime::component::Component;

use super::config::config;
use super::linker::linker;
use super::state::State;
use crate::bindings::StorePre;

/// The component of the world `store` in `wit/`, for wasmtime or for any other
/// runtime of components.
pub const COMPONENT: &[u8] = include_bytes!("../../component/lash_store.wasm");

/// What all instances share.
pub(super) struct Shared {
    pub(super) engine: Engine,
    pub(super) component: StorePre<State>,
}

/// The compiled component. The first call compiles it, and others wait for that;
/// if it fails, it fails for the whole life of the process.
pub(super) fn shared() -> Result<&'static Shared, &'static wasmtime::Error> {
    static SHARED: OnceLock<Result<Shared, wasmtime::Error>> = OnceLock::new();
    SHARED.get_or_init(load).as_ref()
}

fn load() -> Result<Shared, wasmtime::Error> {
    let engine = Engine::new(&config())?;
    let component = Component::from_binary(&engine, COMPONENT)?;
    let component = linker(&engine)?.instantiate_pre(&component)?;
    Ok(Shared {
        component: StorePre::new(component)?,
        engine,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_component_fits_the_world() {
        assert!(shared().is_ok(), "{:?}", shared().err());
    }
}
