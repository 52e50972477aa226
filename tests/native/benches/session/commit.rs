//! Commits: by length of history, by what changed, by profile, and by durability.

use std::time::Instant;

use crate::data::{Blobs, Session};
use crate::engines::{Profile, Setup};
use crate::harness::{Wanted, interleave};
use crate::report::Report;

/// A case of the table.
struct Case {
    name: &'static str,
    /// Nodes that are stored before the first measured commit.
    history: usize,
    /// Commits measured in each database.
    commits: usize,
    /// Databases measured.
    databases: usize,
    blobs: Blobs,
    profile: Profile,
    setups: &'static [Setup],
}

const WITH_LOGIC: &[Setup] = &[Setup::NativeCrate, Setup::Component, Setup::NativeLogic];

const FRESH: Case = Case {
    name: "commit-60",
    history: 0,
    commits: 60,
    databases: 15,
    blobs: Blobs::All,
    profile: Profile::Balanced,
    setups: WITH_LOGIC,
};

const CASES: [Case; 9] = [
    FRESH,
    Case {
        name: "commit-2000",
        history: 2000,
        commits: 200,
        databases: 2,
        ..FRESH
    },
    Case {
        name: "commit-10000",
        history: 10_000,
        commits: 200,
        databases: 1,
        ..FRESH
    },
    Case {
        name: "commit-50000",
        history: 50_000,
        commits: 100,
        databases: 1,
        ..FRESH
    },
    Case {
        name: "commit-one-blob",
        blobs: Blobs::One,
        ..FRESH
    },
    Case {
        name: "commit-no-blob",
        blobs: Blobs::None,
        ..FRESH
    },
    Case {
        name: "commit-low-latency",
        profile: Profile::LowLatency,
        setups: &Setup::BOTH,
        ..FRESH
    },
    Case {
        name: "commit-compact",
        profile: Profile::Compact,
        setups: &Setup::BOTH,
        ..FRESH
    },
    Case {
        name: "durability",
        setups: &[Setup::NativeCrate, Setup::Component, Setup::Durable],
        ..FRESH
    },
];

pub(crate) async fn run(wanted: &Wanted, report: &mut Report) {
    for case in CASES {
        if wanted.has(case.name) {
            measure(&case, wanted, report).await;
        }
    }
    if wanted.has("growth") && !wanted.quick() {
        growth(report).await;
    }
}

async fn measure(case: &Case, wanted: &Wanted, report: &mut Report) {
    let mut samples = vec![Vec::new(); case.setups.len()];
    let (databases, commits) = if case.databases == 1 {
        (1, wanted.repeat(case.commits))
    } else {
        (wanted.repeat(case.databases), case.commits)
    };
    for _ in 0..databases {
        let dir = tempfile::tempdir().unwrap();
        let mut engines = Vec::new();
        for setup in case.setups {
            let path = dir.path().join(setup.name());
            let engine = setup.open_with(&path, case.profile).await;
            let mut session = Session::new(case.blobs);
            if case.history > 0 {
                engine.commit(session.history(case.history)).await;
            }
            engines.push((engine, session));
        }
        let times = interleave(&mut engines, commits, async |(engine, session), _| {
            let commit = session.turn();
            let start = Instant::now();
            engine.commit(commit).await;
            start.elapsed()
        });
        for (samples, times) in samples.iter_mut().zip(times.await) {
            samples.extend(times);
        }
    }
    let names: Vec<&str> = case.setups.iter().map(|setup| setup.name()).collect();
    report.add(case.name, &names, samples);
}

/// The component alone, on a new session and on one of 50,000 nodes: beside the
/// native crate, which reads the whole graph with every commit, it would be
/// measured with caches that hold nothing of its own.
async fn growth(report: &mut Report) {
    let dir = tempfile::tempdir().unwrap();
    let mut engines = Vec::new();
    for history in [0, 50_000] {
        let engine = Setup::Component
            .open(&dir.path().join(history.to_string()))
            .await;
        let mut session = Session::new(Blobs::All);
        if history > 0 {
            engine.commit(session.history(history)).await;
        }
        engines.push((engine, session));
    }
    let samples = interleave(&mut engines, 400, async |(engine, session), _| {
        let commit = session.turn();
        let start = Instant::now();
        engine.commit(commit).await;
        start.elapsed()
    });
    let names = ["component, new", "component, 50000"];
    report.add("growth", &names, samples.await);
}
