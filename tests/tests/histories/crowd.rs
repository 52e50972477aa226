//! Four processes that are killed and started again.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use lash_wasm_store::inspect::Inspector;
use lash_wasm_store::{
    SqliteEffectHost, SqliteEffectReplayOptions, SqliteHostEventStore, SqliteProcessRegistry,
    Store, StoreBuilder,
};
use lash_wasm_store_testing::child;
use lash_wasm_store_testing::random::Random;
use tempfile::TempDir;

use crate::history::{Call, read, report};
use crate::{effects, host_events, registry, session};

const WORKERS: usize = 4;

/// How many kills there are with one set of databases.
const ROUND: usize = 100;

/// A number that is set from outside.
pub fn number(name: &str, default: usize) -> usize {
    let number = std::env::var(name).ok();
    number.map_or(default, |number| number.parse().expect(name))
}

/// A directory in memory, if there is one.
pub fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let place = tempfile::Builder::new();
    match memory.is_dir() {
        true => place.tempdir_in(memory).expect("a directory"),
        false => place.tempdir().expect("a directory"),
    }
}

/// Which of the four this process is, its how manieth life this is, and what it begins its
/// random numbers with. The directory of all is above.
pub struct Life {
    pub base: PathBuf,
    pub worker: usize,
    pub who: String,
    pub seed: u64,
}

impl Life {
    /// The path that the child is given says all of it.
    pub fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap().to_str().unwrap();
        let (who, seed) = name.split_once('-').unwrap();
        Self {
            base: path.parent().unwrap().to_owned(),
            worker: who.split_once('.').unwrap().0.parse().unwrap(),
            who: who.to_owned(),
            seed: seed.parse().unwrap(),
        }
    }
}

/// Keeps four processes at work in a directory until so many were killed.
pub fn kill(test: impl Fn() + Copy, base: &Path, kills: usize, random: &mut Random) {
    let mut lives = [0; WORKERS];
    let mut start = |worker: usize, random: &mut Random| -> Child {
        lives[worker] += 1;
        let seed = random.below(1 << 32);
        let name = format!("{worker}.{}-{seed}", lives[worker]);
        let mut command = child::command(test, &base.join(name));
        command.arg("--include-ignored");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.spawn().expect("a process")
    };
    let mut workers: Vec<Child> = (0..WORKERS).map(|worker| start(worker, random)).collect();
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(random.below(120)));
        let worker = random.below(WORKERS as u64) as usize;
        end(&mut workers[worker]);
        workers[worker] = start(worker, random);
    }
    workers.iter_mut().for_each(end);
}

/// Kills a process, which must be at work.
fn end(child: &mut Child) {
    let ended = child.try_wait().unwrap();
    assert!(ended.is_none(), "a process has ended by itself: {ended:?}");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Every database must be sound.
pub async fn verify(path: &Path) {
    let inspector = Inspector::open(path).await.unwrap();
    let verification = inspector.verify().await.unwrap();
    assert!(verification.is_sound(), "{path:?}: {verification:?}");
}

struct Stores {
    session: Store,
    registry: SqliteProcessRegistry,
    host_events: SqliteHostEventStore,
    effects: SqliteEffectHost,
}

impl Stores {
    async fn open(base: &Path) -> Self {
        let options = SqliteEffectReplayOptions {
            lease_ttl: effects::TTL,
        };
        let builder = StoreBuilder::new;
        let path = |name: &str| base.join(name);
        Self {
            session: builder().open(&path("session.db")).await.unwrap(),
            registry: builder()
                .open_process_registry(&path("registry.db"))
                .await
                .unwrap(),
            host_events: builder()
                .open_host_event_store(&path("events.db"))
                .await
                .unwrap(),
            effects: builder()
                .open_effect_host(&path("effects.db"), options)
                .await
                .unwrap(),
        }
    }
}

async fn work(path: &Path) {
    let life = Life::of(path);
    let stores = Stores::open(&life.base).await;
    let log = |name: &str| life.base.join(name);
    let random = |salt: u64| Random::new(life.seed ^ salt);
    let (worker, who) = (life.worker, life.who.as_str());
    let logs = ["session.log", "registry.log", "events.log", "effects.log"].map(log);
    tokio::join!(
        session::work_on(&stores.session, &logs[0], worker, who, random(1)),
        registry::work_on(&stores.registry, &logs[1], worker, who, random(2)),
        host_events::work_on(&stores.host_events, &logs[2], worker, who, random(3)),
        effects::work_on(&stores.effects, &logs[3], who, random(4)),
    );
}

/// Holds a log to its rules; returns how many calls it has, and how many were killed.
#[track_caller]
fn hold<O: std::fmt::Debug, R: std::fmt::Debug>(
    calls: &[Call<O, R>],
    violations: Vec<crate::history::Violation>,
    seed: usize,
) -> (usize, usize) {
    assert!(
        violations.is_empty(),
        "seed {seed}: {} violations\n{}",
        violations.len(),
        report(calls, &violations)
    );
    let killed = calls.iter().filter(|call| call.ended.is_none()).count();
    (calls.len(), killed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_are_killed_leave_a_history_of_one_caller() {
    if let Some(path) = child::file() {
        return work(&path).await;
    }
    let test = processes_that_are_killed_leave_a_history_of_one_caller;
    let kills = number("LASH_HISTORY_KILLS", ROUND);
    let seed = number("LASH_HISTORY_SEED", 17);
    println!("seed {seed}");
    let mut random = Random::new(seed as u64);
    let begun = Instant::now();
    let (mut calls, mut killed, mut left) = (0, 0, kills);
    while left > 0 {
        let round = left.min(ROUND);
        left -= round;
        let directory = directory();
        let base = directory.path();
        host_events::prepare(&Stores::open(base).await.host_events).await;
        kill(test, base, round, &mut random);

        let stores = Stores::open(base).await;
        let log = |name: &str| base.join(name);
        session::audit(&stores.session, &log("session.log")).await;
        registry::audit(&stores.registry, &log("registry.log")).await;
        host_events::audit(&stores.host_events, &log("events.log")).await;
        effects::audit(&stores.effects, &log("effects.log")).await;
        let session = read(&log("session.log"));
        let registry = read(&log("registry.log"));
        let events = read(&log("events.log"));
        let effects = read(&log("effects.log"));
        let tallies = [
            hold(&session, session::check(&session), seed),
            hold(&registry, registry::check(&registry), seed),
            hold(&events, host_events::check(&events), seed),
            hold(&effects, effects::check(&effects), seed),
        ];
        for (tally, name) in tallies
            .iter()
            .zip(["session", "registry", "events", "effects"])
        {
            println!("{name}: {} calls, {} of them killed", tally.0, tally.1);
            calls += tally.0;
            killed += tally.1;
            verify(&base.join(format!("{name}.db"))).await;
        }
    }
    println!(
        "{kills} kills, {calls} calls, {killed} of them killed, nothing lost, nothing wrong, {} ms",
        begun.elapsed().as_millis()
    );
}
