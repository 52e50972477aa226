//! Attacks on time, memory, stack, and the transaction.

use alloc::string::String;
use core::hint::black_box;

use super::survived;
use crate::Result;
use crate::bindings::sqlite::{Database, Transaction, TransactionMode};

/// A change that would be seen if it were committed.
const CHANGE: &str = "INSERT INTO removed_nodes (seq) VALUES (4711)";

pub(super) fn run_forever() -> ! {
    loop {
        black_box(());
    }
}

/// Holds the write lock meanwhile.
pub(super) fn run_forever_in_transaction(db: &Database) -> Result<String> {
    let _tx = changed(db)?;
    run_forever()
}

pub(super) fn run_forever_after_commit(db: &Database) -> Result<String> {
    Transaction::commit(db.begin(TransactionMode::Write)?)?;
    run_forever()
}

pub(super) fn recurse() -> Result<String> {
    fn deeper(next: fn(u32) -> u32, depth: u32) -> u32 {
        let _ = next;
        // Not a tail call, and the compiler does not know what it calls.
        black_box(recurse_once as fn(u32) -> u32)(depth + 1).wrapping_add(depth)
    }
    #[inline(never)]
    fn recurse_once(depth: u32) -> u32 {
        deeper(recurse_once, depth)
    }
    black_box(recurse_once(0));
    survived()
}

/// Asks for memory until there is no more, and uses it.
pub(super) fn grow() -> Result<String> {
    const PAGES: usize = 16;
    loop {
        let before = core::arch::wasm32::memory_grow::<0>(PAGES);
        if before == usize::MAX {
            return survived();
        }
        let address = before << 16;
        // SAFETY: these pages are new, and nobody else knows them.
        unsafe { core::ptr::write_volatile(core::ptr::with_exposed_provenance_mut(address), 1u8) };
    }
}

pub(super) fn trap(db: &Database) -> Result<String> {
    let _tx = changed(db)?;
    core::arch::wasm32::unreachable()
}

pub(super) fn leave_open(db: &Database) -> Result<String> {
    core::mem::forget(changed(db)?);
    survived()
}

fn changed(db: &Database) -> Result<Transaction> {
    let tx = db.begin(TransactionMode::Write)?;
    tx.execute(CHANGE, &[])?;
    Ok(tx)
}
