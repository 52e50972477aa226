//! The persistence logic of the lash agent runtime.
//!
//! Everything here is written over one trait, [`seam::Environment`]: a database
//! with transactions, a clock and random numbers. In the component the WIT
//! imports implement it; natively a test or a benchmark does. The logic keeps no
//! state between calls and parses no payload of the application.
#![no_std]

extern crate alloc;
extern crate lash_component_runtime as _;

#[allow(missing_docs, unreachable_pub, unused_qualifications)]
pub mod bindings;
#[cfg(target_arch = "wasm32")]
#[allow(unreachable_pub)]
mod component;
#[cfg(all(target_arch = "wasm32", feature = "hostile"))]
#[path = "../../components/hostile/mod.rs"]
mod hostile;

mod checksum;
mod corruption;
mod counts;
mod digests;
pub mod effects;
mod export;
mod findings;
pub mod format;
pub mod fuzzing;
mod hex;
pub mod host_events;
mod numbers;
mod pack;
pub mod processes;
mod schema;
pub mod seam;
pub mod session;
mod token;
mod transaction;

/// The outcome of every operation: the error is the WIT `types.error`.
pub type Result<T> = core::result::Result<T, bindings::lash::store::types::Error>;
