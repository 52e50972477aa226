//! Looking into databases.

use alloc::vec::Vec;

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

    fn verify(db: &Database, cursor: Option<Vec<u8>>) -> Result<Verification, Error> {
        session::verify(db, cursor.as_deref())
    }
}

impl exports::process_inspection::Guest for Component {
    fn statistics(db: &Database) -> Result<ProcessStatistics, Error> {
        processes::statistics(db)
    }

    fn verify(db: &Database, cursor: Option<Vec<u8>>) -> Result<Verification, Error> {
        processes::verify(db, cursor.as_deref())
    }
}

impl exports::host_event_inspection::Guest for Component {
    fn statistics(db: &Database) -> Result<HostEventStatistics, Error> {
        host_events::statistics(db)
    }

    fn verify(db: &Database, cursor: Option<Vec<u8>>) -> Result<Verification, Error> {
        host_events::verify(db, cursor.as_deref())
    }
}

impl exports::effect_inspection::Guest for Component {
    fn statistics(db: &Database) -> Result<EffectStatistics, Error> {
        effects::statistics(db)
    }

    fn verify(db: &Database, cursor: Option<Vec<u8>>) -> Result<Verification, Error> {
        effects::verify(db, cursor.as_deref())
    }
}
