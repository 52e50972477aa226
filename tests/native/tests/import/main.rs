//! Importing databases that the native crate wrote.
//!
//! The proof is a real workload on the native crate: afterwards every question is
//! answered alike by both, and ours goes on from there.

mod anywhere;
mod cli;
mod effects;
mod files;
mod host_events;
mod images;
mod processes;
mod session;
mod speed;
