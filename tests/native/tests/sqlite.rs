//! The warnings of a SQLite with the WAL-reset bug, which 3.50.2 of this workspace has.
//! The library logs once per process, so this program has one test.

use std::fmt::{Debug, Write};
use std::sync::Mutex;

use lash_wasm_store::Store;
use lash_wasm_store_testing::child;
use lash_wasm_store_testing::fixtures::Place;
use lash_wasm_store_testing::program::Program;
use tracing::field::Field;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

const PROGRAM: Program = Program(env!("CARGO_BIN_EXE_lash-store-beside-native"));

/// What was logged at WARN or ERROR.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Warnings;

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = String::new();
        event.record(&mut |field: &Field, value: &dyn Debug| {
            write!(text, "{field}={value:?} ").unwrap();
        });
        WARNINGS.lock().unwrap().push(text);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn warnings() -> Vec<String> {
    WARNINGS.lock().unwrap().clone()
}

#[tokio::test]
async fn a_sqlite_with_the_wal_reset_bug_is_warned_of() {
    if let Some(path) = child::file() {
        Store::open(&path).await.unwrap();
        return;
    }
    let place = Place::new();
    let test = a_sqlite_with_the_wal_reset_bug_is_warned_of;
    let written = child::command(test, place.path()).output().unwrap();
    assert!(written.status.success(), "{written:?}");
    tracing::subscriber::set_global_default(Warnings).unwrap();

    // Who only reads cannot do damage.
    drop(Store::open_readonly(place.path()).await.unwrap());
    assert_eq!(warnings(), [""; 0]);
    for _ in 0..2 {
        place.open().await;
    }
    let warnings = warnings();
    let [warning] = &warnings[..] else {
        panic!("{warnings:#?}");
    };
    for part in ["sqlite=\"3.50.2\"", "#walresetbug", "update rusqlite"] {
        assert!(warning.contains(part), "{part}: {warning}");
    }

    let text = PROGRAM.on("inspect", place.path()).succeeded().stdout;
    let line = text.lines().find(|line| line.contains("warning"));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    assert!(
        line.contains("3.50.2") && line.contains("WAL-reset bug"),
        "{line}"
    );
    let shown = PROGRAM.json("inspect", place.path()).succeeded().values();
    assert_eq!(shown[0]["file"]["sqlite_version"], "3.50.2");
    assert_eq!(shown[0]["file"]["wal_reset_bug"], true);
}
