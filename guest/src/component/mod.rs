//! The components: every export hands over to the logic, on the imports.

use crate::bindings::sqlite::{self, Database};
use crate::bindings::wasi::{clocks::wall_clock, random::random};
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

/// The exports of a world, on the types that all worlds share.
macro_rules! world {
    ($world:literal, $($interface:literal: $types:ident),*) => {
        #[allow(unreachable_pub, unused_qualifications)]
        mod generated {
            wit_bindgen::generate!({
                path: "../wit",
                world: $world,
                with: {
                    "lash:store/sqlite@0.1.0": crate::bindings::sqlite,
                    "lash:store/types@0.1.0": crate::bindings::types,
                    "lash:store/format-types@0.1.0": crate::bindings::format_types,
                    $($interface: crate::bindings::$types,)*
                    "wasi:clocks/wall-clock@0.2.0": crate::bindings::wasi::clocks::wall_clock,
                    "wasi:random/random@0.2.0": crate::bindings::wasi::random::random,
                },
                pub_export_macro: true,
            });
        }

        use generated::exports::lash::store as exports;

        generated::export!(Component with_types_in generated);

        impl exports::format::Guest for Component {
            fn classify(header: Vec<u8>, kind: Kind) -> Result<State, Mismatch> {
                crate::format::classify(&header, kind)
            }

            fn identity(db: &Database) -> Result<String, Error> {
                crate::format::identity(db)
            }
        }
    };
}

#[cfg(feature = "store")]
mod store;
#[cfg(feature = "tools")]
mod tools;
