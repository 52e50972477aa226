//! The persistence logic of the lash agent runtime.
//!
//! Everything here is written over one trait, [`seam::Environment`]: a database
//! with transactions, a clock and random numbers. In the component the WIT
//! imports implement it; natively a test or a benchmark does. The logic keeps no
//! state between calls and parses no payload of the application.
#![no_std]

extern crate alloc;

lash_component_runtime::link!();

#[allow(missing_docs, unreachable_pub, unused_qualifications)]
pub mod bindings;
#[cfg(target_arch = "wasm32")]
#[allow(unreachable_pub)]
mod component;
#[cfg(all(target_arch = "wasm32", feature = "hostile"))]
#[path = "../../components/hostile/mod.rs"]
#[allow(dead_code, reason = "each world has some of the attacks")]
mod hostile;

pub mod effects;
pub mod format;
pub mod host_events;
pub mod processes;
pub mod session;
mod storage;

pub use storage::{fuzzing, seam};

/// The outcome of every operation: the error is the WIT `types.error`.
pub type Result<T> = core::result::Result<T, bindings::lash::store::types::Error>;
