//! Processes.

mod append;
mod leases;
mod pages;
mod registry;
mod waiting;
