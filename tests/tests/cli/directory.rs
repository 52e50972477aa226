//! Each command on a directory.

use std::path::{Path, PathBuf};

use lash_core::ProcessRegistry;
use lash_wasm_store_testing::effects::{self, controller, effect, returning, run};
use lash_wasm_store_testing::fixtures::Raw;
use lash_wasm_store_testing::host_events::{self, record, reserve, subscribe};
use lash_wasm_store_testing::process_fixtures::{self, register, tick};
use lash_wasm_store_testing::program::{Run, values};
use serde_json::Value;
use tempfile::TempDir;

use crate::{PROGRAM, fill};

/// A directory with a database of each kind, and with what belongs to others.
struct Directory {
    directory: TempDir,
}

/// The databases in the order of their names, with their kinds.
const DATABASES: [(&str, &str); 4] = [
    ("a-session.db", "session"),
    ("b-processes.db", "processes"),
    ("c-host-events.db", "host-events"),
    ("d-effects.db", "effects"),
];

const FOREIGN: [&str; 4] = ["empty", "foreign.sqlite", "native.db", "notes.txt"];

impl Directory {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [session, processes, host_events, effects] =
            DATABASES.map(|(name, _)| directory.path().join(name));
        fill(&session).await;
        let registry = process_fixtures::open(&processes).await;
        register(&registry, &["p", "q"]).await;
        registry.append_event("p", tick(1)).await.unwrap();
        let store = host_events::open(&host_events).await;
        subscribe(&store, "a", "k").await;
        let occurrence = record(&store, "k", "first").await;
        reserve(&store, &occurrence).await;
        let host = effects::open(&effects).await;
        run(&controller(&host), effect("e"), returning("told"))
            .await
            .unwrap();

