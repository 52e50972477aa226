//! Renewing a lease while other databases are in long calls, more of them than the machine
//! has cores.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lash_core::{ProcessEventAppendRequest, ProcessRegistry};
use serde_json::json;

use crate::engines::Setup;
use crate::names;
use crate::processes::{EVENT, registration};
use crate::report::Report;

const LONG: usize = 4;
const EVENTS: usize = 5_000;
const RENEWALS: usize = 300;
const LEASE_MS: u64 = 3_600_000;

async fn with_events(setup: Setup, index: usize) -> (tempfile::TempDir, Arc<dyn ProcessRegistry>) {
    let directory = tempfile::tempdir().unwrap();
    let registry = setup.processes(directory.path()).await;
    registry.register_process(registration("p")).await.unwrap();
    for number in 0..EVENTS {
        let payload = json!({ "line": "y".repeat(200), "number": number, "of": index });
        let request = ProcessEventAppendRequest::new(EVENT, payload);
        registry.append_event("p", request).await.unwrap();
    }
    (directory, registry)
}

/// The engines are measured one after the other: the long calls of one would be noise for
/// the other.
pub(crate) async fn renew(report: &mut Report) {
    let mut samples = Vec::new();
    for setup in Setup::ALL {
        let mut long = Vec::new();
        for index in 0..LONG {
            long.push(with_events(setup, index).await);
        }
        let directory = tempfile::tempdir().unwrap();
        let registry = setup.processes(directory.path()).await;
        registry.register_process(registration("p")).await.unwrap();
        let mut lease = registry
            .claim_process_lease("p", "bench", LEASE_MS)
            .await
            .unwrap();
        let calls: Vec<_> = long
            .iter()
            .map(|(_, registry)| {
                let registry = Arc::clone(registry);
                tokio::spawn(async move {
                    loop {
                        registry.events_after("p", 0).await.unwrap();
                    }
                })
            })
            .collect();
        let mut times = Vec::new();
        for _ in 0..RENEWALS {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let start = Instant::now();
            lease = registry
                .renew_process_lease(&lease, LEASE_MS)
                .await
                .unwrap();
            times.push(start.elapsed());
        }
        for call in calls {
            call.abort();
        }
        samples.push(times);
    }
    report.add("renew-busy", &names(), samples);
}
