//! The interface of databases of effects.

use alloc::string::String;
use alloc::vec::Vec;

use super::Component;
use crate::bindings::exports::lash::store::effect_export as export;
use crate::bindings::exports::lash::store::effect_import as import;
use crate::bindings::exports::lash::store::effect_inspection as inspection;
use crate::bindings::exports::lash::store::effects as exports;
use crate::bindings::exports::lash::store::export_types::Page as ExportPage;
use crate::bindings::exports::lash::store::format::Initialized;
use crate::bindings::exports::lash::store::inspection_types::Verification;
use crate::bindings::lash::store::sqlite::Database;
use crate::bindings::lash::store::types::Error;
use crate::effects;

impl exports::Guest for Component {
    fn initialize(db: &Database) -> Result<Initialized, Error> {
        effects::initialize(db)
    }

    fn find(db: &Database, request: exports::Request) -> Result<exports::Known, Error> {
        effects::find(db, &request)
    }

    fn finished_after(
        db: &Database,
        key: exports::EffectKey,
        limit: u32,
        max_bytes: u64,
    ) -> Result<Vec<exports::FinishedEffect>, Error> {
        effects::finished_after(db, &key, limit, max_bytes)
    }

    fn acquire(
        db: &Database,
        request: exports::Request,
        owner_id: String,
        ttl_ms: u64,
        delay_ms: Option<u64>,
    ) -> Result<exports::Acquired, Error> {
        effects::acquire(db, request, owner_id, ttl_ms, delay_ms)
    }

    fn renew(
        db: &Database,
        key: exports::EffectKey,
        token: String,
        ttl_ms: u64,
    ) -> Result<Option<u64>, Error> {
        effects::renew(db, &key, &token, ttl_ms)
    }

    fn finish(
        db: &Database,
        key: exports::EffectKey,
        token: String,
        recorded: exports::Recorded,
    ) -> Result<bool, Error> {
        effects::finish(db, &key, &token, &recorded)
    }

    fn release(db: &Database, key: exports::EffectKey, token: String) -> Result<(), Error> {
        effects::release(db, &key, &token)
    }

    fn generations(db: &Database, keys: Vec<exports::EffectKey>) -> Result<Vec<u64>, Error> {
        effects::generations(db, &keys)
    }

    fn forget_scope(db: &Database, scope: String) -> Result<u64, Error> {
        effects::forget_scope(db, &scope)
    }

    fn prune(
        db: &Database,
        ended_before_ms: u64,
        after: u64,
        limit: u32,
    ) -> Result<exports::Pruned, Error> {
        #[cfg(feature = "hostile")]
        if let Some(answer) = crate::hostile::endless::pruned(ended_before_ms, after) {
            return Ok(answer);
        }
        effects::prune(db, ended_before_ms, after, limit)
    }
}

impl inspection::Guest for Component {
    fn statistics(db: &Database) -> Result<inspection::EffectStatistics, Error> {
        effects::statistics(db)
    }

    fn verify(db: &Database) -> Result<Verification, Error> {
        effects::verify(db)
    }
}

impl export::Guest for Component {
    fn read_page(db: &Database, cursor: Option<Vec<u8>>) -> Result<ExportPage, Error> {
        #[cfg(feature = "hostile")]
        if let Some(answer) = crate::hostile::endless::page() {
            return Ok(answer);
        }
        effects::read_page(db, cursor.as_deref())
    }
}

impl import::Guest for Component {
    fn add_effects(db: &Database, effects: Vec<import::ImportedEffect>) -> Result<(), Error> {
        effects::add_effects(db, &effects)
    }

    fn has_imported(db: &Database) -> Result<bool, Error> {
        effects::has_imported(db)
    }

    fn adopt(
        db: &Database,
        scope_id: String,
        request: exports::Request,
    ) -> Result<import::Adopted, Error> {
        effects::adopt(db, &scope_id, &request)
    }
}
