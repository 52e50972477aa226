//! What a plugin imports: the functions of the store that a grant can give.
//!
//! Only the type of `sqlite.database` is linked, and no function of that interface. A
//! component that imports one is refused before it is linked, as is one that imports
//! what its grant does not give.

mod artifacts;
mod blobs;
mod queue;
mod session;

use std::fmt;
use std::sync::Arc;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, ComponentNamedList, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType,
};
use wasmtime::{Engine, StoreContextMut};

use super::error::Error;
use super::grant::{Access, Grant};
use super::state::{Answer, State};
use crate::sqlite::Database;
use crate::wasi;

/// The first argument of every function: the one database there is, so it says nothing.
type Db = Resource<Database>;

/// What an artifact, a blob or a batch counts beside its content: the row, its checksum,
/// and its part of the indexes.
const ROW: usize = 256;

/// An interface that plugins may import.
struct Interface {
    name: &'static str,
    functions: &'static [&'static str],
    is_granted: fn(&Grant) -> bool,
}

static INTERFACES: [Interface; 6] = [
    Interface {
        name: "lash:store/artifacts@0.1.0",
        functions: artifacts::FUNCTIONS,
        is_granted: |grant| grant.artifacts.is_some(),
    },
    Interface {
        name: "lash:store/blobs@0.1.0",
        functions: blobs::FUNCTIONS,
        is_granted: |grant| grant.blobs.is_some(),
    },
    Interface {
        name: "lash:store/queue@0.1.0",
        functions: queue::FUNCTIONS,
        is_granted: |grant| grant.queue.is_some(),
    },
    Interface {
        name: "lash:store/session@0.1.0",
        functions: session::FUNCTIONS,
        is_granted: |grant| grant.session,
    },
    Interface {
        name: "wasi:clocks/wall-clock@0.2.0",
        functions: &["now"],
        is_granted: |_| true,
    },
    Interface {
        name: "wasi:random/random@0.2.0",
        functions: &["get-random-u64"],
        is_granted: |_| true,
    },
];

/// A function that a component imports.
pub(super) struct Import {
    interface: &'static Interface,
    function: String,
}

impl Import {
    pub(super) fn is_granted(&self, grant: &Grant) -> bool {
        (self.interface.is_granted)(grant)
    }
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.interface.name, self.function)
    }
}

/// The functions that a component imports. Types are not listed: they do nothing.
pub(super) fn of(engine: &Engine, component: &Component) -> Result<Vec<Import>, Error> {
    let mut imports = Vec::new();
    let ty = component.component_type();
    for (name, item) in ty.imports(engine) {
        match item.ty {
            ComponentItem::ComponentInstance(instance) => {
                for (function, item) in instance.exports(engine) {
                    match item.ty {
                        ComponentItem::Type(_) | ComponentItem::Resource(_) => {}
                        _ => imports.push(find(name, function)?),
                    }
                }
            }
            ComponentItem::Type(_) => {}
            _ => return Err(foreign(name)),
        }
    }
    Ok(imports)
}

fn find(interface: &str, function: &str) -> Result<Import, Error> {
    INTERFACES
        .iter()
        .find(|offered| offered.name == interface && offered.functions.contains(&function))
        .map(|interface| Import {
            interface,
            function: function.to_owned(),
        })
        .ok_or_else(|| foreign(&format!("{interface}.{function}")))
}

fn foreign(import: &str) -> Error {
    Error::ForeignImport {
        import: import.to_owned(),
    }
}

/// Everything that a grant can give. What it does not give is not linked, or returns
/// that it is refused.
pub(super) fn linker(engine: &Engine, grant: &Arc<Grant>) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    linker.instance("lash:store/sqlite@0.1.0")?.resource(
        "database",
        ResourceType::host::<Database>(),
        |_, _| Ok(()),
    )?;
    wasi::add_to_linker(&mut linker, State::now)?;
    if grant.artifacts.is_some() {
        artifacts::link(&mut linker.instance("lash:store/artifacts@0.1.0")?)?;
    }
    if grant.blobs.is_some() {
        blobs::link(&mut linker.instance("lash:store/blobs@0.1.0")?)?;
    }
    if grant.queue.is_some() {
        queue::link(&mut linker.instance("lash:store/queue@0.1.0")?)?;
    }
    if grant.session {
        session::link(&mut linker.instance("lash:store/session@0.1.0")?)?;
    }
    Ok(linker)
}

/// Adds a function that reads to an interface.
fn reading<P, T>(
    interface: &mut LinkerInstance<'_, State>,
    name: &str,
    function: impl Fn(&mut State, P) -> Answer<T> + Send + Sync + 'static,
) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lift + 'static,
    T: Lower + 'static,
    (Answer<T>,): ComponentNamedList + Lower,
{
    add(interface, name, State::count_call, function)
}

/// Adds a function that writes to an interface.
fn writing<P, T>(
    interface: &mut LinkerInstance<'_, State>,
    name: &str,
    access: fn(&Grant) -> Option<Access>,
    function: impl Fn(&mut State, P) -> Answer<T> + Send + Sync + 'static,
) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lift + 'static,
    T: Lower + 'static,
    (Answer<T>,): ComponentNamedList + Lower,
{
    let check = move |state: &mut State| {
        state.count_call()?;
        state.check_writes(access)
    };
    add(interface, name, check, function)
}

/// Adds a function, of which nothing is done before `check` has agreed: whatever comes of
/// it, the call is counted.
fn add<P, T>(
    interface: &mut LinkerInstance<'_, State>,
    name: &str,
    check: impl Fn(&mut State) -> Answer<()> + Send + Sync + 'static,
    function: impl Fn(&mut State, P) -> Answer<T> + Send + Sync + 'static,
) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lift + 'static,
    T: Lower + 'static,
    (Answer<T>,): ComponentNamedList + Lower,
{
    interface.func_wrap(
        name,
        move |mut store: StoreContextMut<'_, State>, params: P| {
            let state = store.data_mut();
            Ok((check(state).and_then(|()| function(state, params)),))
        },
    )
}
