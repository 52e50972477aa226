//! The durable store of the lash agent runtime, run as a WebAssembly component.
#![forbid(unsafe_code)]

mod bindings;
mod engine;
mod error;
mod sqlite;

pub use engine::Durability;
pub use error::Error;

#[cfg(test)]
mod testing;
