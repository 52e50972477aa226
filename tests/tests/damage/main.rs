//! A damaged file is read rightly or refused, whatever its kind.

mod effects;
mod host_events;
mod processes;
mod session;
