//! What is no database of this crate, or can not be written beside.

use lash_wasm_store::inspect::Inspector;
use lash_wasm_store::{DatabaseKind, Error, Store};
use lash_wasm_store_tests::fixtures::Place;

#[tokio::test]
async fn what_is_no_database_is_refused_by_name_and_not_touched() {
    let place = Place::new();
    let missing = Inspector::open(place.path()).await.unwrap_err();
    assert!(matches!(missing, Error::Missing { .. }), "{missing:?}");
    assert!(!place.path().exists());

    std::fs::write(place.path(), b"").unwrap();
    let empty = Inspector::open(place.path()).await.unwrap_err();
    assert!(matches!(empty, Error::Missing { .. }), "{empty:?}");

    std::fs::write(place.path(), b"some text").unwrap();
    let text = Inspector::open(place.path()).await.unwrap_err();
    assert!(matches!(text, Error::NotADatabase { .. }), "{text:?}");
    assert_eq!(std::fs::read(place.path()).unwrap(), b"some text");
}

#[tokio::test]
async fn a_database_of_the_native_crate_is_refused() {
    let place = Place::new();
    lash_sqlite_store::Store::open(place.path()).await.unwrap();
    let error = Inspector::open(place.path()).await.unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error:?}");
    assert!(error.to_string().contains("import"), "{error}");
}

#[tokio::test]
async fn a_session_that_is_being_deleted_is_not_read() {
    let place = Place::new();
    let store = Store::open(place.path()).await.unwrap();
    let inspector = Inspector::open(place.path()).await.unwrap();
    assert_eq!(inspector.kind(), DatabaseKind::Session);
    assert!(inspector.records().next_page().await.unwrap().is_some());
    drop(store);
    let raw = place.raw();
    let mut digests: Vec<u8> = raw
        .connection()
        .query_row("SELECT digests FROM table_digests", [], |row| row.get(0))
        .unwrap();
    digests[0] ^= 1;
    raw.connection()
        .execute("UPDATE table_digests SET digests = ?1", [digests])
        .unwrap();
    let error = inspector.records().next_page().await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
}
