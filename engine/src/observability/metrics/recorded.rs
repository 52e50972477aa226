//! What is given to the recorder of the crate `metrics`. Until the application
//! installs one, this is given to nobody.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use crate::sqlite::Traffic;

pub(crate) const ENABLED: bool = true;

/// A call of a database has ended.
pub(crate) fn call(
    kind: &'static str,
    operation: &'static str,
    outcome: &'static str,
    duration: Duration,
    traffic: Traffic,
) {
    counter!(
        "lash_wasm_store_calls_total",
        "kind" => kind, "operation" => operation, "outcome" => outcome
    )
    .increment(1);
    histogram!("lash_wasm_store_call_seconds", "kind" => kind, "operation" => operation)
        .record(duration);
    counter!("lash_wasm_store_rows_read_total", "kind" => kind).increment(traffic.rows_read);
    counter!("lash_wasm_store_bytes_read_total", "kind" => kind).increment(traffic.bytes_read);
    counter!("lash_wasm_store_rows_written_total", "kind" => kind).increment(traffic.rows_written);
    counter!("lash_wasm_store_bytes_written_total", "kind" => kind)
        .increment(traffic.bytes_written);
}

/// A call had to wait for the lock of another connection, so long.
pub(crate) fn lock_wait(waited: Duration) {
    histogram!("lash_wasm_store_lock_wait_seconds").record(waited);
}

/// A write-ahead log was copied into its database, or could not be.
pub(crate) fn checkpoint(outcome: &'static str) {
    counter!("lash_wasm_store_checkpoints_total", "outcome" => outcome).increment(1);
}

/// An instance of the component was made.
pub(crate) fn instance_made() {
    counter!("lash_wasm_store_instances_total").increment(1);
}

/// An instance trapped, or the host panicked while it had one.
pub(crate) fn instance_stopped() {
    counter!("lash_wasm_store_traps_total").increment(1);
}

/// How many threads run the component.
pub(crate) fn threads(threads: usize) {
    gauge!("lash_wasm_store_threads").set(size(threads));
}

/// How many databases have calls that wait for a thread.
pub(crate) fn waiting_databases(databases: usize) {
    gauge!("lash_wasm_store_waiting_databases").set(size(databases));
}

/// How many calls of one database wait, with the one that has just come.
pub(crate) fn waiting_calls(calls: usize) {
    histogram!("lash_wasm_store_waiting_calls").record(size(calls));
}

fn size(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
