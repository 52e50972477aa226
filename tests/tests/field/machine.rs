//! What a machine does not give: addresses, memory, threads, descriptors, executable memory.
//!
//! wasmtime reserves 4 GiB of addresses for a memory. Where there were none, no store
//! opened, and none opened later in the process either, because the failure was kept.

use std::os::fd::AsRawFd;
use std::path::Path;

use lash_core::{RuntimePersistence, SessionReadScope};
use lash_wasm_store::inspect::Inspector;
use lash_wasm_store::{
    COMPONENT, EngineError, Error, Limits, Resource, Store, StoreBuilder, StoreComponent, TOOLS,
};
use lash_wasm_store_testing::fixtures::{append, chain};
use lash_wasm_store_testing::{child, effects, host_events, process_fixtures};
use rustix::process::{Resource as Limit, Rlimit, getrlimit, setrlimit};

use crate::under::{after, open_directory, unprivileged, without_executable_memory};

/// The resource that a call failed for want of.
fn missing<T>(result: Result<T, Error>) -> Resource {
    match result {
        Ok(_) => panic!("it succeeded"),
        Err(Error::Engine(error)) => missing_of(&error),
        Err(error) => panic!("{error:?}"),
    }
}

fn missing_of(error: &EngineError) -> Resource {
    match error {
        EngineError::Resource { resource, .. } => {
            assert!(error.to_string().contains(resource.advice()), "{error}");
            *resource
        }
        error => panic!("{error:?}"),
    }
}

/// Sets the soft limit of something, and returns what it was.
fn limit(resource: Limit, current: Option<u64>) -> Option<u64> {
    let before = getrlimit(resource);
    let after = Rlimit {
        current,
        maximum: before.maximum,
    };
    setrlimit(resource, after).unwrap();
    before.current
}

/// Allows so much more memory than the process has now.
fn limit_memory(more: u64) -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
    let now = pages * u64::try_from(rustix::param::page_size()).unwrap();
    limit(Limit::As, Some(now + more))
}

async fn commit_and_load(store: &Store, first: usize) {
    let expected = (first > 0).then_some(first as u64);
    let commit = append(expected, chain(first, 1));
    store.commit_runtime_state(commit).await.unwrap();
    let loaded = store
        .load_session(SessionReadScope::FullGraph)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(loaded.graph.nodes.len(), first + 1);
}

/// Opens and uses all kinds of database, and looks into one, with the component of this
/// crate and with one that is not trusted.
async fn use_everything(directory: &Path) {
    let path = directory.join("session.db");
    let store = Store::open(&path).await.unwrap();
    commit_and_load(&store, 0).await;
    let registry = process_fixtures::open(&directory.join("processes.db")).await;
    process_fixtures::register(&registry, &["p"]).await;
    let events = host_events::open(&directory.join("host_events.db")).await;
    host_events::subscribe(&events, "s", "key").await;
    effects::open(&directory.join("effects.db")).await;
    let inspector = Inspector::open(&path).await.unwrap();
    assert!(inspector.verify().await.unwrap().is_sound());

    let component = StoreComponent::untrusted(COMPONENT, Limits::default())
        .and_then(|component| component.tools(TOOLS))
        .unwrap();
    // One instance each.
    for n in 0..4 {
        let path = directory.join(format!("{n}.db"));
        let builder = StoreBuilder::new().component(component.clone());
        let store = builder.clone().open(&path).await.unwrap();
        commit_and_load(&store, 0).await;
        let inspector = builder.open_inspector(&path).await.unwrap();
        assert!(inspector.verify().await.unwrap().is_sound());
    }
}

/// No store opened in a small container: there were no 4 GiB of addresses.
#[tokio::test]
async fn stores_work_where_there_are_few_addresses() {
    if let Some(path) = child::file() {
        return use_everything(&path).await;
    }
    // For no memory of a component, for one, and for a few.
    for kibibytes in [3_000_000, 6_000_000, 12_000_000] {
        let directory = open_directory();
        let script = format!("ulimit -v {kibibytes}");
        after(
            &script,
            stores_work_where_there_are_few_addresses,
            directory.path(),
        );
    }
}

