//! Namespaces: what one plugin stores is another thing than what others store.

use lash_core::RuntimePersistence;
use lash_wasm_store::Store;
use lash_wasm_store_testing::contained::contained;
use lash_wasm_store_testing::fixtures::{SESSION, append, chain, work};
use lashlang::LashlangArtifactStore;

use super::{bound, says};

/// Names that could mean something else than a name.
const ODD: [&str; 9] = [
    "",
    "/",
    "..",
    "../other/name",
    "plugin/other/name",
    "//name",
    "name\0",
    "%",
    "plugin/one/name",
];

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn artifacts_are_kept_across_runs_and_apart() {
    let store = Store::memory().await.unwrap();
    let (one, other) = (bound(&store, "one"), bound(&store, "other"));
    assert_eq!(says(&one, "put name first").await, "ok");
    assert_eq!(says(&one, "get name").await, "first");
    assert_eq!(says(&other, "get name").await, "none");

    assert_eq!(says(&other, "put name second").await, "ok");
    assert_eq!(says(&one, "get name").await, "first");
    // Bound once more it is the same plugin still.
    assert_eq!(says(&bound(&store, "one"), "get name").await, "first");

    // Modules are apart from the rest, as always.
    assert_eq!(says(&one, "get-module name").await, "none");
    assert_eq!(says(&one, "put-module name third").await, "ok");
    assert_eq!(says(&one, "get-module name").await, "third");
    assert_eq!(says(&other, "get-module name").await, "none");
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn no_name_leads_out_of_a_namespace() {
    let store = Store::memory().await.unwrap();
    let (one, other) = (bound(&store, "one"), bound(&store, "other"));
    store
        .put_artifact_bytes("name", "", b"the application's")
        .await
        .unwrap();
    says(&other, "put name foreign").await;
    for name in ODD {
        assert_eq!(says(&one, &format!("get {name}")).await, "none", "{name:?}");
        assert_eq!(says(&one, &format!("put {name} own")).await, "ok");
        assert_eq!(says(&one, &format!("get {name}")).await, "own", "{name:?}");
    }
    assert_eq!(says(&other, "get name").await, "foreign");
    let application = store.get_artifact_bytes("name").await.unwrap();
    assert_eq!(application.as_deref(), Some(&b"the application's"[..]));
    // The application finds them under the prefix.
    let found = store.get_artifact_bytes("plugin/other/name").await.unwrap();
    assert_eq!(found.as_deref(), Some(&b"foreign"[..]));
    let found = store.get_artifact_bytes("plugin/one///name").await.unwrap();
    assert_eq!(found.as_deref(), Some(&b"own"[..]));
    contained(
        "names that lead out of the namespace",
        "the prefix",
        "`none`",
    );
}

/// A key of a blob is the digest of its content: who may ask for any key learns what
/// others have stored.
#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn a_blob_that_others_stored_is_not_found() {
    let store = Store::memory().await.unwrap();
    let (one, other) = (bound(&store, "one"), bound(&store, "other"));
    let own = says(&one, "put-blob mine").await;
    assert_eq!(says(&one, &format!("get-blob {own}")).await, "mine");
    assert_eq!(says(&other, &format!("get-blob {own}")).await, "none");
    let application = store.try_put_blob(b"a secret").await.unwrap();
    for plugin in [&one, &other] {
        assert_eq!(
            says(plugin, &format!("get-blob {application}")).await,
            "none"
        );
    }
    let missing = format!("blake3:{}", "0".repeat(64));
    assert_eq!(says(&one, &format!("get-blob {missing}")).await, "none");

    // Who knows the content may have it, and learns nothing by that.
    assert_eq!(says(&other, "put-blob mine").await, own);
    assert_eq!(says(&other, &format!("get-blob {own}")).await, "mine");
    // The application reads what a plugin stored, by the same key.
    let read = store.try_get_blob(&lash_core::BlobRef(own)).await.unwrap();
    assert_eq!(read.as_deref(), Some(&b"mine"[..]));
    contained(
        "a key of a blob that others stored",
        "what it has stored itself",
        "`none`",
    );
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn queues_are_apart_from_each_other_and_from_the_application() {
    let store = Store::memory().await.unwrap();
    let (one, other) = (bound(&store, "one"), bound(&store, "other"));
    let theirs = store.enqueue_queued_work(work("theirs")).await.unwrap();
    assert_eq!(says(&one, &format!("list {SESSION}")).await, "[]");
    assert_eq!(says(&one, &format!("claim {SESSION}")).await, "none");
    let cancel = format!("cancel {SESSION} {}", theirs.batch_id);
    assert_eq!(says(&one, &cancel).await, "none");

    let batch = says(&one, &format!("enqueue {SESSION} key a b")).await;
    assert!(batch.starts_with(&format!("{SESSION} key qwb:")), "{batch}");
    assert!(batch.ends_with(" a b"), "{batch}");
    // The source key makes it the same work.
    assert_eq!(
        says(&one, &format!("enqueue {SESSION} key a b")).await,
        batch
    );
    assert_eq!(
        says(&one, &format!("list {SESSION}")).await,
        format!("[{batch}]")
    );
    assert_eq!(says(&other, &format!("list {SESSION}")).await, "[]");
    assert_eq!(says(&other, &format!("claim {SESSION}")).await, "none");
    let id = batch.split(' ').nth(2).unwrap();
    assert_eq!(
        says(&other, &format!("cancel {SESSION} {id}")).await,
        "none"
    );

    contained("queues of others", "the prefix", "`none`");
    let listed = store.list_queued_work(SESSION).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].batch_id, theirs.batch_id);
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn a_plugin_claims_renews_and_gives_back_its_own_work() {
    let store = Store::memory().await.unwrap();
    let (one, other) = (bound(&store, "one"), bound(&store, "other"));
    let batch = says(&one, "enqueue jobs - a").await;
    let id = batch.split(' ').nth(2).unwrap();
    let held = says(&one, "claim jobs").await;
    let words: Vec<&str> = held.splitn(4, ' ').collect();
    assert_eq!((words[0], words[3]), ("jobs", &*format!("[{batch}]")));
    let proof = format!("jobs {} {} {id}", words[1], words[2]);

    assert_eq!(says(&one, "claim jobs").await, "none");
    assert_eq!(says(&one, "list jobs pending").await, "[]");
    assert_eq!(says(&one, &format!("cancel jobs {id}")).await, "none");
    // The secret of a claim is of no use in another namespace.
    assert_eq!(says(&other, &format!("renew {proof}")).await, "none");
    assert_eq!(says(&other, &format!("abandon {proof}")).await, "ok");
    assert_eq!(says(&one, &format!("renew {proof}")).await, "renewed");
    assert_eq!(says(&one, &format!("abandon {proof}")).await, "ok");
    assert_eq!(says(&one, &format!("renew {proof}")).await, "none");
    assert_eq!(says(&one, &format!("cancel jobs {id}")).await, batch);
    assert_eq!(says(&one, "list jobs").await, "[]");
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn a_session_is_read_as_it_is() {
    let store = Store::memory().await.unwrap();
    let plugin = bound(&store, "one");
    assert_eq!(says(&plugin, "head").await, "none");
    assert_eq!(says(&plugin, "nodes").await, "none");
    store
        .commit_runtime_state(append(None, chain(0, 3)))
        .await
        .unwrap();
    assert_eq!(says(&plugin, "head").await, format!("{SESSION} 1"));
    assert_eq!(says(&plugin, "nodes").await, "3 nodes on 1 pages");
}

/// An error of the store may name what others have stored, or the prefix.
#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn what_the_store_says_does_not_reach_the_plugin() {
    let place = lash_wasm_store_testing::fixtures::Place::new();
    let store = place.open().await;
    let plugin = bound(&store, "one");
    store
        .put_artifact_bytes("a-secret", "", b"x")
        .await
        .unwrap();
    place
        .raw()
        .damage("UPDATE artifacts SET kind = 5 WHERE name = 'a-secret'");
    let answer = says(&plugin, "get name").await;
    assert!(answer.contains("the store is damaged"), "{answer}");
    assert!(!answer.contains("secret"), "{answer}");
    contained("reads a damaged store", "the host's words", &answer);
    // The application is told.
    let error = plugin.run("get name\nfail damaged").await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("a-secret"), "{source}");
    assert_eq!(error.code(), "failed");
}
