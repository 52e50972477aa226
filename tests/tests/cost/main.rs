//! What a call costs: statements, rows, bytes, time.

mod effects;
mod host_events;
mod processes;
mod session;
