//! Files of both crates: the names that they are given, and that neither takes the other's
//! for its own.

use lash_wasm_store::{SqliteSessionStoreFactory, Store};
use lash_wasm_store_testing::fixtures::{Place, meta};
use proptest::prelude::*;

#[tokio::test]
async fn a_file_of_the_native_crate_is_refused_by_name_and_can_still_be_read_by_it() {
    let place = Place::new();
    let native = lash_sqlite_store::Store::open(place.path()).await.unwrap();
    native.save_session_meta(meta()).await;
    drop(native);
    let error = Store::open(place.path()).await.unwrap_err();
    assert!(error.to_string().contains("lash-sqlite-store"), "{error}");
    let native = lash_sqlite_store::Store::open(place.path()).await.unwrap();
    assert!(native.load_session_meta().await.is_some());
}

fn assert_named_as_by_the_native_crate(session_id: &str) {
    let ours = SqliteSessionStoreFactory::new("/root/of/sessions");
    let native = lash_sqlite_store::SqliteSessionStoreFactory::new("/root/of/sessions");
    assert_eq!(
        ours.path_for_session(session_id),
        native.path_for_session(session_id),
        "{session_id:?}"
    );
}

#[test]
fn files_are_named_as_by_the_native_crate() {
    let long = "a".repeat(200);
    for session_id in [
        "",
        "plain",
        "chat/alpha",
        "../../etc/passwd",
        "___",
        "_a_",
        "a b",
        "ünïcode",
        "\0",
        ".",
        &long,
        &format!("{}_____", "a".repeat(78)),
    ] {
        assert_named_as_by_the_native_crate(session_id);
    }
}

proptest! {
    #[test]
    fn any_identifier_makes_the_name_that_the_native_crate_makes(session_id: String) {
        assert_named_as_by_the_native_crate(&session_id);
    }
}
