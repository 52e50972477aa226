//! Derived data that is corrupt: what can be read is read without it, and a repair makes it
//! anew.
//!
//! One corrupt byte of the row of digests, and no call worked any more, not even an export;
//! nothing could rebuild it.

use std::path::{Path, PathBuf};

use lash_wasm_store::inspect::{Inspector, Problem, Record, Repair};
use lash_wasm_store::{DatabaseKind, EngineError, Error, SqliteEffectReplayOptions, StoreBuilder};
use lash_wasm_store_testing::damage::{empty_index, wait_until_closed};
use lash_wasm_store_testing::damage_fixture::Session;
use lash_wasm_store_testing::fixtures::Raw;
use lash_wasm_store_testing::flips::is_sound;
use rusqlite::Connection;

use crate::effects::flips::Effects;
use crate::harness::{self, Subject};
use crate::host_events::File;
use crate::processes::flips::Processes;

const PAGE: usize = 4096;

/// What can be exported of a file, and how the export ends.
async fn export(path: &Path) -> (Vec<Record>, Result<(), EngineError>) {
    let inspector = Inspector::open(path).await.unwrap();
    let mut reading = inspector.records();
    let mut records = Vec::new();
    loop {
        match reading.next_page().await {
            Ok(Some(page)) => records.extend(page),
            Ok(None) => return (records, Ok(())),
            Err(error) => return (records, Err(error)),
        }
    }
}

/// Opens a file whatever kind of database it is, and repairs it.
async fn try_repair(path: &Path) -> Result<Repair, Error> {
    let kind = Inspector::open(path).await?.kind();
    let builder = StoreBuilder::new();
    let repair = match kind {
        DatabaseKind::Session => builder.open(path).await?.repair().await,
        DatabaseKind::Processes => builder.open_process_registry(path).await?.repair().await,
        DatabaseKind::HostEvents => builder.open_host_event_store(path).await?.repair().await,
        _ => {
            let options = SqliteEffectReplayOptions::default();
            builder
                .open_effect_host(path, options)
                .await?
                .repair()
                .await
        }
    };
    wait_until_closed(path);
    repair
}

async fn repair(path: &Path) -> Repair {
    try_repair(path).await.unwrap()
}

async fn problems(path: &Path) -> Vec<Problem> {
    let inspector = Inspector::open(path).await.unwrap();
    inspector.verify().await.unwrap().problems
}

/// Whether somebody can go on working with a file.
async fn works<S: Subject>(subject: &S, path: &Path) -> bool {
    let answers = subject.ask(path).await;
    answers.values().any(Result::is_ok)
}

struct Files {
    directory: tempfile::TempDir,
    bytes: Vec<u8>,
}

impl Files {
    fn of<S: Subject>(subject: &S) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            bytes: subject.bytes().to_vec(),
        }
    }

    /// A copy of the good file.
    fn copy(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(format!("{name}.db"));
        std::fs::write(&path, &self.bytes).unwrap();
        path
    }

    /// A copy that SQL has changed.
    fn changed(&self, name: &str, sql: &str) -> PathBuf {
        let path = self.copy(name);
        Raw::open(&path).batch(sql);
        wait_until_closed(&path);
        path
    }

    /// Where the row of digests is in the file.
    fn digests(&self) -> std::ops::Range<usize> {
        let path = self.copy("where");
        let connection = Connection::open(&path).unwrap();
        let (page, row): (u32, Vec<u8>) = connection
            .query_row(
                "SELECT rootpage, digests FROM sqlite_schema, table_digests
                 WHERE name = 'table_digests'",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        let start = (page as usize - 1) * PAGE;
        let place = self.bytes[start..start + PAGE]
            .windows(row.len())
            .position(|window| window == row)
            .unwrap();
        start + place..start + place + row.len()
    }
}

