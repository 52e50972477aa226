//! What is counted, by a recorder that adds up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use lash_core::RuntimePersistence;
use lash_wasm_store::StoreBuilder;
use lash_wasm_store_testing::fixtures::{Place, append, chain, large_node};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

type Values = Arc<Mutex<BTreeMap<String, f64>>>;

/// Sums of counters, last values of gauges, and numbers of values of histograms, by
/// name and labels.
#[derive(Clone, Default)]
pub struct Sums(Values);

struct One {
    key: String,
    values: Values,
}

impl One {
    fn change(&self, change: impl FnOnce(&mut f64)) {
        change(
            self.values
                .lock()
                .unwrap()
                .entry(self.key.clone())
                .or_default(),
        );
    }
}

impl CounterFn for One {
    fn increment(&self, value: u64) {
        self.change(|sum| *sum += value as f64);
    }
    fn absolute(&self, value: u64) {
        self.change(|sum| *sum = value as f64);
    }
}

impl GaugeFn for One {
    fn increment(&self, value: f64) {
        self.change(|last| *last += value);
    }
    fn decrement(&self, value: f64) {
        self.change(|last| *last -= value);
    }
    fn set(&self, value: f64) {
        self.change(|last| *last = value);
    }
}

impl HistogramFn for One {
    fn record(&self, value: f64) {
        assert!(value >= 0.0);
        self.change(|count| *count += 1.0);
    }
}

impl Sums {
    fn one(&self, key: &Key) -> Arc<One> {
        let labels: Vec<String> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        Arc::new(One {
            key: format!("{}{{{}}}", key.name(), labels.join(",")),
            values: Arc::clone(&self.0),
        })
    }

    fn get(&self, key: &str) -> f64 {
        self.0.lock().unwrap().get(key).copied().unwrap_or_default()
    }
}

impl Recorder for Sums {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.one(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.one(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.one(key))
    }
}

pub fn sums() -> &'static Sums {
    static SUMS: OnceLock<Sums> = OnceLock::new();
    SUMS.get_or_init(|| {
        let sums = Sums::default();
        metrics::set_global_recorder(sums.clone()).unwrap();
        sums
    })
}

/// Other tests of this program use stores meanwhile, so what they may do too can
/// only be compared with what was before.
#[tokio::test]
async fn calls_and_what_they_moved_are_counted() {
    crate::subscriber::recorded();
    let sums = sums();
    let commits = |outcome: &str| {
        sums.get(&format!(
            "lash_wasm_store_calls_total{{kind=session,operation=commit,outcome={outcome}}}"
        ))
    };
    let written = "lash_wasm_store_bytes_written_total{kind=session}";
    let timed = "lash_wasm_store_call_seconds{kind=session,operation=commit}";
    let before = [
        commits("ok"),
        commits("busy"),
        sums.get(written),
        sums.get(timed),
    ];
    let waits = sums.get("lash_wasm_store_lock_wait_seconds{}");
    let copies = sums.get("lash_wasm_store_checkpoints_total{outcome=complete}");

    let place = Place::new();
    let builder = StoreBuilder::new().busy_timeout(Duration::from_millis(20));
    let store = place.open_with(builder).await;
    // More than the log holds before it is copied.
    let node = large_node("n0", None, 6 << 20);
    store
        .commit_runtime_state(append(None, vec![node]))
        .await
        .unwrap();
    {
        let raw = place.raw();
        let _lock = raw.lock();
        let locked = store
            .commit_runtime_state(append(Some(1), chain(1, 1)))
            .await;
        assert!(locked.is_err());
    }
    // Behind the copying of the log.
    store
        .prune(std::time::SystemTime::UNIX_EPOCH)
        .await
        .unwrap();

    assert!(commits("ok") >= before[0] + 1.0);
    assert!(commits("busy") >= before[1] + 1.0);
    assert!(sums.get(written) >= before[2] + f64::from(6 << 20));
    assert!(sums.get(timed) >= before[3] + 2.0);
    assert!(sums.get("lash_wasm_store_lock_wait_seconds{}") >= waits + 1.0);
    assert!(sums.get("lash_wasm_store_checkpoints_total{outcome=complete}") >= copies + 1.0);
    assert!(sums.get("lash_wasm_store_instances_total{}") >= 1.0);
    assert!(sums.get("lash_wasm_store_threads{}") >= 1.0);
    assert!(sums.get("lash_wasm_store_waiting_calls{}") >= 3.0);
}

/// Every metric that is recorded is in the table of the documentation.
#[test]
fn every_metric_is_documented() {
    let documentation = include_str!("../../../docs/observability.md");
    let source = include_str!("../../../engine/src/observability/metrics/recorded.rs");
    let names = source
        .split('"')
        .filter(|text| text.starts_with("lash_wasm_store_"));
    let names: Vec<&str> = names.collect();
    assert!(names.len() >= 12, "{names:?}");
    for name in names {
        assert!(documentation.contains(&format!("`{name}`")), "{name}");
    }
}
