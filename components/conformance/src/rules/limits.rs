//! What an embedder must set on a connection.

use alloc::string::String;

use super::Run::{Plain, Reopened};
use super::{Check, Outcome};
use crate::bindings::lash::store::sqlite::{Database, ErrorCode, Transaction, TransactionMode};
use crate::expect::{
    begin, commit, committed, elsewhere, execute, failed, holds, integer, read_integer, refused,
    same,
};

const BOUND: &str = "a bound on what statements may do: no `ATTACH`, no extension loading, no \
    pragma other than `application_id` and `user_version`, and nothing that begins or ends a \
    transaction or a savepoint.";

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "attach-is-denied",
        statement: BOUND,
        steps: &[Plain(attach)],
    },
    Check {
        name: "extensions-are-denied",
        statement: BOUND,
        steps: &[Plain(extensions)],
    },
    Check {
        name: "pragmas-are-denied",
        statement: BOUND,
        steps: &[Plain(pragmas)],
    },
    Check {
        name: "transaction-control-is-denied",
        statement: BOUND,
        steps: &[Plain(transaction_control)],
    },
    Check {
        name: "header-is-writable",
        statement: BOUND,
        steps: &[Plain(write_header), Reopened(read_header)],
    },
    Check {
        name: "foreign-keys-are-on",
        statement: "`foreign_keys = ON` and a busy timeout (15 s is usual);",
        steps: &[Plain(foreign_keys), Reopened(orphan)],
    },
];

/// Runs statements that must be denied, in both ways, and sees that the
/// transaction is unharmed.
fn denied(db: &Database, statements: &[&str]) -> Outcome {
    committed(db, "CREATE TABLE t (a)")?;
    let tx = begin(db, TransactionMode::Write)?;
    execute(&tx, "INSERT INTO t VALUES (1)")?;
    for sql in statements {
        refused(sql, ErrorCode::Denied, tx.execute(sql, &[]))?;
        let answered = tx.query(sql, &[]).map(|rows| rows.count);
        refused(sql, ErrorCode::Denied, answered)?;
        refused(sql, ErrorCode::Denied, tx.execute_many(sql, &[&[]]))?;
    }
    same("rows in the transaction", &count(&tx)?, &1)?;
    same(
        "rows that a second connection sees",
        &elsewhere("SELECT count(*) FROM t")?,
        &Some(0),
    )?;
    drop(tx);
    same(
        "rows after the drop",
        &read_integer(db, "SELECT count(*) FROM t")?,
        &0,
    )
}

fn count(tx: &Transaction) -> Result<i64, String> {
    integer(tx, "SELECT count(*) FROM t")
}

fn attach(db: &Database) -> Outcome {
    denied(
        db,
        &[
            "ATTACH ':memory:' AS other",
            "ATTACH ':mem' || 'ory:' AS other",
            "/* a comment */ attach database '' as other",
        ],
    )
}

fn extensions(db: &Database) -> Outcome {
    let tx = begin(db, TransactionMode::Write)?;
    let sql = "SELECT load_extension('lash-conformance')";
    let error = failed(sql, tx.query(sql, &[]).map(|rows| rows.count))?;
    holds(
        "load_extension answers neither `denied` nor `other`",
        matches!(error.code, ErrorCode::Denied | ErrorCode::Other),
    )?;
    // Only whoever looks for the file can say that it is not there.
    holds(
        "load_extension looked for a file",
        !error.message.contains("lash-conformance"),
    )
}

fn pragmas(db: &Database) -> Outcome {
    denied(
        db,
        &[
            "PRAGMA journal_mode = DELETE",
            "PRAGMA synchronous = OFF",
            "PRAGMA foreign_keys = OFF",
            "PRAGMA writable_schema = ON",
            "PRAGMA busy_timeout = 0",
            "PRAGMA query_only = OFF",
            "/* a comment */ pragma main.cache_size = 1",
        ],
    )
}

fn transaction_control(db: &Database) -> Outcome {
    denied(
        db,
        &[
            "BEGIN",
            "BEGIN IMMEDIATE",
            "COMMIT",
            "END",
            "ROLLBACK",
            "SAVEPOINT s",
            "RELEASE s",
            "commit;",
            "/* a comment */ COMMIT",
        ],
    )
}

const APPLICATION: i64 = 0x4c53_5353;
const SET_APPLICATION: &str = "PRAGMA application_id = 0x4c535353";

fn set_header(db: &Database) -> Result<Transaction, String> {
    let tx = begin(db, TransactionMode::Write)?;
    execute(&tx, "CREATE TABLE t (a)")?;
    execute(&tx, SET_APPLICATION)?;
    execute(&tx, "PRAGMA user_version = 7")?;
    same(
        "application_id",
        &integer(&tx, "PRAGMA application_id")?,
        &APPLICATION,
    )?;
    same("user_version", &integer(&tx, "PRAGMA user_version")?, &7)?;
    Ok(tx)
}

fn write_header(db: &Database) -> Outcome {
    drop(set_header(db)?);
    for pragma in ["PRAGMA application_id", "PRAGMA user_version"] {
        same(
            "a field of the header after the drop",
            &read_integer(db, pragma)?,
            &0,
        )?;
    }
    commit(set_header(db)?)?;
    read_header(db)
}

fn read_header(db: &Database) -> Outcome {
    let application = read_integer(db, "PRAGMA application_id")?;
    same("application_id", &application, &APPLICATION)?;
    let version = read_integer(db, "PRAGMA user_version")?;
    same("user_version", &version, &7)?;
    same(
        "user_version on a second connection",
        &elsewhere("PRAGMA user_version")?,
        &Some(7),
    )
}

fn foreign_keys(db: &Database) -> Outcome {
    committed(db, "CREATE TABLE p (a INTEGER PRIMARY KEY)")?;
    committed(db, "CREATE TABLE t (a REFERENCES p (a))")?;
    orphan(db)
}

fn orphan(db: &Database) -> Outcome {
    let tx = begin(db, TransactionMode::Write)?;
    let sql = "INSERT INTO t VALUES (1)";
    refused(
        "a row that refers to nothing",
        ErrorCode::Constraint,
        tx.execute(sql, &[]),
    )
}