/// Every byte of the row, in turn.
async fn any_byte_of_the_digests<S: Subject>() {
    let subject = S::new().await;
    let files = Files::of(&subject);
    let (expected, ended) = export(&files.copy("good")).await;
    ended.unwrap();
    for byte in files.digests() {
        let path = files.copy(&byte.to_string());
        let mut bytes = files.bytes.clone();
        bytes[byte] ^= 0x10;
        std::fs::write(&path, &bytes).unwrap();

        let found = problems(&path).await;
        assert_eq!(found.len(), 1, "byte {byte}: {found:?}");
        assert_eq!(found[0].table, "table_digests");
        let (records, ended) = export(&path).await;
        let (corrupt, sound): (Vec<_>, Vec<_>) = records
            .into_iter()
            .partition(|record| record.name() == "corrupt");
        assert_eq!(sound, expected, "byte {byte}");
        assert_eq!(corrupt.len(), 1);
        assert!(
            matches!(ended, Err(EngineError::Corrupt { table, .. }) if table == "table_digests")
        );

        let repaired = repair(&path).await;
        assert!(repaired.is_sound(), "byte {byte}: {repaired:?}");
        assert_eq!(repaired.rebuilt, found);
        assert!(is_sound(&path).await);
        let (records, ended) = export(&path).await;
        ended.unwrap();
        assert_eq!(records, expected, "byte {byte}");
        if byte % 32 == 0 {
            assert!(works(&subject, &path).await);
        }
        std::fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn any_byte_of_the_digests_of_a_session_is_repaired() {
    any_byte_of_the_digests::<Session>().await;
}

#[tokio::test]
async fn any_byte_of_the_digests_of_processes_is_repaired() {
    any_byte_of_the_digests::<Processes>().await;
}

#[tokio::test]
async fn any_byte_of_the_digests_of_host_events_is_repaired() {
    any_byte_of_the_digests::<File>().await;
}

/// The whole page of the row, bit by bit: it is repaired, or named.
#[tokio::test]
async fn any_byte_of_the_page_of_the_digests_is_repaired_or_named() {
    let subject = Session::new().await;
    let files = Files::of(&subject);
    let page = files.digests().start / PAGE * PAGE;
    let (mut repaired, mut refused) = (0, Vec::new());
    // The header of the page with its one pointer, and what is before the row.
    let header = page..page + 10;
    let cell = files.digests().start - 8..files.digests().start;
    for byte in header.chain(cell) {
        let path = files.copy(&byte.to_string());
        let mut bytes = files.bytes.clone();
        bytes[byte] ^= 0x04;
        std::fs::write(&path, &bytes).unwrap();
        if is_sound(&path).await {
            continue;
        }
        assert!(!problems(&path).await.is_empty());
        // What is not derived can be read whatever is wrong with that page.
        let (records, _) = export(&path).await;
        assert!(records.iter().any(|record| record.name() == "node"));
        match try_repair(&path).await {
            Ok(repair) if repair.is_sound() => {
                assert!(is_sound(&path).await, "byte {}", byte - page);
                repaired += 1;
            }
            Ok(repair) => {
                assert!(
                    repair
                        .rebuilt
                        .iter()
                        .all(|problem| problem.table.is_empty())
                );
                refused.push(byte - page);
            }
            Err(error) => panic!("byte {}: {error}", byte - page),
        }
    }
    println!("{repaired} repaired; bytes refused: {refused:?}");
    assert!(repaired > 0);
}

/// Changes derived data of every kind, and has it made anew.
async fn rebuilt<S: Subject>(changes: &[(&str, &str)]) {
    let subject = S::new().await;
    let files = Files::of(&subject);
    let (expected, _) = export(&files.copy("good")).await;
    for (number, (change, table)) in changes.iter().enumerate() {
        let path = files.changed(&number.to_string(), change);
        assert!(!is_sound(&path).await, "{change}");
        let repaired = repair(&path).await;
        assert!(repaired.is_sound(), "{change}: {repaired:?}");
        let named = |problem: &Problem| problem.table == *table;
        assert!(repaired.rebuilt.iter().all(named), "{change}: {repaired:?}");
        assert!(is_sound(&path).await, "{change}");
        let (records, ended) = export(&path).await;
        ended.unwrap();
        if *table != "effect_scopes" {
            assert_eq!(records, expected, "{change}");
        }
    }
}

#[tokio::test]
async fn totals_and_the_identity_of_a_session_are_made_anew() {
    rebuilt::<Session>(&[
        (
            "UPDATE usage_totals SET input_tokens = 7 WHERE seq = 1",
            "usage_totals",
        ),
        ("DELETE FROM usage_totals", "usage_totals"),
        (
            "UPDATE database_identity SET identity = x'00'",
            "database_identity",
        ),
        ("DELETE FROM database_identity", "database_identity"),
        ("DELETE FROM table_digests", "table_digests"),
    ])
    .await;
}

#[tokio::test]
async fn columns_for_indexes_of_processes_are_made_anew() {
    rebuilt::<Processes>(&[
        (
            "UPDATE processes SET identity = 1 WHERE seq = 1",
            "processes",
        ),
        (
            "UPDATE process_events SET type_identity = 7",
            "process_events",
        ),
        (
            "UPDATE process_events SET replay_identity = 7
             WHERE id IN (SELECT id FROM process_events WHERE replay_key IS NOT NULL LIMIT 1)",
            "process_events",
        ),
        (
            "UPDATE process_events SET process = 4711 WHERE id & 3 = 1 AND process = 1",
            "process_events",
        ),
        (
            "UPDATE process_grants SET scope_identity = 7",
            "process_grants",
        ),
        (
            "UPDATE process_grants SET session_identity = 7",
            "process_grants",
        ),
    ])
    .await;
}

#[tokio::test]
async fn columns_for_indexes_of_host_events_are_made_anew() {
    rebuilt::<File>(&[
        (
            "UPDATE subscriptions SET source_identity = 1",
            "subscriptions",
        ),
        (
            "UPDATE subscriptions SET session_identity = NULL",
            "subscriptions",
        ),
        ("UPDATE occurrences SET identity = 1", "occurrences"),
    ])
    .await;
}

#[tokio::test]
async fn columns_for_indexes_and_counts_of_effects_are_made_anew() {
    rebuilt::<Effects>(&[
        ("UPDATE effects SET identity = 1 WHERE id = 1", "effects"),
        (
            "UPDATE effect_scopes SET effects = 4711 WHERE id = 2",
            "effect_scopes",
        ),
        (
            "UPDATE effect_scopes SET last_claim_ms = 0",
            "effect_scopes",
        ),
        ("UPDATE effect_scopes SET checksum = 0", "effect_scopes"),
    ])
    .await;
}

/// SQLite's own indexes.
#[tokio::test]
async fn indexes_are_made_anew() {
    let subject = Session::new().await;
    let files = Files::of(&subject);
    let path = files.copy("index");
    empty_index(&path, "sqlite_autoindex_artifacts_1");
    let before = problems(&path).await;
    assert!(!before.is_empty());
    let repaired = repair(&path).await;
    assert!(repaired.is_sound(), "{repaired:?}");
    assert!(!repaired.rebuilt.is_empty());
    assert!(is_sound(&path).await);
}

/// What is derived cannot be rebuilt from what is corrupt: nobody would notice any more.
#[tokio::test]
async fn nothing_is_rebuilt_from_what_is_corrupt() {
    let subject = Session::new().await;
    let files = Files::of(&subject);
    let path = files.changed(
        "both",
        "UPDATE table_digests SET digests = zeroblob(8);
         UPDATE graph_nodes SET body = x'7b7d' WHERE seq = 1",
    );
    let before = Raw::open(&path).dump();
    let repaired = repair(&path).await;
    assert!(!repaired.is_sound());
    assert!(repaired.rebuilt.is_empty());
    let mut tables: Vec<&str> = repaired.problems.iter().map(|p| p.table.as_str()).collect();
    tables.sort_unstable();
    assert_eq!(tables, ["graph_nodes", "table_digests"]);
    assert_eq!(Raw::open(&path).dump(), before);
}

/// A repair of what is sound changes nothing.
#[tokio::test]
async fn what_is_sound_stays_as_it_is() {
    async fn check<S: Subject>() {
        let subject = S::new().await;
        let path = Files::of(&subject);
        let path = path.copy("good");
        let before = Raw::open(&path).dump();
        assert_eq!(repair(&path).await, Repair::default());
        assert_eq!(Raw::open(&path).dump(), before);
    }
    check::<Session>().await;
    check::<Processes>().await;
    check::<File>().await;
    check::<Effects>().await;
}

/// A number that was given out before the row was corrupt is not given out again: a stale
/// caller could present it.
#[tokio::test]
async fn numbers_are_passed_over_that_may_have_been_given_out() {
    let subject = Processes::new().await;
    let files = Files::of(&subject);
    let numbers = |path: &Path| -> (u64, u64) {
        let digests = Raw::open(path).blob("SELECT digests FROM table_digests");
        let number = |at: usize| u64::from_le_bytes(digests[at..at + 8].try_into().unwrap());
        (number(0), number(8))
    };
    let (process, token) = numbers(&files.copy("good"));
    let path = files.changed("lost", "UPDATE table_digests SET digests = zeroblob(8)");
    assert!(repair(&path).await.is_sound());
    let (process_after, token_after) = numbers(&path);
    assert!(process_after > process, "{process_after}");
    assert!(token_after > token + 1_000_000_000_000, "{token_after}");
}

/// One row of each table in turn is corrupt: all others are exported, and it is named.
async fn one_row_of_each_table<S: Subject>() {
    let subject = S::new().await;
    let files = Files::of(&subject);
    let (expected, _) = export(&files.copy("good")).await;
    for change in harness::corrupt_rows(&files.copy("tables")) {
        let path = files.changed("changed", &change);
        let (records, ended) = export(&path).await;
        let sound: Vec<&Record> = records
            .iter()
            .filter(|record| record.name() != "corrupt")
            .collect();
        if ended.is_ok() {
            // What is not exported, because it is for indexes only.
            assert_eq!(records, expected, "{change}");
            continue;
        }
        assert!(sound.len() < records.len(), "{change}: nothing is named");
        assert!(
            sound.len() + 2 >= expected.len(),
            "{change}: {} of {}",
            sound.len(),
            expected.len()
        );
        for record in sound {
            assert!(
                expected.contains(record) || record.field("parent").is_some(),
                "{change}: {record:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_export_of_a_session_leaves_out_what_is_corrupt_and_names_it() {
    one_row_of_each_table::<Session>().await;
}

#[tokio::test]
async fn an_export_of_processes_leaves_out_what_is_corrupt_and_names_it() {
    one_row_of_each_table::<Processes>().await;
}

#[tokio::test]
async fn an_export_of_host_events_leaves_out_what_is_corrupt_and_names_it() {
    one_row_of_each_table::<File>().await;
}

#[tokio::test]
async fn an_export_of_effects_leaves_out_what_is_corrupt_and_names_it() {
    one_row_of_each_table::<Effects>().await;
}
