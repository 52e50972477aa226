//! What a grant lets through.

use lash_core::RuntimePersistence;
use lash_wasm_store::plugin::{Access, Error, Grant, Plugin};
use lash_wasm_store::{COMPONENT, Limits, Store};
use lash_wasm_store_testing::contained::contained;
use lash_wasm_store_testing::fixtures::{Place, append, chain};

use super::{everything, names, probe, says};

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn what_is_not_granted_is_not_linked() {
    let store = Store::memory().await.unwrap();
    let all = || Grant::new(names("one"));
    let grants = [
        (
            "lash:store/artifacts@0.1.0",
            all().blobs(Access::Write).queue(Access::Write).session(),
        ),
        (
            "lash:store/blobs@0.1.0",
            all()
                .artifacts(Access::Write)
                .queue(Access::Write)
                .session(),
        ),
        (
            "lash:store/queue@0.1.0",
            all()
                .artifacts(Access::Write)
                .blobs(Access::Write)
                .session(),
        ),
        (
            "lash:store/session@0.1.0",
            all()
                .artifacts(Access::Write)
                .blobs(Access::Write)
                .queue(Access::Write),
        ),
    ];
    for (interface, grant) in grants {
        let error = probe().with(&store, grant).unwrap_err();
        let Error::NotGranted { namespace, import } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(namespace, "one");
        assert!(import.starts_with(interface), "{import}");
        assert_eq!(error.code(), "not-granted");
        contained(
            &format!("imports {interface}"),
            "the grant",
            "`not-granted`",
        );
    }
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn a_grant_for_reading_changes_nothing() {
    let place = Place::new();
    let store = place.open().await;
    let writer = probe().with(&store, everything("one")).unwrap();
    says(&writer, "put name content").await;
    let batch = says(&writer, "enqueue jobs key a").await;
    let id = batch.split(' ').nth(2).unwrap();
    let before = place.raw().dump();

    let grant = everything("one")
        .artifacts(Access::Read)
        .blobs(Access::Read)
        .queue(Access::Read);
    let reader = probe().with(&store, grant).unwrap();
    for command in [
        "put name other",
        "put-module name other",
        "put-blob other",
        "enqueue jobs - other",
        "enqueue jobs key a",
        "claim jobs",
        "renew jobs claim token batch",
        "abandon jobs claim token batch",
        &format!("cancel jobs {id}"),
    ] {
        let answer = says(&reader, command).await;
        assert!(
            answer.starts_with("error ErrorCode::ReadOnly"),
            "{command}: {answer}"
        );
        contained(
            &format!("a grant for reading: {command}"),
            "the grant",
            &answer,
        );
    }
    assert_eq!(says(&reader, "get name").await, "content");
    assert_eq!(says(&reader, "list jobs").await, format!("[{batch}]"));
    assert_eq!(place.raw().dump(), before);
}

/// A component that could speak SQL would have every table of the session.
#[test]
fn a_component_that_imports_a_function_of_sqlite_is_no_plugin() {
    let error = Plugin::new(COMPONENT, Limits::default()).unwrap_err();
    let Error::ForeignImport { import } = &error else {
        panic!("{error:?}");
    };
    assert!(import.starts_with("lash:store/sqlite@0.1.0."), "{import}");
    contained(
        "a plugin that imports SQL",
        "what can be granted",
        &error.to_string(),
    );
    let answer = error.to_string();
    assert!(answer.contains(import), "{answer}");
}

#[test]
fn what_is_no_component_is_no_plugin() {
    // The last is an empty component, which exports nothing.
    for bytes in [
        &b""[..],
        b"\0asm\x01\0\0\0",
        &COMPONENT[..1000],
        b"\0asm\x0d\0\x01\0",
    ] {
        let error = Plugin::new(bytes, Limits::default()).unwrap_err();
        assert!(matches!(error, Error::NotAPlugin { .. }), "{error:?}");
        assert!(std::error::Error::source(&error).is_some());
    }
}

/// The store of a session that was deleted, and one that is open for reading only.
#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn a_store_that_can_not_be_written_says_so_to_the_plugin() {
    let place = Place::new();
    let store = place.open().await;
    store
        .commit_runtime_state(append(None, chain(0, 1)))
        .await
        .unwrap();
    let readonly = Store::open_readonly(place.path()).await.unwrap();
    let plugin = probe().with(&readonly, everything("one")).unwrap();
    let answer = says(&plugin, "put name content").await;
    assert!(answer.starts_with("error ErrorCode::ReadOnly"), "{answer}");
    // It was not written, so it does not count.
    assert_eq!(plugin.usage().bytes, 0);
    assert_eq!(says(&plugin, "nodes").await, "1 nodes on 1 pages");
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn a_plugin_knows_the_time_of_the_store() {
    let clock = lash_wasm_store_testing::fixtures::TestClock::at(5_000);
    let store = clock.builder().memory().await.unwrap();
    let plugin = probe().with(&store, everything("one")).unwrap();
    assert_eq!(says(&plugin, "time").await, "5");
    assert_ne!(says(&plugin, "random").await, says(&plugin, "random").await);
}
