//! An instance of a component, and of its tools once they are needed.

use std::mem;

use wasmtime::Store;

use super::worlds::StoreWorlds;
use super::{Code, Mode, State, StoreComponent};
use crate::bindings::{EffectStore, HostEventStore, ProcessStore, SessionStore, Tools};

/// Why an instance does not have what is to be called.
pub(crate) enum Unavailable {
    /// The component does not have this world.
    World(&'static str),
    /// It could not be instantiated.
    Trap(wasmtime::Error),
}

/// What is to be called, and in which wasmtime store.
type Exports<'a, E> = Result<(&'a E, &'a mut Store<State>), Unavailable>;

/// An instance and what it was made of.
pub(crate) struct Instance {
    pub(crate) store: Store<State>,
    mode: Mode,
    session: Option<SessionStore>,
    processes: Option<ProcessStore>,
    host_events: Option<HostEventStore>,
    effects: Option<EffectStore>,
    tools: Option<Tools>,
    /// Whether it must not be used again.
    pub(crate) broken: bool,
}

impl Instance {
    pub(super) fn new(
        mode: Mode,
        mut store: Store<State>,
        code: &Code<StoreWorlds>,
    ) -> wasmtime::Result<Self> {
        let instance = code.component.instantiate(&mut store)?;
        let StoreWorlds {
            session,
            processes,
            host_events,
            effects,
        } = &code.worlds;
        Ok(Self {
            session: session
                .as_ref()
                .map(|world| world.load(&mut store, &instance))
                .transpose()?,
            processes: processes
                .as_ref()
                .map(|world| world.load(&mut store, &instance))
                .transpose()?,
            host_events: host_events
                .as_ref()
                .map(|world| world.load(&mut store, &instance))
                .transpose()?,
            effects: effects
                .as_ref()
                .map(|world| world.load(&mut store, &instance))
                .transpose()?,
            tools: None,
            mode,
            store,
            broken: false,
        })
    }

    pub(crate) fn session_store(&mut self, _: &StoreComponent) -> Exports<'_, SessionStore> {
        exports(self.session.as_ref(), &mut self.store, "session-store")
    }

    pub(crate) fn process_store(&mut self, _: &StoreComponent) -> Exports<'_, ProcessStore> {
        exports(self.processes.as_ref(), &mut self.store, "process-store")
    }

    pub(crate) fn host_event_store(&mut self, _: &StoreComponent) -> Exports<'_, HostEventStore> {
        let exported = self.host_events.as_ref();
        exports(exported, &mut self.store, "host-event-store")
    }

    pub(crate) fn effect_store(&mut self, _: &StoreComponent) -> Exports<'_, EffectStore> {
        exports(self.effects.as_ref(), &mut self.store, "effect-store")
    }

    /// The tools, in the same wasmtime store: so they have the same database and share
    /// its limits.
    pub(crate) fn tools(&mut self, component: &StoreComponent) -> Exports<'_, Tools> {
        if self.tools.is_none() {
            match self.load_tools(component) {
                Ok(()) => {}
                Err(error) => match self.mode.instead(&error) {
                    Some(mode) => self
                        .move_to(mode, component)
                        .and_then(|()| self.load_tools(component))
                        .map_err(Unavailable::Trap)?,
                    None => return Err(Unavailable::Trap(error)),
                },
            }
        }
        exports(self.tools.as_ref(), &mut self.store, "tools")
    }

    fn load_tools(&mut self, component: &StoreComponent) -> wasmtime::Result<()> {
        if let Some(code) = component.tools_code(self.mode)? {
            let instance = code.component.instantiate(&mut self.store)?;
            self.tools = Some(code.worlds.load(&mut self.store, &instance)?);
        }
        Ok(())
    }

    /// Becomes an instance in another mode, with the connection of the running call. There
    /// were addresses for the store, and none for its tools.
    fn move_to(&mut self, mode: Mode, component: &StoreComponent) -> wasmtime::Result<()> {
        let clock = self.store.data().clock.clone();
        let state = State::new(component.limits(), clock);
        let mut other = component.instance(mode, state)?;
        let (old, new) = (self.store.data_mut(), other.store.data_mut());
        mem::swap(old, new);
        mem::swap(&mut old.growth, &mut new.growth);
        *self = other;
        component.engines().remember(mode);
        Ok(())
    }
}

fn exports<'a, E>(
    exported: Option<&'a E>,
    store: &'a mut Store<State>,
    world: &'static str,
) -> Exports<'a, E> {
    let exported = exported.ok_or(Unavailable::World(world))?;
    Ok((exported, store))
}
