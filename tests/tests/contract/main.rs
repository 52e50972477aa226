//! What each call of the stores does, and what it refuses.

mod bad_input;
mod conformance;
mod effects;
mod fences;
mod host_events;
mod inspector;
mod processes;
mod records;
mod session;
mod third_party;
