//! Components that mean harm, as a host meets them.
//!
//! `components/hostile` is the store with attacks in it, which `blobs.put` runs when a blob
//! names one. Whatever it does: the caller gets a typed error, the file is what it was,
//! the next honest call is answered, and other stores are not disturbed meanwhile.
//! `cargo xtask hostile` prints the table.

mod arena;
mod attacks;
mod contained;
mod endless;
mod extremes;
mod liar;
mod limits;
mod worlds;

use lash_wasm_store::Limits;
use std::time::Duration;

/// The limits of the suite: small, so that they are reached soon.
fn limits() -> Limits {
    Limits::default()
        .call_time(Duration::from_secs(2))
        .statement_time(Duration::from_millis(500))
        .memory_bytes(96 << 20)
        .stack_bytes(128 << 10)
        .handles(20)
        .hostcall_bytes(4 << 20)
        .database_bytes(4 << 20)
        .row_bytes(1 << 20)
        .result_bytes(1 << 20)
        .statements_per_call(2000)
}
