//! Who can read what is stored: nobody else, whatever the umask is.
//!
//! With the usual umask, transcripts, their log and their exports were readable by
//! everybody on the machine.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lash_core::{RuntimePersistence, SessionPolicy, SessionRelation, SessionStoreCreateRequest};
use lash_wasm_store::{SqliteSessionStoreFactory, Store, StoreBuilder};
use lash_wasm_store_testing::fixtures::{append, chain};
use lash_wasm_store_testing::program::{Program, Run};
use lash_wasm_store_testing::{child, effects, host_events, process_fixtures};

use crate::under::{after, open_directory};

const PROGRAM: Program = Program(env!("CARGO_BIN_EXE_lash-store-tested"));

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Every file and directory below, and what it may be read by.
fn modes(directory: &Path, found: &mut Vec<(String, u32)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        found.push((path.display().to_string(), mode(&path)));
        if path.is_dir() {
            modes(&path, found);
        }
    }
}

fn assert_modes(directory: &Path, files: u32, directories: u32, count: usize) {
    let mut found = Vec::new();
    modes(directory, &mut found);
    assert_eq!(found.len(), count, "{found:?}");
    for (path, mode) in found {
        let expected = if Path::new(&path).is_dir() {
            directories
        } else {
            files
        };
        assert_eq!(mode, expected, "{path}: {mode:o}");
    }
}

fn request() -> SessionStoreCreateRequest {
    SessionStoreCreateRequest {
        session_id: "s".to_owned(),
        relation: SessionRelation::default(),
        policy: SessionPolicy::default(),
    }
}

/// Runs a test again under the umasks of services, of people, and of those who set none.
fn under_umasks(test: impl Fn() + Copy) {
    for umask in ["000", "022", "077"] {
        let directory = open_directory();
        after(&format!("umask {umask}"), test, directory.path());
    }
}

/// The database, its log and the memory that connections share.
#[tokio::test]
async fn only_the_owner_reads_databases_of_all_kinds() {
    let Some(directory) = child::file() else {
        return under_umasks(only_the_owner_reads_databases_of_all_kinds);
    };
    let store = Store::open(&directory.join("session.db")).await.unwrap();
    store
        .commit_runtime_state(append(None, chain(0, 1)))
        .await
        .unwrap();
    let registry = process_fixtures::open(&directory.join("processes.db")).await;
    process_fixtures::register(&registry, &["p"]).await;
    let events = host_events::open(&directory.join("host_events.db")).await;
    host_events::subscribe(&events, "s", "key").await;
    let effects = effects::open(&directory.join("effects.db")).await;
    assert_modes(&directory, 0o600, 0, 12);
    drop((store, registry, events, effects));
}

#[tokio::test]
async fn only_the_owner_reads_what_a_factory_creates() {
    let Some(directory) = child::file() else {
        return under_umasks(only_the_owner_reads_what_a_factory_creates);
    };
    let factory = SqliteSessionStoreFactory::new(directory.join("a/b"));
    let store = factory.try_create_store(&request()).await.unwrap();
    assert_modes(&directory, 0o600, 0o700, 5);
    drop(store);
}

#[tokio::test]
async fn an_option_lets_others_read() {
    let Some(directory) = child::file() else {
        let directory = open_directory();
        return after("umask 000", an_option_lets_others_read, directory.path());
    };
    for (files, directories) in [(0o640, 0o750), (0o660, 0o770), (0o644, 0o755)] {
        let root = directory.join(format!("{files:o}"));
        let builder = StoreBuilder::new().file_mode(files);
        let factory = SqliteSessionStoreFactory::with_builder(root.clone(), builder);
        let store = factory.try_create_store(&request()).await.unwrap();
        assert_eq!(mode(&root), directories);
        assert_modes(&root, files, 0, 3);
        drop(store);
    }
}

#[tokio::test]
async fn what_exists_keeps_its_mode() {
    let Some(directory) = child::file() else {
        return under_umasks(what_exists_keeps_its_mode);
    };
    let root = directory.join("root");
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, Permissions::from_mode(0o750)).unwrap();
    let factory = SqliteSessionStoreFactory::new(root.clone());
    let store = factory.try_create_store(&request()).await.unwrap();
    let path = store.path().to_path_buf();
    drop((store, factory));
    for mode in [0o640, 0o664] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let factory = SqliteSessionStoreFactory::new(root.clone());
        let store = factory.try_create_store(&request()).await.unwrap();
        assert_modes(&root, mode, 0, 3);
        drop((store, factory));
    }
    assert_eq!(mode(&root), 0o750);
}

/// An export is what its database is: an import cannot be told from one, and its
/// temporary file could be read meanwhile.
#[tokio::test]
async fn only_the_owner_reads_exports() {
    let Some(directory) = child::file() else {
        return under_umasks(only_the_owner_reads_exports);
    };
    let path = directory.join("session.db");
    let store = Store::open(&path).await.unwrap();
    store
        .commit_runtime_state(append(None, chain(0, 1)))
        .await
        .unwrap();
    drop(store);
    let target = directory.join("all.jsonl");
    let export = |force: &[&str]| {
        let mut command = PROGRAM.command(["export", "--output"]);
        let run = Run::of(command.arg(&target).arg(&path).args(force));
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    };
    export(&[]);
    assert_eq!(mode(&target), 0o600);
    // What is replaced stays as readable as it was.
    fs::set_permissions(&target, Permissions::from_mode(0o640)).unwrap();
    export(&["--force"]);
    assert_eq!(mode(&target) & !0o640, 0);
}
