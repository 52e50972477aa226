//! Components: the embedded ones, compiled once per process, and others, each in a
//! [`sandbox`] with an engine of its own.

mod cache;
mod config;
mod embedded;
mod instance;
mod linker;
mod mode;
mod program;
mod sandbox;
mod state;
mod ticker;
mod trap;
mod worlds;

pub(crate) use instance::{Instance, Unavailable};
pub(crate) use mode::{ByMode, Engines, Mode};
pub(crate) use program::compile;
pub(crate) use sandbox::Sandbox;
pub(crate) use state::{Growth, State};
pub(crate) use trap::limit as limit_of;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use wasmtime::Store;

use crate::database::Clock;
use crate::error::Error;
use crate::limits::Limits;
use crate::pool::Pool;
use program::{Code, Program};
use worlds::{StoreWorlds, ToolsWorld};

/// The component of the world `store` in `wit/`, for wasmtime or for any other
/// runtime of components.
pub const COMPONENT: &[u8] = include_bytes!("../../component/lash_store.wasm");

/// The component of the world `tools` in `wit/`, for databases of [`COMPONENT`].
pub const TOOLS: &[u8] = include_bytes!("../../component/lash_store_tools.wasm");

/// A component of the world `store`, or of those of some kinds of database: the one of
/// this crate, or somebody else's build, which is not trusted.
///
/// Clones share the compiled code. [`OpenOptions::component`](crate::OpenOptions::component)
/// opens databases with it.
#[derive(Clone, Default)]
pub struct StoreComponent(Option<Untrusted>);

/// A component that is not trusted, and its tools.
#[derive(Clone)]
struct Untrusted {
    store: Arc<UntrustedStore>,
    tools: Option<Arc<Program<ToolsWorld>>>,
}

/// What the instances of one component that is not trusted share.
struct UntrustedStore {
    sandbox: Sandbox,
    program: Program<StoreWorlds>,
    pool: Arc<Pool>,
}

impl Drop for UntrustedStore {
    fn drop(&mut self) {
        self.pool.close();
    }
}

impl StoreComponent {
    /// The components that the crate embeds, [`COMPONENT`] and [`TOOLS`]. They are
    /// trusted: they have no limits but a guard against bugs, and share threads and
    /// instances with all databases of the process.
    #[must_use]
    pub fn embedded() -> Self {
        Self(None)
    }

    /// Compiles a component that is not trusted, in the binary format. Its imports
    /// must be those of the world `store`, or fewer, and its exports those of the world
    /// of one kind of database at least. Databases of other kinds cannot be opened with it.
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
    /// [`Error::Load`] if these bytes are no component, or one of another world;
    /// [`Error::Resource`] if the machine does not allow it to be compiled now.
    pub fn untrusted(wasm: &[u8], limits: Limits) -> Result<Self, Error> {
        let sandbox = Sandbox::new(limits);
        let program = Program::store(Cow::Owned(wasm.to_vec()));
        sandbox
            .engines()
            .adapt(|mode| program.code(mode, &sandbox.engine(mode)?))
            .map_err(Error::unloadable)?;
        let store = Arc::new(UntrustedStore {
            program,
            pool: Pool::patient(sandbox.thread_stack()),
            sandbox,
        });
        Ok(Self(Some(Untrusted { store, tools: None })))
    }

    /// Compiles the tools of a component that is not trusted: what inspects, verifies,
    /// exports and fills its databases. They are not trusted either, and run in the
    /// sandbox of the component: an instance of theirs counts towards the limits of the
    /// component's instance. Without tools, these calls return [`Error::Unsupported`].
    ///
    /// # Errors
    ///
    /// [`Error::Load`] if these bytes are no component, or one of another world; and for
    /// the [`embedded`](Self::embedded) component, which has its tools; [`Error::Resource`] as
    /// [`untrusted`](Self::untrusted).
    pub fn tools(self, wasm: &[u8]) -> Result<Self, Error> {
        let Some(Untrusted { store, .. }) = self.0 else {
            return Err(Error::unloadable(wasmtime::Error::msg(
                "the embedded component has its tools already",
            )));
        };
        let tools = Program::tools(Cow::Owned(wasm.to_vec()));
        let sandbox = &store.sandbox;
        sandbox
            .engines()
            .adapt(|mode| tools.code(mode, &sandbox.engine(mode)?))
            .map_err(Error::unloadable)?;
        let tools = Some(Arc::new(tools));
        Ok(Self(Some(Untrusted { store, tools })))
    }

    /// The limits of a component that is not trusted.
    #[must_use]
    pub fn limits(&self) -> Option<&Limits> {
        self.0.as_ref().map(|own| own.store.sandbox.limits())
    }

    /// The threads that run it.
    pub(crate) fn pool(&self) -> &Pool {
        match &self.0 {
            Some(own) => &own.store.pool,
            None => Pool::global(),
        }
    }

    #[cfg(test)]
    pub(crate) fn pool_for_tests(&self) -> Arc<Pool> {
        Arc::clone(&self.0.as_ref().unwrap().store.pool)
    }

    /// Its epoch is the time of calls.
    #[cfg(test)]
    pub(crate) fn engine_for_tests(&self) -> wasmtime::Engine {
        let sandbox = &self.0.as_ref().unwrap().store.sandbox;
        sandbox.engine(sandbox.engines().mode()).unwrap()
    }

    /// Makes an instance for the call that begins now. A component that is not trusted may
    /// run code already then.
    pub(crate) fn instantiate(&self, clock: Clock) -> wasmtime::Result<Instance> {
        self.engines().adapt(|mode| {
            let state = State::new(self.limits(), Some(Clock::clone(&clock)));
            self.instance(mode, state)
        })
    }

    fn instance(&self, mode: Mode, state: State) -> wasmtime::Result<Instance> {
        match &self.0 {
            Some(Untrusted { store, .. }) => {
                let engine = store.sandbox.engine(mode)?;
                let code = store.program.code(mode, &engine)?;
                let wasm = store
                    .sandbox
                    .store(&engine, state, |state| &mut state.growth);
                Instance::new(mode, wasm, &code)
            }
            None => {
                let code = embedded::store(mode)?;
                Instance::new(mode, embedded::wasm_store(mode, state)?, &code)
            }
        }
    }

    fn engines(&self) -> &Engines {
        match &self.0 {
            Some(own) => own.store.sandbox.engines(),
            None => &embedded::ENGINES,
        }
    }

    /// The tools; none for a component that has none.
    fn tools_code(&self, mode: Mode) -> wasmtime::Result<Option<Arc<Code<ToolsWorld>>>> {
        match &self.0 {
            Some(Untrusted { store, tools }) => {
                let code = |tools: &Arc<Program<ToolsWorld>>| {
                    tools.code(mode, &store.sandbox.engine(mode)?)
                };
                tools.as_ref().map(code).transpose()
            }
            None => embedded::tools(mode).map(Some),
        }
    }

    /// From now on the time of a call is counted.
    pub(crate) fn begin_call(&self, store: &mut Store<State>) {
        if let Some(own) = &self.0 {
            own.store.sandbox.begin_call(store);
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
