//! Long calls of many databases at a time, on a machine with few cores: leases are
//! renewed all the same, and reads go on.
//!
//! A call is long for as long as its clock is: it does not return before the test says
//! so. Each test is in a process of its own, because it occupies the threads of all.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::SystemTime;

use lash_core::{ProcessLeaseCompletion, ProcessRegistry, RuntimePersistence, SessionReadScope};
use lash_wasm_store::{Store, StoreBuilder};
use lash_wasm_store_testing::child;
use lash_wasm_store_testing::effects;
use lash_wasm_store_testing::fixtures::{Place, claim, commit, guarded, poll_once, work};
use lash_wasm_store_testing::process_fixtures::{open as open_registry, register, success};

const LEASE_MS: u64 = 3_600_000;

/// A clock that stops those who look at it, once it is closed.
#[derive(Clone, Default)]
struct Gate(Arc<State>);

#[derive(Default)]
struct State {
    closed: AtomicBool,
    stopped: AtomicUsize,
    opened: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn builder(&self) -> StoreBuilder {
        let state = Arc::clone(&self.0);
        StoreBuilder::new().clock(move || {
            if state.closed.load(Ordering::SeqCst) {
                state.stopped.fetch_add(1, Ordering::SeqCst);
                let mut opened = state.opened.lock().unwrap();
                while !*opened {
                    opened = state.changed.wait(opened).unwrap();
                }
            }
            SystemTime::now()
        })
    }

    fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
    }

    fn open(&self) {
        *self.0.opened.lock().unwrap() = true;
        self.0.changed.notify_all();
    }

    async fn until_stopped(&self, calls: usize) {
        while self.0.stopped.load(Ordering::SeqCst) < calls {
            tokio::task::yield_now().await;
        }
    }
}

fn alone(test: impl Fn()) {
    let status = child::command(test, "here".as_ref()).status().unwrap();
    assert!(status.success());
}

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
        // As many as there are threads for them.
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        gate.until_stopped(cores.clamp(2, 4)).await;

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
        gate.open();
        for write in writes {
            write.await.unwrap();
        }
    }));
}
