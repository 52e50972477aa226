//! Modules and other named artifacts.

use std::sync::Arc;

use lash_core::{DurabilityTier, LashlangArtifactStore, RuntimePersistence};
use lash_wasm_store::{ArtifactName, PersistedArtifactKind, Store, StoredArtifact};
use lash_wasm_store_testing::fixtures::Place;
use lashlang::{ArtifactStoreError, ModuleArtifact};

fn module(name: &str) -> ModuleArtifact {
    let source = format!("process {name}(value: str) {{ finish value }}");
    let program = lashlang::parse(&source).unwrap();
    ModuleArtifact::from_program(program).unwrap()
}

#[tokio::test]
async fn bytes_that_are_put_again_replace_what_was_there() {
    let place = Place::new();
    let store = place.open().await;
    assert_eq!(
        LashlangArtifactStore::durability_tier(&store),
        DurabilityTier::Durable
    );
    for descriptor in ["process_execution_env", "generic", ""] {
        let name = format!("name of {descriptor}");
        for content in [&b"first"[..], b"second", b"", b"first"] {
            store
                .put_artifact_bytes(&name, descriptor, content)
                .await
                .unwrap();
            let read = store.get_artifact_bytes(&name).await.unwrap();
            assert_eq!(read.as_deref(), Some(content));
        }
    }
    assert!(store.get_artifact_bytes("unknown").await.unwrap().is_none());
    let reopened = place.open().await;
    let read = reopened
        .get_artifact_bytes("name of generic")
        .await
        .unwrap();
    assert_eq!(read.unwrap(), b"first");
}

#[tokio::test]
async fn a_replaced_artifact_is_garbage_and_a_named_one_is_not() {
    let store = Store::memory().await.unwrap();
    for content in [&b"first"[..], b"second"] {
        store
            .put_artifact_bytes("name", "generic", content)
            .await
            .unwrap();
    }
    store
        .put_artifact_bytes("same", "generic", b"second")
        .await
        .unwrap();
    let report = RuntimePersistence::gc_unreachable(&store).await.unwrap();
    assert_eq!(report.root_count, 2);
    assert_eq!(report.retained_blob_count, 1);
    assert_eq!(report.deleted_blob_count, 1);
    for name in ["name", "same"] {
        let read = store.get_artifact_bytes(name).await.unwrap();
        assert_eq!(read.unwrap(), b"second");
    }
}

#[tokio::test]
async fn a_module_is_decoded_once() {
    let store = Store::memory().await.unwrap();
    let module = module("echo");
    store.put_module_artifact(&module).await.unwrap();
    store.put_module_artifact(&module).await.unwrap();
    let first = store.get_module_artifact(&module.module_ref).await.unwrap();
    let second = store.get_module_artifact(&module.module_ref).await.unwrap();
    assert!(Arc::ptr_eq(&first.unwrap(), &second.unwrap()));
}

#[tokio::test]
async fn more_modules_than_are_kept_decoded_are_all_there() {
    let store = Store::memory().await.unwrap();
    let modules: Vec<_> = (0..70)
        .map(|number| module(&format!("p{number}")))
        .collect();
    for module in &modules {
        store.put_module_artifact(module).await.unwrap();
    }
    for module in &modules {
        let loaded = store.get_module_artifact(&module.module_ref).await.unwrap();
        assert_eq!(loaded.unwrap().exports, module.exports);
    }
}

#[tokio::test]
async fn a_name_whose_blob_is_missing_or_damaged_is_a_backend_error() {
    for damage in [
        "DELETE FROM blobs",
        "UPDATE blobs SET content = zeroblob(length(content))",
        "UPDATE artifacts SET blob_key = zeroblob(33)",
        "UPDATE artifacts SET kind = 5 - kind",
    ] {
        let place = Place::new();
        let store = place.open().await;
        store
            .put_artifact_bytes("name", "generic", b"content")
            .await
            .unwrap();
        place.raw().damage(damage);
        let error = store.get_artifact_bytes("name").await.unwrap_err();
        assert!(
            matches!(error, ArtifactStoreError::Backend(_)),
            "{damage}: {error}"
        );

        let place = Place::new();
        let store = place.open().await;
        let module = module("echo");
        store.put_module_artifact(&module).await.unwrap();
        place.raw().damage(damage);
        let reopened = place.open().await;
        let error = reopened
            .get_module_artifact(&module.module_ref)
            .await
            .unwrap_err();
        assert!(
            matches!(error, ArtifactStoreError::Backend(_)),
            "{damage}: {error}"
        );
    }
}

#[tokio::test]
async fn a_module_that_is_not_what_its_reference_says_is_an_encode_error() {
    let place = Place::new();
    let store = place.open().await;
    let mut forged = module("echo");
    forged.module_ref = module("other").module_ref;
    let raw = place.raw();
    let before = raw.dump();
    let error = store.put_module_artifact(&forged).await.unwrap_err();
    assert!(matches!(error, ArtifactStoreError::Encode(_)), "{error}");
    assert_eq!(raw.dump(), before);
    // Nor is it in the cache.
    let read = store.get_module_artifact(&forged.module_ref).await.unwrap();
    assert!(read.is_none());
}

#[tokio::test]
async fn an_artifact_is_not_replaced_by_one_of_another_kind() {
    let store = Store::memory().await.unwrap();
    store
        .put_artifact_bytes("name", "process_execution_env", b"environment")
        .await
        .unwrap();
    let replaced = store.put_artifact_bytes("name", "generic", b"other").await;
    assert!(replaced.is_err());
    let bytes = store.get_artifact_bytes("name").await.unwrap();
    assert_eq!(bytes.unwrap(), b"environment");
}

#[tokio::test]
async fn artifacts_are_listed_and_deleted() {
    let place = Place::new();
    let store = place.open().await;
    let module = module("listed");
    store.put_module_artifact(&module).await.unwrap();
    for name in ["b", "a"] {
        let content = name.as_bytes();
        let descriptor = "process_execution_env";
        let put = store.put_artifact_bytes(name, descriptor, content);
        put.await.unwrap();
    }
    let names = |listed: &[StoredArtifact]| -> Vec<ArtifactName> {
        listed
            .iter()
            .map(|artifact| artifact.name.clone())
            .collect()
    };
    let of_module = ArtifactName::Module(module.module_ref.as_str().to_owned());
    let bytes = |name: &str| ArtifactName::Bytes(name.to_owned());
    let listed = store.list_artifacts().await.unwrap();
    assert_eq!(names(&listed), [of_module.clone(), bytes("b"), bytes("a")]);
    assert_eq!(listed[0].kind, PersistedArtifactKind::LashlangModule);
    assert_eq!(listed[1].kind, PersistedArtifactKind::ProcessExecutionEnv);
    assert!(store.get_blob(&listed[1].blob_ref).await.is_some());

    assert!(store.delete_artifact(&of_module).await.unwrap());
    assert!(!store.delete_artifact(&of_module).await.unwrap());
    assert!(store.delete_artifact(&bytes("b")).await.unwrap());
    assert!(
        !store
            .delete_artifact(&ArtifactName::Module("a".to_owned()))
            .await
            .unwrap()
    );
    let gone = store.get_module_artifact(&module.module_ref).await.unwrap();
    assert!(gone.is_none(), "the cache has it still");
    assert_eq!(names(&store.list_artifacts().await.unwrap()), [bytes("a")]);
    assert_eq!(
        store.try_gc_unreachable().await.unwrap().deleted_blob_count,
        2
    );
    let kept = store.get_artifact_bytes("a").await.unwrap();
    assert_eq!(kept.as_deref(), Some(&b"a"[..]));
}
