//! Where a component runs that is not trusted: an engine that can be interrupted, and what bounds an instance.

use wasmtime::{Engine, Store};

use super::mode::{Engines, Mode};
use super::state::Growth;
use super::ticker::{self, TICKER};
use super::{config, embedded, trap};
use crate::limits::{Limit, Limits};
use crate::resource::Resource;

/// The engines for one component that is not trusted, with its limits.
pub(crate) struct Sandbox {
    engines: Engines,
    limits: Limits,
}

impl Sandbox {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            engines: Engines::as_found_by(&embedded::ENGINES),
            limits: limits.clamped(),
        }
    }

    /// The engines, which know what this machine allows. What this component has found out
    /// holds for it alone: it can use up addresses on purpose.
    pub(crate) fn engines(&self) -> &Engines {
        &self.engines
    }

    /// The engine of a mode.
    pub(crate) fn engine(&self, mode: Mode) -> wasmtime::Result<Engine> {
        self.engines.get(mode, || {
            let engine = Engine::new(&config::untrusted(mode, &self.limits))?;
            TICKER.follow(&engine).map_err(Resource::no_thread)?;
            Ok(engine)
        })
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How large the stack of a thread must be that runs the component. On a smaller
    /// one, a component that recurses would end the process.
    pub(crate) fn thread_stack(&self) -> usize {
        config::thread_stack(&self.limits)
    }

    /// What an instance may grow to.
    pub(crate) fn growth(&self) -> Growth {
        Growth::new(Some(&self.limits))
    }

    /// A store for one instance and one call, whose time is counted from now on.
    pub(crate) fn store<T: 'static>(
        &self,
        engine: &Engine,
        data: T,
        growth: impl Fn(&mut T) -> &mut Growth + Send + Sync + 'static,
    ) -> Store<T> {
        let mut store = Store::new(engine, data);
        store.limiter(move |data| growth(data));
        store.set_hostcall_fuel(self.limits.hostcall_bytes);
        store.set_max_component_handles(self.limits.handles);
        self.begin_call(&mut store);
        store
    }

    /// From now on the time of a call is counted.
    pub(crate) fn begin_call<T>(&self, store: &mut Store<T>) {
        store.set_epoch_deadline(ticker::ticks(self.limits.call_time));
    }

    /// Which limit it was that stopped the component, if it was one.
    pub(crate) fn reached(&self, trap: &wasmtime::Error) -> Option<Limit> {
        trap::limit(&self.limits, trap)
    }
}
