//! What a machine does in a second: sessions that commit at once, and readers beside a
//! writer. The engines take turns, round by round.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lash_core::store::SessionReadScope;
use tokio::task::JoinSet;

use crate::data::{Blobs, Session};
use crate::engines::{Engine, Setup};
use crate::harness::{Wanted, interleave};
use crate::names;
use crate::report::{Better, Report};

pub(crate) async fn run(wanted: &Wanted, report: &mut Report) {
    for (case, sessions) in [("sessions-1", 1), ("sessions-4", 4), ("sessions-16", 16)] {
        if wanted.has(case) {
            together(case, sessions, wanted, report).await;
        }
    }
    if wanted.has("readers-4") {
        readers(wanted, report).await;
    }
}

type Shared = (Arc<Engine>, Session);

/// So many sessions, each of which commits as fast as it can.
async fn together(case: &str, sessions: usize, wanted: &Wanted, report: &mut Report) {
    // All do the same number of commits in a round, few enough for many rounds.
    let commits = 64 / sessions.min(16);
    let dir = tempfile::tempdir().unwrap();
    let mut engines: Vec<Vec<Shared>> = Vec::new();
    for setup in Setup::BOTH {
        let mut opened = Vec::new();
        for number in 0..sessions {
            let path = dir.path().join(format!("{} {number}", setup.name()));
            opened.push((Arc::new(setup.open(&path).await), Session::new(Blobs::All)));
        }
        engines.push(opened);
    }
    let samples = interleave(&mut engines, wanted.repeat(15), async |opened, _| {
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for (engine, mut session) in opened.drain(..) {
            tasks.spawn(async move {
                for _ in 0..commits {
                    engine.commit(session.turn()).await;
                }
                (engine, session)
            });
        }
        opened.extend(tasks.join_all().await);
        start.elapsed()
    });
    let of_all = (commits * sessions) as f64;
    let rates = samples
        .await
        .iter()
        .map(|times| {
            times
                .iter()
                .map(|time| of_all / time.as_secs_f64())
                .collect()
        })
        .collect();
    report.rows(case, &names(), "commits/s", Better::More, rates);
}

/// Four who load a session of 100 nodes, and one who commits to it, all as fast as they
/// can.
async fn readers(wanted: &Wanted, report: &mut Report) {
    const READERS: usize = 4;
    const NODES: usize = 100;
    const ROUND: Duration = Duration::from_millis(500);
    let dir = tempfile::tempdir().unwrap();
    let mut engines = Vec::new();
    for setup in Setup::BOTH {
        let engine = setup.open(&dir.path().join(setup.name())).await;
        let mut session = Session::new(Blobs::All);
        engine.commit(session.history(NODES)).await;
        engines.push((Arc::new(engine), Some(session), [Vec::new(), Vec::new()]));
    }
    interleave(&mut engines, wanted.repeat(12), async |state, _| {
        let (engine, session, rates) = state;
        let start = Instant::now();
        let mut reading = JoinSet::new();
        for _ in 0..READERS {
            let engine = Arc::clone(engine);
            reading.spawn(async move {
                let mut reads = 0_u32;
                while start.elapsed() < ROUND {
                    assert_eq!(engine.load(SessionReadScope::FullGraph).await, NODES);
                    reads += 1;
                }
                reads
            });
        }
        let mut writing = session.take().unwrap();
        let writer = Arc::clone(engine);
        let written = tokio::spawn(async move {
            let mut commits = 0_u32;
            while start.elapsed() < ROUND {
                // The graph stays as it is: a faster writer would make its readers slower.
                writer.commit(writing.state()).await;
                commits += 1;
            }
            (writing, commits)
        });
        let reads: u32 = reading.join_all().await.iter().sum();
        let (writing, commits) = written.await.unwrap();
        let seconds = start.elapsed().as_secs_f64();
        *session = Some(writing);
        rates[0].push(f64::from(reads) / seconds);
        rates[1].push(f64::from(commits) / seconds);
        start.elapsed()
    })
    .await;
    for (index, case, unit) in [
        (0, "readers-4", "loads/s"),
        (1, "readers-4-writer", "commits/s"),
    ] {
        let rates = engines.iter().map(|(_, _, rates)| rates[index].clone());
        report.rows(case, &names(), unit, Better::More, rates.collect());
    }
}
