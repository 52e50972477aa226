//! Components: the embedded one, compiled once per process, and others, each in a
//! [`sandbox`] with an engine of its own.

mod config;
mod linker;
mod sandbox;
mod state;
mod ticker;
mod trap;

pub(crate) use sandbox::Sandbox;
pub(crate) use state::{Growth, State};
pub(crate) use trap::limit as limit_of;

use std::fmt;
use std::sync::{Arc, OnceLock};

use wasmtime::component::Component;
use wasmtime::{Engine, Store};

use crate::bindings::StorePre;
use crate::database::Clock;
use crate::error::{Error, Source};
use crate::limits::Limits;
use crate::pool::Pool;
use linker::linker;

/// The component of the world `store` in `wit/`, for wasmtime or for any other
/// runtime of components.
pub const COMPONENT: &[u8] = include_bytes!("../../component/lash_store.wasm");

/// How many bytes one call of the embedded component may hand to the host. Many times
/// the largest request; a bound on what a component that runs wild can allocate.
const LARGEST_IMPORT: usize = 2 << 30;

/// How many handles the embedded component may have. It needs two.
const HANDLES: usize = 1000;

/// A component of the world `store`: the one of this crate, or somebody else's build,
/// which is not trusted.
///
/// Clones share the compiled code. [`OpenOptions::component`](crate::OpenOptions::component)
/// opens databases with it.
#[derive(Clone, Default)]
pub struct StoreComponent(Option<Arc<Untrusted>>);

/// What the instances of one component that is not trusted share.
struct Untrusted {
    sandbox: Sandbox,
    component: StorePre<State>,
    pool: Arc<Pool>,
}

impl Drop for Untrusted {
    fn drop(&mut self) {
        self.pool.close();
    }
}

struct Embedded {
    engine: Engine,
    component: StorePre<State>,
}

impl StoreComponent {
    /// The component that the crate embeds, [`COMPONENT`]. It is trusted: it has no
    /// limits but a guard against bugs, and shares threads and instances with all
    /// databases of the process.
    #[must_use]
    pub fn embedded() -> Self {
        Self(None)
    }

    /// Compiles a component that is not trusted, in the binary format. Its imports
    /// must be those of the world `store`, or fewer, and its exports those of the world.
    ///
    /// It runs on threads of its own, at most 64, of which each database takes one at a
    /// time; an instance serves one database only. The threads end when the last
    /// database and the last clone of this are dropped.
    ///
    /// Compiling takes time in the size of the component, and is not interrupted: bound
    /// the size of what is given. What is compiled is kept in memory only, never in
    /// wasmtime's cache on the disk.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] if these bytes are no component, or one of another world.
    pub fn untrusted(wasm: &[u8], limits: Limits) -> Result<Self, Error> {
        let load = || -> wasmtime::Result<Untrusted> {
            let sandbox = Sandbox::new(limits)?;
            Ok(Untrusted {
                component: compile(sandbox.engine(), wasm)?,
                pool: Pool::patient(sandbox.thread_stack()),
                sandbox,
            })
        };
        let loaded = load().map_err(|error| Error::Load {
            source: Source::from(error.into_boxed_dyn_error()),
        })?;
        Ok(Self(Some(Arc::new(loaded))))
    }

    /// The limits of a component that is not trusted.
    #[must_use]
    pub fn limits(&self) -> Option<&Limits> {
        self.0.as_ref().map(|untrusted| untrusted.sandbox.limits())
    }

    /// The threads that run it.
    pub(crate) fn pool(&self) -> &Pool {
        match &self.0 {
            Some(untrusted) => &untrusted.pool,
            None => Pool::global(),
        }
    }

    #[cfg(test)]
    pub(crate) fn pool_for_tests(&self) -> Arc<Pool> {
        Arc::clone(&self.0.as_ref().unwrap().pool)
    }

    /// Its epoch is the time of calls.
    #[cfg(test)]
    pub(crate) fn engine_for_tests(&self) -> Engine {
        self.0.as_ref().unwrap().sandbox.engine().clone()
    }

    /// Makes an instance for the call that begins now. A component that is not trusted may
    /// run code already then.
    pub(crate) fn instantiate(
        &self,
        clock: Clock,
    ) -> wasmtime::Result<(Store<State>, crate::bindings::Store)> {
        let state = State::new(self.limits(), clock);
        let (mut store, component) = match &self.0 {
            Some(untrusted) => {
                let store = untrusted.sandbox.store(state, |state| &mut state.growth);
                (store, &untrusted.component)
            }
            None => {
                let Embedded { engine, component } = embedded().map_err(repeat)?;
                let mut store = Store::new(engine, state);
                store.limiter(|state| &mut state.growth);
                store.set_hostcall_fuel(LARGEST_IMPORT);
                store.set_max_component_handles(HANDLES);
                (store, component)
            }
        };
        let exports = component.instantiate(&mut store)?;
        Ok((store, exports))
    }

    /// From now on the time of a call is counted.
    pub(crate) fn begin_call(&self, store: &mut Store<State>) {
        if let Some(untrusted) = &self.0 {
            untrusted.sandbox.begin_call(store);
        }
    }
}

impl fmt::Debug for StoreComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreComponent")
            .field("limits", &self.limits())
            .finish_non_exhaustive()
    }
}

fn compile(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<StorePre<State>> {
    let component = Component::from_binary(engine, wasm)?;
    StorePre::new(linker(engine)?.instantiate_pre(&component)?)
}

/// The compiled embedded component. The first call compiles it, and others wait for
/// that; if it fails, it fails for the whole life of the process.
fn embedded() -> Result<&'static Embedded, &'static wasmtime::Error> {
    static EMBEDDED: OnceLock<wasmtime::Result<Embedded>> = OnceLock::new();
    let load = || {
        let engine = Engine::new(&config::embedded())?;
        let component = compile(&engine, COMPONENT)?;
        Ok(Embedded { engine, component })
    };
    EMBEDDED.get_or_init(load).as_ref()
}

fn repeat(error: &wasmtime::Error) -> wasmtime::Error {
    wasmtime::Error::msg(format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_component_fits_the_world() {
        assert!(embedded().is_ok(), "{:?}", embedded().err());
    }
}
