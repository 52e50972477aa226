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

/// The README's example is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
