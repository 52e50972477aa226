//! The component as one that is not trusted, beside itself: what its limits cost in a
//! commit, in storing something small, and in a call that finds nothing to do.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::data::{Blobs, Session};
use crate::engines::{Engine, Setup};
use crate::harness::{Wanted, interleave};
use crate::report::Report;

const SETUPS: [Setup; 2] = [Setup::Component, Setup::Untrusted];

pub(crate) async fn run(wanted: &Wanted, report: &mut Report) {
    if wanted.has("untrusted-commit") {
        commits(wanted, report).await;
    }
    if wanted.has("untrusted-blob") {
        let put = async |engine: &Engine, turn: usize| {
            let content = format!("a short text, number {turn}");
            engine.put_blob(content.as_bytes()).await;
        };
        calls("untrusted-blob", put, wanted, report).await;
    }
    if wanted.has("untrusted-idle") {
        let list = async |engine: &Engine, _: usize| {
            let listed = engine.store().list_queued_work("root").await.unwrap();
            assert!(listed.is_empty());
        };
        calls("untrusted-idle", list, wanted, report).await;
    }
}

async fn commits(wanted: &Wanted, report: &mut Report) {
    let mut samples = vec![Vec::new(); SETUPS.len()];
    for _ in 0..wanted.repeat(15) {
        let dir = tempfile::tempdir().unwrap();
        let mut engines = Vec::new();
        for engine in open(dir.path()).await {
            engines.push((engine, Session::new(Blobs::All)));
        }
        let times = interleave(&mut engines, 60, async |(engine, session), _| {
            let commit = session.turn();
            let start = Instant::now();
            engine.commit(commit).await;
            start.elapsed()
        });
        for (samples, times) in samples.iter_mut().zip(times.await) {
            samples.extend(times);
        }
    }
    report.add("untrusted-commit", &names(), samples);
}

async fn calls(
    case: &str,
    mut call: impl AsyncFnMut(&Engine, usize),
    wanted: &Wanted,
    report: &mut Report,
) {
    let dir = tempfile::tempdir().unwrap();
    let mut engines = open(dir.path()).await;
    let samples = interleave(&mut engines, wanted.repeat(900), async |engine, turn| {
        let start = Instant::now();
        call(engine, turn).await;
        start.elapsed()
    });
    let samples: Vec<Vec<Duration>> = samples.await;
    report.add(case, &names(), samples);
}

async fn open(directory: &Path) -> Vec<Engine> {
    let mut engines = Vec::new();
    for setup in SETUPS {
        engines.push(setup.open(&directory.join(setup.name())).await);
    }
    engines
}

fn names() -> [&'static str; 2] {
    SETUPS.map(Setup::name)
}
