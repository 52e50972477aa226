//! More open stores than the process may have files open.

use std::fs::File;

use lash_core::{RuntimePersistence, SessionReadScope};
use lash_wasm_store::{EngineError, Error, Resource, Store};
use lash_wasm_store_testing::child;
use lash_wasm_store_testing::fixtures::{Place, append, chain};

const STORES: usize = 300;

#[test]
fn three_hundred_stores_in_a_process_with_256_descriptors() {
    if child::file().is_none() {
        let place = Place::new();
        let test = three_hundred_stores_in_a_process_with_256_descriptors;
        let limited = child::command_after("ulimit -n 256", test, place.path()).status();
        return assert!(limited.unwrap().success());
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let mut opening = Vec::new();
        for index in 0..STORES {
            let path = directory.path().join(format!("{index}.db"));
            opening.push(tokio::spawn(async move { Store::open(&path).await }));
        }
        let mut stores = Vec::new();
        for store in opening {
            stores.push(store.await.unwrap().unwrap());
        }
        let memory = Store::memory().await.unwrap();
        memory
            .commit_runtime_state(append(None, chain(0, 1)))
            .await
            .unwrap();
        for round in 0..2 {
            for store in &stores {
                let next = append((round > 0).then_some(1), chain(round, 1));
                store.commit_runtime_state(next).await.unwrap();
            }
            for store in &stores {
                let read = store.load_session(SessionReadScope::FullGraph).await;
                assert_eq!(read.unwrap().unwrap().graph.nodes.len(), round + 1);
            }
        }
        let read = memory.load_session(SessionReadScope::FullGraph).await;
        assert_eq!(read.unwrap().unwrap().graph.nodes.len(), 1);
    });
}

/// Takes all descriptors that are left.
fn take_all() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[cfg(unix)]
#[test]
fn a_store_that_finds_no_descriptor_says_so_and_is_opened_when_there_are_some() {
    if child::file().is_none() {
        let place = Place::new();
        let test = a_store_that_finds_no_descriptor_says_so_and_is_opened_when_there_are_some;
        let limited = child::command_after("ulimit -n 256", test, place.path()).status();
        return assert!(limited.unwrap().success());
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (first, second) = (Place::new(), Place::new());
        let taken = take_all();
        let error = Store::open(first.path()).await.unwrap_err();
        assert!(
            matches!(
                &error,
                Error::Engine(EngineError::Resource {
                    resource: Resource::Descriptors,
                    ..
                })
            ),
            "{error:?}"
        );
        assert!(error.to_string().contains("ulimit -n"), "{error}");
        drop(taken);
        let idle = first.open().await;
        idle.commit_runtime_state(append(None, chain(0, 1)))
            .await
            .unwrap();
        idle.load_session(SessionReadScope::FullGraph)
            .await
            .unwrap();
        // Those of the idle store are enough for the other one.
        let taken = take_all();
        let store = second.open().await;
        store
            .commit_runtime_state(append(None, chain(0, 1)))
            .await
            .unwrap();
        drop(taken);
        let read = idle.load_session(SessionReadScope::FullGraph).await;
        assert_eq!(read.unwrap().unwrap().graph.nodes.len(), 1);
        idle.commit_runtime_state(append(Some(1), chain(1, 1)))
            .await
            .unwrap();
    });
}
