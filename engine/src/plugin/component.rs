//! A plugin before it is bound to a store.

use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex};

use super::error::Error;
use super::grant::Grant;
use super::granted::GrantedPlugin;
use super::imports::{self, Import};
use super::threads::Threads;
use crate::component::{ByMode, Mode, Sandbox, compile};
use crate::database::Database;
use crate::limits::Limits;

/// The interface that a plugin exports.
const ENTRY: &str = "lash:store/plugin-entry@0.1.0";

/// How many calls of one plugin run at a time. Further ones wait.
const RUNNING: usize = 8;

/// A component of the world `plugin`, compiled. Clones share it, and how many of its calls
/// run at a time.
#[derive(Clone)]
pub struct Plugin {
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) threads: Arc<Threads>,
    program: Arc<Program>,
    imports: Arc<[Import]>,
    /// Of all that run it, whatever store they are bound to.
    pub(super) permits: Arc<Semaphore>,
}

/// A plugin in the binary format, and compiled in the modes that were needed.
struct Program {
    wasm: Vec<u8>,
    component: ByMode<Component>,
}

impl Plugin {
    /// Compiles a component and checks what it imports. This takes some tenths of a
    /// second, and uses no cache: a plugin is compiled from the bytes that are given.
    ///
    /// # Errors
    ///
    /// [`Error::NotAPlugin`], and [`Error::ForeignImport`] if it asks for something
    /// that no grant can give; [`Error::Resource`] if the machine does not allow it to be
    /// compiled now.
    pub fn new(wasm: &[u8], limits: Limits) -> Result<Self, Error> {
        let sandbox = Sandbox::new(limits);
        let mut plugin = Self {
            threads: Arc::new(Threads::new(sandbox.thread_stack())),
            sandbox: Arc::new(sandbox),
            program: Arc::new(Program {
                wasm: wasm.to_vec(),
                component: ByMode::new(),
            }),
            imports: [].into(),
            permits: Arc::new(Semaphore::new(RUNNING)),
        };
        let engines = plugin.sandbox.engines();
        let component = engines
            .adapt(|mode| plugin.component(mode))
            .map_err(Error::unusable)?;
        plugin.imports = imports::of(component.engine(), &component)?.into();
        if component.get_export_index(None, ENTRY).is_none() {
            return Err(Error::not_a_plugin(format!("it does not export {ENTRY}")));
        }
        Ok(plugin)
    }

    /// What is compiled for a mode.
    pub(super) fn component(&self, mode: Mode) -> wasmtime::Result<Component> {
        let Program { wasm, component } = &*self.program;
        component.get(mode, || compile(&self.sandbox.engine(mode)?, wasm))
    }

    /// Binds the plugin to the database of a session, which stays open as long as the
    /// result, or a clone of it, exists.
    ///
    /// # Errors
    ///
    /// [`Error::NotGranted`] if the plugin imports what the grant does not include, and
    /// [`Error::NotAPlugin`] if it means another function by an import than this crate
    /// has.
    pub fn with(
        &self,
        database: &impl AsRef<Database>,
        grant: Grant,
    ) -> Result<GrantedPlugin, Error> {
        if let Some(import) = self
            .imports
            .iter()
            .find(|import| !import.is_granted(&grant))
        {
            return Err(Error::NotGranted {
                namespace: grant.namespace.name().to_owned(),
                import: import.to_string(),
            });
        }
        GrantedPlugin::new(self, database.as_ref(), grant)
    }
}

/// The export that is called.
pub(super) fn entry(component: &Component) -> wasmtime::Result<ComponentExportIndex> {
    let interface = component.get_export_index(None, ENTRY);
    match component.get_export(interface.as_ref(), "run") {
        Some((ComponentItem::ComponentFunc(_), index)) => Ok(index),
        _ => wasmtime::bail!("{ENTRY} has no function run"),
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("limits", self.sandbox.limits())
            .finish_non_exhaustive()
    }
}
