//! The component: every export hands over to the logic, on the imports.

mod effects;
mod host_events;
mod processes;
mod session;

use alloc::vec::Vec;

use crate::bindings::exports::lash::store as exports;
use crate::bindings::lash::store::sqlite::{self, Database};
use crate::bindings::wasi::{clocks::wall_clock, random::random};
use crate::format;
use crate::storage::seam::{Environment, Rows, Transaction, TransactionMode, Value};

impl Environment for Database {
    type Transaction<'a> = sqlite::Transaction;

    fn begin(&self, mode: TransactionMode) -> Result<sqlite::Transaction, sqlite::Error> {
        Database::begin(self, mode)
    }

    fn now_ms(&self) -> i64 {
        let now = wall_clock::now();
        let ms = now.seconds.saturating_mul(1000);
        crate::storage::seam::clamp(ms.saturating_add(u64::from(now.nanoseconds / 1_000_000)))
    }

    fn random(&self) -> u64 {
        random::get_random_u64()
    }
}

impl Transaction for sqlite::Transaction {
    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64, sqlite::Error> {
        sqlite::Transaction::execute(self, sql, params)
    }

    fn execute_many(&self, sql: &str, rows: &[&[Value<'_>]]) -> Result<u64, sqlite::Error> {
        sqlite::Transaction::execute_many(self, sql, rows)
    }

    fn query(&self, sql: &str, params: &[Value<'_>]) -> Result<Rows, sqlite::Error> {
        sqlite::Transaction::query(self, sql, params)
    }

    fn commit(self) -> Result<(), sqlite::Error> {
        sqlite::Transaction::commit(self)
    }
}

struct Component;

crate::bindings::export!(Component with_types_in crate::bindings);

impl exports::format::Guest for Component {
    fn classify(
        header: Vec<u8>,
        kind: exports::format::Kind,
    ) -> Result<exports::format::State, exports::format::Mismatch> {
        format::classify(&header, kind)
    }
}
