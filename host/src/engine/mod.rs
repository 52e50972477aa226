//! Running the component: from an asynchronous call to a statement of SQLite.
//!
//! A [`Database`] puts a job into one of its two [`lane`]s, a thread of the
//! [`pool`] takes the lane and runs the job on its own [`worker`] instance, and
//! the job calls the component through a [`Call`]. Nothing here depends on a
//! runtime: a store that was opened within one works after that one is gone.

mod call;
mod component;
mod config;
mod database;
mod lane;
mod linker;
mod observe;
mod open;
mod options;
mod pool;
mod reply;
mod sandbox;
mod state;
mod ticker;
mod trap;
mod watch;
mod worker;

#[cfg(test)]
mod tests;

pub(crate) use call::Call;
pub use component::{COMPONENT, StoreComponent};
pub(crate) use database::Database;
pub(crate) use open::Initialize;
pub use options::Durability;
pub(crate) use options::OpenOptions;
pub(crate) use sandbox::Sandbox;
pub(crate) use state::Growth;
pub(crate) use watch::{Probe, Waiter};
