//! Suites of lash-wasm-store. What they have in common is in `support`.

pub use lash_wasm_store_testing::*;

/// The README's example is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
