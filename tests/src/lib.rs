//! Suites and benchmarks of lash-wasm-store.

pub mod child;
pub mod contained;
pub mod damage;
pub mod damage_fixture;
pub mod dialect;
pub mod effects;
pub mod faults;
pub mod fixtures;
pub mod flips;
pub mod fuzz;
pub mod host_events;
pub mod native;
pub mod process_fixtures;
pub mod recorder;

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
