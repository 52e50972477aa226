//! The component in a host of its own, with `wasmtime` and `rusqlite` alone.
//!
//! [`imports`] is all that a host has to write, and [`database`] the order in which a
//! file is opened. The rest runs the scenarios that all languages share.
#![forbid(unsafe_code)]

pub mod conformance;
pub mod database;
pub mod imports;
pub mod json;
pub mod scenario;
pub mod types;
