//! Blobs, typed blobs and checkpoints outside a commit.

use lash_core::store::SessionHead;
use lash_core::{
    BlobRef, GcReport, HydratedSessionCheckpoint, LashlangArtifactStore, RuntimePersistence,
    SessionReadScope,
};
use lash_wasm_store::{
    BlobArtifactDescriptor, BlobStorageHint, BuiltinBlobProfile, EngineError, Error,
    PersistedArtifactKind, Store, StoreBuilder, StoreGcPolicy, StoreOptions,
};
use lash_wasm_store_testing::fixtures::{
    Place, SESSION, checkpointed, commit, full_checkpoint, json, meta,
};

const FULL: SessionReadScope = SessionReadScope::FullGraph;

#[tokio::test]
async fn equal_content_is_one_blob_whoever_stores_it() {
    let place = Place::new();
    let store = place.open().await;
    let other = Store::memory().await.unwrap();
    let content = b"content".repeat(2_000);
    let first = store.put_blob(&content).await;
    let second = store
        .put_artifact_blob(BlobArtifactDescriptor::tool_state_snapshot(), &content)
        .await;
    let third = other
        .put_artifact_blob(BlobArtifactDescriptor::checkpoint_manifest(), &content)
        .await;
    assert_eq!(first, second);
    assert_eq!(first, third);
    assert!(first.as_str().starts_with("blake3:"));
    assert_eq!(place.raw().integer("SELECT count(*) FROM blobs"), 1);
    assert_eq!(store.get_blob(&first).await.unwrap(), content);
    assert_eq!(other.get_blob(&first).await.unwrap(), content);
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    let store = Store::memory().await.unwrap();
    let key = store.try_put_blob(b"").await.unwrap();
    assert_eq!(store.try_get_blob(&key).await.unwrap().unwrap(), b"");
}

#[tokio::test]
async fn what_is_no_key_of_a_blob_is_not_found() {
    let store = Store::memory().await.unwrap();
    let key = store.put_blob(b"x").await;
    let shouted = key.as_str().to_uppercase();
    for unknown in [
        "",
        "blake3:",
        "nonsense",
        &shouted,
        &format!("{key}0"),
        &format!("blake3:{}", "0".repeat(64)),
        &format!("blake3:{}", "g".repeat(64)),
        &format!("sha256:{}", "0".repeat(64)),
    ] {
        let unknown = BlobRef(unknown.to_owned());
        assert_eq!(store.try_get_blob(&unknown).await.unwrap(), None);
        assert!(store.try_get_checkpoint(&unknown).await.unwrap().is_none());
        let typed = store.try_get_typed_blob::<u32>(&unknown).await;
        assert_eq!(typed.unwrap(), None);
    }
}

#[tokio::test]
async fn only_what_is_said_to_be_compressible_is_compressed_and_only_by_profile() {
    let content = vec![b'x'; 100_000];
    let hint = [BlobStorageHint::Compressible];
    let large = [
        BlobStorageHint::LargePayload,
        BlobStorageHint::InlinePreferred,
    ];
    let kind = PersistedArtifactKind::GenericBlob;
    for (profile, descriptor, encoding) in [
        (
            BuiltinBlobProfile::LowLatency,
            BlobArtifactDescriptor::new(kind, hint),
            0,
        ),
        (
            BuiltinBlobProfile::Balanced,
            BlobArtifactDescriptor::new(kind, hint),
            1,
        ),
        (
            BuiltinBlobProfile::Compact,
            BlobArtifactDescriptor::new(kind, hint),
            1,
        ),
        (
            BuiltinBlobProfile::Compact,
            BlobArtifactDescriptor::new(kind, large),
            0,
        ),
    ] {
        let place = Place::new();
        let options = StoreOptions {
            blob_profile: profile,
            gc_policy: StoreGcPolicy::default(),
        };
        let store = place.open_with(StoreBuilder::new().options(options)).await;
        let key = store.put_artifact_blob(descriptor, &content).await;
        let raw = place.raw();
        assert_eq!(raw.integer("SELECT encoding FROM blobs"), encoding);
        let length = raw.integer("SELECT length(content) FROM blobs");
        assert_eq!(length < 10_000, encoding == 1, "{length}");
        // Reading does not depend on the profile.
        assert_eq!(place.open().await.get_blob(&key).await.unwrap(), content);
    }
}

#[tokio::test]
async fn values_come_back_typed() {
    let store = Store::memory().await.unwrap();
    let key = store.put_typed_blob(&meta()).await;
    let read: lash_core::SessionMeta = store.get_typed_blob(&key).await.unwrap();
    assert_eq!(json(&read), json(&meta()));
    let again = store
        .put_typed_artifact_blob(BlobArtifactDescriptor::process_execution_env(), &meta())
        .await;
    assert_eq!(again, key);

    assert!(matches!(
        store.try_get_typed_blob::<u64>(&key).await,
        Err(Error::Decode { .. })
    ));
    assert!(store.get_typed_blob::<u64>(&key).await.is_none());
}

