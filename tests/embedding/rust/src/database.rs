//! Opening a file in the order that the interface asks for, and calling the component.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value as Json;
use wasmtime::component::{Component, HasSelf, Instance, Linker, Resource, ResourceAny, Val};
use wasmtime::error::Context;
use wasmtime::{Cache, Config, Engine};
use wasmtime::{Result, bail};

use crate::imports::Imports;
use crate::imports::bindings::Store as Exports;
use crate::imports::bindings::lash::store::format_types::{Initialized, Kind, Mismatch, State};
use crate::imports::bindings::lash::store::sqlite;
use crate::json;

/// The components, compiled.
pub struct Runtime {
    engine: Engine,
    store: Component,
    tools: Component,
    linker: Linker<Imports>,
}

impl Runtime {
    /// Compiles `lash_store.wasm` and `lash_store_tools.wasm` of a directory.
    pub fn new(directory: &Path) -> Result<Self> {
        let mut config = Config::new();
        if let Ok(cache) = Cache::from_file(None) {
            config.cache(Some(cache));
        }
        let engine = Engine::new(&config)?;
        let store = Component::from_file(&engine, directory.join("lash_store.wasm"))?;
        let tools = Component::from_file(&engine, directory.join("lash_store_tools.wasm"))?;
        let mut linker = Linker::new(&engine);
        Exports::add_to_linker::<_, HasSelf<Imports>>(&mut linker, |imports| imports)?;
        Ok(Self {
            engine,
            store,
            tools,
            linker,
        })
    }

    /// What the components were compiled by.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The store and its tools.
    pub fn components(&self) -> [&Component; 2] {
        [&self.store, &self.tools]
    }
}

/// Creates the file, unless it is there, such that only this user can read it. SQLite would
/// leave that to the umask.
fn create_private(path: &Path) -> io::Result<()> {
    let mut options = File::options();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.write(true).create_new(true).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// One connection to a file, with an instance of the store, and one of the tools once
/// they are needed.
pub struct Database<'a> {
    runtime: &'a Runtime,
    store: wasmtime::Store<Imports>,
    instance: Instance,
    tools: Option<Instance>,
}

impl<'a> Database<'a> {
    /// Opens a file that nothing else in this process has open, and makes it a
    /// database of this kind if it is empty or not there.
    pub fn open(
        runtime: &'a Runtime,
        path: &Path,
        kind: Kind,
        busy_timeout: Duration,
    ) -> Result<Self> {
        // On Unix, closing this would drop the locks of another connection.
        let mut header = Vec::new();
        if let Ok(file) = File::open(path) {
            file.take(100).read_to_end(&mut header)?;
        }
        let unopened = Connection::open_in_memory()?;
        let state = Self::over(runtime, unopened, busy_timeout)?
            .classify(&header, kind)?
            .map_err(|mismatch| wasmtime::format_err!("{}: {mismatch:?}", path.display()))?;
        create_private(path)?;
        let mut database = Self::connect(runtime, path, busy_timeout)?;
        if state == State::Empty {
            database.initialize(kind)?;
        }
        database.store.data().use_wal()?;
        Ok(database)
    }

    /// Opens another connection to a file that [`Database::open`] has accepted.
    pub fn connect(runtime: &'a Runtime, path: &Path, busy_timeout: Duration) -> Result<Self> {
        Self::over(runtime, Connection::open(path)?, busy_timeout)
    }

    fn over(runtime: &'a Runtime, connection: Connection, busy_timeout: Duration) -> Result<Self> {
        let imports = Imports::new(connection, busy_timeout)?;
        let mut store = wasmtime::Store::new(&runtime.engine, imports);
        let instance = runtime.linker.instantiate(&mut store, &runtime.store)?;
        Ok(Self {
            runtime,
            store,
            instance,
            tools: None,
        })
    }

    /// The time that the component sees.
    pub fn set_now(&mut self, now: Option<Duration>) {
        self.store.data_mut().now = now;
    }

    /// Calls an export by the functions that are generated from `wit/`.
    pub fn call<T>(
        &mut self,
        call: impl FnOnce(
            &Exports,
            &mut wasmtime::Store<Imports>,
            Resource<sqlite::Database>,
        ) -> Result<T>,
    ) -> Result<T> {
        let exports = Exports::new(&mut self.store, &self.instance)?;
        let result = call(&exports, &mut self.store, Resource::new_borrow(0));
        self.end_call(result)
    }

    /// Calls an export by its name, for example `session.commit`.
    pub fn call_json(&mut self, name: &str, args: &[Json]) -> Result<Json> {
        let (interface, function) = name.split_once('.').context("an interface and a name")?;
        let instance = self.instance_with(interface)?;
        let interface = format!("lash:store/{interface}@0.1.0");
        let found = instance
            .get_export_index(&mut self.store, None, &interface)
            .and_then(|found| instance.get_export_index(&mut self.store, Some(&found), function))
            .with_context(|| format!("there is no {name}"))?;
        let function = instance
            .get_func(&mut self.store, found)
            .with_context(|| format!("{name} is not a function"))?;
        let handle = Resource::<sqlite::Database>::new_own(0);
        let handle = ResourceAny::try_from_resource(handle, &mut self.store)?;
        let ty = function.ty(&self.store);
        let params = json::to_params(ty.params(), args, handle)?;
        let mut results = vec![Val::Bool(false)];
        let result = function.call(&mut self.store, &params, &mut results);
        self.end_call(result)?;
        handle.resource_drop(&mut self.store)?;
        let (ty, result) = ty.results().zip(&results).next().context("an answer")?;
        json::from_val(&ty, result)
    }

    /// The instance of the component that exports an interface.
    fn instance_with(&mut self, interface: &str) -> Result<Instance> {
        let tools = ["-inspection", "-export", "-import"];
        if !tools.iter().any(|tool| interface.ends_with(tool)) {
            return Ok(self.instance);
        }
        if self.tools.is_none() {
            let Runtime { linker, tools, .. } = self.runtime;
            self.tools = Some(linker.instantiate(&mut self.store, tools)?);
        }
        self.tools.context("the tools")
    }

    /// Whatever ended the call, no transaction outlives it. An instance that trapped
    /// is replaced.
    fn end_call<T>(&mut self, result: Result<T>) -> Result<T> {
        self.store.data_mut().end_call()?;
        if result.is_err() {
            let Runtime { linker, store, .. } = self.runtime;
            self.instance = linker.instantiate(&mut self.store, store)?;
            self.tools = None;
        }
        result
    }

    fn classify(&mut self, header: &[u8], kind: Kind) -> Result<Result<State, Mismatch>> {
        self.call(|exports, store, _| {
            exports
                .lash_store_format()
                .call_classify(store, header, kind)
        })
    }

    fn initialize(&mut self, kind: Kind) -> Result<()> {
        let initialized = self.call(|exports, store, db| match kind {
            Kind::Session => exports.lash_store_session().call_initialize(store, db),
            Kind::Processes => exports.lash_store_processes().call_initialize(store, db),
            Kind::HostEvents => exports.lash_store_host_events().call_initialize(store, db),
            Kind::Effects => exports.lash_store_effects().call_initialize(store, db),
        })?;
        match initialized {
            Ok(Initialized::Ready) => Ok(()),
            other => bail!("not initialized: {other:?}"),
        }
    }
}
