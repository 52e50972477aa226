//! Values as parameters and as answers, and how rows are packed.

use alloc::string::String;
use alloc::vec::Vec;

use super::Run::Plain;
use super::{Check, Outcome};
use crate::bindings::lash::store::sqlite::{Database, Transaction, TransactionMode, Value};
use crate::expect::{begin, done, execute, holds, packed, query, same};

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "null-round-trips",
        statement: "SQL `NULL`.",
        steps: &[Plain(null)],
    },
    Check {
        name: "integers-round-trip",
        statement: "A signed 64-bit integer.",
        steps: &[Plain(integers)],
    },
    Check {
        name: "reals-round-trip",
        statement: "A 64-bit floating point number.",
        steps: &[Plain(reals)],
    },
    Check {
        name: "nan-is-null",
        statement: "SQLite stores NaN as `NULL`.",
        steps: &[Plain(nan)],
    },
    Check {
        name: "text-round-trips",
        statement: "UTF-8 text. It may contain the character NUL.",
        steps: &[Plain(text)],
    },
    Check {
        name: "blobs-round-trip",
        statement: "Bytes, perhaps none. They are not `NULL` then.",
        steps: &[Plain(blobs)],
    },
    Check {
        name: "rows-are-packed",
        statement: "Every value of every row, row by row and column by column, without \
            separators; columns may have the same name.",
        steps: &[Plain(packing)],
    },
    Check {
        name: "all-rows-are-answered",
        statement: "The rows that a query returned, all of them, in order.",
        steps: &[Plain(all_rows)],
    },
    Check {
        name: "large-values-round-trip",
        statement: "Runs one statement and returns all the rows that it returned.",
        steps: &[Plain(large)],
    },
];

/// Binds each value, reads it back as it is bound and from a column of a table,
/// and compares the bytes.
fn round_trip(db: &Database, values: &[Value<'_>]) -> Outcome {
    let tx = table(db)?;
    for value in values {
        let expected = packed(core::slice::from_ref(value));
        let bound = query(&tx, "SELECT ?1", core::slice::from_ref(value))?;
        same("SELECT ?1", &bound.cells, &expected)?;
        done(
            "insert",
            tx.execute("INSERT INTO t VALUES (?1)", core::slice::from_ref(value)),
        )?;
        let stored = query(&tx, "SELECT a FROM t", &[])?;
        same("the value of a column", &stored.cells, &expected)?;
        same("the number of rows", &stored.count, &1)?;
        execute(&tx, "DELETE FROM t")?;
    }
    Ok(())
}

fn table(db: &Database) -> Result<Transaction, String> {
    let tx = begin(db, TransactionMode::Write)?;
    // A column without a type converts nothing.
    execute(&tx, "CREATE TABLE t (a)")?;
    Ok(tx)
}

fn null(db: &Database) -> Outcome {
    round_trip(db, &[Value::Null])
}

fn integers(db: &Database) -> Outcome {
    // Beyond 2^53 a floating point number would not do.
    let integers = [0, 1, -1, 127, 128, (1 << 53) + 1, i64::MAX, i64::MIN];
    round_trip(db, &integers.map(Value::Integer))
}

fn reals(db: &Database) -> Outcome {
    let reals = [
        0.0,
        -0.0,
        // Still a real, not an integer.
        1.0,
        -1.5,
        0.1,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    round_trip(db, &reals.map(Value::Real))
}

fn nan(db: &Database) -> Outcome {
    let tx = table(db)?;
    let rows = query(&tx, "SELECT ?1", &[Value::Real(f64::NAN)])?;
    same("SELECT ?1", &rows.cells, &packed(&[Value::Null]))
}

fn text(db: &Database) -> Outcome {
    let texts = [
        "",
        "a",
        "é",
        "日本語",
        "\u{10ffff}",
        "a\0b",
        "\0",
        "12",
        "1.0",
    ];
    round_trip(db, &texts.map(Value::Text))
}

fn blobs(db: &Database) -> Outcome {
    let all: Vec<u8> = (0..=u8::MAX).collect();
    round_trip(
        db,
        &[Value::Blob(&[]), Value::Blob(b"text"), Value::Blob(&all)],
    )
}

fn packing(db: &Database) -> Outcome {
    let tx = table(db)?;
    let none = query(&tx, "SELECT a FROM t", &[])?;
    same("the number of no rows", &none.count, &0)?;
    same("the cells of no rows", &none.cells, &Vec::new())?;

    let sql = "SELECT 1 AS a, 'two' AS a, 3.0 AS b, x'04' AS a
        UNION ALL SELECT NULL, '', -1.5, x''";
    let rows = query(&tx, sql, &[])?;
    let expected = packed(&[
        Value::Integer(1),
        Value::Text("two"),
        Value::Real(3.0),
        Value::Blob(&[4]),
        Value::Null,
        Value::Text(""),
        Value::Real(-1.5),
        Value::Blob(&[]),
    ]);
    same("the number of rows", &rows.count, &2)?;
    same(sql, &rows.cells, &expected)
}

fn all_rows(db: &Database) -> Outcome {
    const ROWS: i64 = 2000;
    let tx = table(db)?;
    let values: Vec<[Value<'_>; 1]> = (0..ROWS).map(|i| [Value::Integer(i)]).collect();
    let params: Vec<&[Value<'_>]> = values.iter().map(|row| &row[..]).collect();
    done(
        "execute-many",
        tx.execute_many("INSERT INTO t VALUES (?1)", &params),
    )?;
    let rows = query(&tx, "SELECT a FROM t ORDER BY a DESC", &[])?;
    let expected: Vec<Value<'_>> = (0..ROWS).rev().map(Value::Integer).collect();
    same("the number of rows", &i64::from(rows.count), &ROWS)?;
    holds(
        "the rows are not all there in their order",
        rows.cells == packed(&expected),
    )
}

fn large(db: &Database) -> Outcome {
    const LENGTH: usize = 1 << 20;
    let tx = table(db)?;
    let bytes: Vec<u8> = (0..LENGTH).map(|i| (i % 251) as u8).collect();
    let text: String = core::iter::repeat_n('é', LENGTH / 2).collect();
    for value in [Value::Blob(&bytes), Value::Text(&text)] {
        done("insert", tx.execute("INSERT INTO t VALUES (?1)", &[value]))?;
    }
    let rows = query(&tx, "SELECT a FROM t ORDER BY rowid", &[])?;
    holds(
        "values of 1 MiB are not what they were",
        rows.cells == packed(&[Value::Blob(&bytes), Value::Text(&text)]),
    )
}
