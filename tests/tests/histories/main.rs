//! Four processes with random operations on one session, one registry, one host event store
//! and one effect host are killed and started again at random. What each called, and what was
//! returned, is in a log; [`history`] reads it, and a checker for each kind of database holds
//! it to the rules of one that is used by one caller after the other.
#![cfg(unix)]

mod crowd;
mod effects;
mod history;
mod host_events;
mod lifecycle;
mod registry;
mod session;
mod wrong;
