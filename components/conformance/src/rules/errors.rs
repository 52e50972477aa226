//! What an error says, and what is left after it.

use alloc::format;

use super::Run::Plain;
use super::{Check, Outcome};
use crate::bindings::lash::store::sqlite::{
    Database, ErrorCode, Transaction, TransactionMode, Value,
};
use crate::expect::{
    begin, commit, committed, execute, failed, holds, integer, lock_is_free, read_integer, refused,
    same,
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "constraint-has-its-code",
        statement: "A constraint of the schema does not hold.",
        steps: &[Plain(constraints)],
    },
    Check {
        name: "other-errors-are-other",
        statement: "Anything else.",
        steps: &[Plain(other)],
    },
    Check {
        name: "message-holds-no-parameter",
        statement: "It holds no value of a parameter.",
        steps: &[Plain(message)],
    },
    Check {
        name: "failed-statement-changes-nothing",
        statement: "A statement that fails changes nothing, and the transaction stays \
            open with what was done before.",
        steps: &[Plain(failed_statement)],
    },
    Check {
        name: "ended-transaction-is-misuse",
        statement: "If SQLite has rolled the transaction back instead (a full disk and `ON \
            CONFLICT ROLLBACK` are such cases), every later use of it, `commit` too, is `misuse`: \
            a statement MUST never run outside of a transaction.",
        steps: &[Plain(ended_by_sqlite)],
    },
    Check {
        name: "failed-commit-rolls-back",
        statement: "On an error nothing is committed, and the transaction is rolled back, unless \
            the error is `outcome-unknown`.",
        steps: &[Plain(failed_commit)],
    },
];

const COUNT: &str = "SELECT count(*) FROM t";

fn constraints(db: &Database) -> Outcome {
    let tx = begin(db, TransactionMode::Write)?;
    execute(
        &tx,
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT UNIQUE, c NOT NULL, d CHECK (d > 0))",
    )?;
    execute(&tx, "INSERT INTO t VALUES (1, 'x', 1, 1)")?;
    for sql in [
        "INSERT INTO t VALUES (1, 'y', 1, 1)",
        "INSERT INTO t VALUES (2, 'x', 1, 1)",
        "INSERT INTO t VALUES (2, 'y', NULL, 1)",
        "INSERT INTO t VALUES (2, 'y', 1, 0)",
    ] {
        let error = failed(sql, tx.execute(sql, &[]))?;
        same(sql, &error.code, &ErrorCode::Constraint)?;
        // 19 is SQLITE_CONSTRAINT.
        let extended = error.extended_code;
        holds(
            &format!("{sql}: the extended code is {extended}"),
            extended == 0 || extended & 0xff == 19,
        )?;
    }
    Ok(())
}

fn other(db: &Database) -> Outcome {
    let tx = begin(db, TransactionMode::Write)?;
    for sql in [
        "SELECT a FROM missing",
        "INSERT INTO missing VALUES (1)",
        "SELECT FROM WHERE",
    ] {
        let answered = tx.query(sql, &[]).map(|rows| rows.count);
        refused(sql, ErrorCode::Other, answered)?;
    }
    Ok(())
}

fn message(db: &Database) -> Outcome {
    let tx = begin(db, TransactionMode::Write)?;
    execute(&tx, "CREATE TABLE t (a TEXT UNIQUE)")?;
    let insert = || tx.execute("INSERT INTO t VALUES (?1)", &[Value::Text("a secret")]);
    insert().map_err(|error| error.message)?;
    let error = failed("the same row again", insert())?;
    holds(
        &format!("the message has the parameter: {}", error.message),
        !error.message.contains("secret"),
    )
}

fn failed_statement(db: &Database) -> Outcome {
    let tx = begin(db, TransactionMode::Write)?;
    execute(&tx, "CREATE TABLE t (a INTEGER PRIMARY KEY)")?;
    execute(&tx, "INSERT INTO t VALUES (1)")?;
    let sql = "INSERT INTO t VALUES (2), (1), (3)";
    refused(sql, ErrorCode::Constraint, tx.execute(sql, &[]))?;
    same(
        "rows after a failed statement",
        &integer(&tx, "SELECT sum(a) FROM t")?,
        &1,
    )?;
    execute(&tx, "INSERT INTO t VALUES (4)")?;
    commit(tx)?;
    same(
        "committed rows",
        &read_integer(db, "SELECT sum(a) FROM t")?,
        &5,
    )
}

fn ended_by_sqlite(db: &Database) -> Outcome {
    committed(db, "CREATE TABLE t (a INTEGER PRIMARY KEY)")?;
    let tx = begin(db, TransactionMode::Write)?;
    execute(&tx, "INSERT INTO t VALUES (1)")?;
    let sql = "INSERT OR ROLLBACK INTO t VALUES (1)";
    refused(sql, ErrorCode::Constraint, tx.execute(sql, &[]))?;
    let sql = "INSERT INTO t VALUES (2)";
    refused(
        "execute after SQLite has rolled back",
        ErrorCode::Misuse,
        tx.execute(sql, &[]),
    )?;
    refused(
        "execute-many after SQLite has rolled back",
        ErrorCode::Misuse,
        tx.execute_many(sql, &[&[]]),
    )?;
    refused(
        "query after SQLite has rolled back",
        ErrorCode::Misuse,
        tx.query(COUNT, &[]).map(|rows| rows.count),
    )?;
    refused(
        "commit after SQLite has rolled back",
        ErrorCode::Misuse,
        Transaction::commit(tx),
    )?;
    same("rows", &read_integer(db, COUNT)?, &0)
}

fn failed_commit(db: &Database) -> Outcome {
    let tx = begin(db, TransactionMode::Write)?;
    execute(&tx, "CREATE TABLE p (a INTEGER PRIMARY KEY)")?;
    execute(
        &tx,
        "CREATE TABLE t (a REFERENCES p (a) DEFERRABLE INITIALLY DEFERRED)",
    )?;
    commit(tx)?;
    let tx = begin(db, TransactionMode::Write)?;
    execute(&tx, "INSERT INTO t VALUES (1)")?;
    refused(
        "commit with a reference to nothing",
        ErrorCode::Constraint,
        Transaction::commit(tx),
    )?;
    holds(
        "the write lock is held after a commit that failed",
        lock_is_free(),
    )?;
    same(
        "rows after a commit that failed",
        &read_integer(db, COUNT)?,
        &0,
    )?;
    committed(db, "INSERT INTO p VALUES (1)").map(drop)
}
