//! The proof finds what is lost where something is: plain SQLite with settings that do not
//! keep what it acknowledges.

use std::path::Path;

use lash_wasm_store::Durability;
use rusqlite::Connection;

use crate::proof::{Recording, Tally, recorded, step};

const COMMITS: i64 = 6;

fn open(base: &Path) -> rusqlite::Result<Connection> {
    Connection::open(base.join("plain.db"))
}

async fn write(base: &Path, settings: &str) {
    let connection = open(base).unwrap();
    connection.execute_batch(settings).unwrap();
    let table = "CREATE TABLE t (a PRIMARY KEY, b) WITHOUT ROWID";
    step(true, async { connection.execute(table, ()).unwrap() }).await;
    for n in 0..COMMITS {
        // Three pages each, so that a commit can be torn.
        let row = "INSERT INTO t VALUES (?1, randomblob(9000)), (-?1 - 1, ?1)";
        step(true, async { connection.execute(row, [n]).unwrap() }).await;
    }
}

/// All rows, if SQLite finds nothing wrong.
async fn state(base: &Path) -> Result<String, String> {
    let read = || -> rusqlite::Result<String> {
        let connection = open(base)?;
        let found: String = connection.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
        if found != "ok" {
            return Ok(format!("corrupt: {found}"));
        }
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
        if tables == 0 {
            return Ok("nothing".to_owned());
        }
        let sql = "SELECT group_concat(a || ':' || hex(b)) FROM (SELECT * FROM t ORDER BY a)";
        let rows: Option<String> = connection.query_row(sql, (), |row| row.get(0))?;
        Ok(rows.unwrap_or_default())
    };
    read().map_err(|error| error.to_string())
}

async fn tally(test: impl Fn(), durability: Durability) -> Tally {
    let recording = Recording::of(test);
    let tally = recording.examine(durability, 400, state).await;
    println!("{tally}, {} syncs", recording.syncs());
    tally
}

#[tokio::test]
async fn a_log_that_is_never_synced_loses_commits() {
    if let Some(base) = recorded() {
        return write(&base, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF").await;
    }
    let tally = tally(a_log_that_is_never_synced_loses_commits, Durability::Full).await;
    assert!(tally.lost > 0, "{tally}");
}

#[tokio::test]
async fn a_journal_that_is_never_synced_corrupts_the_file() {
    if let Some(base) = recorded() {
        return write(&base, "PRAGMA synchronous = OFF").await;
    }
    let test = a_journal_that_is_never_synced_corrupts_the_file;
    let tally = tally(test, Durability::Normal).await;
    assert!(tally.wrong > 0, "{tally}");
}

#[tokio::test]
async fn a_log_that_is_synced_late_loses_commits_but_nothing_else() {
    if let Some(base) = recorded() {
        return write(
            &base,
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
        )
        .await;
    }
    let test = a_log_that_is_synced_late_loses_commits_but_nothing_else;
    let full = tally(test, Durability::Full).await;
    assert!(full.lost > 0 && full.wrong == 0, "{full}");
    let normal = tally(test, Durability::Normal).await;
    assert!(normal.failures.is_empty(), "{normal:?}");
}

#[tokio::test]
async fn a_log_that_is_synced_for_each_commit_loses_nothing() {
    if let Some(base) = recorded() {
        return write(
            &base,
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL",
        )
        .await;
    }
    let test = a_log_that_is_synced_for_each_commit_loses_nothing;
    let tally = tally(test, Durability::Full).await;
    assert!(tally.failures.is_empty(), "{tally:?}");
    assert!(tally.images > 200, "{tally}");
}

/// SQLite does not sync the directory after it has removed a journal, unless asked by EXTRA.
/// So the last commit may be undone.
#[tokio::test]
async fn a_journal_that_is_removed_may_come_back() {
    if let Some(base) = recorded() {
        return write(&base, "PRAGMA synchronous = FULL").await;
    }
    let full = tally(a_journal_that_is_removed_may_come_back, Durability::Full).await;
    assert!(full.lost > 0 && full.wrong == 0, "{full:?}");
}

#[tokio::test]
async fn a_journal_that_is_removed_stays_so_with_the_directory_synced() {
    if let Some(base) = recorded() {
        return write(&base, "PRAGMA synchronous = EXTRA").await;
    }
    let test = a_journal_that_is_removed_stays_so_with_the_directory_synced;
    let tally = tally(test, Durability::Full).await;
    assert!(tally.failures.is_empty(), "{tally:?}");
}
