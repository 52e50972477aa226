//! The driver of the program that checks a host: `wit/conformance.wit` says what it
//! does.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use wasmtime::component::{Component, HasSelf, Linker, Resource};
use wasmtime::{Engine, Result, Store};

use crate::imports::Imports;
use crate::imports::bindings::lash::store::sqlite;
use crate::imports::bindings::wasi;

#[allow(missing_docs, unreachable_pub)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../../wit",
        world: "host-conformance",
        with: {
            "lash:store/sqlite": crate::imports::bindings::lash::store::sqlite,
            "wasi:clocks/wall-clock": crate::imports::bindings::wasi::clocks::wall_clock,
            "wasi:random/random": crate::imports::bindings::wasi::random::random,
        },
        imports: { default: trappable },
    });
}

use bindings::HostConformance;
use bindings::exports::lash::store::conformance::Rule;
use bindings::lash::store::second_connection;

/// The program, from the directory of this package. `cargo xtask component conformance`
/// writes it.
pub const PROGRAM: &str = "../../../target/components/conformance.wasm";

/// Opens a file as this host does for the store, but for the busy timeout.
pub fn open(path: &Path) -> rusqlite::Result<Imports> {
    let imports = Imports::new(Connection::open(path)?, Duration::from_millis(300))?;
    imports.use_wal()?;
    Ok(imports)
}

/// Opens a file as the host does for the store, with a busy timeout of some tenths of
/// a second.
pub type Open<'a> = &'a dyn Fn(&Path) -> rusqlite::Result<Imports>;

/// What became of a rule.
pub struct Verdict {
    /// Its name.
    pub rule: String,
    /// How it is broken; none if it holds.
    pub broken: Option<String>,
}

/// The host with the connection of the driver.
struct State {
    imports: Imports,
    second: Connection,
}

impl State {
    fn open(path: &Path, open: Open<'_>) -> Result<Self> {
        Ok(Self {
            imports: open(path)?,
            second: Connection::open(path)?,
        })
    }
}

impl second_connection::Host for State {
    fn run(&mut self, sql: String) -> Result<std::result::Result<Vec<i64>, String>> {
        let run = || {
            self.second.busy_timeout(Duration::ZERO)?;
            let mut statement = self.second.prepare(&sql)?;
            let mut rows = statement.raw_query();
            let mut integers = Vec::new();
            while let Some(row) = rows.next()? {
                integers.extend(row.get_ref(0)?.as_i64());
            }
            Ok(integers)
        };
        Ok(run().map_err(|error: rusqlite::Error| error.to_string()))
    }
}

/// Checks every rule, each in a file of its own below a directory.
pub fn check(component: &Path, directory: &Path, open: Open<'_>) -> Result<Vec<Verdict>> {
    let engine = Engine::default();
    let component = Component::from_file(&engine, component)?;
    let mut linker = Linker::new(&engine);
    sqlite::add_to_linker::<State, HasSelf<Imports>>(&mut linker, |state| &mut state.imports)?;
    wasi::clocks::wall_clock::add_to_linker::<State, HasSelf<Imports>>(&mut linker, |state| {
        &mut state.imports
    })?;
    wasi::random::random::add_to_linker::<State, HasSelf<Imports>>(&mut linker, |state| {
        &mut state.imports
    })?;
    second_connection::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    let driver = Driver {
        engine,
        component,
        linker,
        open,
    };

    let mut instance = driver.instance(State::open(Path::new(":memory:"), open)?)?;
    let rules = instance
        .exports
        .lash_store_conformance()
        .call_rules(&mut instance.store)?;
    let mut verdicts = Vec::new();
    for rule in rules {
        let path = directory.join(format!("{}.db", rule.name));
        let broken = driver.check_rule(&rule, &path)?;
        verdicts.push(Verdict {
            rule: rule.name,
            broken,
        });
    }
    Ok(verdicts)
}

struct Instance {
    store: Store<State>,
    exports: HostConformance,
}

struct Driver<'a> {
    engine: Engine,
    component: Component,
    linker: Linker<State>,
    open: Open<'a>,
}

impl Driver<'_> {
    fn instance(&self, state: State) -> Result<Instance> {
        let mut store = Store::new(&self.engine, state);
        let exports = HostConformance::instantiate(&mut store, &self.component, &self.linker)?;
        Ok(Instance { store, exports })
    }

    fn check_rule(&self, rule: &Rule, path: &Path) -> Result<Option<String>> {
        let mut instance = self.instance(State::open(path, self.open)?)?;
        for (number, step) in (0_u32..).zip(&rule.steps) {
            if step.reopen {
                // The last connection is closed before the first is opened again.
                *instance.store.data_mut() = State::open(Path::new(":memory:"), self.open)?;
                *instance.store.data_mut() = State::open(path, self.open)?;
            }
            let answer = instance.exports.lash_store_conformance().call_check(
                &mut instance.store,
                Resource::new_borrow(0),
                &rule.name,
                number,
            );
            instance.store.data_mut().imports.end_call()?;
            let broken = match answer {
                Ok(Ok(())) if step.traps => Some("it did not trap".to_owned()),
                Ok(Ok(())) => None,
                Ok(Err(reason)) => Some(reason),
                Err(_) if step.traps => None,
                Err(trap) => Some(format!("{trap:?}")),
            };
            if let Some(reason) = broken {
                return Ok(Some(format!("step {number}: {reason}")));
            }
            if step.traps {
                instance = self.instance(instance.store.into_data())?;
            }
        }
        Ok(None)
    }
}
