//! Looking into databases.

use super::{Component, exports};
use crate::bindings::inspection_types::{
    EffectStatistics, HostEventStatistics, ProcessStatistics, SessionStatistics, Verification,
};
use crate::bindings::sqlite::Database;
use crate::bindings::types::Error;
use crate::{effects, host_events, processes, session};

impl exports::session_inspection::Guest for Component {
    fn statistics(db: &Database) -> Result<SessionStatistics, Error> {
        session::statistics(db)
    }

    fn verify(db: &Database) -> Result<Verification, Error> {
        session::verify(db)
    }
}

impl exports::process_inspection::Guest for Component {
    fn statistics(db: &Database) -> Result<ProcessStatistics, Error> {
        processes::statistics(db)
    }

    fn verify(db: &Database) -> Result<Verification, Error> {
        processes::verify(db)
    }
}

impl exports::host_event_inspection::Guest for Component {
    fn statistics(db: &Database) -> Result<HostEventStatistics, Error> {
        host_events::statistics(db)
    }

    fn verify(db: &Database) -> Result<Verification, Error> {
        host_events::verify(db)
    }
}

impl exports::effect_inspection::Guest for Component {
    fn statistics(db: &Database) -> Result<EffectStatistics, Error> {
        effects::statistics(db)
    }

    fn verify(db: &Database) -> Result<Verification, Error> {
        effects::verify(db)
    }
}
