//! A damaged file is read rightly or refused, whatever its kind.

mod derived;
mod effects;
mod harness;
mod host_events;
mod processes;
mod retention;
mod session;
