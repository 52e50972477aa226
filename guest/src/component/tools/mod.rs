//! The world `tools`.

mod export;
mod import;
mod inspection;
mod repair;

use alloc::string::String;
use alloc::vec::Vec;

use super::Component;
use crate::bindings::format_types::{Kind, Mismatch, State};
use crate::bindings::sqlite::Database;
use crate::bindings::types::Error;

world!(
    "tools",
    "lash:store/session-types@0.1.0": session_types,
    "lash:store/process-types@0.1.0": process_types,
    "lash:store/host-event-types@0.1.0": host_event_types,
    "lash:store/effect-types@0.1.0": effect_types,
    "lash:store/inspection-types@0.1.0": inspection_types,
    "lash:store/export-types@0.1.0": export_types,
    "lash:store/import-types@0.1.0": import_types
);
