//! What running a statement means.

use super::Run::Plain;
use super::{Check, Outcome};
use crate::bindings::lash::store::sqlite::{
    Database, ErrorCode, Transaction, TransactionMode, Value,
};
use crate::expect::{begin, done, execute, integer, packed, query, refused, same};

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "one-statement",
        statement: "text that holds no statement or more than one, and another number of \
            parameters than the largest `?N`, are `misuse`, and nothing is run.",
        steps: &[Plain(one_statement)],
    },
    Check {
        name: "parameters-are-counted",
        statement: "text that holds no statement or more than one, and another number of \
            parameters than the largest `?N`, are `misuse`, and nothing is run.",
        steps: &[Plain(parameter_count)],
    },
    Check {
        name: "parameters-have-positions",
        statement: "Parameters are bound by position from `?1`.",
        steps: &[Plain(positions)],
    },
    Check {
        name: "execute-returns-no-rows",
        statement: "A statement that returns a row is `misuse`.",
        steps: &[Plain(returns_rows)],
    },
    Check {
        name: "changed-rows-are-counted",
        statement: "returns how many rows it inserted, updated or deleted: 0 for a statement of \
            another kind, where SQLite keeps the count of the one before.",
        steps: &[Plain(changed_rows)],
    },
    Check {
        name: "execute-many-runs-every-row",
        statement: "Runs one statement once for every row of parameters, in order, and returns \
            how many rows were changed altogether.",
        steps: &[Plain(many)],
    },
    Check {
        name: "execute-many-stops-at-a-failure",
        statement: "It stops at the first that fails; what those before it did stays in the \
            transaction, which the caller will roll back.",
        steps: &[Plain(many_stops)],
    },
    Check {
        name: "sql-of-the-component",
        statement: "SQLite MUST be 3.24 or newer: the components of this package use \
            `ON CONFLICT DO UPDATE`, `WITHOUT ROWID`, partial indexes and recursive queries, and of the functions only \
            `count`, `ifnull`, `length`, `max`, `min` and `sum`.",
        steps: &[Plain(dialect)],
    },
];

const COUNT: &str = "SELECT count(*) FROM t";

fn table(db: &Database) -> Result<Transaction, alloc::string::String> {
    let tx = begin(db, TransactionMode::Write)?;
    execute(&tx, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)")?;
    Ok(tx)
}

fn one_statement(db: &Database) -> Outcome {
    let tx = table(db)?;
    for sql in [
        "",
        "INSERT INTO t (b) VALUES (1); INSERT INTO t (b) VALUES (2)",
    ] {
        refused(sql, ErrorCode::Misuse, tx.execute(sql, &[]))?;
        refused(sql, ErrorCode::Misuse, tx.execute_many(sql, &[&[], &[]]))?;
    }
    for sql in ["", "SELECT 1; SELECT 2"] {
        let answered = tx.query(sql, &[]).map(|rows| rows.count);
        refused(sql, ErrorCode::Misuse, answered)?;
    }
    same("rows", &integer(&tx, COUNT)?, &0)
}

fn parameter_count(db: &Database) -> Outcome {
    const ONE: Value<'_> = Value::Integer(1);
    let tx = table(db)?;
    for (sql, params) in [
        ("INSERT INTO t (b) VALUES (?1)", &[][..]),
        ("INSERT INTO t (b) VALUES (?1)", &[ONE, ONE]),
        ("INSERT INTO t (a, b) VALUES (?1, ?2)", &[ONE]),
        ("INSERT INTO t (b) VALUES (1)", &[ONE]),
    ] {
        refused(sql, ErrorCode::Misuse, tx.execute(sql, params))?;
        refused(sql, ErrorCode::Misuse, tx.execute_many(sql, &[params]))?;
        let answered = tx.query(sql, params).map(|rows| rows.count);
        refused(sql, ErrorCode::Misuse, answered)?;
    }
    same("rows", &integer(&tx, COUNT)?, &0)
}

fn positions(db: &Database) -> Outcome {
    let tx = table(db)?;
    let params = [Value::Integer(1), Value::Text("two"), Value::Null];
    let rows = query(&tx, "SELECT ?2, ?1, ?2, ?3", &params)?;
    let expected = packed(&[
        Value::Text("two"),
        Value::Integer(1),
        Value::Text("two"),
        Value::Null,
    ]);
    same("SELECT ?2, ?1, ?2, ?3", &rows.cells, &expected)
}

fn returns_rows(db: &Database) -> Outcome {
    let tx = table(db)?;
    let sql = "SELECT 1";
    refused(sql, ErrorCode::Misuse, tx.execute(sql, &[]))?;
    refused(sql, ErrorCode::Misuse, tx.execute_many(sql, &[&[]]))
}

