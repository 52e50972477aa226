//! Quotas: what a plugin may use over all of its calls.

use std::time::Duration;

use lash_core::RuntimePersistence;
use lash_wasm_store::plugin::{Access, Error, Grant, GrantedPlugin, Quota};
use lash_wasm_store::{Limits, Store, StoreBuilder, StoreComponent};
use lash_wasm_store_testing::contained::contained;
use lash_wasm_store_testing::fixtures::SESSION;
use xtask::HOSTILE;
use xtask::build::built;

use super::{everything, probe, says, text};

/// What a row counts beside its content.
const ROW: u64 = 256;

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
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
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
    contained(
        "calls more often than its quota",
        "quota of calls",
        "`quota`",
    );
}

/// What was refused without asking the store was free, so there was no end to asking.
#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn a_call_that_is_refused_counts() {
    let store = Store::memory().await.unwrap();
    let grant = everything("one").deliver_to(SESSION);
    let plugin = probe().with(&store, grant).unwrap();
    let refused = [
        format!("claim {SESSION}"),
        format!("renew {SESSION} a b c"),
        format!("abandon {SESSION} a b c"),
        format!("enqueue {SESSION} - x"),
        format!("enqueue {SESSION} key not-json"),
    ];
    for (before, command) in refused.iter().enumerate() {
        assert_eq!(plugin.usage().calls, before as u64);
        let answer = says(&plugin, command).await;
        assert!(answer.starts_with("error "), "{answer}");
    }
    assert_eq!(plugin.usage().calls, 5);
    assert_eq!(plugin.usage().bytes, 0);
    contained(
        "asks for what is refused, without end",
        "quota of calls",
        "every call counts",
    );
}

/// Whether a plugin may write was looked at after its payloads had been decoded.
#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn access_is_checked_before_anything_else() {
    let store = Store::memory().await.unwrap();
    let grant = everything("one").queue(Access::Read).deliver_to(SESSION);
    let plugin = probe().with(&store, grant).unwrap();
    for command in ["enqueue", "claim", "cancel"] {
        let answer = says(&plugin, &format!("{command} {SESSION} key not-json")).await;
        assert!(answer.starts_with("error ErrorCode::ReadOnly"), "{answer}");
    }
}

/// Empty payloads, names and contents counted nothing, so a plugin filled the store with
/// them.
#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn what_is_stored_beside_the_content_counts() {
    let store = Store::memory().await.unwrap();
    let plugin = probe().with(&store, everything("one")).unwrap();
    let mut expected = 0;
    for (command, bytes) in [
        ("put  ", ROW),
        ("put-blob ", ROW),
        // A session, a merge key, and three payloads.
        ("enqueue jobs -   ", ROW + 4 + 7 + 3 * 4),
    ] {
        says(&plugin, command).await;
        expected += bytes;
        assert_eq!(plugin.usage().bytes, expected, "{command:?}");
    }
    let grant = everything("two").most_bytes(100_000);
    let plugin = probe().with(&store, grant).unwrap();
    let empty = format!("enqueue jobs -{}", " ".repeat(25_000));
    let (quota, ..) = refused(&plugin, &empty).await;
    assert_eq!(quota, Quota::Bytes);
    assert!(
        store
            .list_queued_work("plugin/two/jobs")
            .await
            .unwrap()
            .is_empty()
    );
    contained("stores nothing, very often", "quota of bytes", "`quota`");
}

/// A call that had failed after its commit was not counted.
#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn what_was_committed_counts_whatever_comes_after_it() {
    let limits = Limits::default().call_time(Duration::from_secs(2));
    let component = StoreComponent::untrusted(&built(&HOSTILE).unwrap(), limits).unwrap();
    let store = StoreBuilder::new().component(component).memory().await;
    let plugin = probe().with(&store.unwrap(), everything("one")).unwrap();
    for (attack, counts) in [("loop", false), ("loop-after-commit", true)] {
        let before = plugin.usage().bytes;
        let content = format!("attack {attack}");
        let answer = says(&plugin, &format!("put-blob {content}")).await;
        assert!(answer.starts_with("error "), "{answer}");
        let expected = if counts {
            ROW + content.len() as u64
        } else {
            0
        };
        assert_eq!(plugin.usage().bytes - before, expected);
    }
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn bytes_are_counted_before_they_are_stored() {
    let store = Store::memory().await.unwrap();
    let grant = everything("one").most_bytes(ROW + 10);
    let plugin = probe().with(&store, grant).unwrap();
    let full = "error ErrorCode::Full the grant has no bytes left\n";
    // The name counts.
    let (quota, most, answer) = refused(&plugin, "put name 1234567").await;
    assert_eq!((quota, most, &*answer), (Quota::Bytes, ROW + 10, full));
    contained("stores more than its quota", "quota of bytes", "`quota`");
    assert_eq!(says(&plugin, "get name").await, "none");
    assert_eq!(plugin.usage().bytes, 0);
    assert_eq!(says(&plugin, "put name 123456").await, "ok");
    assert_eq!(plugin.usage().bytes, ROW + 10);
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
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn content_that_is_there_already_counts_like_other_content() {
    let store = Store::memory().await.unwrap();
    store.try_put_blob(b"secret").await.unwrap();
    let plugin = probe().with(&store, everything("one")).unwrap();
    says(&plugin, "put-blob secret").await;
    assert_eq!(plugin.usage().bytes, ROW + 6);
    says(&plugin, "put-blob secret").await;
    assert_eq!(plugin.usage().bytes, 2 * (ROW + 6));
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
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
    assert_eq!(plugin.usage().bytes, 20 * (ROW + 2));
}

#[test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
fn the_defaults_are_what_is_documented() {
    assert_eq!(Grant::DEFAULT_CALLS, 10_000);
    assert_eq!(Grant::DEFAULT_BYTES, 64 << 20);
}
