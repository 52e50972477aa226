//! Components: the embedded one, compiled once per process, and others.

use std::fmt;
use std::sync::{Arc, OnceLock};

use wasmtime::component::Component;
use wasmtime::{Engine, Store};

use super::config;
use super::linker::linker;
use super::options::Clock;
use super::pool::Pool;
use super::state::State;
use super::ticker::{self, TICKER};
use crate::bindings::StorePre;
use crate::error::{Error, Source};
use crate::limits::Limits;

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
/// Clones share the compiled code. [`StoreBuilder::component`](crate::StoreBuilder::component)
/// opens databases with it.
#[derive(Clone, Default)]
pub struct StoreComponent(Option<Arc<Untrusted>>);

/// What the instances of one component that is not trusted share.
struct Untrusted {
    compiled: Compiled,
    limits: Limits,
    pool: Arc<Pool>,
}

impl Drop for Untrusted {
    fn drop(&mut self) {
        self.pool.close();
    }
}

struct Compiled {
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
        let limits = limits.clamped();
        let load = || -> wasmtime::Result<Untrusted> {
            let compiled = Compiled::new(&config::untrusted(&limits), wasm)?;
            TICKER.follow(&compiled.engine)?;
            Ok(Untrusted {
                pool: Pool::patient(config::thread_stack(&limits)),
                compiled,
                limits,
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
        self.0.as_ref().map(|untrusted| &untrusted.limits)
    }

    /// The threads that run it.
    pub(super) fn pool(&self) -> &Pool {
        match &self.0 {
            Some(untrusted) => &untrusted.pool,
            None => Pool::global(),
        }
    }

    #[cfg(test)]
    pub(super) fn pool_for_tests(&self) -> Arc<Pool> {
        Arc::clone(&self.0.as_ref().unwrap().pool)
    }

    /// Makes an instance for the call that begins now. A component that is not trusted may
    /// run code already then.
    pub(super) fn instantiate(
        &self,
        clock: Clock,
    ) -> wasmtime::Result<(Store<State>, crate::bindings::Store)> {
        let (compiled, limits) = match &self.0 {
            Some(untrusted) => (&untrusted.compiled, Some(&untrusted.limits)),
            None => (embedded().map_err(repeat)?, None),
        };
        let mut store = Store::new(&compiled.engine, State::new(limits, clock));
        store.limiter(|state| &mut state.growth);
        store.set_hostcall_fuel(limits.map_or(LARGEST_IMPORT, |limits| limits.hostcall_bytes));
        store.set_max_component_handles(limits.map_or(HANDLES, |limits| limits.handles));
        self.begin_call(&mut store);
        let exports = compiled.component.instantiate(&mut store)?;
        Ok((store, exports))
    }

    /// From now on the time of a call is counted.
    pub(super) fn begin_call(&self, store: &mut Store<State>) {
        if let Some(untrusted) = &self.0 {
            store.set_epoch_deadline(ticker::ticks(untrusted.limits.call_time));
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

impl Compiled {
    fn new(config: &wasmtime::Config, wasm: &[u8]) -> wasmtime::Result<Self> {
        let engine = Engine::new(config)?;
        let component = Component::from_binary(&engine, wasm)?;
        let component = linker(&engine)?.instantiate_pre(&component)?;
        Ok(Self {
            component: StorePre::new(component)?,
            engine,
        })
    }
}

/// The compiled embedded component. The first call compiles it, and others wait for
/// that; if it fails, it fails for the whole life of the process.
fn embedded() -> Result<&'static Compiled, &'static wasmtime::Error> {
    static EMBEDDED: OnceLock<wasmtime::Result<Compiled>> = OnceLock::new();
    EMBEDDED
        .get_or_init(|| Compiled::new(&config::embedded(), COMPONENT))
        .as_ref()
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
