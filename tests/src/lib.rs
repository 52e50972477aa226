//! Suites of lash-wasm-store. What they have in common is in `support`.

pub use lash_wasm_store_testing::*;

/// The examples of the README and of the pages in docs/ are compiled and run.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/import.md")]
    struct Import;
    #[doc = include_str!("../../docs/plugins.md")]
    struct Plugins;
    #[doc = include_str!("../../docs/untrusted.md")]
    struct Untrusted;
}
