//! Damage to single rows and indexes: every answer is right or a typed error.

use std::collections::BTreeMap;
use std::path::Path;

use lash_wasm_store_testing::damage::{empty_index, update_table_only};
use rusqlite::Connection;
use rusqlite::types::Value;

use super::File;
use crate::harness::Answers;

/// Whether an error says that something is damaged. That requests conflict, or
/// that an occurrence is unknown, is an answer.
fn is_refusal(error: &str) -> bool {
    // A number that is damaged may be one that is given next.
    error.contains("damaged") || error.contains("constraint failed")
}

/// Whether an answer has less than the right one.
fn is_less(answer: &str, right: &Result<String, String>) -> bool {
    right.as_ref().is_ok_and(|right| answer.len() < right.len())
}

/// Every answer is right, or an error that names what is damaged; answers which
/// questions were refused.
fn judge(what: &str, right: &Answers, found: &Answers, unconfirmed: &[&str]) -> Vec<String> {
    let mut refused = Vec::new();
    for (question, answer) in found {
        let expected = &right[question];
        match answer {
            answer if answer == expected => {}
            Err(error) if is_refusal(error) => refused.push(question.clone()),
            // What is corrupt is passed over.
            Ok(answer) if question == "unstarted" && is_less(answer, expected) => {
                refused.push(question.clone());
            }
            // Of the settled ones, the one that is corrupt stays.
            Ok(removed)
                if (question == "prune" && removed == "0")
                    || (question == "settle" && removed == "1") =>
            {
                refused.push(question.clone());
            }
            _ if unconfirmed.contains(&question.as_str()) => {}
            answer => unreachable!("{what}: {question}: {answer:?} instead of {expected:?}"),
        }
    }
    refused
}

/// The questions that only one index leads to an answer of, by the index and by
/// the columns that are in it. The schema says which these are and why: nothing
/// is done twice, and nothing undelivered is lost, for want of these rows.
fn unconfirmed(index_or_column: &str) -> &'static [&'static str] {
    match index_or_column {
        "subscriptions_name" | "subscriptions.name" => &["list by name"],
        "subscriptions_source" | "subscriptions.source_type" => &["list of the type"],
        "occurrences_settled" | "occurrences.unsettled" | "occurrences.reserved" => {
            &["prune", "settle"]
        }
        "occurrences_unreserved" => &["unstarted"],
        "sqlite_autoindex_occurrences_1" | "occurrences.id" => &[
            "reserve recorded",
            "reserve partly",
            "reserve settled",
            "settle",
        ],
        "sqlite_autoindex_deliveries_1" | "deliveries.occurrence" | "deliveries.subscription" => {
            &["settle"]
        }
        _ => &[],
    }
}

/// Another value of the same type.
fn other(value: Value) -> Value {
    match value {
        Value::Null => Value::Text("x".to_owned()),
        Value::Integer(number) => Value::Integer(number ^ 1),
        Value::Real(number) => Value::Real(-number),
        Value::Text(text) => Value::Text(format!("{text}x")),
        Value::Blob(mut bytes) => {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            Value::Blob(bytes)
        }
    }
}

#[tokio::test]
async fn no_column_of_any_row_can_change_without_being_noticed() {
    let file = File::new().await;
    let right = file.ask(file.place().path()).await;
    assert_eq!(right.values().filter(|answer| answer.is_err()).count(), 1);
    let mut cases = 0;
    for table in [
        "subscriptions",
        "occurrences",
        "occurrence_payloads",
        "deliveries",
        "table_digests",
    ] {
        let place = file.place();
        let raw = place.raw();
        let columns = raw.texts(&format!("SELECT name FROM pragma_table_info('{table}')"));
        for rowid in raw.integers(&format!("SELECT rowid FROM {table}")) {
            // The key is moved by none of these: it would be another row's.
            for column in &columns[1..] {
                let sql = format!("SELECT {column} FROM {table} WHERE rowid = {rowid}");
                let value: Value = Connection::open(place.path())
                    .and_then(|file| file.query_row(&sql, [], |row| row.get(0)))
                    .unwrap();
                let value = other(value);
                let damaged = file.place();
                let what = format!("{table}.{column} of {rowid} is {value:?}");
                let sql = format!("UPDATE {table} SET {column} = ?1 WHERE rowid = {rowid}");
                let update = |path: &Path| Connection::open(path)?.execute(&sql, [&value]);
                // The constraints may refuse it.
                if update_table_only(damaged.path(), update).is_err() {
                    continue;
                }
                let found = file.ask(damaged.path()).await;
                let unconfirmed = unconfirmed(&format!("{table}.{column}"));
                let refused = judge(&what, &right, &found, unconfirmed);
                // Checksums that only an index is made of are not read.
                let derived =
                    ["session_identity", "source_identity", "identity"].contains(&column.as_str());
                assert!(
                    !refused.is_empty() || derived || !unconfirmed.is_empty(),
                    "{what}"
                );
                cases += 1;
            }
        }
    }
    assert!(cases > 90, "{cases}");
}

#[tokio::test]
async fn an_index_that_lost_its_rows_hides_no_answer_that_decides() {
    let file = File::new().await;
    let right = file.ask(file.place().path()).await;
    let indexes = file
        .place()
        .raw()
        .texts("SELECT name FROM sqlite_master WHERE type = 'index' ORDER BY name");
    let mut noticed = BTreeMap::new();
    for index in indexes {
        let damaged = file.place();
        empty_index(damaged.path(), &index);
        let found = file.ask(damaged.path()).await;
        let refused = judge(&index, &right, &found, unconfirmed(&index));
        noticed.insert(index, refused);
    }
    for (index, question) in [
        ("sqlite_autoindex_deliveries_1", "reserve partly"),
        ("sqlite_autoindex_occurrences_2", "record partly"),
        ("subscriptions_session_identity", "remove a"),
        ("subscriptions_session", "list of a"),
        ("subscriptions_session", "remove a"),
        ("subscriptions_source", "reserve recorded"),
        ("subscriptions_source_identity", "list of the source"),
    ] {
        let refused = &noticed[index];
        assert!(
            refused.iter().any(|refused| refused == question),
            "{index}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_row_that_is_gone_is_noticed_by_whoever_needs_it() {
    let file = File::new().await;
    for (sql, questions) in [
        (
            "DELETE FROM subscriptions WHERE seq = 4",
            &["list everything"][..],
        ),
        (
            "DELETE FROM subscriptions WHERE seq = 2",
            &["list everything"],
        ),
        (
            "DELETE FROM occurrence_payloads WHERE number = 1",
            &["record partly", "reserve partly"],
        ),
        (
            "DELETE FROM deliveries WHERE number = 2",
            &["reserve partly"],
        ),
        (
            "DELETE FROM table_digests",
            &[
                "list everything",
                "list of a",
                "record new",
                "reserve recorded",
                "subscribe",
            ],
        ),
    ] {
        let place = file.place();
        place.raw().damage(sql);
        let found = file.ask(place.path()).await;
        for question in questions {
            let error = found[*question].as_ref().expect_err(question);
            assert!(
                error.contains("is damaged: table"),
                "{sql}: {question}: {error}"
            );
        }
    }
}