        let [empty, foreign, native, notes] = FOREIGN.map(|name| directory.path().join(name));
        std::fs::write(empty, "").unwrap();
        Raw::open(&foreign).execute("PRAGMA application_id = 7");
        Raw::open(&foreign).execute("CREATE TABLE t (a)");
        Raw::open(&native).execute("CREATE TABLE session_head (a)");
        std::fs::write(notes, "a text that is no database").unwrap();
        // What is below is not looked into.
        std::fs::create_dir(directory.path().join("below")).unwrap();
        std::fs::write(directory.path().join("below/notes.txt"), "a text").unwrap();
        Self { directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn database(&self, index: usize) -> PathBuf {
        self.path().join(DATABASES[index].0)
    }
}

/// The values of a directory, one for each database.
#[track_caller]
fn assert_of_each(values: &[Value], directory: &Directory) {
    let found: Vec<_> = values
        .iter()
        .map(|value| (value["path"].clone(), value["kind"].clone()))
        .collect();
    let expected: Vec<_> = DATABASES
        .iter()
        .map(|(name, kind)| {
            let path = directory.path().join(name);
            (Value::from(path.to_str().unwrap()), Value::from(*kind))
        })
        .collect();
    assert_eq!(found, expected);
}

/// Every foreign file is named, and nothing else.
#[track_caller]
fn assert_skipped(stderr: &str) {
    let skipped: Vec<_> = values(stderr)
        .iter()
        .map(|value| {
            assert!(value["skipped"].is_string(), "{value}");
            let path = Path::new(value["path"].as_str().unwrap());
            path.file_name().unwrap().to_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(skipped, FOREIGN);
}

#[tokio::test]
async fn every_database_is_done_and_every_other_file_is_named() {
    let directory = Directory::new().await;
    for command in ["inspect", "verify", "gc", "vacuum"] {
        let run = PROGRAM.json(command, directory.path()).ended(0);
        assert_of_each(&run.values(), &directory);
        assert_skipped(&run.stderr);
        let run = PROGRAM.on(command, directory.path()).ended(0);
        for (name, _) in DATABASES {
            assert!(run.stdout.contains(name), "{}", run.stdout);
        }
        assert_eq!(run.stderr.lines().count(), FOREIGN.len(), "{}", run.stderr);
    }
    let text = PROGRAM.on("inspect", directory.path()).stdout;
    for part in [
        "process database",
        "2 running, 0 ended",
        "host event database",
        "1 enabled, 0 disabled",
        "0 started, 1 perhaps not",
        "effect database",
        "1 completed, 0 failed",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

/// A database without its header was skipped like a text, and the exit code was 0: who
/// removes what was verified or imported loses it.
#[tokio::test]
async fn what_should_be_a_database_is_not_skipped() {
    let directory = Directory::new().await;
    std::fs::write(directory.path().join("lost.db"), "no header").unwrap();
    let run = PROGRAM.json("verify", directory.path()).ended(3);
    assert_of_each(&run.values(), &directory);
    assert!(run.stderr.contains("lost.db"), "{}", run.stderr);
}

#[tokio::test]
async fn an_export_tells_the_databases_apart() {
    let directory = Directory::new().await;
    let run = PROGRAM.json("export", directory.path()).ended(0);
    assert_skipped(&run.stderr);
    let records = run.values();
    let named = |name: &str| -> Vec<Value> {
        let named = records.iter().filter(|record| record["record"] == name);
        named.cloned().collect()
    };
    assert_of_each(&named("database"), &directory);
    let mut rest = &records[..];
    for (begin, end) in named("database").iter().zip(named("end")) {
        assert_eq!(&rest[0], begin);
        assert_eq!(begin["path"], end["path"]);
        let (of_one, others) = rest.split_at(rest.iter().position(|r| *r == end).unwrap());
        assert_eq!(end["records"], of_one.len());
        assert!(of_one.len() > 1);
        rest = &others[1..];
    }
    assert!(rest.is_empty());
}

#[tokio::test]
async fn what_fails_does_not_keep_the_rest_from_being_done() {
    let directory = Directory::new().await;
    let damaged = directory.database(0);
    Raw::open(&damaged).damage("UPDATE graph_nodes SET body = x'00' WHERE seq = 4");
    let run = PROGRAM.json("verify", directory.path()).ended(1);
    assert_of_each(&run.values(), &directory);
    let sound: Vec<_> = run.values().iter().map(|v| v["sound"].clone()).collect();
    assert_eq!(sound, [false, true, true, true]);

    let run = PROGRAM.json("export", directory.path()).ended(1);
    let records = run.values();
    let ended = records.iter().filter(|record| record["record"] == "end");
    assert_eq!(ended.count(), 3);
    let failed: Vec<_> = values(&run.stderr)
        .into_iter()
        .filter(|value| value["error"].is_object())
        .collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["path"], damaged.to_str().unwrap());
    assert_eq!(failed[0]["error"]["code"], "corrupt");

    // A file that lacks something does not look as if it were whole.
    let file = directory.path().join("all.jsonl");
    let mut command = PROGRAM.command(["export", "--json", "-o"]);
    let run = Run::of(command.arg(&file).arg(directory.path())).ended(1);
    assert_eq!(run.stdout, "");
    let mut said = values(&run.stderr);
    assert_eq!(said.pop().unwrap()["error"]["code"], "incomplete");
    // The database, and what is skipped: its own temporary file is not.
    assert_eq!(said.len(), 1 + FOREIGN.len());
    assert!(!file.exists());

    // The worst of all counts.
    std::fs::write(directory.path().join("e.db"), version(&damaged, 99)).unwrap();
    let run = PROGRAM.json("verify", directory.path()).ended(3);
    assert_of_each(&run.values(), &directory);
    let refused = values(&run.stderr);
    let refused = refused
        .iter()
        .find(|value| value["error"]["code"] == "other-version");
    assert!(refused.is_some(), "{}", run.stderr);
}

/// A database with another version in its header.
fn version(path: &Path, version: u8) -> Vec<u8> {
    let mut bytes = std::fs::read(path).unwrap();
    // The last byte of `application_id`.
    bytes[71] = version;
    bytes
}
