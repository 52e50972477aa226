//! What wasmtime generates from `wit/`, private to the crate so that no
//! generated name becomes public API.
//!
//! The two resources are handles of our own: a number that the host checks
//! against the call in progress, see [`crate::sqlite::host`].

wasmtime::component::bindgen!({
    path: "wit",
    world: "store",
    with: {
        "lash:store/sqlite.database": crate::sqlite::Database,
        "lash:store/sqlite.transaction": crate::sqlite::Transaction,
    },
    imports: { default: trappable },
});

/// The interfaces that the component exports, one module each.
pub(crate) use self::exports::lash::store as interfaces;
/// The interfaces that the component imports, and the shared types.
pub(crate) use self::lash::store::{sqlite, types};
