//! What the suites of lash-wasm-store have in common: fixtures, faults at the seam to
//! SQLite, damage, random inputs. Suites with different releases of rusqlite use it.

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
pub mod program;
pub mod random;
pub mod recorder;
