//! What is told about calls: spans and events of `tracing`, and metrics.
//!
//! `docs/observability.md` in the repository lists them. Their names and their target,
//! `lash_wasm_store`, do not depend on the crate that reports them.

mod failure;
pub(crate) mod metrics;
mod observe;
mod operation;

pub use failure::{Chain, Failure, Logged};
pub(crate) use observe::{Observed, Report};
pub use operation::span;

/// The target of all spans and events.
pub(crate) const TARGET: &str = "lash_wasm_store";
