//! What becomes of an effect when the process that executes it is killed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lash_core::RuntimeEffectLocalExecutor;
use lash_wasm_store::{SqliteEffectReplayOptions, StoreBuilder};
use lash_wasm_store_tests::effects::{
    LONG, controller, effect, forbidden, marker, open, open_with, outcome, place, returning, run,
    sleep, spawn, until_waiting,
};
use lash_wasm_store_tests::fixtures::{TestClock, guarded};

/// Names the file to the other process.
const FILE: &str = "LASH_WASM_STORE_EFFECTS";

/// What the other process does there.
const TASK: &str = "LASH_WASM_STORE_EFFECTS_TASK";

/// How long the claims of the other process last.
const TTL: Duration = Duration::from_millis(300);

/// Starts the other process.
fn start(path: &Path, task: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "the_other_process", "--nocapture"])
        .env(FILE, path)
        .env(TASK, task)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until the other process says something. It can go on saying things until
/// what is answered is dropped.
fn wait_for(child: &mut Child, what: &str) -> impl Sized + use<> {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(what)));
    lines
}

/// Starts the other process, and kills it as soon as it says so.
fn killed_while(path: &Path, task: &str) {
    let mut child = start(path, task);
    let _output = wait_for(&mut child, "kill me");
    kill(&mut child);
}

/// SIGKILL: nothing is tidied up.
fn kill(child: &mut Child) {
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
}

async fn wait_to_be_killed() -> ! {
    println!("kill me");
    std::future::pending().await
}

#[tokio::test]
#[ignore = "the other process of other tests"]
async fn the_other_process() {
    let path = PathBuf::from(std::env::var_os(FILE).unwrap());
    let task = std::env::var(TASK).unwrap();
    let lease_ttl = if task == "told" { LONG } else { TTL };
    let options = SqliteEffectReplayOptions { lease_ttl };
    let host = StoreBuilder::new()
        .open_effect_host(&path, options)
        .await
        .unwrap();
    let controller = controller(&host);
    let side_effect = path.with_extension("side-effect");
    match task.as_str() {
        "executing" => {
            let executor = RuntimeEffectLocalExecutor::testing(|_| async move {
                std::fs::write(side_effect, "done").unwrap();
                wait_to_be_killed().await
            });
            run(&controller, effect("a"), executor).await.unwrap();
        }
        "sleeping" => {
            let executor =
                RuntimeEffectLocalExecutor::testing(|_| async { wait_to_be_killed().await });
            run(&controller, sleep("a", 1000), executor).await.unwrap();
        }
        "finished" => {
            run(&controller, effect("a"), returning("theirs"))
                .await
                .unwrap();
            wait_to_be_killed().await
        }
        "told" => {
            let executor = RuntimeEffectLocalExecutor::testing(|_| async {
                println!("tell me");
                std::io::stdin().read_line(&mut String::new()).unwrap();
                Ok(outcome("theirs"))
            });
            run(&controller, effect("a"), executor).await.unwrap();
        }
        task => panic!("{task}"),
    }
}

/// At least once: the side effect has happened and nobody knows, so it happens
/// again, as soon as the lease of who died has expired.
#[tokio::test]
async fn an_effect_is_executed_again_when_its_owner_was_killed_over_it() {
    let place = place();
    drop(open(place.path()).await);
    killed_while(place.path(), "executing");
    assert!(place.path().with_extension("side-effect").exists());
    let host = open_with(StoreBuilder::new(), LONG, place.path()).await;
    let again = run(&controller(&host), effect("a"), returning("ours")).await;
    assert_eq!(marker(again), "ours");
}

#[tokio::test]
async fn a_result_outlives_the_process_that_recorded_it() {
    let place = place();
    drop(open(place.path()).await);
    killed_while(place.path(), "finished");
    let host = open(place.path()).await;
    assert_eq!(
        marker(run(&controller(&host), effect("a"), forbidden()).await),
        "theirs"
    );
}

#[tokio::test]
async fn a_sleep_goes_on_where_the_killed_process_left_it() {
    let place = place();
    drop(open(place.path()).await);
    killed_while(place.path(), "sleeping");
    let raw = place.raw();
    let due = raw.integer("SELECT due_at_ms FROM effects");
    let host = open(place.path()).await;
    let executor = RuntimeEffectLocalExecutor::unavailable();
    run(&controller(&host), sleep("a", 1000), executor)
        .await
        .unwrap();
    assert_eq!(raw.integer("SELECT due_at_ms FROM effects"), due);
    let settled = raw.integer("SELECT settled_at_ms FROM effects");
    // Timers and clocks may differ by a little.
    assert!(settled >= due - 20, "{settled} {due}");
}

/// Nobody in this process tells who waits; the file does.
#[tokio::test]
async fn who_waits_is_woken_by_a_result_of_another_process() {
    let place = place();
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let clock = TestClock::at(i64::try_from(now_ms.as_millis()).unwrap());
    let host = open_with(clock.builder(), LONG, place.path()).await;
    let mut child = start(place.path(), "told");
    let output = wait_for(&mut child, "tell me");
    let reads = clock.reads();
    let waiting = spawn(&controller(&host), effect("a"), forbidden());
    until_waiting(&clock, reads, 1).await;
    child.stdin.take().unwrap().write_all(b"end\n").unwrap();
    assert_eq!(marker(guarded(waiting).await.unwrap()), "theirs");
    assert!(child.wait().unwrap().success());
    drop(output);
}
