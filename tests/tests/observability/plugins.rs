//! What is seen of a plugin: its calls, and that what it may not have is not looked for.

use lash_wasm_store::Limits;
use lash_wasm_store::plugin::{Access, Grant, GrantedPlugin, Namespace, Plugin};
use lash_wasm_store_testing::fixtures::Place;
use lashlang::LashlangArtifactStore;
use xtask::PROBE;
use xtask::build::built;

use crate::subscriber::{Span, recorded};

async fn plugin(place: &Place) -> (lash_wasm_store::Store, GrantedPlugin) {
    recorded();
    let store = place.open().await;
    let grant = Grant::new(Namespace::new("one").unwrap())
        .artifacts(Access::Write)
        .blobs(Access::Write)
        .queue(Access::Write)
        .session()
        .most_bytes(350);
    let plugin = Plugin::new(&built(&PROBE).unwrap(), Limits::default()).unwrap();
    let plugin = plugin.with(&store, grant).unwrap();
    (store, plugin)
}

fn calls(place: &Place) -> Vec<Span> {
    let mut spans = recorded().of(place.path());
    spans.retain(|span| span.text("operation").starts_with("plugin "));
    spans
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn a_run_is_a_span_around_its_calls() {
    let place = Place::new();
    let (_store, plugin) = plugin(&place).await;
    plugin.run("put a b\nget a").await.unwrap();
    plugin
        .run(format!("put a {}", "b".repeat(100)))
        .await
        .unwrap_err();
    let mut runs = recorded().of(place.path());
    runs.retain(|span| span.name == "plugin");
    let outcomes: Vec<&str> = runs.iter().map(|span| span.text("outcome")).collect();
    assert_eq!(outcomes, ["ok", "quota"]);
    assert_eq!(runs[0].text("namespace"), "one");
    let calls = calls(&place);
    let operations: Vec<&str> = calls.iter().map(|span| span.text("operation")).collect();
    // What is above the quota is not asked of the store.
    assert_eq!(operations, ["plugin put artifact", "plugin get artifact"]);
    assert!(calls.iter().all(|span| span.parent == Some(runs[0].id)));
}

/// The key of a blob can be computed by who guesses its content. If the store were asked
/// for it, the time of the answer would say whether it is there.
#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn a_blob_of_others_is_not_looked_for() {
    let place = Place::new();
    let (store, plugin) = plugin(&place).await;
    let theirs = store.try_put_blob(b"a secret").await.unwrap().0;
    let missing = format!("blake3:{}", "0".repeat(64));
    for key in [theirs, missing] {
        plugin.run(format!("get-blob {key}")).await.unwrap();
    }
    assert!(calls(&place).is_empty());
}

/// The same for names of artifacts: the store reads as much for one that somebody else
/// has as for one that nobody has.
#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn a_name_that_others_have_costs_what_an_unknown_one_does() {
    let place = Place::new();
    let (store, plugin) = plugin(&place).await;
    for name in ["theirs", "plugin/other/theirs"] {
        store.put_artifact_bytes(name, "", b"x").await.unwrap();
    }
    for name in ["theirs", "plugin/other/theirs", "unknown"] {
        plugin.run(format!("get {name}")).await.unwrap();
    }
    let rows: Vec<u64> = calls(&place)
        .iter()
        .map(|span| span.number("rows_read"))
        .collect();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|read| *read == rows[0]), "{rows:?}");
}
