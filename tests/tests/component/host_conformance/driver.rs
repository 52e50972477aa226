//! Runs the component that checks a host, as `wit/conformance.wit` says.

use std::path::Path;

use rusqlite::Connection;
use wasmtime::component::{
    Component, ComponentType, Instance, InstancePre, Lift, Linker, Resource, TypedFunc,
};
use wasmtime::{Engine, Result, Store, StoreContextMut};

const CONFORMANCE: &str = "lash:store/conformance@0.1.0";

/// One embedder's implementation of the imports, with a database.
pub trait Host: Sized + 'static {
    /// What it represents the resource `database` by.
    type Database: 'static;
    /// What it is made with.
    type Config: Copy;

    /// Opens a file as the interface `sqlite` says, with a short busy timeout.
    fn open(config: Self::Config, path: &Path) -> Result<Self>;
    /// Adds the imports to a linker.
    fn add_to_linker(linker: &mut Linker<Driven<Self>>) -> Result<()>;
    /// Lends the database to a call.
    fn begin_call(&mut self) -> Resource<Self::Database>;
    /// Ends the call, which has trapped or not.
    fn end_call(&mut self, trapped: bool) -> Result<()>;
}

/// What belongs to one instance: the host that is checked, and the driver's own
/// connection.
pub struct Driven<H> {
    pub host: H,
    second: Connection,
}

impl<H: Host> Driven<H> {
    fn open(config: H::Config, path: &Path) -> Result<Self> {
        let host = H::open(config, path)?;
        let second = Connection::open(path)?;
        second.busy_timeout(std::time::Duration::ZERO)?;
        Ok(Self { host, second })
    }
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub struct Rule {
    pub name: String,
    pub statement: String,
    pub steps: Vec<Step>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub struct Step {
    reopen: bool,
    traps: bool,
}

/// The component, linked with a host.
pub struct Driver<H: Host> {
    component: InstancePre<Driven<H>>,
    config: H::Config,
}

impl<H: Host> Driver<H> {
    pub fn new(config: H::Config, engine: &Engine, component: &Component) -> Result<Self> {
        let mut linker = Linker::new(engine);
        H::add_to_linker(&mut linker)?;
        linker
            .instance("lash:store/second-connection@0.1.0")?
            .func_wrap(
                "run",
                |store: StoreContextMut<'_, Driven<H>>, (sql,): (String,)| {
                    let answer = run(&store.data().second, &sql);
                    Ok((answer.map_err(|error| error.to_string()),))
                },
            )?;
        Ok(Self {
            component: linker.instantiate_pre(component)?,
            config,
        })
    }

    /// What there is to check.
    pub fn rules(&self) -> Result<Vec<Rule>> {
        let directory = tempfile::tempdir()?;
        let data = Driven::open(self.config, &directory.path().join("a.db"))?;
        let mut store = Store::new(self.component.engine(), data);
        let instance = self.component.instantiate(&mut store)?;
        let function = export::<_, (), (Vec<Rule>,)>(&mut store, &instance, "rules")?;
        Ok(function.call(&mut store, ())?.0)
    }

    /// Checks one rule; the error says what was wrong.
    pub fn check(&self, rule: &Rule) -> Result<(), String> {
        self.run(rule)
            .map_err(|error| format!("{error:#}"))
            .flatten()
    }

    fn run(&self, rule: &Rule) -> Result<Result<(), String>> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("a.db");
        let mut store = Store::new(self.component.engine(), Driven::open(self.config, &path)?);
        let mut instance = self.component.instantiate(&mut store)?;
        for (number, step) in (0..).zip(&rule.steps) {
            if step.reopen {
                drop(store);
                store = Store::new(self.component.engine(), Driven::open(self.config, &path)?);
                instance = self.component.instantiate(&mut store)?;
            }
            let check = export::<_, (Resource<H::Database>, &str, u32), (Result<(), String>,)>(
                &mut store, &instance, "check",
            )?;
            let database = store.data_mut().host.begin_call();
            let answer = check.call(&mut store, (database, &rule.name, number));
            store.data_mut().host.end_call(answer.is_err())?;
            match answer {
                Ok((Err(wrong),)) => return Ok(Err(format!("step {number}: {wrong}"))),
                Ok((Ok(()),)) if step.traps => {
                    return Ok(Err(format!("step {number}: it did not trap")));
                }
                Ok((Ok(()),)) => {}
                Err(_) if step.traps => {
                    store = Store::new(self.component.engine(), store.into_data());
                    instance = self.component.instantiate(&mut store)?;
                }
                Err(trap) => return Ok(Err(format!("step {number}: it trapped: {trap:#}"))),
            }
        }
        Ok(Ok(()))
    }
}

fn export<T, P, R>(store: &mut Store<T>, instance: &Instance, name: &str) -> Result<TypedFunc<P, R>>
where
    T: 'static,
    P: wasmtime::component::ComponentNamedList + wasmtime::component::Lower,
    R: wasmtime::component::ComponentNamedList + Lift,
{
    let interface = instance.get_export_index(&mut *store, None, CONFORMANCE);
    let function = instance
        .get_export_index(&mut *store, interface.as_ref(), name)
        .ok_or_else(|| wasmtime::format_err!("there is no {name}"))?;
    instance.get_typed_func(store, function)
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.raw_query();
    let mut integers = Vec::new();
    while let Some(row) = rows.next()? {
        integers.extend(row.get_ref(0)?.as_i64());
    }
    Ok(integers)
}
