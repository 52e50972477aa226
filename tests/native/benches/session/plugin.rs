//! Plugins: an append to a queue through a grant beside the direct call, of which one run
//! makes many, or one alone; and a run that does nothing, which is what a fresh instance
//! costs, with its thread.

use std::path::Path;
use std::time::Instant;

use lash_core::RuntimePersistence;
use lash_wasm_store::plugin::{Access, Grant, GrantedPlugin, Namespace, Plugin};
use lash_wasm_store::{Durability, Limits, Store, StoreBuilder};
use lash_wasm_store_testing::fixtures::{SESSION, work};
use xtask::PROBE;
use xtask::build::built;

use crate::harness::{Wanted, interleave};
use crate::report::Report;

const CASES: [&str; 3] = ["plugin-append", "plugin-append-alone", "plugin-start"];
const NAMES: [&str; 2] = ["component", "plugin"];

/// Who appends.
enum Caller {
    Application(Store),
    Plugin(GrantedPlugin),
}

impl Caller {
    async fn open(directory: &Path, plugin: Option<&Plugin>) -> Self {
        let name = if plugin.is_some() { NAMES[1] } else { NAMES[0] };
        let builder = StoreBuilder::new().durability(Durability::Normal);
        let store = builder.open(&directory.join(name)).await.unwrap();
        let Some(plugin) = plugin else {
            return Self::Application(store);
        };
        let grant = Grant::new(Namespace::new("bench").unwrap())
            .artifacts(Access::Write)
            .blobs(Access::Write)
            .queue(Access::Write)
            .session()
            .most_calls(u64::MAX)
            .most_bytes(u64::MAX);
        let granted = plugin.with(&store, grant).unwrap();
        Self::Plugin(granted)
    }

    async fn append(&self, payload: &str, count: u32) {
        match self {
            Self::Application(store) => {
                for _ in 0..count {
                    store.enqueue_queued_work(work(payload)).await.unwrap();
                }
            }
            Self::Plugin(plugin) => {
                let script = format!("repeat {count} enqueue {SESSION} - {payload}");
                plugin.run(script).await.unwrap();
            }
        }
    }
}

pub(crate) async fn run(wanted: &Wanted, report: &mut Report) {
    if !CASES.iter().any(|case| wanted.has(case)) {
        return;
    }
    let plugin = Plugin::new(&built(&PROBE).unwrap(), Limits::default()).unwrap();
    let payload = "x".repeat(200);
    for (case, count, turns) in [("plugin-append", 20, 150), ("plugin-append-alone", 1, 900)] {
        if !wanted.has(case) {
            continue;
        }
        let directory = tempfile::tempdir().unwrap();
        let mut callers = [
            Caller::open(directory.path(), None).await,
            Caller::open(directory.path(), Some(&plugin)).await,
        ];
        let samples = interleave(&mut callers, wanted.repeat(turns), async |caller, _| {
            let start = Instant::now();
            caller.append(&payload, count).await;
            start.elapsed() / count
        });
        report.add(case, &NAMES, samples.await);
    }
    if wanted.has("plugin-start") {
        let directory = tempfile::tempdir().unwrap();
        let mut callers = [Caller::open(directory.path(), Some(&plugin)).await];
        let samples = interleave(&mut callers, wanted.repeat(900), async |caller, _| {
            let Caller::Plugin(plugin) = caller else {
                return Default::default();
            };
            let start = Instant::now();
            plugin.run("").await.unwrap();
            start.elapsed()
        });
        report.add("plugin-start", &NAMES[1..], samples.await);
    }
}
