//! Files of processes.

mod flips;
mod rows;