/// The first failure was kept for the life of the process.
#[tokio::test]
async fn want_of_memory_is_named_and_not_remembered() {
    let Some(directory) = child::file() else {
        let directory = open_directory();
        return after(
            ":",
            want_of_memory_is_named_and_not_remembered,
            directory.path(),
        );
    };
    let path = directory.join("session.db");
    let before = limit_memory(32 << 20);
    assert_eq!(missing(Store::open(&path).await), Resource::Memory);
    limit(Limit::As, before);
    let store = Store::open(&path).await.unwrap();
    commit_and_load(&store, 0).await;

    limit_memory(32 << 20);
    let component = StoreComponent::untrusted(COMPONENT, Limits::default());
    assert_eq!(missing_of(&component.unwrap_err()), Resource::Memory);
    limit(Limit::As, before);
    // A little more is enough for what is open.
    limit_memory(600 << 20);
    commit_and_load(&store, 1).await;
    limit(Limit::As, before);
    StoreComponent::untrusted(COMPONENT, Limits::default()).unwrap();
}

#[tokio::test]
async fn want_of_threads_is_named_and_not_remembered() {
    let Some(directory) = child::file() else {
        let directory = open_directory();
        return unprivileged(
            ":",
            want_of_threads_is_named_and_not_remembered,
            directory.path(),
        );
    };
    let path = directory.join("session.db");
    let before = limit(Limit::Nproc, Some(1));
    assert_eq!(missing(Store::open(&path).await), Resource::Threads);
    limit(Limit::Nproc, before);
    let store = Store::open(&path).await.unwrap();
    commit_and_load(&store, 0).await;

    limit(Limit::Nproc, Some(1));
    let component = StoreComponent::untrusted(COMPONENT, Limits::default());
    assert_eq!(missing_of(&component.unwrap_err()), Resource::Threads);
    // Those that there are serve the other stores.
    commit_and_load(&store, 1).await;
    let other = Store::open(&directory.join("other.db")).await.unwrap();
    commit_and_load(&other, 0).await;
    limit(Limit::Nproc, before);
    StoreComponent::untrusted(COMPONENT, Limits::default()).unwrap();
}

#[tokio::test]
async fn want_of_descriptors_for_the_component_is_named_and_not_remembered() {
    let Some(_) = child::file() else {
        let directory = open_directory();
        return after(
            ":",
            want_of_descriptors_for_the_component_is_named_and_not_remembered,
            directory.path(),
        );
    };
    let mut failures = 0;
    for more in 0..8 {
        // The limit is one of numbers, and the next is the lowest that is free.
        let next = std::fs::File::open("/dev/null").unwrap().as_raw_fd();
        let next = u64::try_from(next).unwrap();
        let before = limit(Limit::Nofile, Some(next + more));
        let store = Store::memory().await;
        limit(Limit::Nofile, before);
        match store {
            Ok(store) => commit_and_load(&store, 0).await,
            failed => {
                assert_eq!(missing(failed), Resource::Descriptors);
                failures += 1;
            }
        }
    }
    assert!(failures > 0);
}

/// It said "unable to make memory executable", for ever, and not why.
#[tokio::test]
async fn forbidden_executable_memory_is_named() {
    if let Some(directory) = child::file() {
        let path = directory.join("session.db");
        for _ in 0..2 {
            let error = Store::open(&path).await.unwrap_err();
            assert!(error.to_string().contains("MemoryDenyWriteExecute"));
            assert_eq!(missing(Err::<(), _>(error)), Resource::ExecutableMemory);
        }
        let component = StoreComponent::untrusted(COMPONENT, Limits::default());
        assert_eq!(
            missing_of(&component.unwrap_err()),
            Resource::ExecutableMemory
        );
        return;
    }
    for by in ["mdwe", "seccomp"] {
        let directory = open_directory();
        without_executable_memory(by, forbidden_executable_memory_is_named, directory.path());
    }
}
