//! Sessions of the application that a plugin delivers work to.

use lash_core::runtime::QueuedWorkPayload;
use lash_core::{RuntimePersistence, TurnInput};
use lash_wasm_store::Store;
use lash_wasm_store::plugin::GrantedPlugin;
use lash_wasm_store_testing::contained::contained;
use lash_wasm_store_testing::fixtures::{SESSION, claim, json, work};

use super::{everything, probe, says};

fn delivering(store: &Store, name: &str) -> GrantedPlugin {
    let grant = everything(name).deliver_to(SESSION);
    probe().with(store, grant).unwrap()
}

/// An input as the application encodes it, without a space in it.
fn input(text: &str) -> String {
    let payload = QueuedWorkPayload::turn_input(TurnInput::text(text));
    serde_json::to_string(&payload).unwrap()
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn the_application_gets_what_a_plugin_delivers() {
    let store = Store::memory().await.unwrap();
    let plugin = delivering(&store, "one");
    let batch = says(
        &plugin,
        &format!("enqueue {SESSION} key {}", input("hello")),
    )
    .await;
    assert!(batch.starts_with(&format!("{SESSION} key qwb:")), "{batch}");

    let held = claim(&store, 60_000, 1).await.unwrap();
    let [delivered] = &*held.batches else {
        panic!("{held:?}");
    };
    // It says whose it is.
    assert_eq!(delivered.source_key.as_deref(), Some("plugin/one/key"));
    let payload = QueuedWorkPayload::turn_input(TurnInput::text("hello"));
    assert_eq!(json(&delivered.items[0].payload), json(&payload));
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn a_plugin_sees_and_cancels_only_what_it_delivered() {
    let store = Store::memory().await.unwrap();
    let (one, other) = (delivering(&store, "one"), delivering(&store, "other"));
    let theirs = [
        work("without a key"),
        work("with a key").with_source_key("key"),
    ];
    let mut ids = Vec::new();
    for draft in theirs {
        ids.push(store.enqueue_queued_work(draft).await.unwrap().batch_id);
    }
    let deliver = format!("enqueue {SESSION} key {}", input("hello"));
    let own = says(&one, &deliver).await;
    // The same source key in another namespace is other work.
    let others = says(&other, &deliver).await;
    assert_ne!(own, others);
    assert_eq!(says(&one, &deliver).await, own);

    assert_eq!(
        says(&one, &format!("list {SESSION}")).await,
        format!("[{own}]")
    );
    ids.push(others.split(' ').nth(2).unwrap().to_owned());
    ids.push("qwb:unknown".to_owned());
    for id in &ids {
        assert_eq!(says(&one, &format!("cancel {SESSION} {id}")).await, "none");
    }
    assert_eq!(store.list_queued_work(SESSION).await.unwrap().len(), 4);
    let id = own.split(' ').nth(2).unwrap();
    assert_eq!(says(&one, &format!("cancel {SESSION} {id}")).await, own);
    assert_eq!(store.list_queued_work(SESSION).await.unwrap().len(), 3);
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn a_plugin_takes_no_work_from_the_application() {
    let store = Store::memory().await.unwrap();
    let plugin = delivering(&store, "one");
    store.enqueue_queued_work(work("theirs")).await.unwrap();
    for command in ["claim", "renew", "abandon"] {
        let answer = says(&plugin, &format!("{command} {SESSION} a b c")).await;
        assert!(answer.starts_with("error ErrorCode::Denied"), "{answer}");
        contained(
            &format!("work of the application: {command}"),
            "the grant",
            &answer,
        );
    }
    assert!(claim(&store, 60_000, 1).await.is_some());
    // Another session is one of the plugin's own.
    assert_eq!(says(&plugin, "claim other").await, "none");
}

/// What cannot be decoded would stop everybody who claims from the queue, and a command
/// could reset the session.
#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn only_input_for_a_turn_is_delivered() {
    let store = Store::memory().await.unwrap();
    let plugin = delivering(&store, "one");
    let command = r#"{"type":"session_command","command":{"kind":"reset_session","reason":"x"}}"#;
    let parsed: Result<QueuedWorkPayload, _> = serde_json::from_str(command);
    assert!(
        matches!(parsed, Ok(QueuedWorkPayload::SessionCommand { .. })),
        "{parsed:?}"
    );
    let deep = "[".repeat(100_000);
    let rest = format!("key {}", input("hello"));
    for payloads in [
        "key",
        "key not-json",
        "key {}",
        &format!("key {command}"),
        &format!("{rest} {command}"),
        &format!("key {deep}"),
        // Without a source key nobody would know whose it is.
        &format!("- {}", input("hello")),
    ] {
        let answer = says(&plugin, &format!("enqueue {SESSION} {payloads}")).await;
        assert!(answer.starts_with("error Error::Invalid"), "{answer}");
    }
    contained(
        "delivers a command, or what cannot be read",
        "decoding it first",
        "`invalid`",
    );
    assert_eq!(plugin.usage().bytes, 0);
    assert!(store.list_queued_work(SESSION).await.unwrap().is_empty());
    // In its own queues a plugin enqueues what it likes.
    let own = says(&plugin, "enqueue own - not-json").await;
    assert!(own.ends_with(" not-json"), "{own}");
}
