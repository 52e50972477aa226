//! Which worlds of `wit/` a component has.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre};

use super::state::State;
use crate::bindings::{
    EffectStoreIndices, HostEventStoreIndices, ProcessStoreIndices, SessionStoreIndices,
    ToolsIndices,
};

/// Where a component exports the functions of the world `tools`.
pub(super) type ToolsWorld = ToolsIndices;

/// Where a component exports the functions of the worlds of the kinds of database.
pub(super) struct StoreWorlds {
    pub(super) session: Option<SessionStoreIndices>,
    pub(super) processes: Option<ProcessStoreIndices>,
    pub(super) host_events: Option<HostEventStoreIndices>,
    pub(super) effects: Option<EffectStoreIndices>,
}

impl StoreWorlds {
    /// The worlds of a component. One that exports the first interface of a world must
    /// have all of it.
    pub(super) fn of(
        component: &Component,
        instance: &InstancePre<State>,
    ) -> wasmtime::Result<Self> {
        let ty = component.component_type();
        let has = |interface| {
            let exported = ty.get_export(component.engine(), interface);
            exported.is_some_and(|item| matches!(item.ty, ComponentItem::ComponentInstance(_)))
        };
        let worlds = Self {
            session: has("lash:store/session@0.1.0")
                .then(|| SessionStoreIndices::new(instance))
                .transpose()?,
            processes: has("lash:store/processes@0.1.0")
                .then(|| ProcessStoreIndices::new(instance))
                .transpose()?,
            host_events: has("lash:store/host-events@0.1.0")
                .then(|| HostEventStoreIndices::new(instance))
                .transpose()?,
            effects: has("lash:store/effects@0.1.0")
                .then(|| EffectStoreIndices::new(instance))
                .transpose()?,
        };
        if worlds.is_empty() {
            wasmtime::bail!("it exports none of the interfaces of a store");
        }
        Ok(worlds)
    }

    fn is_empty(&self) -> bool {
        self.session.is_none()
            && self.processes.is_none()
            && self.host_events.is_none()
            && self.effects.is_none()
    }

    #[cfg(test)]
    pub(super) fn is_complete(&self) -> bool {
        self.session.is_some()
            && self.processes.is_some()
            && self.host_events.is_some()
            && self.effects.is_some()
    }
}
