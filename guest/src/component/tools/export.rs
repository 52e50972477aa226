//! Exporting databases.

use alloc::vec::Vec;

use super::{Component, exports};
use crate::bindings::export_types::Page;
use crate::bindings::sqlite::Database;
use crate::bindings::types::Error;
use crate::{effects, host_events, processes, session};

impl exports::session_export::Guest for Component {
    fn read_page(db: &Database, cursor: Option<Vec<u8>>) -> Result<Page, Error> {
        session::read_page(db, cursor.as_deref())
    }
}

impl exports::process_export::Guest for Component {
    fn read_page(db: &Database, cursor: Option<Vec<u8>>) -> Result<Page, Error> {
        processes::read_page(db, cursor.as_deref())
    }
}

impl exports::host_event_export::Guest for Component {
    fn read_page(db: &Database, cursor: Option<Vec<u8>>) -> Result<Page, Error> {
        host_events::read_page(db, cursor.as_deref())
    }
}

impl exports::effect_export::Guest for Component {
    fn read_page(db: &Database, cursor: Option<Vec<u8>>) -> Result<Page, Error> {
        #[cfg(feature = "hostile")]
        if let Some(answer) = crate::hostile::endless::page() {
            return Ok(answer);
        }
        effects::read_page(db, cursor.as_deref())
    }
}