#[tokio::test]
async fn a_checkpoint_comes_back_with_its_snapshots() {
    let store = Store::memory().await.unwrap();
    let original = full_checkpoint(5);
    let stored = store.put_checkpoint(&original).await;
    let read = store.get_checkpoint(&stored.checkpoint_ref).await.unwrap();
    assert_eq!(json(&read.turn_state), json(&original.turn_state));
    assert_eq!(json(&read.tool_state), json(&original.tool_state));
    assert_eq!(json(&read.plugin_snapshot), json(&original.plugin_snapshot));
    assert_eq!(read.plugin_snapshot_revision, Some(7));
    assert_eq!(read.execution_state, original.execution_state);
    assert_eq!(read.tool_state_ref, stored.manifest.tool_state_ref);
    assert_eq!(
        read.plugin_snapshot_ref,
        stored.manifest.plugin_snapshot_ref
    );
    assert_eq!(
        read.execution_state_ref,
        stored.manifest.execution_state_ref
    );

    // By its references alone it is the same checkpoint.
    let by_reference = HydratedSessionCheckpoint {
        tool_state: None,
        plugin_snapshot: None,
        execution_state: None,
        ..read
    };
    let again = store.put_checkpoint(&by_reference).await;
    assert_eq!(again.checkpoint_ref, stored.checkpoint_ref);

    let empty = store
        .put_checkpoint(&HydratedSessionCheckpoint::default())
        .await;
    let read = store.get_checkpoint(&empty.checkpoint_ref).await.unwrap();
    assert!(read.tool_state.is_none() && read.execution_state_ref.is_none());
}

#[tokio::test]
async fn a_blob_that_is_no_manifest_is_an_error_as_a_checkpoint() {
    let store = Store::memory().await.unwrap();
    let key = store.put_blob(b"bytes").await;
    assert!(matches!(
        store.try_get_checkpoint(&key).await,
        Err(Error::Engine(EngineError::Corrupt { .. }))
    ));
    assert!(store.get_checkpoint(&key).await.is_none());
}

#[tokio::test]
async fn what_nothing_refers_to_is_collected() {
    let store = Store::memory().await.unwrap();
    let live = store.put_checkpoint(&full_checkpoint(1)).await;
    let head = SessionHead {
        session_id: SESSION.to_owned(),
        checkpoint_ref: Some(live.checkpoint_ref.clone()),
        ..SessionHead::default()
    };
    store.try_save_session_head(head).await.unwrap();
    let dead = store.put_checkpoint(&full_checkpoint(2)).await;
    store.put_blob(b"garbage").await;

    // The plugin snapshot is the same in both.
    let report = store.gc_unreachable().await;
    assert_eq!(
        report,
        GcReport {
            root_count: 1,
            retained_blob_count: 4,
            deleted_blob_count: 4
        }
    );
    assert!(store.get_checkpoint(&dead.checkpoint_ref).await.is_none());
    assert!(store.get_checkpoint(&live.checkpoint_ref).await.is_some());
    assert_eq!(store.gc_unreachable().await.deleted_blob_count, 0);
}

#[tokio::test]
async fn gc_keeps_the_parts_of_a_checkpoint_of_which_the_manifest_was_stored_before_as_bytes() {
    let other = Store::memory().await.unwrap();
    let stored = other.try_put_checkpoint(&full_checkpoint(1)).await.unwrap();
    let manifest = other.try_get_blob(&stored.checkpoint_ref).await.unwrap();

    let place = Place::new();
    let store = place.open().await;
    store
        .put_artifact_bytes("alias", "generic", &manifest.unwrap())
        .await
        .unwrap();
    let result = store
        .commit_runtime_state(checkpointed(None, 1))
        .await
        .unwrap();
    assert_eq!(result.checkpoint_ref, stored.checkpoint_ref);

    assert_eq!(
        RuntimePersistence::gc_unreachable(&store)
            .await
            .unwrap()
            .deleted_blob_count,
        0
    );
    let read = store.load_session(FULL).await.unwrap().unwrap();
    assert!(read.checkpoint.unwrap().execution_state.is_some());
}

#[tokio::test]
async fn bytes_that_look_like_a_stored_form_come_back_as_they_are() {
    let place = Place::new();
    let store = place.open().await;
    let content = vec![3; 64 * 1024];
    let descriptor = BlobArtifactDescriptor::tool_state_snapshot();
    store
        .try_put_artifact_blob(descriptor.clone(), &content)
        .await
        .unwrap();
    let raw = place.raw();
    let deflated = raw.blob("SELECT content FROM blobs WHERE encoding = 1");
    drop(raw);
    for put in [
        store.try_put_blob(&deflated).await.unwrap(),
        store
            .try_put_artifact_blob(descriptor, &deflated)
            .await
            .unwrap(),
    ] {
        assert_eq!(store.try_get_blob(&put).await.unwrap().unwrap(), deflated);
    }
}

struct Unencodable;

impl serde::Serialize for Unencodable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not today"))
    }
}

#[tokio::test]
async fn a_value_that_can_not_be_encoded_is_an_error_and_the_store_goes_on() {
    let store = Store::memory().await.unwrap();
    let descriptor = BlobArtifactDescriptor::tool_state_snapshot;
    for error in [
        store.try_put_typed_blob(&Unencodable).await.unwrap_err(),
        store
            .try_put_typed_artifact_blob(descriptor(), &Unencodable)
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(error, Error::Encode { .. }), "{error}");
    }
    assert_eq!(store.put_typed_blob(&Unencodable).await.as_str(), "");
    store.commit_runtime_state(commit(None)).await.unwrap();
}
