//! A process forks while it has stores open: what the child does with them harms nothing.

#![cfg(unix)]

use std::pin::pin;
use std::task::Poll;

use lash_core::{RuntimePersistence, SessionReadScope};
use lash_wasm_store::{EngineError, Error, Store};
use lash_wasm_store_testing::child;
use lash_wasm_store_testing::fixtures::{Place, append, chain, poll_once};

use crate::gate::alone;

unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(process: i32, status: *mut i32, options: i32) -> i32;
}

fn is_forked<T>(polled: Poll<Result<T, Error>>) -> bool {
    matches!(
        polled,
        Poll::Ready(Err(Error::Engine(EngineError::Forked { .. })))
    )
}

/// What the child does; returns which step was not as it should be.
fn inherit(store: Store, other: &Place) -> i32 {
    if !is_forked(poll_once(pin!(store.try_load_session_meta()))) {
        return 1;
    }
    if !is_forked(poll_once(pin!(store.try_put_blob(b"x")))) {
        return 2;
    }
    if !is_forked(poll_once(pin!(Store::open(other.path())))) {
        return 3;
    }
    if poll_once(pin!(store.close())).is_pending() {
        return 4;
    }
    drop(store);
    0
}

#[test]
fn a_forked_child_gets_an_error_at_once_and_its_end_harms_nothing() {
    if child::file().is_none() {
        return alone(a_forked_child_gets_an_error_at_once_and_its_end_harms_nothing);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (place, other) = (Place::new(), Place::new());
    let store = runtime.block_on(async {
        let store = place.open().await;
        let first = append(None, chain(0, 1));
        store.commit_runtime_state(first).await.unwrap();
        // So that both connections are there.
        store
            .load_session(SessionReadScope::FullGraph)
            .await
            .unwrap();
        store
    });
    let log = place.path().with_extension("db-wal");
    let length = std::fs::metadata(&log).unwrap().len();
    // SAFETY: the child calls nothing but this library, and ends.
    let process = unsafe { fork() };
    assert!(process >= 0);
    if process == 0 {
        // With what `exit` does for C, too.
        std::process::exit(inherit(store, &other));
    }
    let mut status = 0;
    // SAFETY: the status is an integer of ours.
    assert_eq!(unsafe { waitpid(process, &raw mut status, 0) }, process);
    assert_eq!(status, 0);
    assert!(!other.path().exists());
    assert_eq!(std::fs::metadata(&log).unwrap().len(), length);
    runtime.block_on(async {
        let next = append(Some(1), chain(1, 1));
        store.commit_runtime_state(next).await.unwrap();
        store.close().await;
        let store = place.open().await;
        let read = store.load_session(SessionReadScope::FullGraph).await;
        assert_eq!(read.unwrap().unwrap().graph.nodes.len(), 2);
    });
}
