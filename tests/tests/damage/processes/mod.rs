//! Files of processes.

pub(crate) mod flips;
mod rows;
