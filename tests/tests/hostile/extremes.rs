//! Limits of nothing and without bounds, and what a component fails for that has reached one.

use std::error::Error as _;
use std::time::Duration;

use lash_wasm_store::plugin::{Grant, Namespace, Plugin};
use lash_wasm_store::{COMPONENT, EngineError, Error, Limits, Store, StoreBuilder, StoreComponent};
use lash_wasm_store_testing::contained::contained;
use xtask::PROBE;
use xtask::build::built;

use super::arena::{Arena, holdable};
use super::liar::query;

/// The engine refused a stack of nothing, which was said to be the component's fault.
#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn a_limit_of_nothing_is_reached_and_one_without_bounds_is_not() {
    let none = Limits::default()
        .call_time(Duration::ZERO)
        .memory_bytes(0)
        .table_elements(0)
        .instances(0)
        .handles(0)
        .stack_bytes(0)
        .hostcall_bytes(0)
        .database_bytes(0)
        .row_bytes(0)
        .result_bytes(0)
        .sql_bytes(0)
        .parameters(0)
        .statements_per_call(0)
        .statement_time(Duration::ZERO);
    let error = open(none).await.map(drop).unwrap_err();
    assert_eq!(error.code(), "limit", "{error:?}");
    Plugin::new(&built(&PROBE).unwrap(), none).unwrap();

    let all = Limits::default()
        .call_time(Duration::MAX)
        .memory_bytes(usize::MAX)
        .table_elements(usize::MAX)
        .instances(usize::MAX)
        .handles(usize::MAX)
        .stack_bytes(usize::MAX)
        .hostcall_bytes(usize::MAX)
        .database_bytes(u64::MAX)
        .row_bytes(usize::MAX)
        .result_bytes(usize::MAX)
        .sql_bytes(usize::MAX)
        .parameters(usize::MAX)
        .statements_per_call(u64::MAX)
        .statement_time(Duration::MAX);
    let store = open(all).await.unwrap();
    let key = store.try_put_blob(b"content").await.unwrap();
    assert!(store.try_get_blob(&key).await.unwrap().is_some());
    let grant = Grant::new(Namespace::new("one").unwrap());
    let grant = grant
        .artifacts(lash_wasm_store::plugin::Access::Write)
        .blobs(lash_wasm_store::plugin::Access::Write)
        .queue(lash_wasm_store::plugin::Access::Write)
        .session();
    let plugin = Plugin::new(&built(&PROBE).unwrap(), all).unwrap();
    let answer = plugin.with(&store, grant).unwrap().run("head").await;
    assert_eq!(answer.unwrap(), b"none\n");
}

async fn open(limits: Limits) -> Result<Store, Error> {
    let component = StoreComponent::untrusted(COMPONENT, limits).unwrap();
    StoreBuilder::new().component(component).memory().await
}

/// Each limit alone that stops a component.
#[tokio::test]
async fn each_limit_of_nothing_is_named() {
    let default = Limits::default;
    for (limits, name) in [
        (default().memory_bytes(0), "memory_bytes"),
        (default().table_elements(0), "table_elements"),
        (default().instances(0), "instances"),
        (default().handles(0), "handles"),
        (default().statements_per_call(0), "statements_per_call"),
    ] {
        match query(limits).await {
            Err(Error::Engine(EngineError::Limit { limit, .. })) => assert_eq!(limit.name(), name),
            other => panic!("{name}: {other:?}"),
        }
        contained("a limit of nothing", &format!("limit {name}"), "`limit`");
    }
}

/// A component that had reached a limit, had coped with it, and failed for another reason
/// was said to have reached the limit.
#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn what_a_component_fails_for_later_is_not_hidden_by_a_limit() {
    let arena = Arena::new(holdable()).await;
    for code in ["invalid", "retired"] {
        let error = arena.attack(&format!("cope {code}")).await.unwrap_err();
        assert_eq!(error.code(), code, "{error:?}");
    }
    let trap = arena.attack("cope trap").await.unwrap_err();
    assert_eq!(trap.code(), "component", "{trap:?}");
    // Where it is the limit, what the component made of it is behind.
    let long = arena.attack("long-row").await.unwrap_err();
    assert_eq!(long.code(), "limit");
    let answer = long.source().unwrap().to_string();
    assert!(answer.contains("too big"), "{answer}");
}
