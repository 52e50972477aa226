//! What stops a plugin, and that nothing else is stopped with it.

use std::time::Duration;

use lash_core::RuntimePersistence;
use lash_wasm_store::plugin::{Error, GrantedPlugin, Plugin};
use lash_wasm_store::{Limit, Limits, Store};
use lash_wasm_store_tests::fixtures::{Place, append, chain};

use super::{PROBE, bound, everything, says};

/// The plugin under narrow limits.
fn narrow(store: &Store) -> GrantedPlugin {
    let limits = Limits::default()
        .call_time(Duration::from_millis(200))
        .memory_bytes(16 << 20)
        .hostcall_bytes(1 << 20);
    let plugin = Plugin::new(PROBE, limits).unwrap();
    plugin.with(store, everything("one")).unwrap()
}

#[tokio::test]
async fn a_limit_stops_the_plugin_and_nothing_else() {
    let place = Place::new();
    let store = place.open().await;
    let plugin = narrow(&store);
    let other = bound(&store, "other");
    says(&plugin, "put name kept").await;
    for (script, limit) in [
        ("loop", "call_time"),
        ("grow", "memory_bytes"),
        ("recurse", "stack_bytes"),
        ("put-bytes large 2000000", "hostcall_bytes"),
    ] {
        let before = place.raw().dump();
        // While it is stopped, others go on.
        let (stopped, other) = tokio::join!(plugin.run(script), says(&other, "get name"));
        assert_eq!(other, "none");
        let error = stopped.unwrap_err();
        let Error::Limit {
            limit: reached,
            name_space,
        } = &error
        else {
            panic!("{script}: {error:?}");
        };
        assert_eq!((reached.name(), &**name_space), (limit, "one"));
        assert_eq!(place.raw().dump(), before, "{script}");
        assert_eq!(says(&plugin, "get name").await, "kept");
    }
}

#[tokio::test]
async fn what_was_done_before_a_trap_is_done() {
    let store = Store::memory().await.unwrap();
    let plugin = bound(&store, "one");
    let error = plugin.run("put name before\ntrap").await.unwrap_err();
    assert!(matches!(error, Error::Stopped { .. }), "{error:?}");
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(says(&plugin, "get name").await, "before");
    store
        .commit_runtime_state(append(None, chain(0, 1)))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_error_of_the_plugin_is_its_own_words() {
    let store = Store::memory().await.unwrap();
    let error = bound(&store, "one").run("fail no idea").await.unwrap_err();
    let Error::Failed {
        message, source, ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(message, "no idea");
    assert!(source.is_none());
}

/// Memory of one call would be a channel to the next.
#[tokio::test]
async fn a_limit_holds_for_each_call_anew() {
    let store = Store::memory().await.unwrap();
    let plugin = narrow(&store);
    for _ in 0..3 {
        // Twice this would be too much.
        assert_eq!(says(&plugin, "put-bytes name 900000").await, "ok");
    }
    let error = plugin.run("grow").await.unwrap_err();
    assert!(
        matches!(error, Error::Limit { limit: Limit::Memory(bytes), .. } if bytes == 16 << 20),
        "{error:?}"
    );
}

#[test]
fn a_plugin_is_called_without_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let store = runtime.block_on(Store::memory()).unwrap();
    let plugin = bound(&store, "one");
    drop(runtime);
    let answer = plugin.run_blocking("put name x\nget name").unwrap();
    assert_eq!(answer, b"ok\nx\n");
}

/// Dropping the future does not tear a call in two.
#[tokio::test]
async fn a_call_whose_future_is_dropped_goes_on() {
    let store = Store::memory().await.unwrap();
    let plugin = bound(&store, "one");
    let mut run = Box::pin(plugin.run("repeat 50 put name x"));
    assert!(lash_wasm_store_tests::fixtures::poll_once(run.as_mut()).is_pending());
    drop(run);
    while plugin.usage().calls < 50 {
        tokio::task::yield_now().await;
    }
}
