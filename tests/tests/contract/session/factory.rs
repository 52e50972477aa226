//! The factory of sessions: names, metadata, what is made when.

use lash_core::{
    DurabilityTier, ModelSpec, SessionPolicy, SessionRelation, SessionStoreCreateRequest,
    SessionStoreFactory,
};
use lash_wasm_store::{EngineError, Error, SqliteSessionStoreFactory, StoreOptions};
use lash_wasm_store_testing::fixtures::{TestClock, json, meta};
use proptest::prelude::*;

fn request(session_id: &str, model: &str) -> SessionStoreCreateRequest {
    SessionStoreCreateRequest {
        session_id: session_id.to_owned(),
        relation: meta().relation,
        policy: SessionPolicy {
            model: ModelSpec::from_token_limits(model, None, 200_000, None).unwrap(),
            ..SessionPolicy::default()
        },
    }
}

proptest! {
    #[test]
    fn any_identifier_makes_a_file_right_in_the_directory(session_id: String) {
        let factory = SqliteSessionStoreFactory::new("/root/of/sessions");
        let path = factory.path_for_session(&session_id);
        prop_assert_eq!(path.parent().unwrap(), std::path::Path::new("/root/of/sessions"));
        let name = path.file_name().unwrap().to_str().unwrap();
        prop_assert!(name.len() <= 100);
        prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
    }
}

#[tokio::test]
async fn a_new_session_has_the_metadata_of_its_request() {
    let directory = tempfile::tempdir().unwrap();
    let clock = TestClock::at(12_345_678);
    let factory = SqliteSessionStoreFactory::with_builder(directory.path(), clock.builder());
    let store = factory
        .try_create_store(&request("chat/alpha", "first"))
        .await
        .unwrap();
    let made = store.try_load_session_meta().await.unwrap().unwrap();
    assert_eq!(made.session_id, "chat/alpha");
    assert_eq!(made.session_name, "chat/alpha");
    assert_eq!(made.created_at, "unix:12345");
    assert_eq!(made.model, "first");
    assert_eq!(made.relation, meta().relation);
    let here = std::env::current_dir().unwrap();
    assert_eq!(made.cwd.as_deref(), here.to_str());
}

#[tokio::test]
async fn metadata_is_made_once() {
    let directory = tempfile::tempdir().unwrap();
    let factory = SqliteSessionStoreFactory::new(directory.path());
    let request_of = |model| SessionStoreCreateRequest {
        relation: SessionRelation::Root,
        ..request("s", model)
    };
    let first = factory.create_store(&request_of("first")).await.unwrap();
    let made = first.load_session_meta().await.unwrap();
    let second = factory.create_store(&request_of("second")).await.unwrap();
    assert_eq!(
        json(&second.load_session_meta().await.unwrap()),
        json(&made)
    );

    second.save_session_meta(meta()).await.unwrap();
    let third = factory.open_existing_store(&request_of("third")).await;
    let third = third.unwrap().unwrap();
    let kept = third.load_session_meta().await.unwrap();
    assert_eq!(json(&kept), json(&Some(meta())));
}

#[tokio::test]
async fn of_many_that_create_a_session_at_once_one_makes_its_metadata() {
    let directory = tempfile::tempdir().unwrap();
    let factory = SqliteSessionStoreFactory::new(directory.path());
    let models: Vec<String> = (0..8).map(|number| format!("model-{number}")).collect();
    let mut creating = tokio::task::JoinSet::new();
    for model in &models {
        let (factory, request) = (factory.clone(), request("s", model));
        creating.spawn(async move {
            let store = factory.try_create_store(&request).await.unwrap();
            let made = store.try_load_session_meta().await.unwrap();
            made.unwrap().model
        });
    }
    let mut seen = creating.join_all().await;
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[tokio::test]
async fn only_creating_a_session_makes_files() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("not").join("there");
    let factory = SqliteSessionStoreFactory::with_options(&root, StoreOptions::default());
    assert_eq!(factory.durability_tier(), DurabilityTier::Durable);
    let existing = factory.open_existing_store(&request("s", "m")).await;
    assert!(existing.unwrap().is_none());
    factory.delete_session("s").await.unwrap();
    assert!(!root.exists());

    drop(factory.create_store(&request("s", "m")).await.unwrap());
    assert!(factory.path_for_session("s").exists());
    let existing = factory.open_existing_store(&request("s", "m")).await;
    assert!(existing.unwrap().is_some());
    let other = factory.open_existing_store(&request("other", "m")).await;
    assert!(other.unwrap().is_none());

    factory.delete_session("s").await.unwrap();
    let existing = factory.open_existing_store(&request("s", "m")).await;
    assert!(existing.unwrap().is_none());
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
}

#[tokio::test]
async fn a_root_that_can_not_be_a_directory_and_a_file_that_is_no_session_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, b"x").unwrap();
    let factory = SqliteSessionStoreFactory::new(&file);
    assert!(matches!(
        factory.try_create_store(&request("s", "m")).await,
        Err(Error::Engine(EngineError::Io { .. }))
    ));
    assert!(factory.create_store(&request("s", "m")).await.is_err());

    let factory = SqliteSessionStoreFactory::new(directory.path());
    let path = factory.path_for_session("s");
    std::fs::write(&path, b"junk").unwrap();
    assert!(
        factory
            .open_existing_store(&request("s", "m"))
            .await
            .is_err()
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"junk");
}
