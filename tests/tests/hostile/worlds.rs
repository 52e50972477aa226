//! Components that have one world and not another.

use std::time::UNIX_EPOCH;

use lash_wasm_store::{
    COMPONENT, EngineError, Error, Limits, SqliteProcessRegistry, StoreBuilder, StoreComponent,
    TOOLS,
};
use lash_wasm_store_testing::fixtures::Place;

use super::liar;

fn unsupported(error: &Error, expected: &str) {
    assert!(
        matches!(error, Error::Engine(EngineError::Unsupported { reason, .. }) if reason.contains(&["lash:store/", expected].concat())),
        "{error:?}"
    );
}

#[tokio::test]
async fn without_tools_a_database_is_used_but_not_looked_into() {
    let place = Place::new();
    let component = StoreComponent::untrusted(COMPONENT, Limits::default()).unwrap();
    let builder = StoreBuilder::new().component(component.clone());
    let store = builder.clone().open(place.path()).await.unwrap();
    let key = store.try_put_blob(b"content").await.unwrap();

    let inspector = builder.clone().open_inspector(place.path()).await.unwrap();
    for error in [
        inspector.verify().await.map(drop).unwrap_err(),
        inspector.statistics().await.map(drop).unwrap_err(),
    ] {
        let error = Error::from(error);
        unsupported(&error, "tools");
        assert!(
            error.to_string().contains("StoreComponent::tools"),
            "{error}"
        );
    }
    assert!(store.try_get_blob(&key).await.unwrap().is_some());

    let component = component.tools(TOOLS).unwrap();
    let builder = StoreBuilder::new().component(component);
    let inspector = builder.clone().open_inspector(place.path()).await.unwrap();
    assert!(inspector.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn a_component_of_one_kind_of_database_serves_that_kind() {
    let place = Place::new();
    let component = liar::component_of("session-store");
    let component = StoreComponent::untrusted(&component, Limits::default()).unwrap();
    // At this time it returns successes with nothing in them.
    let builder = StoreBuilder::new()
        .component(component)
        .clock(|| UNIX_EPOCH);
    builder.clone().open(place.path()).await.unwrap();
    let registry = place.path().with_file_name("processes.db");
    let opened: Result<SqliteProcessRegistry, _> = builder.open_process_registry(&registry).await;
    unsupported(&opened.map(drop).unwrap_err(), "process-store");
}

#[test]
fn what_exports_no_store_or_no_tools_is_not_loaded() {
    let load = |wasm: &[u8]| StoreComponent::untrusted(wasm, Limits::default());
    assert_eq!(load(TOOLS).unwrap_err().code(), "load");
    let component = load(COMPONENT).unwrap();
    assert_eq!(component.tools(COMPONENT).unwrap_err().code(), "load");
    let embedded = StoreComponent::embedded().tools(TOOLS);
    assert_eq!(embedded.unwrap_err().code(), "load");
}
