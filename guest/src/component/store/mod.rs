//! The world `store`.

mod effects;
mod host_events;
mod processes;
mod session;

use alloc::string::String;
use alloc::vec::Vec;

use super::Component;
use crate::bindings::format_types::{Kind, Mismatch, State};
use crate::bindings::sqlite::Database;
use crate::bindings::types::Error;

world!(
    "store",
    "lash:store/session-types@0.1.0": session_types,
    "lash:store/process-types@0.1.0": process_types,
    "lash:store/host-event-types@0.1.0": host_event_types,
    "lash:store/effect-types@0.1.0": effect_types
);
