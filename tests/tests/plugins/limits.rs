//! What stops a plugin, and that nothing else is stopped with it.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime};

use lash_core::RuntimePersistence;
use lash_wasm_store::plugin::{Error, GrantedPlugin, Plugin};
use lash_wasm_store::{Limit, Limits, Store, StoreBuilder};
use lash_wasm_store_testing::contained::contained;
use lash_wasm_store_testing::fixtures::{Place, append, chain};
use xtask::PROBE;
use xtask::build::built;

use super::{bound, everything, says};

/// The plugin under narrow limits.
fn narrow(store: &Store) -> GrantedPlugin {
    let limits = Limits::default()
        .call_time(Duration::from_secs(2))
        .memory_bytes(16 << 20)
        .hostcall_bytes(1 << 20);
    let plugin = Plugin::new(&built(&PROBE).unwrap(), limits).unwrap();
    plugin.with(store, everything("one")).unwrap()
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
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
            namespace,
        } = &error
        else {
            panic!("{script}: {error:?}");
        };
        assert_eq!((reached.name(), &**namespace), (limit, "one"));
        contained(
            &format!("a plugin: {script}"),
            &format!("limit {limit}"),
            &error.to_string(),
        );
        assert_eq!(place.raw().dump(), before, "{script}");
        assert_eq!(says(&plugin, "get name").await, "kept");
    }
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn what_was_done_before_a_trap_is_done() {
    let store = Store::memory().await.unwrap();
    let plugin = bound(&store, "one");
    let error = plugin.run("put name before\ntrap").await.unwrap_err();
    assert!(matches!(error, Error::Stopped { .. }), "{error:?}");
    assert!(std::error::Error::source(&error).is_some());
    contained("a plugin: traps", "a trap", &error.to_string());
    assert_eq!(says(&plugin, "get name").await, "before");
    store
        .commit_runtime_state(append(None, chain(0, 1)))
        .await
        .unwrap();
}

#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
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
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
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
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
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

/// Lets nobody know the time until it is opened.
#[derive(Default)]
struct Gate {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    now: usize,
    most: usize,
    closed: bool,
}

impl Gate {
    fn pass(&self) -> SystemTime {
        let mut state = self.state.lock().unwrap();
        state.now += 1;
        state.most = state.most.max(state.now);
        self.changed.notify_all();
        let mut state = self
            .changed
            .wait_while(state, |state| state.closed)
            .unwrap();
        state.now -= 1;
        SystemTime::UNIX_EPOCH
    }

    fn close(&self) {
        self.state.lock().unwrap().closed = true;
    }

    fn wait_for(&self, waiting: usize) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| state.now < waiting));
    }

    /// Answers how many waited at a time.
    fn open(&self) -> usize {
        let mut state = self.state.lock().unwrap();
        state.closed = false;
        self.changed.notify_all();
        state.most
    }
}

/// Each store that a plugin was bound to had eight calls of its own, and those that block
/// had no bound: together they could use any amount of memory.
#[test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
fn at_most_eight_calls_of_one_plugin_run_at_a_time() {
    let gate = Arc::new(Gate::default());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let clock = Arc::clone(&gate);
    let builder = StoreBuilder::new().clock(move || clock.pass());
    let store = runtime.block_on(builder.memory()).unwrap();
    let plugin = Plugin::new(&built(&PROBE).unwrap(), Limits::default()).unwrap();
    let one = plugin.with(&store, everything("one")).unwrap();
    let other = plugin.clone().with(&store, everything("other")).unwrap();
    gate.close();
    let blocking: Vec<_> = [&one, &other, &one, &other, &one, &other]
        .into_iter()
        .map(|plugin| {
            let plugin = plugin.clone();
            std::thread::spawn(move || plugin.run_blocking("time"))
        })
        .collect();
    let tasks: Vec<_> = [&one, &other, &one, &other, &one, &other]
        .into_iter()
        .map(|plugin| {
            let plugin = plugin.clone();
            runtime.spawn(async move { plugin.run("time").await })
        })
        .collect();
    gate.wait_for(8);
    let mut further = Box::pin(other.run("head"));
    assert!(lash_wasm_store_testing::fixtures::poll_once(further.as_mut()).is_pending());
    // It has not begun, or it would make its call all the same.
    drop(further);
    gate.open();
    for thread in blocking {
        assert_eq!(thread.join().unwrap().unwrap(), b"0\n");
    }
    for task in tasks {
        assert_eq!(runtime.block_on(task).unwrap().unwrap(), b"0\n");
    }
    assert_eq!(gate.open(), 8);
    assert_eq!(other.usage().calls, 0);
    contained(
        "twelve runs of one plugin at a time",
        "eight at most",
        "four wait",
    );
}

/// Dropping the future does not tear a call in two.
#[tokio::test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
async fn a_call_whose_future_is_dropped_goes_on() {
    let store = Store::memory().await.unwrap();
    let plugin = bound(&store, "one");
    let mut run = Box::pin(plugin.run("repeat 50 put name x"));
    assert!(lash_wasm_store_testing::fixtures::poll_once(run.as_mut()).is_pending());
    drop(run);
    while plugin.usage().calls < 50 {
        tokio::task::yield_now().await;
    }
}
