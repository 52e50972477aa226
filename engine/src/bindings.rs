//! What wasmtime generates from `wit/`, private to the crate so that no
//! generated name becomes public API.
//!
//! The two resources are handles of our own: a number that the host checks
//! against the call in progress, see [`crate::sqlite::host`].

/// What the worlds import: `sqlite`, WASI, and the types, which they share.
pub mod imports {
    wasmtime::component::bindgen!({
        path: "wit",
        inline: "
            package lash:engine;

            world imports {
                import lash:store/sqlite@0.1.0;
                import lash:store/types@0.1.0;
                import lash:store/format-types@0.1.0;
                import lash:store/session-types@0.1.0;
                import lash:store/process-types@0.1.0;
                import lash:store/host-event-types@0.1.0;
                import lash:store/effect-types@0.1.0;
                import lash:store/inspection-types@0.1.0;
                import lash:store/export-types@0.1.0;
                import lash:store/import-types@0.1.0;
                import wasi:clocks/wall-clock@0.2.0;
                import wasi:random/random@0.2.0;
            }
        ",
        world: "lash:engine/imports",
        with: {
            "lash:store/sqlite.database": crate::sqlite::Database,
            "lash:store/sqlite.transaction": crate::sqlite::Transaction,
        },
        imports: { default: trappable },
    });
}

pub use self::imports::lash::store::{
    effect_types, export_types, format_types, host_event_types, import_types, inspection_types,
    process_types, session_types, sqlite, types,
};
pub use self::imports::wasi;

/// The exports of a world.
macro_rules! world {
    ($module:ident = $world:literal, $($interface:literal: $types:ident),*) => {
        mod $module {
            wasmtime::component::bindgen!({
                path: "wit",
                world: $world,
                with: {
                    "lash:store/sqlite": crate::bindings::sqlite,
                    "lash:store/types": crate::bindings::types,
                    "lash:store/format-types": crate::bindings::format_types,
                    $($interface: crate::bindings::$types,)*
                    "wasi:clocks": crate::bindings::wasi::clocks,
                    "wasi:random": crate::bindings::wasi::random,
                },
            });
        }
    };
}

world!(session_store = "session-store", "lash:store/session-types": session_types);
world!(process_store = "process-store", "lash:store/process-types": process_types);
world!(host_event_store = "host-event-store", "lash:store/host-event-types": host_event_types);
world!(effect_store = "effect-store", "lash:store/effect-types": effect_types);
world!(
    tools = "tools",
    "lash:store/session-types": session_types,
    "lash:store/process-types": process_types,
    "lash:store/host-event-types": host_event_types,
    "lash:store/effect-types": effect_types,
    "lash:store/inspection-types": inspection_types,
    "lash:store/export-types": export_types,
    "lash:store/import-types": import_types
);

pub(crate) use self::effect_store::{EffectStore, EffectStoreIndices};
pub(crate) use self::host_event_store::{HostEventStore, HostEventStoreIndices};
pub(crate) use self::process_store::{ProcessStore, ProcessStoreIndices};
pub(crate) use self::session_store::{SessionStore, SessionStoreIndices};
pub(crate) use self::tools::{Tools, ToolsIndices};
