//! What a component without the standard library needs to be linked.
//!
//! A `#![no_std]` crate links it with `extern crate lash_component_runtime as _;`.
//! On other targets than `wasm32`, where such a crate is checked and tested, this is
//! the standard library.
#![no_std]

#[cfg(not(target_arch = "wasm32"))]
extern crate std;

#[cfg(target_arch = "wasm32")]
mod wasm32;
