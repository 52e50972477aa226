//! A component, compiled for each way to run it.

use std::borrow::Cow;
use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre};

use super::linker::linker;
use super::mode::{ByMode, Mode};
use super::state::State;
use super::worlds::{StoreWorlds, ToolsWorld};
use crate::resource::Resource;

/// A component in the binary format, and its code in the modes that were needed.
pub(super) struct Program<W> {
    wasm: Cow<'static, [u8]>,
    worlds: fn(&Component, &InstancePre<State>) -> wasmtime::Result<W>,
    code: ByMode<Arc<Code<W>>>,
}

/// How much memory compiling may take. If there is not so much, the compiler would end the
/// process when it comes to need it.
const COMPILING: usize = 64 << 20;

/// Compiles a component, or takes what is in the cache.
pub(crate) fn compile(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Component> {
    Vec::<u8>::new()
        .try_reserve_exact(COMPILING)
        .map_err(|error| wasmtime::Error::from(error).context(Resource::Memory))?;
    Component::from_binary(engine, wasm)
}

/// A compiled component, and where it exports what.
pub(super) struct Code<W> {
    pub(super) component: InstancePre<State>,
    pub(super) worlds: W,
}

impl<W> Program<W> {
    const fn new(
        wasm: Cow<'static, [u8]>,
        worlds: fn(&Component, &InstancePre<State>) -> wasmtime::Result<W>,
    ) -> Self {
        Self {
            wasm,
            worlds,
            code: ByMode::new(),
        }
    }

    /// The code for the engine of a mode.
    pub(super) fn code(&self, mode: Mode, engine: &Engine) -> wasmtime::Result<Arc<Code<W>>> {
        self.code.get(mode, || {
            let wasm = compile(engine, &self.wasm)?;
            let component = linker(engine)?.instantiate_pre(&wasm)?;
            let worlds = (self.worlds)(&wasm, &component)?;
            Ok(Arc::new(Code { component, worlds }))
        })
    }
}

impl Program<StoreWorlds> {
    pub(super) const fn store(wasm: Cow<'static, [u8]>) -> Self {
        Self::new(wasm, StoreWorlds::of)
    }
}

impl Program<ToolsWorld> {
    pub(super) const fn tools(wasm: Cow<'static, [u8]>) -> Self {
        Self::new(wasm, |_, component| ToolsWorld::new(component))
    }
}
