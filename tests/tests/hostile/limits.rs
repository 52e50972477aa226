//! What is no single attack: limits that hold from the start, and what is left over.

use std::sync::OnceLock;
use std::time::Duration;

use lash_wasm_store::{COMPONENT, EngineError, Error, Limits, StoreBuilder, StoreComponent};
use lash_wasm_store_testing::fixtures::{Place, Raw};

use lash_wasm_store_testing::contained::contained;

use super::arena::{Arena, hostile, open, shared};
use super::attacks::Stopped;

/// An instance consists of more than what it asks for later.
#[tokio::test]
async fn limits_hold_when_an_instance_is_made() {
    for (limits, name) in [
        (Limits::default().memory_bytes(1 << 16), "memory_bytes"),
        (Limits::default().table_elements(1), "table_elements"),
        (Limits::default().instances(1), "instances"),
    ] {
        let component = StoreComponent::untrusted(COMPONENT, limits).unwrap();
        let error = StoreBuilder::new().component(component).memory().await;
        match error.map(drop) {
            Err(Error::Engine(EngineError::Limit {
                limit, committed, ..
            })) => {
                contained(
                    "an instance that is too large",
                    &format!("limit {name}"),
                    "`limit`",
                );
                assert_eq!(limit.name(), name);
                assert!(!committed);
                assert!(limit.to_string().contains(name));
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// The hostile component with more time and memory, compiled once.
fn patient() -> StoreComponent {
    static PATIENT: OnceLock<StoreComponent> = OnceLock::new();
    let limits = || {
        super::limits()
            .call_time(Duration::from_secs(600))
            .memory_bytes(200 << 20)
    };
    PATIENT.get_or_init(|| hostile(limits())).clone()
}

/// The log of a database grew with every commit of a call, whatever the size of the
/// database.
#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn the_log_does_not_outgrow_the_database() {
    let arena = Arena::new(patient()).await;
    arena.attack("log").await.unwrap();
    let mut log = arena.path().as_os_str().to_owned();
    log.push("-wal");
    let length = std::fs::metadata(log).unwrap().len();
    // What was committed is 25 MiB.
    assert!(length < 12 << 20, "{length}");
    contained(
        "commits the same row again and again",
        "copying the log between transactions",
        &format!("ok, and the log is {} MiB for 25 MiB", length >> 20),
    );
}

/// While somebody reads what the log is to be copied over, it cannot be begun anew: it
/// grew with every commit, for as long as the reader stayed.
#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn the_log_does_not_outgrow_the_database_while_somebody_reads() {
    let arena = Arena::new(patient()).await;
    let reader = Raw::open(arena.path());
    reader.execute("BEGIN");
    reader.integer("SELECT count(*) FROM blobs");
    let error = arena.attack("log").await.unwrap_err();
    let limit = Stopped::LimitAfterCommit("database_bytes");
    assert!(limit.is(Err(&error)), "{error:?}");
    let mut log = arena.path().as_os_str().to_owned();
    log.push("-wal");
    // The bound is 4 MiB, the last transaction half of one.
    let length = std::fs::metadata(&log).unwrap().len();
    assert!(length < 6 << 20, "{length}");
    // Once it is gone, the log is cut and everything goes on.
    drop(reader);
    arena.attack("log").await.unwrap_err();
}

/// SQLite asks for no permission when it loads a schema: what somebody has put into a file
/// would run in the statements of a component that may not write it.
#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn a_file_that_computes_is_not_opened() {
    let nested = "SELECT*FROM(SELECT 1 UNION ".repeat(200) + "SELECT 1" + &")".repeat(200);
    let search = "instr(printf('%.*c', 3000000, 'a'), printf('%.*cb', 1500000, 'a'))";
    for sql in [
        format!("ALTER TABLE removed_nodes ADD COLUMN evil DEFAULT ({search})"),
        "ALTER TABLE removed_nodes ADD COLUMN evil AS (seq + seq)".to_owned(),
        format!("CREATE TABLE evil (a CHECK ({search} > a))"),
        "CREATE INDEX evil ON removed_nodes (hex(seq))".to_owned(),
        "CREATE TRIGGER evil AFTER DELETE ON blobs BEGIN DELETE FROM blobs; END".to_owned(),
        format!("CREATE VIEW evil AS {nested}"),
    ] {
        let place = Place::new();
        drop(place.open().await);
        place.raw().execute(&sql);
        for component in [shared(), StoreComponent::embedded()] {
            let error = StoreBuilder::new()
                .component(component)
                .open(place.path())
                .await;
            let Err(Error::Engine(EngineError::Malformed { message, .. })) = error.map(drop) else {
                panic!("{sql:.100}");
            };
            let name = if sql.starts_with("ALTER") {
                "`removed_nodes`"
            } else {
                "`evil`"
            };
            assert!(message.contains(name), "{message}");
        }
    }
}

/// Inflating stops at the length that is recorded, whatever is stored.
#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn a_bomb_among_the_blobs_is_not_inflated() {
    let arena = Arena::new(patient()).await;
    let key = arena.attack("bomb").await.unwrap();
    let little = Limits::default().memory_bytes(16 << 20);
    for component in [
        StoreComponent::untrusted(COMPONENT, little).unwrap(),
        StoreComponent::embedded(),
    ] {
        let store = open(arena.path(), component).await;
        let error = store.try_get_blob(&key).await.unwrap_err();
        assert!(
            matches!(error, Error::Engine(EngineError::Corrupt { .. })),
            "{error:?}"
        );
    }
    contained(
        "a blob that inflates to 64 times what it says",
        "the component of this crate",
        "`corrupt`, with 16 MiB of memory",
    );
}
