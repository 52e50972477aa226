//! Sessions.

mod size;
mod statements;
mod steps;
