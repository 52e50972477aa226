//! Attacks by statements.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::survived;
use crate::Result;
use crate::bindings::sqlite::{Database, Transaction, TransactionMode, Value};
use crate::session::blobs::key::BlobKey;
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::Checksum;

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

/// Queries within queries, for each of which SQLite recurses.
pub(super) fn deep_statement(db: &Database, levels: &str) -> Result<String> {
    let levels = number(levels);
    let sql = "SELECT*FROM(SELECT 1 UNION ".repeat(levels) + "SELECT 1" + &")".repeat(levels);
    read(db, &sql)
}

/// Definitions that each use the one before twice: SQLite copies them.
pub(super) fn doubling_tables(db: &Database) -> Result<String> {
    let mut sql = String::from("WITH c0 AS (SELECT 1 a)");
    for level in 1..25 {
        let last = level - 1;
        sql += &format!(", c{level} AS (SELECT 1 a FROM c{last} x, c{last} y)");
    }
    read(db, &(sql + " SELECT count(*) FROM c24"))
}

/// The same with expressions, which SQLite puts in the place of their names.
pub(super) fn doubling_names(db: &Database) -> Result<String> {
    let mut sql = String::from("SELECT seq AS a FROM removed_nodes");
    for _ in 0..30 {
        sql = format!("SELECT a + a AS a FROM ({sql})");
    }
    read(db, &sql)
}

/// The same with columns, which are computed when they are read.
pub(super) fn doubling_columns(db: &Database) -> Result<String> {
    let mut sql = String::from("CREATE TABLE doubling (c0");
    for level in 1..40 {
        let last = level - 1;
        sql += &format!(", c{level} AS (c{last} + c{last})");
    }
    let tx = db.begin(TransactionMode::Write)?;
    tx.execute(&(sql + ")"), &[])?;
    tx.query("SELECT c39 FROM doubling", &[])?;
    survived()
}

/// A default that searches a text of millions of characters, many times.
pub(super) fn computed_default(db: &Database) -> Result<String> {
    let tx = db.begin(TransactionMode::Write)?;
    let search = "instr(printf('%.*c', 3000000, 'a'), printf('%.*cb', 1500000, 'a'))";
    tx.execute(&format!("CREATE TABLE slow (a, b DEFAULT ({search}))"), &[])?;
    tx.execute("INSERT INTO slow (a) VALUES (1)", &[])?;
    survived()
}

/// So many values at a time, each almost as long as a row.
pub(super) fn many_values(db: &Database, count: &str) -> Result<String> {
    let bytes = vec![b'7'; 1000 << 10];
    let columns: Vec<String> = (0..number(count)).map(|n| format!("?1 || {n}")).collect();
    let sql = format!("SELECT {}", columns.join(", "));
    let tx = db.begin(TransactionMode::Read)?;
    tx.query(&sql, &[Value::Blob(&bytes)])?;
    survived()
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
/// returns its key.
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
