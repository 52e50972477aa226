//! The scenarios on `lash-wasm-store`.

#[path = "../scenarios/mod.rs"]
pub(super) mod scenarios;

/// The crate, and how its rows are damaged.
pub(crate) mod engine {
    pub(crate) use lash_wasm_store::*;

    /// Makes the session's head unreadable.
    pub(crate) const DAMAGE_HEAD: &str = "UPDATE session_head SET content = x'7b'";
}