fn changed_rows(db: &Database) -> Outcome {
    let tx = table(db)?;
    for (sql, changed) in [
        ("INSERT INTO t (a, b) VALUES (1, 1), (2, 1), (3, 2)", 3),
        ("CREATE TABLE u (a)", 0),
        ("UPDATE t SET b = b WHERE b = 1", 2),
        ("CREATE INDEX i ON t (b)", 0),
        ("DELETE FROM t WHERE a = 3", 1),
        ("PRAGMA user_version = 3", 0),
        ("DELETE FROM t WHERE a = 9", 0),
        (
            "INSERT INTO t VALUES (1, 5) ON CONFLICT (a) DO UPDATE SET b = excluded.b",
            1,
        ),
        ("INSERT INTO t VALUES (1, 6) ON CONFLICT (a) DO NOTHING", 0),
        ("DELETE FROM t", 2),
    ] {
        same(sql, &execute(&tx, sql)?, &changed)?;
    }
    Ok(())
}

fn many(db: &Database) -> Outcome {
    let tx = table(db)?;
    let sql = "INSERT INTO t (b) VALUES (?1)";
    let none = done("no rows", tx.execute_many(sql, &[]))?;
    same("changed by no rows of parameters", &none, &0)?;
    let rows: [&[Value<'_>]; 3] = [
        &[Value::Text("x")],
        &[Value::Text("y")],
        &[Value::Text("x")],
    ];
    let changed = done(sql, tx.execute_many(sql, &rows))?;
    same("changed by three rows of parameters", &changed, &3)?;
    let found = query(&tx, "SELECT a, b FROM t ORDER BY a", &[])?;
    let expected = packed(&[
        Value::Integer(1),
        Value::Text("x"),
        Value::Integer(2),
        Value::Text("y"),
        Value::Integer(3),
        Value::Text("x"),
    ]);
    same("rows in their order", &found.cells, &expected)?;
    let sql = "DELETE FROM t WHERE b = ?1";
    let rows: [&[Value<'_>]; 3] = [
        &[Value::Text("x")],
        &[Value::Text("z")],
        &[Value::Text("y")],
    ];
    let changed = done(sql, tx.execute_many(sql, &rows))?;
    same("changed by deleting two, none and one", &changed, &3)
}

fn many_stops(db: &Database) -> Outcome {
    let tx = table(db)?;
    let sql = "INSERT INTO t (a) VALUES (?1)";
    let rows: [&[Value<'_>]; 4] = [
        &[Value::Integer(1)],
        &[Value::Integer(2)],
        &[Value::Integer(1)],
        &[Value::Integer(4)],
    ];
    refused(sql, ErrorCode::Constraint, tx.execute_many(sql, &rows))?;
    same(
        "the sum of the rows 1, 2, 1, 4, of which the third fails",
        &integer(&tx, "SELECT sum(a) FROM t")?,
        &3,
    )
}

fn dialect(db: &Database) -> Outcome {
    let tx = begin(db, TransactionMode::Write)?;
    for sql in [
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL UNIQUE, c BLOB CHECK (a > 0))",
        "CREATE TABLE u (a TEXT, b TEXT REFERENCES t (b), PRIMARY KEY (a, b)) WITHOUT ROWID",
        "CREATE INDEX i ON t (c) WHERE c IS NOT NULL",
        "CREATE UNIQUE INDEX IF NOT EXISTS j ON t (b, c)",
        "INSERT INTO t VALUES (1, 'x', NULL), (2, 'y', 'z') ON CONFLICT DO NOTHING",
        "INSERT INTO t (a, b) VALUES (1, 'x') ON CONFLICT (a) DO UPDATE SET c = excluded.b",
        "INSERT INTO u SELECT b, b FROM t WHERE c = 'x'",
        "DELETE FROM t WHERE b NOT IN (SELECT b FROM u)",
    ] {
        execute(&tx, sql)?;
    }
    let functions = "SELECT count(*) + length(max(b)) + max(a, 3) + min(a) + sum(a)
        + ifnull(NULL, 1) FROM t";
    same(functions, &integer(&tx, functions)?, &8)?;
    let recursive = "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 9)
        SELECT sum(n) FROM r";
    same(recursive, &integer(&tx, recursive)?, &45)?;
    same(
        "tables of the schema",
        &integer(
            &tx,
            "SELECT count(*) FROM sqlite_master WHERE type = 'table'",
        )?,
        &2,
    )
}
