//! Rebuilding what is derived.

use super::{Component, exports};
use crate::bindings::inspection_types::Repaired;
use crate::bindings::sqlite::Database;
use crate::bindings::types::Error;
use crate::{effects, host_events, processes, session};

impl exports::repair::Guest for Component {
    fn session(db: &Database) -> Result<Repaired, Error> {
        session::repair(db)
    }

    fn processes(db: &Database) -> Result<Repaired, Error> {
        processes::repair(db)
    }

    fn host_events(db: &Database) -> Result<Repaired, Error> {
        host_events::repair(db)
    }

    fn effects(db: &Database) -> Result<Repaired, Error> {
        effects::repair(db)
    }
}
