//! Attacks by statements.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;

use super::survived;
use crate::Result;
use crate::bindings::lash::store::sqlite::{Database, Transaction, TransactionMode, Value};
use crate::checksum::Checksum;
use crate::session::blob::key::BlobKey;
use crate::transaction::SessionTransaction;

/// Runs a statement and commits.
pub(super) fn write(db: &Database, sql: &str) -> Result<String> {
    let tx = db.begin(TransactionMode::Write)?;
    tx.query(sql, &[])?;
    Transaction::commit(tx)?;
    survived()
}

/// Runs a statement that reads.
pub(super) fn read(db: &Database, sql: &str) -> Result<String> {
    db.begin(TransactionMode::Read)?.query(sql, &[])?;
    survived()
}

/// Rows of 64 KiB that SQLite must remember to find out which are the same.
pub(super) fn distinct(db: &Database) -> Result<String> {
    let sql = "WITH RECURSIVE r (n, b) AS (SELECT 1, ?1 UNION SELECT n + 1, b FROM r)
               SELECT count(*) FROM r";
    many_large_rows(db, sql)
}

/// Rows of 64 KiB that SQLite must sort.
pub(super) fn sort(db: &Database) -> Result<String> {
    let sql = "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r)
               SELECT count(*) FROM (SELECT n, ?1 AS b FROM r ORDER BY b, n LIMIT 1000000000)";
    many_large_rows(db, sql)
}

fn many_large_rows(db: &Database, sql: &str) -> Result<String> {
    let bytes = vec![7; 64 << 10];
    let tx = db.begin(TransactionMode::Read)?;
    tx.query(sql, &[Value::Blob(&bytes)])?;
    survived()
}

pub(super) fn long_statement(db: &Database, length: &str) -> Result<String> {
    let sql = "SELECT ".to_owned() + &" ".repeat(number(length)) + "1";
    read(db, &sql)
}

pub(super) fn parameters(db: &Database, count: &str) -> Result<String> {
    let tx = db.begin(TransactionMode::Read)?;
    let sql = "SELECT ?".to_owned() + count;
    tx.query(&sql, &vec![Value::Null; number(count)])?;
    survived()
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or(0)
}

pub(super) fn long_row(db: &Database) -> Result<String> {
    let bytes = vec![7; 2 << 20];
    let tx = db.begin(TransactionMode::Read)?;
    tx.query("SELECT ?1", &[Value::Blob(&bytes)])?;
    survived()
}

/// A table of our own, of rows of 64 KiB, in one transaction.
pub(super) fn fill(db: &Database) -> Result<String> {
    let bytes = vec![7; 64 << 10];
    let tx = db.begin(TransactionMode::Write)?;
    tx.execute("CREATE TABLE filler (a)", &[])?;
    for _ in 0..1_000_000 {
        tx.execute("INSERT INTO filler VALUES (?1)", &[Value::Blob(&bytes)])?;
    }
    survived()
}

/// The same row of half a megabyte, committed again and again: the database does not
/// grow, its log does.
pub(super) fn fill_log(db: &Database) -> Result<String> {
    let mut bytes = vec![7; 512 << 10];
    let tx = db.begin(TransactionMode::Write)?;
    tx.execute("CREATE TABLE filler (a)", &[])?;
    tx.execute("INSERT INTO filler VALUES (0)", &[])?;
    Transaction::commit(tx)?;
    for round in 0..50 {
        bytes.fill(round);
        let tx = db.begin(TransactionMode::Write)?;
        tx.execute("UPDATE filler SET a = ?1", &[Value::Blob(&bytes)])?;
        Transaction::commit(tx)?;
    }
    survived()
}

pub(super) fn statements(db: &Database) -> Result<String> {
    let tx = db.begin(TransactionMode::Read)?;
    loop {
        tx.query("SELECT 1", &[])?;
    }
}

/// A blob with all checksums right that inflates to 64 MiB and says that it is 1 MiB;
/// answers its key.
pub(super) fn bomb(db: &Database) -> Result<String> {
    const GENERIC: i64 = 0;
    const ZLIB: i64 = 1;
    const SAID: i64 = 1 << 20;
    let key = BlobKey::of(b"bomb");
    let deflated = miniz_oxide::deflate::compress_to_vec_zlib(&vec![0; 64 << 20], 9);
    let checksum = Checksum::of("blobs")
        .bytes(key.as_bytes())
        .integer(GENERIC)
        .integer(ZLIB)
        .integer(SAID)
        .bytes(&[])
        .finish();
    let mut session = SessionTransaction::write(db)?;
    session.tx.execute(
        "INSERT INTO blobs (key, kind, encoding, length, edges, checksum, content)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        &[
            Value::Blob(key.as_bytes()),
            Value::Integer(GENERIC),
            Value::Integer(ZLIB),
            Value::Integer(SAID),
            Value::Blob(&[]),
            Value::Integer(checksum),
            Value::Blob(&deflated),
        ],
    )?;
    session.digests.blobs.insert(checksum);
    session.commit()?;
    Ok(key.text())
}
