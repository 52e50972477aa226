//! Attacks on what is handed over between the component and the host.

use alloc::string::String;
use alloc::vec;
use core::sync::atomic::{AtomicU32, Ordering};

use super::survived;
use crate::Result;
use crate::bindings::sqlite::{Database, Transaction, TransactionMode, Value};
use crate::bindings::types::Error;

/// The imports as the canonical ABI has them, for arguments that no Rust type has.
mod raw {
    #[link(wasm_import_module = "lash:store/sqlite@0.1.0")]
    unsafe extern "C" {
        #[link_name = "[method]transaction.query"]
        pub(super) fn query(
            transaction: u32,
            sql: *const u8,
            sql_length: usize,
            params: *const u8,
            params_length: usize,
            answer: *mut u8,
        );
    }
}

/// Calls `transaction.query` with whatever is given.
fn query(transaction: u32, sql: (*const u8, usize), params: (*const u8, usize)) {
    let mut answer = [0u64; 16];
    // SAFETY: the host reads what it can, and writes an answer that is shorter.
    unsafe {
        raw::query(
            transaction,
            sql.0,
            sql.1,
            params.0,
            params.1,
            answer.as_mut_ptr().cast(),
        );
    }
}

fn begin(db: &Database) -> Result<Transaction> {
    Ok(db.begin(TransactionMode::Read)?)
}

const SELECT: &str = "SELECT 1";

/// A list of 4 GiB, which is more than there is.
pub(super) fn long_list(db: &Database) -> Result<String> {
    let tx = begin(db)?;
    let address = core::ptr::without_provenance(8);
    query(
        tx.handle(),
        (SELECT.as_ptr(), SELECT.len()),
        (address, (u32::MAX / 16) as usize),
    );
    survived()
}

/// The same 64 KiB a thousand times: little for the component, much for the host.
pub(super) fn same_bytes(db: &Database) -> Result<String> {
    let tx = begin(db)?;
    let bytes = vec![7; 64 << 10];
    tx.query(SELECT, &vec![Value::Blob(&bytes); 1000])?;
    survived()
}

/// A statement that is not UTF-8.
pub(super) fn invalid_text(db: &Database) -> Result<String> {
    let tx = begin(db)?;
    let sql = [0xff, 0xfe, 0xfd];
    query(tx.handle(), (sql.as_ptr(), sql.len()), (SELECT.as_ptr(), 0));
    survived()
}

/// A string that is not UTF-8.
pub(super) fn invalid_answer() -> String {
    // SAFETY: nothing here reads it as text; the host is to find out.
    unsafe { String::from_utf8_unchecked(vec![0xff; 8]) }
}

/// Reaches a limit, goes on all the same, and then fails for another reason.
pub(super) fn cope(db: &Database, then: &str) -> Result<String> {
    let tx = begin(db)?;
    let sql = "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n FROM r)
               SELECT hex(hex(hex(hex(hex('0123456789abcdef'))))) FROM r";
    if tx.query(sql, &[]).is_ok() {
        return survived();
    }
    match then {
        "invalid" => Err(Error::Invalid("the request is wrong".into())),
        "retired" => Err(Error::Retired),
        "refused" => {
            tx.query("ATTACH ':memory:' AS other", &[])?;
            survived()
        }
        _ => core::arch::wasm32::unreachable(),
    }
}

pub(super) fn long_answer() -> String {
    "x".repeat(8 << 20)
}

/// Handles of transactions that SQLite has ended, so that there can be many.
pub(super) fn handles(db: &Database) -> Result<String> {
    for _ in 0..1_000_000 {
        let tx = db.begin(TransactionMode::Write)?;
        let failed = tx.execute(
            "INSERT OR ROLLBACK INTO removed_nodes (seq) VALUES (1), (1)",
            &[],
        );
        core::mem::forget(tx);
        if failed.is_ok() {
            break;
        }
    }
    survived()
}

pub(super) fn dropped_handle(db: &Database) -> Result<String> {
    let tx = begin(db)?;
    let handle = tx.handle();
    drop(tx);
    use_handle(handle)
}

/// The handle of a transaction that is kept for a later call.
static KEPT: AtomicU32 = AtomicU32::new(0);

pub(super) fn keep_handle(db: &Database) -> Result<String> {
    let tx = begin(db)?;
    KEPT.store(tx.handle(), Ordering::Relaxed);
    core::mem::forget(tx);
    survived()
}

/// The same while there is a transaction that it could be taken for.
pub(super) fn kept_handle_beside(db: &Database) -> Result<String> {
    let _tx = begin(db)?;
    kept_handle()
}

pub(super) fn kept_handle() -> Result<String> {
    // SAFETY: it was forgotten, so that this is the only owner.
    let tx = unsafe { Transaction::from_handle(KEPT.load(Ordering::Relaxed)) };
    tx.query(SELECT, &[])?;
    survived()
}

/// A handle that it was never given.
pub(super) fn unknown_handle() -> Result<String> {
    use_handle(77)
}

fn use_handle(handle: u32) -> Result<String> {
    query(
        handle,
        (SELECT.as_ptr(), SELECT.len()),
        (SELECT.as_ptr(), 0),
    );
    survived()
}
