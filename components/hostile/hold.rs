//! Attacks that wait for the test: as long as the clock shows a nanosecond, they run.

use alloc::string::String;

use super::survived;
use crate::Result;
use crate::bindings::sqlite::{Database, TransactionMode};
use crate::bindings::wasi::clocks::wall_clock;

/// What the clock shows beside its seconds while the test holds an attack.
const HELD: u32 = 1;

/// Runs until the test lets it go on.
pub(super) fn until_released() {
    while wall_clock::now().nanoseconds == HELD {}
}

/// Holds the write lock meanwhile.
pub(super) fn in_transaction(db: &Database) -> Result<String> {
    let tx = db.begin(TransactionMode::Write)?;
    tx.execute("INSERT INTO removed_nodes (seq) VALUES (4711)", &[])?;
    until_released();
    survived()
}
