//! Sessions.

mod size;
mod statements;
