//! Long calls of many databases at a time, on a machine with few cores: leases are
//! renewed all the same, and reads go on.
//!
//! A call is long for as long as its clock is: it does not return before the test says
//! so. Each test is in a process of its own, because it occupies the threads of all.

use std::pin::pin;

use lash_core::{ProcessLeaseCompletion, ProcessRegistry, RuntimePersistence, SessionReadScope};
use lash_wasm_store::Store;
use lash_wasm_store_testing::child;
use lash_wasm_store_testing::effects;
use lash_wasm_store_testing::fixtures::{Place, claim, commit, guarded, poll_once, work};
use lash_wasm_store_testing::process_fixtures::{open as open_registry, register, success};

use crate::gate::{Gate, alone};

const LEASE_MS: u64 = 3_600_000;

#[test]
fn a_lease_is_renewed_while_every_thread_is_in_a_long_call() {
    if child::file().is_none() {
        return alone(a_lease_is_renewed_while_every_thread_is_in_a_long_call);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(guarded(async {
        let place = Place::new();
        let store = place.open().await;
        store.enqueue_queued_work(work("w")).await.unwrap();
        let held = claim(&store, LEASE_MS, 1).await.unwrap();
        let processes = Place::new();
        let registry = open_registry(processes.path()).await;
        register(&registry, &["p", "q"]).await;
        let lease = registry
            .claim_process_lease("p", "owner", LEASE_MS)
            .await
            .unwrap();
        let effect_place = effects::place();
        let controller = effects::controller(&effects::open(effect_place.path()).await);
        let (effect_gate, executor) = effects::gated();
        let executing = effects::spawn(&controller, effects::effect("e"), executor);
        effect_gate.entered.await.unwrap();

        let gate = Gate::default();
        let mut long = Vec::new();
        for _ in 0..20 {
            let store = gate.builder().open(":memory:".as_ref()).await.unwrap();
            long.push(store);
        }
        gate.close();
        let calls: Vec<_> = long
            .into_iter()
            .map(|store| tokio::spawn(async move { store.enqueue_queued_work(work("w")).await }))
            .collect();
        gate.until_all_threads_are_stopped().await;

        // An ordinary call waits.
        let mut waiting = pin!(store.enqueue_queued_work(work("v")));
        let renewed = {
            assert!(poll_once(waiting.as_mut()).is_pending());
            registry.renew_process_lease(&lease, LEASE_MS).await
        };
        let lease = renewed.unwrap();
        registry
            .claim_process_lease("q", "owner", LEASE_MS)
            .await
            .unwrap();
        registry.complete_process("p", success("x")).await.unwrap();
        registry
            .complete_process_lease(&ProcessLeaseCompletion::from_lease(&lease))
            .await
            .unwrap();
        effect_gate.end.send(Ok(effects::outcome("done"))).unwrap();
        executing.await.unwrap().unwrap();
        // This one is behind the call of its own database that waits, and hastens it.
        let held = store
            .renew_queued_work_claim(&held, LEASE_MS)
            .await
            .unwrap();
        assert!(poll_once(waiting.as_mut()).is_ready());
        store
            .commit_runtime_state(commit(None).completing_queue_claim(held.completion()))
            .await
            .unwrap();
        assert!(calls.iter().all(|call| !call.is_finished()));
        gate.open();
        for call in calls {
            call.await.unwrap().unwrap();
        }
    }));
}

#[test]
fn writes_that_wait_do_not_hold_up_reads() {
    if child::file().is_none() {
        return alone(writes_that_wait_do_not_hold_up_reads);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(guarded(async {
        let place = Place::new();
        let gate = Gate::default();
        let store: Store = place.open_with(gate.builder()).await;
        gate.close();
        let mut writes = Vec::new();
        for _ in 0..1_100 {
            let mut write = Box::pin(store.enqueue_queued_work(work("w")));
            assert!(poll_once(write.as_mut()).is_pending());
            writes.push(write);
        }
        gate.until_stopped(1).await;
        let read = store.load_session(SessionReadScope::FullGraph).await;
        assert!(read.unwrap().is_none());
        // Those that have not begun are not done.
        drop(writes);
        gate.open();
    }));
}
