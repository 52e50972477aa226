//! Processes.

mod append;
mod leases;
mod registry;
mod waiting;
