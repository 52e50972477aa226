//! Quotas: what a plugin may use over all of its calls.

use lash_wasm_store::Store;
use lash_wasm_store::plugin::{Error, Grant, GrantedPlugin, Quota};

use super::{everything, probe, says, text};

async fn refused(plugin: &GrantedPlugin, script: &str) -> (Quota, u64, String) {
    match plugin.run(script).await.unwrap_err() {
        Error::Quota {
            quota,
            most,
            answer,
            ..
        } => (quota, most, text(answer.unwrap())),
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn calls_are_counted_over_all_runs() {
    let store = Store::memory().await.unwrap();
    let grant = everything("one").most_calls(3);
    let plugin = probe().with(&store, grant).unwrap();
    assert_eq!(says(&plugin, "get name").await, "none");
    let key = format!("blake3:{}", "0".repeat(64));
    // A blob that is not looked for counts as well.
    assert_eq!(says(&plugin, &format!("get-blob {key}")).await, "none");
    // The third is let through; the fourth is not, and the plugin copes with that.
    let (quota, most, answer) = refused(&plugin, "put name x\nget name").await;
    assert_eq!((quota, most), (Quota::Calls, 3));
    assert_eq!(
        answer,
        "ok\nerror ErrorCode::Denied the grant has no calls left\n"
    );
    assert_eq!(plugin.usage().calls, 3);
    // A clone is no way around it.
    let (quota, ..) = refused(&plugin.clone(), "get name").await;
    assert_eq!(quota, Quota::Calls);
    // The time is not the store's, so it is free.
    says(&plugin, "time").await;

    let again = everything("one").most_calls(4).used(plugin.usage());
    let again = probe().with(&store, again).unwrap();
    assert_eq!(says(&again, "get name").await, "x");
    let (quota, ..) = refused(&again, "get name").await;
    assert_eq!(quota, Quota::Calls);
}

#[tokio::test]
async fn bytes_are_counted_before_they_are_stored() {
    let store = Store::memory().await.unwrap();
    let grant = everything("one").most_bytes(10);
    let plugin = probe().with(&store, grant).unwrap();
    let full = "error ErrorCode::Full the grant has no bytes left\n";
    // The name counts.
    let (quota, most, answer) = refused(&plugin, "put name 1234567").await;
    assert_eq!((quota, most, &*answer), (Quota::Bytes, 10, full));
    assert_eq!(says(&plugin, "get name").await, "none");
    assert_eq!(plugin.usage().bytes, 0);
    assert_eq!(says(&plugin, "put name 123456").await, "ok");
    assert_eq!(plugin.usage().bytes, 10);
    for command in ["put-blob x", "enqueue jobs - x", "put name 1"] {
        let (quota, _, answer) = refused(&plugin, command).await;
        assert_eq!((quota, &*answer), (Quota::Bytes, full), "{command}");
    }
    assert_eq!(says(&plugin, "get name").await, "123456");
    assert_eq!(says(&plugin, "list jobs").await, "[]");
}

/// If only what is new counted, a plugin could read from its usage what others have
/// stored.
#[tokio::test]
async fn content_that_is_there_already_counts_like_other_content() {
    let store = Store::memory().await.unwrap();
    store.try_put_blob(b"secret").await.unwrap();
    let plugin = probe().with(&store, everything("one")).unwrap();
    says(&plugin, "put-blob secret").await;
    assert_eq!(plugin.usage().bytes, 6);
    says(&plugin, "put-blob secret").await;
    assert_eq!(plugin.usage().bytes, 12);
}

#[tokio::test]
async fn two_runs_at_a_time_do_not_share_the_last_call() {
    let store = Store::memory().await.unwrap();
    let grant = everything("one").most_calls(20);
    let plugin = probe().with(&store, grant).unwrap();
    let run = |name: &str| {
        let script = format!("repeat 20 put {name} x");
        let plugin = plugin.clone();
        async move { plugin.run(script).await }
    };
    let (one, other) = tokio::join!(run("a"), run("b"));
    assert!(one.is_err() || other.is_err());
    assert_eq!(plugin.usage().calls, 20);
    assert_eq!(plugin.usage().bytes, 40);
}

#[test]
fn the_defaults_are_what_is_documented() {
    assert_eq!(Grant::DEFAULT_CALLS, 10_000);
    assert_eq!(Grant::DEFAULT_BYTES, 64 << 20);
}
