//! What a loss of power leaves of what was acknowledged.
//!
//! A child process works on a directory in memory through a VFS that notes everything
//! ([`vfs`], [`recorder`]). A [`disk`] plays the recording and makes images of what may be
//! left at each point: what was synced, and any subset of the rest. [`proof`] opens each
//! image and compares it with the history: at FULL it must be at, or after, the last
//! acknowledged step that must survive; at NORMAL it may be earlier; it is never in between.
#![cfg(target_os = "linux")]

mod broken;
mod creation;
mod disk;
mod effects;
mod event;
mod factory;
mod host_events;
mod import;
mod processes;
mod proof;
mod recorder;
mod session;
mod state;
mod vfs;
